"""Rule for `Conv1D`, `Conv2D` and `Conv3D` (KFC): a is the patch under the filter at one position.

Legend: B batch, S length of an axis of the image, C channels, k length of the filter along an axis.
"""

import itertools
import math

import keras
import tensorflow as tf

from .block import concatenated, positions
from .kronecker import KroneckerBlock
from .support import computes_as, input_scale, trainable
from .vector import BiasBlock


class ConvolutionBlock(KroneckerBlock):
    """Kernel [k, ..., C, filters] and bias of a convolution, as a matrix [k ... C, filters].

    Args:
        layer: The layer.
        kernel: Its kernel.
        bias: Its bias, or `None`.
    """

    def __init__(self, layer, kernel, bias):
        super().__init__(layer, kernel, bias, (math.prod(kernel.shape[:-1]), kernel.shape[-1]))
        self.scale = input_scale(layer)

    def rows(self, call, gradient):
        """Returns patches and gradients."""
        x = call.inputs if self.scale == 1 else self.scale * call.inputs
        layer = self.layer
        if layer.data_format == "channels_first":
            x, gradient = (tf.transpose(t, (0, *range(2, len(t.shape)), 1)) for t in (x, gradient))
        x = patches(x, layer.kernel_size, layer.strides, layer.dilation_rate, layer.padding)
        return positions(x), positions(gradient)


def convolution_blocks(layer):
    """Returns the blocks of a convolution, or `None` for another layer or one with several groups.

    Args:
        layer: The layer.
    """
    kinds = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
    members = ("call", "kernel", "convolution_op")
    if not any(computes_as(layer, kind, *members) for kind in kinds) or layer.groups != 1:
        return None
    kernel, bias = trainable(layer.kernel), trainable(layer.bias)
    if kernel is not None:
        return [ConvolutionBlock(layer, kernel, bias)]
    if bias is None:
        return []
    return [BiasBlock(layer, bias, [1 if layer.data_format == "channels_first" else -1])]


def patches(x, sizes, strides, dilations, padding):
    """Returns the patch under the filter at each position, [B, S', ..., k ... C], in the kernel's order.

    Args:
        x: Images [B, S, ..., C].
        sizes: Lengths of the filter.
        strides: Distances between its positions.
        dilations: Distances between its entries.
        padding: `valid`, `same` or `causal`.
    """
    shape = tf.shape(x)
    pads, slices = [(0, 0)], []
    for axis, (size, stride, dilation) in enumerate(zip(sizes, strides, dilations, strict=True), start=1):
        length = shape[axis] if x.shape[axis] is None else x.shape[axis]
        extent = (size - 1) * dilation + 1
        before, after = _padding(length, extent, stride, padding)
        places = (length + before + after - extent) // stride + 1
        pads.append((before, after))
        starts = range(0, extent, dilation)
        slices.append([slice(start, start + (places - 1) * stride + 1, stride) for start in starts])
    if padding != "valid":
        x = tf.pad(x, [*pads, (0, 0)])
    return concatenated([x[(slice(None), *offsets)] for offsets in itertools.product(*slices)], -1)


def _padding(length, extent, stride, padding):
    """Returns the number of zeros before and after an axis."""
    if padding == "valid":
        return 0, 0
    if padding == "causal":
        return extent - 1, 0
    missing = (-(-length // stride) - 1) * stride + extent - length
    missing = max(missing, 0) if isinstance(length, int) else tf.maximum(missing, 0)
    return missing // 2, missing - missing // 2
