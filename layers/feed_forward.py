"""The position-wise feed-forward network of a Transformer (Eq. 5.4.11).

Legend: B batch, T positions, D features, F hidden features.
"""

import keras

from .. import arguments


@keras.saving.register_keras_serializable("curvezoo")
class FeedForward(keras.layers.Layer):
    r"""Two affine maps with a nonlinearity in between, applied to each position: [B, T, D] to [B, T, D].

    \[ Z^s \to W_2 \, \phi(W_1 Z^s + b_1) + b_2 \]

    Args:
        units: Number F of hidden features; the usual choice is 4 D.
        activation: \(\phi\), any Keras activation identifier; the notes use ReLU.
        use_bias: Whether the maps have biases.
        kernel_initializer: Any Keras initializer identifier.
        output_initializer: Initializer of W_2; `None` for `kernel_initializer`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: If `units` is not a positive integer.
    """

    def __init__(
        self,
        units,
        activation="relu",
        use_bias=True,
        kernel_initializer="glorot_uniform",
        output_initializer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.units = arguments.integer("units", units, 1)
        self.activation = keras.activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.output_initializer = keras.initializers.get(output_initializer)

    def build(self, input_shape):
        """Creates the two maps."""
        shared = {"use_bias": self.use_bias, "dtype": self.dtype_policy}
        first, second = self.kernel_initializer, self.output_initializer or self.kernel_initializer
        self.hidden = keras.layers.Dense(
            self.units, kernel_initializer=first.clone(), name="hidden", **shared
        )
        self.output_map = keras.layers.Dense(
            input_shape[-1], kernel_initializer=second.clone(), name="output", **shared
        )
        self.hidden.build(input_shape)
        self.output_map.build((*input_shape[:-1], self.units))

    def call(self, inputs):
        """Applies the network to every position."""
        return self.output_map(self.activation(self.hidden(inputs)))

    def compute_output_shape(self, input_shape):
        """Returns the shape of the inputs."""
        return input_shape

    def get_config(self):
        """Returns the arguments that rebuild this layer."""
        return {
            **super().get_config(),
            "units": self.units,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "output_initializer": keras.initializers.serialize(self.output_initializer),
        }
