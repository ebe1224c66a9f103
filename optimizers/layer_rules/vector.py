"""Blocks whose weights form a short vector: scales, shifts, and biases that are not part of a kernel's block.

Legend: B examples, d entries of the vector.
"""

import tensorflow as tf

from .block import Block, sum_to

FULL_LIMIT = 512


class VectorBlock(Block):
    """Weights whose per-example gradients are vectors p: F = sum_b p p^T, or only its diagonal.

    F is full up to `FULL_LIMIT` entries. Subclasses define `contributions`.

    Args:
        layer: The layer.
        variables: Its variables.
    """

    def __init__(self, layer, variables):
        super().__init__(layer, variables)
        self.sizes = [int(tf.TensorShape(v.shape).num_elements()) for v in self.variables]
        self.kind = "full" if sum(self.sizes) <= FULL_LIMIT else "diagonal"

    @property
    def shapes(self):
        """Returns the shape of F, or of d."""
        size = sum(self.sizes)
        return {"F": (size, size)} if self.kind == "full" else {"d": (size,)}

    def contributions(self, calls, gradients):
        """Returns for each call a list of the per-example gradients [B, ...] of the variables."""
        raise NotImplementedError

    def statistics(self, calls, gradients, counted=None):
        """Returns F, or d."""
        p = self.per_example(calls, gradients)
        if self.kind == "full":
            return {"F": tf.matmul(p, p, transpose_a=True)}
        return {"d": tf.reduce_sum(p**2, 0)}

    def matrix(self, gradients):
        """Returns the gradients as one vector [d]."""
        return tf.concat([tf.reshape(self.tensor(g), (-1,)) for g in gradients], 0)

    def unmatrix(self, matrix):
        """Returns the gradient of each variable from a vector [d]."""
        parts = tf.split(matrix, self.sizes)
        return [tf.reshape(part, v.shape) for part, v in zip(parts, self.variables, strict=True)]

    def per_example(self, calls, gradients):
        """Returns the per-example gradients [B, d], summed over calls."""
        return sum(
            tf.concat([tf.reshape(p, (-1, size)) for p, size in zip(parts, self.sizes, strict=True)], 1)
            for parts in self.contributions(calls, gradients)
        )

    def squared_norms(self, calls, gradients):
        """Returns |p|^2, [B]."""
        return tf.reduce_sum(self.per_example(calls, gradients) ** 2, 1)


class BiasBlock(VectorBlock):
    """A bias without its kernel; its gradient is g summed over the axes that the bias does not have.

    Args:
        layer: The layer.
        bias: Its bias.
        axes: The axes of the pre-activation that the bias has, in its order.
    """

    def __init__(self, layer, bias, axes):
        super().__init__(layer, [bias])
        self.axes = axes

    def contributions(self, calls, gradients):
        """Returns the sums of g."""
        return [[sum_to(self.tensor(g), self.axes)] for _, g in self.pairs(calls, gradients)]
