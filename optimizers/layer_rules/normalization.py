"""Blocks of normalization layers: y = gamma x' + beta with x' the normalized input.

The gradients of one example are sums over its positions, of g x' for gamma and of g for beta. x' comes from
the layer's own computation with gamma = 1 and beta = 0, as gamma may be 0. In batch norm it depends on the
whole batch, but not on gamma and beta.
"""

import keras
import tensorflow as tf

from .block import sum_to
from .support import computes_as
from .vector import VectorBlock


class NormalizationBlock(VectorBlock):
    """Scale and shift of a normalization layer.

    Args:
        layer: The layer.
        scale: The variable gamma, or `None`.
        shift: The variable beta, or `None`.
    """

    def __init__(self, layer, scale, shift):
        super().__init__(layer, [v for v in (scale, shift) if v is not None and v.trainable])
        self.scale, self.shift = scale, shift
        axis = layer.axis
        self.axes = list(axis) if isinstance(axis, list | tuple) else [axis]

    def contributions(self, calls, gradients):
        """Returns the sums of g x', and of g."""
        result = []
        for call, gradient in self.pairs(calls, gradients):
            g, parts = self.tensor(gradient), []
            if any(v is self.scale for v in self.variables):
                parts.append(sum_to(g * self.tensor(self.normalized(call)), self.axes))
            if any(v is self.shift for v in self.variables):
                parts.append(sum_to(g, self.axes))
            result.append(parts)
        return result

    def normalized(self, call):
        """Returns x' of a call; the layer's moving averages stay as they are."""
        neutral = [(self.scale, tf.ones), (self.shift, tf.zeros)]
        mapping = [(v, make(v.shape, v.dtype)) for v, make in neutral if v is not None]
        # Assignments inside the scope end with it.
        with keras.StatelessScope(state_mapping=mapping):
            return tf.stop_gradient(type(self.layer).call(self.layer, *call.args, **call.kwargs))


def normalization_blocks(layer):
    """Returns the block of batch, layer, group or RMS normalization, or `None` for another layer.

    `None` too for batch norm with `renorm`, whose corrections change with each call, or `synchronized`, which
    communicates in each, and for layer norm with `rms_scaling`, which has no shift.

    Args:
        layer: The layer.
    """
    kinds, scale, shift = keras.layers, getattr(layer, "gamma", None), getattr(layer, "beta", None)
    if computes_as(layer, kinds.BatchNormalization, "call", "_moments"):
        supported = not layer.renorm and not layer.synchronized
    elif computes_as(layer, kinds.LayerNormalization, "call"):
        supported = not layer.rms_scaling
    elif computes_as(layer, kinds.GroupNormalization, "call", "_apply_normalization"):
        supported = True
    elif computes_as(layer, kinds.RMSNormalization, "call"):
        supported, scale = True, layer.scale
    else:
        supported = False
    return [NormalizationBlock(layer, scale, shift)] if supported else None
