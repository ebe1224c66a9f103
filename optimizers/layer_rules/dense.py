"""Rule for `Dense` on [B, ..., D]: the kernel is the matrix, and the inputs are its rows a."""

import keras

from .block import positions
from .kronecker import KroneckerBlock
from .support import computes_as, input_scale, trainable
from .vector import BiasBlock


class DenseBlock(KroneckerBlock):
    """Kernel and bias of a dense layer; all axes between the first and the last are positions.

    Args:
        layer: The layer.
        kernel: Its kernel.
        bias: Its bias, or `None`.
    """

    def __init__(self, layer, kernel, bias):
        super().__init__(layer, kernel, bias, tuple(kernel.shape))
        self.scale = input_scale(layer)

    def rows(self, call, gradient):
        """Returns inputs and gradients."""
        return positions(call.inputs if self.scale == 1 else self.scale * call.inputs), positions(gradient)


def dense_blocks(layer):
    """Returns the blocks of a `Dense`, or `None` for another layer.

    Args:
        layer: The layer.
    """
    if not computes_as(layer, keras.layers.Dense, "call", "kernel"):
        return None
    kernel, bias = trainable(layer.kernel), trainable(layer.bias)
    if kernel is None:
        return [] if bias is None else [BiasBlock(layer, bias, [-1])]
    return [DenseBlock(layer, kernel, bias)]
