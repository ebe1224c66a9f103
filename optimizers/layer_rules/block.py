"""Blocks: some weights of one layer, their Fisher matrix and the norms of their per-example gradients.

A layer's weights are a matrix W [m, n] whose last row is the bias, so that s = a W with a 1 appended to a.
The gradient of example b is sum_t a_bt g_bt^T, with g = dLoss/ds, summed over its positions t (pixels, time
steps, and repeated calls of one layer). With labels drawn from the model, the block of the Fisher matrix is

    F = sum_b sum_t,t' (a_bt (x) g_bt) (a_bt' (x) g_bt')^T.

K-FAC approximates F by A (x) G, where A is the mean over examples of sum_t a a^T, and G is the sum over
examples of the mean over t of g g^T. This treats activations as independent of gradients, and
positions as independent of each other. It is exact for a batch of one example with one position, and where g
does not depend on a, as in a linear network under squared error.

The gradients that enter the statistics are those of sum_p sqrt(c_p) nll_p, where nll_p is the negative
log-likelihood of a label drawn at position p, and c_p is its weight in the loss. The labels are independent
and their scores have mean 0, so that cross terms vanish on average.

Legend: B examples, T positions, m rows of a matrix (inputs and bias), n columns, d entries of a vector.

References:
    Martens and Grosse, "Optimizing neural networks with Kronecker-factored approximate curvature" (2015),
    arXiv:1503.05671. Grosse and Martens, "A Kronecker-factored approximate Fisher matrix for convolution
    layers" (2016), arXiv:1602.01407.
"""

import math

import tensorflow as tf

from ..keras_bridge import taps
from ..vectors import precision


class Block:
    """Some trainable variables of one layer, with the statistics of their block of the Fisher matrix.

    Attributes:
        layer: The layer; for a recurrent layer the layer itself, not its cell.
        variables: The variables, in the order in which gradients are passed and returned.
        kind: `kronecker`, `full` or `diagonal`, the form of the block; `None` for a block that has
            per-example norms and no statistics.
        differentiates: `calls` if `gradients` are with respect to the pre-activations of the calls,
            `variables` if they are with respect to the variables.
        shapes: The shape of each statistic by name: A and G, or F, or d.
    """

    kind = None
    differentiates = "calls"

    def __init__(self, layer, variables):
        self.layer, self.variables = layer, list(variables)
        self.dtype = precision(self.variables)

    def __repr__(self):
        return f"<{type(self).__name__} {self.kind} of {self.layer.name}: {[v.name for v in self.variables]}>"

    @property
    def shapes(self):
        """Returns the shape of each statistic, a dict by name."""
        raise NotImplementedError

    def statistics(self, calls, gradients, counted=None):
        """Returns the statistics of this replica's share of the batch, a dict of tensors.

        Over replicas, A is averaged and G, F and d are summed.

        Args:
            calls: The layer's `taps.Call`s.
            gradients: The gradient with respect to each call's pre-activation, `None` for a call that the
                loss does not depend on; or with respect to each variable, see `differentiates`.
            counted: Which examples are in A, [B], those that the loss depends on; None for all. The others
                have a gradient of zero, and so no part in G, F and d.

        Raises:
            ValueError: If the layer was not called.
        """
        raise NotImplementedError

    def matrix(self, gradients):
        """Returns the gradients of the variables as the block's matrix [m, n] or vector [d].

        Args:
            gradients: A gradient for each variable; `tf.IndexedSlices` become dense.
        """
        raise NotImplementedError

    def unmatrix(self, matrix):
        """Returns the gradient of each variable from the block's matrix, the inverse of `matrix`.

        Args:
            matrix: [m, n] or [d].
        """
        raise NotImplementedError

    def per_example(self, calls, gradients):
        """Returns the gradient of the variables for each example, [B, m, n] or [B, d], exactly.

        Args:
            calls: As in `statistics`.
            gradients: As in `statistics`.
        """
        raise NotImplementedError

    def squared_norms(self, calls, gradients):
        """Returns the squared norm of the gradient of each example, [B].

        Args:
            calls: As in `statistics`.
            gradients: As in `statistics`.
        """
        raise NotImplementedError

    def tensor(self, values):
        """Returns values as a dense tensor of the block's type."""
        return tf.cast(tf.convert_to_tensor(values), self.dtype)

    def pairs(self, calls, gradients, role=taps.KERNEL):
        """Returns (call, gradient) for the calls with a role; the gradient is zero where it was `None`."""
        pairs = [
            (call, tf.zeros_like(call.preactivation) if gradient is None else gradient)
            for call, gradient in zip(calls, gradients, strict=True)
            if call.role == role
        ]
        if not pairs:
            raise ValueError(
                f"The layer {self.layer.name!r} ({type(self.layer).__name__}) has trainable weights, but the "
                "model did not call it: set its `trainable = False`, remove it, or name it in skip_layers"
            )
        return pairs


def positions(x, features=1):
    """Returns [B, ..., D, ...] as [B, T, D], with T the number of positions.

    Args:
        x: The tensor; its first axis is the batch.
        features: Number of axes at the end that make up D.
    """
    last = len(x.shape) - features
    middle = x.shape[1:last]
    if features == 1 and len(middle) == 1:
        return x
    shape = tf.shape(x)
    count = math.prod(middle) if middle.is_fully_defined() else tf.reduce_prod(shape[1:last])
    return tf.reshape(x, (shape[0], count, math.prod(x.shape[last:])))


def sum_to(x, axes):
    """Returns x [B, ...] summed over all axes but the first and `axes`.

    Args:
        x: The tensor.
        axes: The axes that remain, in ascending order; negative ones count from the end.
    """
    remaining = {0, *(axis % len(x.shape) for axis in axes)}
    return tf.reduce_sum(x, [axis for axis in range(len(x.shape)) if axis not in remaining])


def concatenated(tensors, axis=0):
    """Returns tensors concatenated along an axis; a single tensor is returned unchanged.

    Args:
        tensors: A non-empty sequence of tensors.
        axis: The axis.
    """
    return tensors[0] if len(tensors) == 1 else tf.concat(tensors, axis)
