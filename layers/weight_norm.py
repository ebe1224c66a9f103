"""Weight normalization: the scale of a weight matrix as a separate parameter (Sec. 5.1.2, Eq. 5.1.2).

Legend: v is the wrapped layer's `kernel`, g is `g`, N is the number of entries that share one g.
"""

import keras
from keras import ops

_SUPPORTED_LAYERS = (keras.layers.Dense, keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)


@keras.saving.register_keras_serializable("curvezoo")
class WeightNormalization(keras.layers.Wrapper):
    """Runs a Dense or Conv layer with the weights W = g v / sqrt((1/N) sum v^2), Eq. 5.1.2.

    The notes print the sum of v instead of v^2. Its root would be imaginary for half of all symmetric draws
    of v, and W would depend on the scale of v (docs/errata.md). g starts at the root mean square of v, so
    that W starts as the wrapped layer's initial kernel. A kernel regularizer and a kernel constraint of the
    wrapped layer apply to W: on v they would only change its length, on which the function does not depend.
    After a step the constraint sets g and the direction of v.

    Where v is zero, as in a pruned unit, W and the gradients are zero, and the unit stays off.

    Args:
        layer: A `keras.layers.Dense`, `Conv1D`, `Conv2D` or `Conv3D`.
        per_unit: `False` for one g per layer, as in the notes. `True` for one g per output unit, as Salimans
            and Kingma define it; their g is the length of a unit's weight vector, sqrt(N) times the g here.
        **kwargs: Arguments of `keras.layers.Wrapper`.

    Raises:
        ValueError: If `layer` has another type, or its kernel starts at zero and so has no direction.

    References:
        Salimans and Kingma, "Weight Normalization" (2016), arXiv:1602.07868.
    """

    def __init__(self, layer, per_unit=False, **kwargs):
        if not isinstance(layer, _SUPPORTED_LAYERS):
            raise ValueError(f"layer must be a Dense, Conv1D, Conv2D or Conv3D, got {layer!r}")
        if isinstance(layer.kernel_initializer, keras.initializers.Zeros):
            raise ValueError("layer must not start with a zero kernel, got kernel_initializer='zeros'")
        super().__init__(layer, **kwargs)
        self.per_unit = per_unit
        self.supports_masking = layer.supports_masking
        # Keras applies it in `__call__`, which the wrapped layer's weights bypass.
        self.activity_regularizer = self.activity_regularizer or layer.activity_regularizer

    def build(self, input_shape):
        """Creates v and g for inputs of this shape."""
        super().build(input_shape)
        self.kernel = self.layer.kernel
        self.regularizer, self.kernel.regularizer = self.kernel.regularizer, None
        self.g = self.add_weight(
            name="g",
            shape=(self.kernel.shape[-1],) if self.per_unit else (),
            initializer=lambda shape, dtype: ops.cast(self._root_mean_square(self.kernel), dtype),
        )
        if self.kernel.constraint is not None:
            self.kernel.constraint = _ProductConstraint(self, self.kernel.constraint)

    def normalized_kernel(self):
        """Returns the weights W with which the layer runs, in the shape of v."""
        return ops.cast(self.g, self.compute_dtype) * ops.cast(self._direction(), self.compute_dtype)

    def call(self, inputs):
        """Applies the wrapped layer with its kernel replaced by W."""
        kernel = self.normalized_kernel()
        if self.regularizer is not None:
            self.add_loss(self.regularizer(kernel))
        # A scope reads unnamed variables from storage, so naming all of them keeps an outer scope's values.
        values = [(v, kernel if v is self.kernel else v.value) for v in self.layer.variables]
        with keras.StatelessScope(state_mapping=values):
            return self.layer.call(inputs)

    def compute_output_shape(self, input_shape):
        """Returns the shape of the wrapped layer's output."""
        return self.layer.compute_output_shape(input_shape)

    def get_config(self):
        """Returns the arguments that rebuild this layer."""
        return {**super().get_config(), "per_unit": self.per_unit}

    def _axes(self):
        return tuple(range(len(self.kernel.shape) - 1)) if self.per_unit else None

    def _direction(self):
        """Returns v over its root mean square, and zero where that is zero, in at least single precision."""
        v, _ = self._scaled(self.kernel)
        square = ops.mean(ops.square(v), axis=self._axes())
        # A root has an infinite slope at zero.
        return v / ops.sqrt(ops.where(square > 0, square, ops.ones_like(square)))

    def _root_mean_square(self, kernel):
        v, scale = self._scaled(kernel)
        return scale * ops.sqrt(ops.mean(ops.square(v), axis=self._axes()))

    def _scaled(self, kernel):
        """Returns a kernel divided by its largest entry, whose squares do not underflow, and that entry."""
        kernel = ops.cast(kernel, keras.backend.result_type(self.kernel.dtype, "float32"))
        largest = ops.stop_gradient(ops.max(ops.abs(kernel), axis=self._axes()))
        # A zero kernel gets no gradient: it has no direction to change.
        inverse = ops.where(largest > 0, 1 / ops.where(largest > 0, largest, ops.ones_like(largest)), 0)
        return kernel * inverse, largest


class _ProductConstraint(keras.constraints.Constraint):
    """Projects the product W = g v / rms(v) after a step: changes g, and returns v in its new direction.

    The length of v and the sign of g stay.

    Args:
        layer: The `WeightNormalization`.
        constraint: The constraint of W.
    """

    def __init__(self, layer, constraint):
        self.layer, self.constraint = layer, constraint

    def __call__(self, v):
        """Returns the kernel v, and assigns g."""
        v, g = ops.convert_to_tensor(v), ops.convert_to_tensor(self.layer.g)
        length = ops.cast(self.layer._root_mean_square(v), v.dtype)
        safe = ops.where(length > 0, length, ops.ones_like(length))
        product = self.constraint(g * v / safe)
        scale = ops.cast(self.layer._root_mean_square(product), v.dtype)
        sign = ops.where(g < 0, -ops.ones_like(g), ops.ones_like(g))
        self.layer.g.assign(sign * scale)
        factor = sign * length / ops.where(scale > 0, scale, ops.ones_like(scale))
        return ops.where(scale > 0, product * factor, v)
