"""A trainable scale of the errors, shared by all predictions.

Legend: B batch, D outputs of one example, ... further axes.
"""

import math

import keras
from keras import ops

from .. import arguments


@keras.saving.register_keras_serializable("curvezoo")
class GlobalScale(keras.layers.Layer):
    """Appends a trained log-scale to each output: [B, ..., D] becomes [B, ..., 2D].

    As the last layer of a model it lets the losses of `losses.regression` with `scale=None` fit the scale of
    the errors together with the locations. Under `GaussianNLL`, for example, maximum likelihood sets the
    scale to the root mean square of the residuals, the minimum of Eq. 3.4.17 (see docs/errata.md for its
    sign). A model that outputs 2D numbers itself predicts a scale for every example instead.

    A layer without a `dtype` computes in float32 even under a mixed-precision policy, as an output should:
    bfloat16 would round a log-scale of -10 by 3 %.

    Args:
        initial_scale: Initial scale, in the units of the targets.
        dtype: As in `keras.layers.Layer`; the default is `floatx`, but at least float32.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: If `initial_scale` is not positive and finite.

    Example:
        >>> keras.ops.convert_to_numpy(GlobalScale()(keras.ops.ones((2, 1)))).tolist()
        [[1.0, 0.0], [1.0, 0.0]]
    """

    def __init__(self, initial_scale=1.0, dtype=None, **kwargs):
        initial_scale = arguments.positive_number("initial_scale", initial_scale)
        if dtype is None:
            dtype = "float64" if keras.config.floatx() == "float64" else "float32"
        super().__init__(dtype=dtype, **kwargs)
        self.initial_scale = initial_scale
        self.supports_masking = True

    def build(self, input_shape):
        """Creates one log-scale for each output."""
        self.log_scale = self.add_weight(
            name="log_scale",
            shape=(input_shape[-1],),
            initializer=keras.initializers.Constant(math.log(self.initial_scale)),
        )

    def call(self, inputs):
        """Returns the inputs followed on the last axis by the log-scales."""
        log_scale = ops.broadcast_to(ops.cast(self.log_scale, inputs.dtype), ops.shape(inputs))
        return ops.concatenate([inputs, log_scale], axis=-1)

    def compute_output_shape(self, input_shape):
        """Returns [B, ..., 2D] for [B, ..., D]."""
        return (*input_shape[:-1], 2 * input_shape[-1])

    def get_config(self):
        """Returns the arguments that rebuild this layer."""
        return {**super().get_config(), "initial_scale": self.initial_scale}
