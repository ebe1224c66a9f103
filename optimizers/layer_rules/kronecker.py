"""Blocks whose weights form a matrix: F is approximated by the Kronecker product A (x) G (see `block`).

The squared norm of an example's gradient is

    |sum_t a_t g_t^T|^2 = sum_t,t' (a_t . a_t') (g_t . g_t'),

which needs no gradient per example; for one position it is |a|^2 |g|^2. Where the sum over pairs of positions
costs more than the matrix itself, the matrix is computed.

Legend: B examples, T positions, m rows of a matrix (inputs and bias), n columns.

References:
    George et al., "Fast Approximate Natural Gradient Descent in a Kronecker-factored Eigenbasis" (2018),
    arXiv:1806.03884, for `second_moments`.
    Goodfellow, "Efficient Per-Example Gradient Computations" (2015), arXiv:1510.01799. Rochette, Manoel and
    Tramel, "Efficient Per-Example Gradient Computations in Convolutional Neural Networks" (2019),
    arXiv:1912.06015.
"""

import tensorflow as tf

from ..keras_bridge import taps
from .block import Block, concatenated, positions


class KroneckerBlock(Block):
    """A kernel, reshaped to a matrix, and optionally its bias. Subclasses define `rows` and the reshaping.

    Args:
        layer: The layer.
        kernel: Its kernel.
        bias: Its bias, or `None` if there is none or it is not a row of the matrix.
        shape: Number of rows (without the bias) and columns of the kernel's matrix.
        role: Role of the calls that the kernel belongs to.

    Attributes:
        max_factor_size: A factor with more rows is replaced by its diagonal; None for no limit.
    """

    kind = "kronecker"
    max_factor_size = None

    def __init__(self, layer, kernel, bias, shape, role=taps.KERNEL):
        super().__init__(layer, [kernel] if bias is None else [kernel, bias])
        self.inputs, self.outputs = shape
        self.has_bias, self.role = bias is not None, role

    @property
    def shapes(self):
        """Returns the shapes of A and G; a diagonal has one axis."""
        sizes = self.factor_sizes.items()
        return {name: (size,) if name in self.diagonal else (size, size) for name, size in sizes}

    @property
    def factor_sizes(self):
        """Returns the number of rows of each factor, a dict by name."""
        return {"A": self.inputs + self.has_bias, "G": self.outputs}

    @property
    def diagonal(self):
        """Returns the names of the factors that are replaced by their diagonals."""
        limit = self.max_factor_size
        return {name for name, size in self.factor_sizes.items() if limit is not None and size > limit}

    def rows(self, call, gradient):
        """Returns a [B, T, m], without the 1 that belongs to a bias, and g [B, T, n] of one call."""
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

    def statistics(self, calls, gradients, counted=None):
        """Returns A and G, by a matrix product each, or their diagonals."""
        rows = self._rows(calls, gradients)
        flags = [self.flags(a, counted) for a, _ in rows]
        examples = tf.maximum(tf.reduce_sum(flags[0]), 1)
        count = sum(
            tf.reduce_sum(f) * tf.cast(tf.shape(a)[1], f.dtype) for f, (a, _) in zip(flags, rows, strict=True)
        )
        if counted is not None:
            rows = [(a * f[:, tf.newaxis, tf.newaxis], g) for f, (a, g) in zip(flags, rows, strict=True)]
        a = concatenated([tf.reshape(a, (-1, self.inputs)) for a, _ in rows])
        g = concatenated([tf.reshape(g, (-1, self.outputs)) for _, g in rows])
        inputs = self._sum_of_squares("A", a)
        if self.has_bias and "A" in self.diagonal:
            inputs = tf.concat([inputs, [count]], 0)
        elif self.has_bias:
            total = tf.reduce_sum(a, 0)[tf.newaxis]
            right = tf.concat([tf.transpose(total), tf.reshape(count, (1, 1))], 0)
            inputs = tf.concat([tf.concat([inputs, total], 0), right], 1)
        mean_positions = tf.maximum(count / examples, 1)
        return {"A": inputs / examples, "G": self._sum_of_squares("G", g) / mean_positions}

    def matrix(self, gradients):
        """Returns the gradient [m, n], with that of the bias in the last row."""
        kernel = self.kernel_matrix(self.tensor(gradients[0]))
        return tf.concat([kernel, self.bias_row(self.tensor(gradients[1]))], 0) if self.has_bias else kernel

    def unmatrix(self, matrix):
        """Returns the gradients of the kernel and, if there is one, the bias."""
        gradients = [self.kernel_tensor(matrix[: self.inputs])]
        return [*gradients, self.bias_tensor(matrix[self.inputs])] if self.has_bias else gradients

    def per_example(self, calls, gradients):
        """Returns sum_t a g^T, [B, m, n]."""
        a, g = self._all_rows(calls, gradients)
        kernel = tf.matmul(a, g, transpose_a=True)
        return tf.concat([kernel, tf.reduce_sum(g, 1, keepdims=True)], 1) if self.has_bias else kernel

    def squared_norms(self, calls, gradients):
        """Returns |sum_t a g^T|^2, [B]; the bias adds |sum_t g|^2."""
        a, g = self._all_rows(calls, gradients)
        norms = product_norms(a, g)
        return norms + tf.reduce_sum(tf.reduce_sum(g, 1) ** 2, 1) if self.has_bias else norms

    def second_moments(self, calls, gradients, row_basis, column_basis):
        """Returns sum_b (U_A^T P_b U_G)^2 entrywise, [m, n], for the gradients P_b of the examples.

        In the eigenbases of A and G these are the exact diagonal of F, which replaces the products of
        eigenvalues in EKFAC. Only one example's matrix is held at a time, and none if there is one
        position.

        Args:
            calls: As in `statistics`.
            gradients: As in `statistics`.
            row_basis: U_A [m, m], or `None` for the identity.
            column_basis: U_G [n, n], or `None` for the identity.
        """
        rows = self._rows(calls, gradients)
        a = concatenated([self._in_basis(a, row_basis) for a, _ in rows], 1)
        g = concatenated([g if column_basis is None else g @ column_basis for _, g in rows], 1)
        if a.shape[1] == 1:
            return tf.matmul(a[:, 0] ** 2, g[:, 0] ** 2, transpose_a=True)
        zeros = tf.zeros((a.shape[-1], self.outputs), self.dtype)
        return tf.foldl(lambda total, pair: total + tf.matmul(*pair, transpose_a=True) ** 2, (a, g), zeros)

    def _in_basis(self, a, basis):
        """Returns the rows a, with the 1 that belongs to a bias, in another basis."""
        if basis is None:
            return tf.pad(a, [(0, 0), (0, 0), (0, 1)], constant_values=1) if self.has_bias else a
        return a @ basis[: self.inputs] + basis[self.inputs] if self.has_bias else a @ basis

    def flags(self, rows, counted):
        """Returns 1 for the examples that are in A and 0 for others, [B].

        Args:
            rows: A tensor [B, ...] of a call.
            counted: As in `statistics`.
        """
        ones = tf.ones(tf.shape(rows)[:1], self.dtype)
        if counted is None:
            return ones
        counted = tf.cast(counted, self.dtype)
        # The first axis of a layer's inputs may be another than the examples of the batch.
        if not counted.shape.is_compatible_with(ones.shape):
            return ones
        same = tf.size(counted) == tf.size(ones)
        return tf.cond(same, lambda: tf.reshape(counted, tf.shape(ones)), lambda: ones)

    def _sum_of_squares(self, name, rows):
        """Returns the sum of the outer products of rows, or its diagonal."""
        if name in self.diagonal:
            return tf.reduce_sum(rows**2, 0)
        return tf.matmul(rows, rows, transpose_a=True)

    def _rows(self, calls, gradients):
        """Returns a and g of each call."""
        rows = [self.rows(*pair) for pair in self.pairs(calls, gradients, self.role)]
        return [(tf.cast(a, self.dtype), tf.cast(g, self.dtype)) for a, g in rows]

    def _all_rows(self, calls, gradients):
        """Returns a [B, T, m] and g [B, T, n], with the positions of all calls."""
        a, g = zip(*self._rows(calls, gradients), strict=True)
        return concatenated(a, 1), concatenated(g, 1)


def product_norms(a, g):
    """Returns |sum_t a_t g_t^T|^2 [...], by pairs of positions or from the matrix, whichever costs less.

    Args:
        a: Rows [..., T, m].
        g: Gradients [..., T, n].
    """
    count, m, n = a.shape[-2], a.shape[-1], g.shape[-1]
    if count == 1:
        return tf.reduce_sum(a**2, [-2, -1]) * tf.reduce_sum(g**2, [-2, -1])
    if count is not None and count * (m + n) < m * n:
        pairs = tf.matmul(a, a, transpose_b=True) * tf.matmul(g, g, transpose_b=True)
        return tf.reduce_sum(pairs, [-2, -1])
    return tf.reduce_sum(tf.matmul(a, g, transpose_a=True) ** 2, [-2, -1])
