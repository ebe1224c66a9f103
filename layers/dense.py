"""Fully connected block, X_n = ReLU(W X_{n-1} + b) and its variants (Eqs. 5.1.3 and 5.1.6).

Legend: B batch, D features.
"""

import keras

from .block import AffineBlock


@keras.saving.register_keras_serializable("curvezoo")
class DenseBlock(AffineBlock):
    """Dense layer, normalization, activation, dropout: [B, D] to [B, units], Eq. 5.1.6.

    Args:
        units: Number L_n of outputs.
        activation: Any Keras activation identifier.
        normalization: `None`, `batch`, `layer` or `weight`; with `batch` the dense layer has no bias.
        dropout: Probability that an output is set to zero while training.
        kernel_initializer: Any Keras initializer identifier; `None` for `fan_in()`, Eq. 5.1.10.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: If `normalization` is unknown, or Keras rejects an argument.
    """

    def __init__(
        self,
        units,
        activation="relu",
        normalization=None,
        dropout=0.0,
        kernel_initializer=None,
        **kwargs,
    ):
        super().__init__(activation, normalization, dropout, kernel_initializer, **kwargs)
        self.units = units
        self.supports_masking = True
        self.add_sublayers(keras.layers.Dense, units)

    def get_config(self):
        """Returns the arguments that rebuild this layer."""
        return {**super().get_config(), "units": self.units}
