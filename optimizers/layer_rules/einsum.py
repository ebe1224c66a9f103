"""Rule for `EinsumDense`, and so for multi-head and grouped-query attention.

In `abc,cde->abde` the kernel contracts c and creates d and e: its matrix is [c, de], and a and b are
positions. In `abc,bcd->abd` inputs, kernel and outputs share b: the kernel has a matrix [c, d] for each index
of b.

Legend: B batch, S indices of the shared axes, T positions, m contracted and n created entries.
"""

import math
import string

import keras
import tensorflow as tf

from .block import Block, concatenated
from .kronecker import KroneckerBlock, product_norms
from .support import computes_as, trainable
from .vector import BiasBlock


class EinsumBlock(KroneckerBlock):
    """Kernel of an einsum, and its bias if that has exactly the axes that the kernel creates.

    Args:
        layer: The layer.
        axes: Its `Axes`.
        kernel: Its kernel.
        bias: Its bias, or `None`.
    """

    def __init__(self, layer, axes, kernel, bias):
        sizes = dict(zip(axes.weight, kernel.shape, strict=True))
        self.axes, self.sizes = axes, sizes
        shape = [math.prod(sizes[label] for label in group) for group in (axes.contracted, axes.created)]
        super().__init__(layer, kernel, bias, shape)

    def rows(self, call, gradient):
        """Returns inputs and gradients with the kernel's axes last."""
        return self.axes.rows(call.inputs, gradient)

    def kernel_matrix(self, kernel):
        """Returns the kernel as [contracted, created]."""
        order = self.axes.contracted + self.axes.created
        return super().kernel_matrix(_transposed(kernel, self.axes.weight, order))

    def kernel_tensor(self, matrix):
        """Returns the matrix with the kernel's order of axes."""
        order = self.axes.contracted + self.axes.created
        tensor = tf.reshape(matrix, [self.sizes[label] for label in order])
        return _transposed(tensor, order, self.axes.weight)

    def bias_row(self, bias):
        """Returns the bias in the order of the matrix."""
        order = [label for label in self.axes.outputs if label in self.axes.created]
        bias = tf.reshape(bias, [self.sizes[label] for label in order])
        return super().bias_row(_transposed(bias, order, self.axes.created))

    def bias_tensor(self, row):
        """Returns a row of the matrix in the bias's order."""
        order = [label for label in self.axes.outputs if label in self.axes.created]
        row = tf.reshape(row, [self.sizes[label] for label in self.axes.created])
        return super().bias_tensor(_transposed(row, self.axes.created, order))


class SharedAxesBlock(Block):
    """Kernel of an einsum with a matrix for each index of its shared axes; it has per-example norms only.

    Args:
        layer: The layer.
        axes: Its `Axes`.
        kernel: Its kernel.
    """

    def __init__(self, layer, axes, kernel):
        super().__init__(layer, [kernel])
        self.axes = axes

    def squared_norms(self, calls, gradients):
        """Returns the sum of |sum_t a g^T|^2 over the matrices, [B]."""
        rows = [self.axes.rows(call.inputs, g) for call, g in self.pairs(calls, gradients)]
        a, g = (concatenated([self.tensor(x) for x in tensors], 2) for tensors in zip(*rows, strict=True))
        return tf.reduce_sum(product_norms(a, g), 1)


class Axes:
    """The labels of an einsum of inputs and a kernel.

    Args:
        equation: As in `keras.layers.EinsumDense`.
        rank: Number of axes of the inputs, which determines the axes of an ellipsis.

    Attributes:
        inputs: Labels of the inputs.
        weight: Labels of the kernel.
        outputs: Labels of the outputs.
        shared: Those that all three have, in the kernel's order.
        contracted: Those of kernel and inputs, which are summed over, in the kernel's order.
        created: Those of kernel and outputs, in the kernel's order.
        positions: Those of inputs and outputs, in the order of the inputs, the batch first.
    """

    def __init__(self, equation, rank):
        operands, self.outputs = equation.replace(" ", "").split("->")
        self.inputs, self.weight = operands.split(",")
        unused = [label for label in string.ascii_letters if label not in equation]
        dots = "".join(unused[: rank - len(self.inputs.replace("...", ""))])
        self.inputs, self.outputs = (spec.replace("...", dots) for spec in (self.inputs, self.outputs))
        self.shared = [x for x in self.weight if x in self.inputs and x in self.outputs]
        self.contracted = [x for x in self.weight if x in self.inputs and x not in self.outputs]
        self.created = [x for x in self.weight if x in self.outputs and x not in self.inputs]
        self.positions = [x for x in self.inputs if x in self.outputs and x not in self.weight]

    @property
    def is_supported(self):
        """Whether the kernel acts as matrices on each position, and no operation mixes the examples."""
        specs = (self.inputs, self.weight, self.outputs)
        no_repeats = all(len(set(spec)) == len(spec) for spec in specs)
        shared = len(self.shared)
        return (
            no_repeats
            and shared + len(self.contracted) + len(self.created) == len(self.weight)
            and shared + len(self.contracted) + len(self.positions) == len(self.inputs)
            and shared + len(self.created) + len(self.positions) == len(self.outputs)
            and bool(self.positions)
            and self.inputs[0] == self.outputs[0] == self.positions[0]
        )

    @property
    def is_matrix(self):
        """Whether the kernel is one matrix."""
        return self.is_supported and not self.shared

    def rows(self, inputs, gradient):
        """Returns a [B, T, m] and g [B, T, n], or [B, S, T, m] and [B, S, T, n] if there are shared axes."""
        batch, positions = self.positions[:1], self.positions[1:]
        groups = [batch, self.shared, positions] if self.shared else [batch, positions]
        a = _grouped(inputs, self.inputs, [*groups, self.contracted])
        return a, _grouped(gradient, self.outputs, [*groups, self.created])


def einsum_blocks(layer):
    """Returns the blocks of an `EinsumDense`, or `None` for another layer or an unsupported equation.

    A bias with other axes than those that the kernel creates is a block of its own.

    Args:
        layer: The layer.
    """
    if not computes_as(layer, keras.layers.EinsumDense, "call", "kernel"):
        return None
    axes = Axes(layer.equation, layer.input_spec.ndim)
    bias_axes = [label for label in axes.outputs if label in (layer.bias_axes or "")]
    if not axes.is_supported or axes.outputs[0] in bias_axes:
        return None
    kernel, bias = trainable(layer.kernel), trainable(layer.bias)
    bias_in_matrix = kernel is not None and axes.is_matrix and set(bias_axes) == set(axes.created)
    blocks = []
    if kernel is not None and axes.is_matrix:
        blocks.append(EinsumBlock(layer, axes, kernel, bias if bias_in_matrix else None))
    elif kernel is not None:
        blocks.append(SharedAxesBlock(layer, axes, kernel))
    if bias is not None and not bias_in_matrix:
        blocks.append(BiasBlock(layer, bias, [axes.outputs.index(label) for label in bias_axes]))
    return blocks


def _transposed(x, labels, order):
    """Returns a tensor with its labeled axes in another order."""
    labels = list(labels)
    permutation = [labels.index(label) for label in order]
    return x if permutation == sorted(permutation) else tf.transpose(x, permutation)


def _grouped(x, labels, groups):
    """Returns a tensor with its labeled axes transposed to groups, and each group merged into one axis."""
    sizes, shape = dict(zip(labels, x.shape, strict=True)), tf.shape(x)
    x = _transposed(x, labels, [label for group in groups for label in group])
    if all(len(group) == 1 for group in groups):
        return x
    merged = []
    for group in groups:
        static = [sizes[label] for label in group]
        dynamic = [shape[labels.index(label)] for label in group]
        merged.append(tf.reduce_prod(dynamic) if None in static else math.prod(static))
    return tf.reshape(x, merged)
