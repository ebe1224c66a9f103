"""Rule for normalization layers: y = gamma x' + beta, where x' is the normalized input.

The gradient of one example is a sum over its positions, of g x' for gamma and of g for beta. x' is computed
by the layer itself with gamma = 1 and beta = 0, since gamma may be 0. In batch normalization x' depends on
the whole batch, but not on gamma and beta.
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
        has_statistics: Whether F is defined, or only the per-example norms.
    """

    def __init__(self, layer, scale, shift, has_statistics=True):
        super().__init__(layer, [v for v in (scale, shift) if v is not None and v.trainable])
        self.scale, self.shift = scale, shift
        self.axes = keras.tree.flatten(layer.axis)
        if not has_statistics:
            self.kind = None

    def contributions(self, calls, gradients):
        """Returns the sums of g x' and of g."""
        result = []
        for call, gradient in self.pairs(calls, gradients):
            g, sums = self.tensor(gradient), []
            if any(v is self.scale for v in self.variables):
                sums.append(sum_to(g * self.tensor(self.normalized(call)), self.axes))
            if any(v is self.shift for v in self.variables):
                sums.append(sum_to(g, self.axes))
            result.append(sums)
        return result

    def normalized(self, call):
        """Returns x' of a call, without an update of the layer's moving averages."""
        neutral = [(self.scale, tf.ones), (self.shift, tf.zeros)]
        mapping = [(v, make(v.shape, v.dtype)) for v, make in neutral if v is not None]
        # The scope discards assignments on exit.
        with keras.StatelessScope(state_mapping=mapping):
            return tf.stop_gradient(type(self.layer).call(self.layer, *call.args, **call.kwargs))


def normalization_blocks(layer):
    """Returns the block of batch, layer, group or RMS normalization, or `None` for another layer.

    There are no statistics for batch normalization with `renorm`, whose corrections change with each call, or
    with `synchronized`, which communicates in each call, nor for layer normalization with `rms_scaling`.

    Args:
        layer: The layer.
    """
    kinds, scale, shift = keras.layers, getattr(layer, "gamma", None), getattr(layer, "beta", None)
    has_statistics = True
    if computes_as(layer, kinds.BatchNormalization, "call", "_moments"):
        has_statistics = not layer.renorm and not layer.synchronized
    elif computes_as(layer, kinds.LayerNormalization, "call"):
        has_statistics = not layer.rms_scaling
    elif computes_as(layer, kinds.RMSNormalization, "call"):
        scale = layer.scale
    elif not computes_as(layer, kinds.GroupNormalization, "call", "_apply_normalization"):
        return None
    return [NormalizationBlock(layer, scale, shift, has_statistics)]
