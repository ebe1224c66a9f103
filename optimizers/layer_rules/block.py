"""Blocks of the Fisher matrix: the weights of one layer, and what their block is approximated by.

A layer's weights are a matrix W [m, n], the bias its last row, so that s = a W with a 1 appended to a. The
gradient of example b is sum_t a_bt g_bt^T over its positions t (places of an image, steps of a sequence,
calls of a layer that is used again), with g = dLoss/ds. With labels drawn from the model, the Fisher block is

    F = sum_b sum_t,t' (a_bt (x) g_bt) (a_bt' (x) g_bt')^T,

which K-FAC takes for A (x) G, with A the mean over examples of sum_t a a^T, and G the sum over examples of
the mean over t of g g^T: activations and gradients independent of each other, positions too. Exact where a
batch has one example of one position, and where g does not depend on a: a linear net under squared error.

Gradients are those of sum_p sqrt(c_p) nll_p, with nll_p the negative log-likelihood of a drawn label and c_p
its weight in the loss; labels are independent with mean score 0, so that cross terms vanish on average.

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
    """Some trainable variables of one layer with the statistics of their Fisher block.

    Attributes:
        layer: The layer; a recurrent layer, not its cell.
        variables: The variables, in the order that gradients are given and returned in.
        kind: `kronecker`, `full` or `diagonal`.
        differentiates: `calls` where `gradients` are those of the calls' pre-activations, `variables` where
            they are those of the variables.
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
        """Returns a dict of each statistic's name to its shape."""
        raise NotImplementedError

    def statistics(self, calls, gradients):
        """Returns the statistics of this replica's share of the batch, a dict of tensors.

        Over replicas A is averaged, and G, F and d are summed.

        Args:
            calls: The layer's `taps.Call`s.
            gradients: The gradient for each call's pre-activation, `None` for a call that the loss does not
                see; or for each variable, see `differentiates`.

        Raises:
            ValueError: If the layer was not called.
        """
        raise NotImplementedError

    def matrix(self, gradients):
        """Returns gradients of the variables as the block's matrix [m, n], or vector [d].

        Args:
            gradients: A gradient for each variable; `tf.IndexedSlices` are made dense.
        """
        raise NotImplementedError

    def unmatrix(self, matrix):
        """Returns the list of gradients whose `matrix` this is.

        Args:
            matrix: [m, n] or [d].
        """
        raise NotImplementedError

    def per_example(self, calls, gradients):
        """Returns each example's gradient of the variables, [B, m, n] or [B, d], exactly.

        Args:
            calls: As in `statistics`.
            gradients: As in `statistics`.
        """
        raise NotImplementedError

    def tensor(self, values):
        """Returns values as a dense tensor of the variables' type."""
        return tf.cast(tf.convert_to_tensor(values), self.dtype)

    def pairs(self, calls, gradients, role=taps.KERNEL):
        """Returns the calls of a role with their gradients: zeros where the loss does not see a call."""
        pairs = [
            (call, tf.zeros_like(call.preactivation) if gradient is None else gradient)
            for call, gradient in zip(calls, gradients, strict=True)
            if call.role == role
        ]
        if not pairs:
            raise ValueError(
                f"The layer {self.layer.name!r} ({type(self.layer).__name__}) has trainable weights, but the "
                "model did not call it: freeze it by `trainable = False` or remove it"
            )
        return pairs


def positions(x, features=1):
    """Returns [B, ..., D, ...] as [B, T, D], with T the number of all positions between.

    Args:
        x: Tensor of at least one axis and the features'.
        features: Number of axes at the end that make up D.
    """
    last = len(x.shape) - features
    between = x.shape[1:last]
    if features == 1 and len(between) == 1:
        return x
    shape = tf.shape(x)
    count = math.prod(between) if between.is_fully_defined() else tf.reduce_prod(shape[1:last])
    return tf.reshape(x, (shape[0], count, math.prod(x.shape[last:])))


def sum_to(x, axes):
    """Returns x [B, ...] summed over all axes but the first and `axes`.

    Args:
        x: The tensor.
        axes: The axes to keep, ascending; negative ones count from the end.
    """
    kept = {0, *(axis % len(x.shape) for axis in axes)}
    return tf.reduce_sum(x, [axis for axis in range(len(x.shape)) if axis not in kept])
