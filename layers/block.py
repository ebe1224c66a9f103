"""The common base of the dense and the convolutional block."""

import keras

from .. import arguments
from .initializers import fan_in
from .normalization import KINDS, activation_normalization
from .weight_norm import WeightNormalization

_NORMALIZATIONS = (*KINDS, "weight")


class AffineBlock(keras.layers.Layer):
    """Base class of blocks: an affine map, then normalization, activation and dropout.

    The notes normalize after the ReLU (Eqs. 5.1.3 to 5.1.5). These blocks normalize before it, as Ioffe and
    Szegedy do.

    Args:
        activation: Any Keras activation identifier; the notes' leaky form q x + (1 - q) ReLU(x) is
            `keras.layers.LeakyReLU(negative_slope=q)`.
        normalization: `None`, `batch`, `layer` or `weight`.
        dropout: Probability that an output is set to zero while training.
        kernel_initializer: Any Keras initializer identifier; `None` for `fan_in()`, Eq. 5.1.10.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: If `normalization` is unknown, or Keras rejects an argument.
    """

    def __init__(
        self,
        activation="relu",
        normalization=None,
        dropout=0.0,
        kernel_initializer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        arguments.one_of("normalization", normalization, _NORMALIZATIONS)
        self.activation = keras.activations.get(activation)
        self.normalization = normalization
        self.dropout = dropout
        self.kernel_initializer = keras.initializers.get(kernel_initializer) or fan_in()

    def add_sublayers(self, layer_class, *args, **kwargs):
        """Creates the affine layer, with this block's initializer, and the layers that follow it.

        Args:
            layer_class: `keras.layers.Dense` or `keras.layers.Conv2D`.
            *args: Positional arguments of the class.
            **kwargs: Further arguments of the class.
        """
        affine = layer_class(
            *args,
            # Batch norm subtracts any constant, and it has an offset of its own.
            use_bias=self.normalization != "batch",
            kernel_initializer=self.kernel_initializer,
            dtype=self.dtype_policy,
            name="affine",
            **kwargs,
        )
        kind = self.normalization
        if kind == "weight":
            kind, affine = None, WeightNormalization(affine, dtype=self.dtype_policy, name="weight_norm")
        self.affine = affine
        self.norm = activation_normalization(kind, dtype=self.dtype_policy, name="norm")
        self.drop = keras.layers.Dropout(self.dropout, dtype=self.dtype_policy, name="drop")

    def build(self, input_shape):
        """Creates the weights for inputs of this shape."""
        self.affine.build(input_shape)
        if self.norm is not None:
            self.norm.build(self.compute_output_shape(input_shape))

    def call(self, inputs, training=None):
        """Applies the block."""
        x = self.affine(inputs)
        if self.norm is not None:
            x = self.norm(x, training=training) if self.normalization == "batch" else self.norm(x)
        return self.drop(self.activation(x), training=training)

    def compute_output_shape(self, input_shape):
        """Returns the shape of the affine map's output."""
        return self.affine.compute_output_shape(input_shape)

    def get_config(self):
        """Returns the arguments that rebuild this layer."""
        return {
            **super().get_config(),
            "activation": keras.activations.serialize(self.activation),
            "normalization": self.normalization,
            "dropout": self.dropout,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
