"""A scale that all predictions share: errors of one size, learned with the model.

Legend: B batch, D outputs of one example, ... further axes.
"""

import math
import numbers
import sys

import keras
from keras import ops


@keras.saving.register_keras_serializable("curvezoo")
class GlobalScale(keras.layers.Layer):
    """Appends a trained log-scale to each output: [B, ..., D] becomes [B, ..., 2D].

    As the last layer of a model it serves the losses of `losses.regression` with `scale=None`, which then fit
    the scale of the errors together with the locations. Maximum likelihood sets it to, for example, the root
    mean square of the residuals under `GaussianNLL`: the minimum of Eq. 3.4.17 (docs/errata.md on its sign).
    Without the layer and with 2D outputs of the model, every example has a scale of its own.

    A layer without a `dtype` works in float32 also under a mixed-precision policy, as an output should:
    bfloat16 would round a log-scale of -10 by 3 %.

    Args:
        initial_scale: The scale at the start, in the units of the targets.
        dtype: As in `keras.layers.Layer`; the default is `floatx`, and float32 where that is half precision.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: If `initial_scale` is not positive and finite.

    Example:
        >>> keras.ops.convert_to_numpy(GlobalScale()(keras.ops.ones((2, 1)))).tolist()
        [[1.0, 0.0], [1.0, 0.0]]
    """

    def __init__(self, initial_scale=1.0, dtype=None, **kwargs):
        real = isinstance(initial_scale, numbers.Real) and not isinstance(initial_scale, bool)
        if not (real and 0 < initial_scale <= sys.float_info.max):
            raise ValueError(f"initial_scale must be a positive finite number, got {initial_scale!r}")
        if dtype is None:
            dtype = "float64" if keras.config.floatx() == "float64" else "float32"
        super().__init__(dtype=dtype, **kwargs)
        self.initial_scale = float(initial_scale)
        self.supports_masking = True

    def build(self, input_shape):
        """Creates one log-scale for each output."""
        self.log_scale = self.add_weight(
            name="log_scale",
            shape=(input_shape[-1],),
            initializer=keras.initializers.Constant(math.log(self.initial_scale)),
        )

    def call(self, inputs):
        """Returns the inputs and, after them on the last axis, the log-scales."""
        log_scale = ops.broadcast_to(ops.cast(self.log_scale, inputs.dtype), ops.shape(inputs))
        return ops.concatenate([inputs, log_scale], axis=-1)

    def compute_output_shape(self, input_shape):
        """Returns [B, ..., 2D] for [B, ..., D]."""
        return (*input_shape[:-1], 2 * input_shape[-1])

    def get_config(self):
        """Returns the arguments that rebuild this layer."""
        return {**super().get_config(), "initial_scale": self.initial_scale}
