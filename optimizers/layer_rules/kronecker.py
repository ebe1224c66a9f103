"""Blocks that are a matrix: F by the Kronecker product A (x) G, see `block`.

Legend: B examples, T positions, m rows of a matrix (inputs and bias), n columns.
"""

import tensorflow as tf

from ..keras_bridge import taps
from .block import Block, positions


class KroneckerBlock(Block):
    """A kernel, as a matrix, and perhaps its bias: F by A (x) G. Subclasses give `rows` and the reshaping.

    Args:
        layer: The layer.
        kernel: Its kernel.
        bias: Its bias, or `None` where there is none, or it does not fit the matrix.
        shape: Inputs (without the bias) and outputs of the kernel's matrix.
        role: Role of the calls that the kernel belongs to.
    """

    kind = "kronecker"

    def __init__(self, layer, kernel, bias, shape, role=taps.KERNEL):
        super().__init__(layer, [kernel] if bias is None else [kernel, bias])
        self.inputs, self.outputs = shape
        self.has_bias, self.role = bias is not None, role

    @property
    def shapes(self):
        """Returns the shapes of A and G."""
        rows = self.inputs + self.has_bias
        return {"A": (rows, rows), "G": (self.outputs, self.outputs)}

    def rows(self, call, gradient):
        """Returns a [B, T, m], without the 1 of a bias, and g [B, T, n] of one call."""
        return positions(call.inputs), positions(gradient)

    def kernel_matrix(self, kernel):
        """Returns a tensor of the kernel's shape as a matrix, without the bias."""
        return tf.reshape(kernel, (self.inputs, self.outputs))

    def kernel_tensor(self, matrix):
        """Returns a matrix, without the bias, in the kernel's shape."""
        return tf.reshape(matrix, self.variables[0].shape)

    def bias_row(self, bias):
        """Returns a tensor of the bias's shape as a row of the matrix."""
        return tf.reshape(bias, (1, self.outputs))

    def bias_tensor(self, row):
        """Returns a row of the matrix in the bias's shape."""
        return tf.reshape(row, self.variables[1].shape)

    def statistics(self, calls, gradients):
        """Returns A and G, two products of matrices."""
        rows = self._rows(calls, gradients)
        examples = tf.cast(tf.maximum(tf.shape(rows[0][0])[0], 1), self.dtype)
        a = _joined([tf.reshape(a, (-1, self.inputs)) for a, _ in rows])
        g = _joined([tf.reshape(g, (-1, self.outputs)) for _, g in rows])
        number = tf.cast(tf.shape(a)[0], self.dtype)
        inputs = tf.matmul(a, a, transpose_a=True)
        if self.has_bias:
            total = tf.reduce_sum(a, 0)[tf.newaxis]
            right = tf.concat([tf.transpose(total), tf.reshape(number, (1, 1))], 0)
            inputs = tf.concat([tf.concat([inputs, total], 0), right], 1)
        mean_positions = tf.maximum(number / examples, 1)
        return {"A": inputs / examples, "G": tf.matmul(g, g, transpose_a=True) / mean_positions}

    def matrix(self, gradients):
        """Returns the gradient [m, n], the bias in the last row."""
        kernel = self.kernel_matrix(self.tensor(gradients[0]))
        return tf.concat([kernel, self.bias_row(self.tensor(gradients[1]))], 0) if self.has_bias else kernel

    def unmatrix(self, matrix):
        """Returns the gradients of the kernel and, where there is one, the bias."""
        gradients = [self.kernel_tensor(matrix[: self.inputs])]
        return [*gradients, self.bias_tensor(matrix[self.inputs])] if self.has_bias else gradients

    def per_example(self, calls, gradients):
        """Returns sum_t a g^T, [B, m, n]."""
        rows = self._rows(calls, gradients)
        a, g = (_joined(parts, 1) for parts in zip(*rows, strict=True))
        kernel = tf.matmul(a, g, transpose_a=True)
        return tf.concat([kernel, tf.reduce_sum(g, 1, keepdims=True)], 1) if self.has_bias else kernel

    def second_moments(self, calls, gradients, rows, columns):
        """Returns sum_b (U_A^T P_b U_G)^2, [m, n], entry by entry, for the examples' gradients P_b.

        In the eigenbases of A and G this is the diagonal of F, exactly: what EKFAC takes for the products of
        the eigenvalues. It holds one example's matrix at a time, and none where there is one position.

        Args:
            calls: As in `statistics`.
            gradients: As in `statistics`.
            rows: U_A [m, m], or `None` for the identity.
            columns: U_G [n, n].
        """
        pairs = self._rows(calls, gradients)
        a = _joined([self._turned(a, rows) for a, _ in pairs], 1)
        g = _joined([g @ columns for _, g in pairs], 1)
        if a.shape[1] == 1:
            return tf.matmul(a[:, 0] ** 2, g[:, 0] ** 2, transpose_a=True)
        zeros = tf.zeros((a.shape[-1], self.outputs), self.dtype)
        return tf.foldl(lambda total, pair: total + tf.matmul(*pair, transpose_a=True) ** 2, (a, g), zeros)

    def _turned(self, a, rows):
        """Rows a, with the 1 of a bias, in another basis."""
        if rows is None:
            return tf.pad(a, [(0, 0), (0, 0), (0, 1)], constant_values=1) if self.has_bias else a
        return a @ rows[: self.inputs] + rows[self.inputs] if self.has_bias else a @ rows

    def _rows(self, calls, gradients):
        rows = [self.rows(*pair) for pair in self.pairs(calls, gradients, self.role)]
        return [(tf.cast(a, self.dtype), tf.cast(g, self.dtype)) for a, g in rows]


def _joined(tensors, axis=0):
    return tensors[0] if len(tensors) == 1 else tf.concat(tensors, axis)
