"""Weights of unit variance, scaled in the forward pass: the parameterization at the end of Sec. 5.1.3.

A weight is W = s u, with u drawn at unit variance and a fixed s = sqrt(2 / L_{n-1}) (or the scale of another
scheme). At initialization the function has the same distribution as under Eqs. 5.1.10 to 5.1.12. Training
differs: dLoss/du = s dLoss/dW, so a gradient step of rate r on u moves W like a step of rate r s^2, and a
sign-like optimizer such as Adam moves W by r s instead of r. One learning rate then suits layers of every
width, which is why the neural tangent kernel literature uses this form.

Legend: B batch, D features, H height, W width, C channels.
"""

import keras

from .initializers import check_scheme, standard_deviation


class _UnitVariance:
    """Mixin for a Keras layer that is linear in its kernel: scales the inputs of the wrapped call."""

    def __init__(self, *args, scheme="fan_in", gain=1.0, **kwargs):
        kwargs.setdefault("kernel_initializer", keras.initializers.RandomNormal(stddev=1.0))
        super().__init__(*args, **kwargs)
        self.scheme = check_scheme(scheme)
        self.gain = gain

    def build(self, input_shape):
        """Creates unit-variance weights for inputs of this shape."""
        super().build(input_shape)
        self.scale = standard_deviation(self.kernel.shape, self.scheme, self.gain)

    def call(self, inputs):
        """Applies the layer with the weights s u; since it is linear, s multiplies the inputs."""
        return super().call(self.scale * inputs)

    def get_config(self):
        """Returns the arguments that rebuild this layer."""
        return {**super().get_config(), "scheme": self.scheme, "gain": self.gain}


@keras.saving.register_keras_serializable("curvezoo")
class UnitVarianceDense(_UnitVariance, keras.layers.Dense):
    """`keras.layers.Dense`, [B, D] to [B, units], with weights of unit variance and a fixed scale.

    Args:
        units: Number of outputs.
        scheme: `fan_in`, `fan_out` or `fan_avg`: the scale is the standard deviation of Eq. 5.1.10, 5.1.11
            or 5.1.12.
        gain: Factor on that scale.
        **kwargs: Further arguments of `keras.layers.Dense`.

    Raises:
        ValueError: If `scheme` is unknown.

    References:
        Jacot, Gabriel and Hongler, "Neural Tangent Kernel" (2018), arXiv:1806.07572.
    """


@keras.saving.register_keras_serializable("curvezoo")
class UnitVarianceConv2D(_UnitVariance, keras.layers.Conv2D):
    """`keras.layers.Conv2D`, [B, H, W, C] to [B, H', W', filters], with weights of unit variance and a scale.

    Args:
        filters: Number of output channels.
        kernel_size: Height and width of the filters.
        scheme: `fan_in`, `fan_out` or `fan_avg`: the scale is the standard deviation of Eq. 5.1.10, 5.1.11
            or 5.1.12, where a fan is the filter's area times the channels.
        gain: Factor on that scale.
        **kwargs: Further arguments of `keras.layers.Conv2D`.

    Raises:
        ValueError: If `scheme` is unknown.

    References:
        Jacot, Gabriel and Hongler, "Neural Tangent Kernel" (2018), arXiv:1806.07572.
    """
