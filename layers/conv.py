"""Convolutional block (Sec. 5.3).

Legend: B batch, H height, W width, C channels; images are [B, H, W, C] on every backend.
"""

import keras

from .block import AffineBlock


@keras.saving.register_keras_serializable("curvezoo")
class ConvBlock(AffineBlock):
    """2-D convolution, normalization, activation, dropout: [B, H, W, C] to [B, H', W', filters].

    The weights form a matrix of (kernel height * kernel width * C) rows and `filters` columns, shared by all
    positions: 200 by 16 for 5x5 filters from 8 to 16 channels. Layer norm normalizes over the channels at
    each position.

    Args:
        filters: Number of output channels.
        kernel_size: Height and width of the filters, one integer or a pair.
        strides: Step between filter positions, one integer or a pair; a step above 1 shrinks the image.
        activation: Any Keras activation identifier.
        normalization: `None`, `batch`, `layer` or `weight`; with `batch` the convolution has no bias.
        dropout: Probability that an output is set to zero while training.
        kernel_initializer: Any Keras initializer identifier; `None` for `fan_in()`, Eq. 5.1.10.
        padding: `same` or `valid`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: If `normalization` is unknown, or Keras rejects an argument.
    """

    def __init__(
        self,
        filters,
        kernel_size=3,
        strides=1,
        activation="relu",
        normalization=None,
        dropout=0.0,
        kernel_initializer=None,
        padding="same",
        **kwargs,
    ):
        super().__init__(activation, normalization, dropout, kernel_initializer, **kwargs)
        self.filters, self.kernel_size, self.strides, self.padding = filters, kernel_size, strides, padding
        self.add_sublayers(
            keras.layers.Conv2D,
            filters,
            kernel_size,
            strides=strides,
            padding=padding,
            data_format="channels_last",
        )

    def get_config(self):
        """Returns the arguments that rebuild this layer."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
        }
