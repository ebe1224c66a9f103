"""Rule for `Embedding`: a is a one-hot vector, so that A is diagonal and counts the indices."""

import keras
import tensorflow as tf

from .block import positions
from .kronecker import KroneckerBlock
from .support import computes_as, trainable


class EmbeddingBlock(KroneckerBlock):
    """A table [m, n] of embeddings; A is a vector [m] of mean counts per example.

    With `mask_zero`, a position with index 0 counts only if the loss depends on it, as after a layer that
    ignores masks.

    Args:
        layer: The layer.
        table: Its embeddings.
    """

    def __init__(self, layer, table):
        super().__init__(layer, table, None, tuple(table.shape))

    @property
    def shapes(self):
        """Returns the shapes of A, a vector, and G."""
        return {"A": (self.inputs,), **super().shapes}

    @property
    def factor_sizes(self):
        """Returns the number of rows of G, the only matrix."""
        return {"G": self.outputs}

    def rows(self, call, gradient):
        """Returns indices [B, T] and gradients [B, T, n]."""
        shape = tf.shape(call.inputs)
        indices = tf.reshape(tf.cast(call.inputs, tf.int32), (shape[0], tf.reduce_prod(shape[1:])))
        if len(gradient.shape) == 2:
            gradient = gradient[:, tf.newaxis]
        # Keras counts negative indices from the end.
        return tf.math.floormod(indices, self.inputs), positions(gradient)

    def statistics(self, calls, gradients, counted=None):
        """Returns the counts, and G."""
        rows = self._rows(calls, gradients)
        flags = [self.flags(indices, counted) for indices, _ in rows]
        examples = tf.maximum(tf.reduce_sum(flags[0]), 1)
        flags = [tf.repeat(f, tf.shape(indices)[1]) for f, (indices, _) in zip(flags, rows, strict=True)]
        indices = tf.concat([tf.reshape(i, (-1,)) for i, _ in rows], 0)
        g = tf.concat([tf.reshape(g, (-1, self.outputs)) for _, g in rows], 0)
        flags = tf.concat(flags, 0)
        if self.layer.mask_zero:
            flags *= tf.cast((indices != 0) | tf.reduce_any(g != 0, 1), self.dtype)
        counts = tf.math.unsorted_segment_sum(flags, indices, self.inputs)
        mean_positions = tf.maximum(tf.reduce_sum(flags) / examples, 1)
        return {"A": counts / examples, "G": self._sum_of_squares("G", g) / mean_positions}

    def per_example(self, calls, gradients):
        """Returns the sum of g over the positions of each index, [B, m, n]."""
        indices, g = self._all_rows(calls, gradients)
        return tf.matmul(tf.one_hot(indices, self.inputs, dtype=self.dtype), g, transpose_a=True)

    def squared_norms(self, calls, gradients):
        """Returns sum_t,t' g_t . g_t' over the pairs of positions with the same index, [B]."""
        indices, g = self._all_rows(calls, gradients)
        return tf.reduce_sum(self._same(indices) * tf.matmul(g, g, transpose_b=True), [1, 2])

    def second_moments(self, calls, gradients, row_basis, column_basis):
        """Returns sum_b (P_b U_G)^2, [m, n], without any example's matrix.

        Row v of P_b is the sum of g over the c positions with index v. It is computed at each of them, and
        its square is divided by c.

        Args:
            calls: As in `statistics`.
            gradients: As in `statistics`.
            row_basis: `None`, as A is diagonal.
            column_basis: U_G [n, n], or `None` for the identity.
        """
        indices, g = self._all_rows(calls, gradients)
        same = self._same(indices)
        g = g if column_basis is None else g @ column_basis
        squares = (same @ g) ** 2 / tf.reduce_sum(same, 2, keepdims=True)
        return tf.math.unsorted_segment_sum(squares, indices, self.inputs)

    def _same(self, indices):
        """Returns 1 for pairs of positions with the same index and 0 for others, [B, T, T]."""
        return tf.cast(indices[:, :, tf.newaxis] == indices[:, tf.newaxis], self.dtype)

    def _rows(self, calls, gradients):
        rows = [self.rows(*pair) for pair in self.pairs(calls, gradients)]
        return [(indices, tf.cast(g, self.dtype)) for indices, g in rows]


def embedding_blocks(layer):
    """Returns the block of an `Embedding`, or `None` for another layer.

    Args:
        layer: The layer.
    """
    if not computes_as(layer, keras.layers.Embedding, "call", "embeddings"):
        return None
    table = trainable(layer.embeddings)
    return [] if table is None else [EmbeddingBlock(layer, table)]
