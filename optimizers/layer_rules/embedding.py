"""Block of `Embedding`: a is a one-hot vector, so that A is the diagonal of how often each index occurs."""

import keras
import tensorflow as tf

from .block import positions
from .kronecker import KroneckerBlock
from .support import computes_as, trainable


class EmbeddingBlock(KroneckerBlock):
    """A table [m, n] of embeddings; A is a vector [m] of mean counts per example.

    With `mask_zero` a position of index 0 counts only if the loss sees it, as behind a layer without masks.

    Args:
        layer: The layer.
        table: Its embeddings.
    """

    def __init__(self, layer, table):
        super().__init__(layer, table, None, tuple(table.shape))

    @property
    def shapes(self):
        """Returns the shapes of A and G."""
        return {"A": (self.inputs,), "G": (self.outputs, self.outputs)}

    def rows(self, call, gradient):
        """Returns indices and gradients."""
        shape = tf.shape(call.inputs)
        indices = tf.reshape(tf.cast(call.inputs, tf.int32), (shape[0], tf.reduce_prod(shape[1:])))
        if len(gradient.shape) == 2:
            gradient = gradient[:, tf.newaxis]
        # Keras reads negative indices from the end.
        return tf.math.floormod(indices, self.inputs), positions(gradient)

    def statistics(self, calls, gradients):
        """Returns the counts, and G."""
        rows = self._rows(calls, gradients)
        examples = tf.cast(tf.maximum(tf.shape(rows[0][0])[0], 1), self.dtype)
        indices = tf.concat([tf.reshape(i, (-1,)) for i, _ in rows], 0)
        g = tf.concat([tf.reshape(g, (-1, self.outputs)) for _, g in rows], 0)
        seen = tf.ones_like(g[:, 0])
        if self.layer.mask_zero:
            seen = tf.cast((indices != 0) | tf.reduce_any(g != 0, 1), self.dtype)
        counts = tf.math.unsorted_segment_sum(seen, indices, self.inputs)
        mean_positions = tf.maximum(tf.reduce_sum(seen) / examples, 1)
        return {"A": counts / examples, "G": tf.matmul(g, g, transpose_a=True) / mean_positions}

    def per_example(self, calls, gradients):
        """Returns the sums of g over the positions of each index, [B, m, n]."""
        rows = self._rows(calls, gradients)
        one_hot = tf.concat([tf.one_hot(i, self.inputs, dtype=self.dtype) for i, _ in rows], 1)
        return tf.matmul(one_hot, tf.concat([g for _, g in rows], 1), transpose_a=True)

    def second_moments(self, calls, gradients, rows, columns):
        """Returns sum_b (P_b U_G)^2, [m, n]; no example's matrix is made.

        Row v of P_b is the sum of g over the c positions with index v: it is made at each of these positions,
        and counts for one c-th there.

        Args:
            calls: As in `statistics`.
            gradients: As in `statistics`.
            rows: `None`: A is diagonal.
            columns: U_G [n, n].
        """
        pairs = self._rows(calls, gradients)
        indices = tf.concat([i for i, _ in pairs], 1)
        g = tf.concat([g @ columns for _, g in pairs], 1)
        same = tf.cast(indices[:, :, tf.newaxis] == indices[:, tf.newaxis], self.dtype)
        squares = (same @ g) ** 2 / tf.reduce_sum(same, 2, keepdims=True)
        return tf.math.unsorted_segment_sum(squares, indices, self.inputs)

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
