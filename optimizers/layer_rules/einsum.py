"""Blocks of `EinsumDense`, and so of multi-head and grouped-query attention.

In `abc,cde->abde` the kernel contracts c and makes d and e: its matrix is [c, de]; a and b are positions.
"""

import math
import string

import keras
import tensorflow as tf

from .block import positions
from .kronecker import KroneckerBlock
from .support import computes_as, trainable
from .vector import BiasBlock


class EinsumBlock(KroneckerBlock):
    """Kernel of an einsum, and its bias where that has just the axes the kernel makes.

    Args:
        layer: The layer.
        axes: Its `Axes`.
        kernel: Its kernel.
        bias: Its bias, or `None`.
    """

    def __init__(self, layer, axes, kernel, bias):
        sizes = dict(zip(axes.weight, kernel.shape, strict=True))
        self.axes, self.sizes = axes, sizes
        shape = [math.prod(sizes[label] for label in group) for group in (axes.contracted, axes.made)]
        super().__init__(layer, kernel, bias, shape)

    def rows(self, call, gradient):
        """Returns inputs and gradients with the kernel's axes last."""
        axes = self.axes
        a = _transposed(call.inputs, axes.inputs, axes.kept + axes.contracted)
        g = _transposed(gradient, axes.outputs, axes.kept + axes.made)
        return positions(a, len(axes.contracted)), positions(g, len(axes.made))

    def kernel_matrix(self, kernel):
        """Returns the kernel as [contracted, made]."""
        return super().kernel_matrix(
            _transposed(kernel, self.axes.weight, self.axes.contracted + self.axes.made)
        )

    def kernel_tensor(self, matrix):
        """Returns the matrix in the kernel's order of axes."""
        order = self.axes.contracted + self.axes.made
        tensor = tf.reshape(matrix, [self.sizes[label] for label in order])
        return _transposed(tensor, order, self.axes.weight)

    def bias_row(self, bias):
        """Returns the bias in the order of the matrix."""
        order = [label for label in self.axes.outputs if label in self.axes.made]
        bias = tf.reshape(bias, [self.sizes[label] for label in order])
        return super().bias_row(_transposed(bias, order, self.axes.made))

    def bias_tensor(self, row):
        """Returns a row of the matrix in the bias's order."""
        order = [label for label in self.axes.outputs if label in self.axes.made]
        row = tf.reshape(row, [self.sizes[label] for label in self.axes.made])
        return super().bias_tensor(_transposed(row, self.axes.made, order))


class Axes:
    """The labels of an einsum of inputs and a kernel.

    Args:
        equation: As in `keras.layers.EinsumDense`.
        rank: Number of axes of the inputs, which fixes what an ellipsis stands for.

    Attributes:
        inputs: The inputs' labels.
        weight: The kernel's.
        outputs: The outputs'.
        contracted: Those of the kernel that are summed, in its order.
        made: Those of the kernel that are new in the outputs, in its order.
        kept: Those of the inputs that are positions, in their order, the examples first.
    """

    def __init__(self, equation, rank):
        operands, self.outputs = equation.replace(" ", "").split("->")
        self.inputs, self.weight = operands.split(",")
        unused = [label for label in string.ascii_letters if label not in equation]
        dots = "".join(unused[: rank - len(self.inputs.replace("...", ""))])
        self.inputs, self.outputs = (spec.replace("...", dots) for spec in (self.inputs, self.outputs))
        self.contracted = [x for x in self.weight if x in self.inputs and x not in self.outputs]
        self.made = [x for x in self.weight if x in self.outputs and x not in self.inputs]
        self.kept = [x for x in self.inputs if x in self.outputs and x not in self.weight]

    @property
    def is_matrix(self):
        """Whether the kernel acts as one matrix on each position, and each example stays one."""
        specs = (self.inputs, self.weight, self.outputs)
        once = all(len(set(spec)) == len(spec) for spec in specs)
        return (
            once
            and len(self.contracted) + len(self.made) == len(self.weight)
            and len(self.contracted) + len(self.kept) == len(self.inputs)
            and len(self.made) + len(self.kept) == len(self.outputs)
            and bool(self.kept)
            and self.inputs[0] == self.outputs[0] == self.kept[0]
        )


def einsum_blocks(layer):
    """Returns the blocks of an `EinsumDense`, or `None` for another layer or if the kernel is no one matrix.

    That is where the kernel shares an axis with inputs and outputs, which is a matrix for each index. A bias
    with other axes than those the kernel makes is a block of its own.

    Args:
        layer: The layer.
    """
    if not computes_as(layer, keras.layers.EinsumDense, "call", "kernel"):
        return None
    axes = Axes(layer.equation, layer.input_spec.ndim)
    bias_axes = [label for label in axes.outputs if label in (layer.bias_axes or "")]
    if not axes.is_matrix or axes.outputs[0] in bias_axes:
        return None
    kernel, bias = trainable(layer.kernel), trainable(layer.bias)
    fits = kernel is not None and set(bias_axes) == set(axes.made)
    blocks = [] if kernel is None else [EinsumBlock(layer, axes, kernel, bias if fits else None)]
    if bias is not None and not fits:
        blocks.append(BiasBlock(layer, bias, [axes.outputs.index(label) for label in bias_axes]))
    return blocks


def _transposed(x, labels, order):
    labels = list(labels)
    permutation = [labels.index(label) for label in order]
    return x if permutation == sorted(permutation) else tf.transpose(x, permutation)
