"""The fallback for layers without a rule: a diagonal from one gradient of the whole batch.

The gradient of sum_p sqrt(c_p) nll_p for drawn labels is v = sum_p sqrt(c_p) v_p. Given the inputs, the
labels are independent and each score v_p has mean 0, so that E[v v^T] = sum_p c_p E[v_p v_p^T] = F. Therefore
v^2 is an unbiased estimate of the diagonal of F, whatever the layer computes. Its relative variance is about
2, which the running average over steps reduces. With the labels of the data the scores would have non-zero
means, and v^2 would be the square of the batch gradient, not the diagonal of the empirical Fisher matrix.
"""

import tensorflow as tf

from .vector import VectorBlock


class FallbackBlock(VectorBlock):
    """Any variables; d is the square of the gradient of this replica's share of the batch.

    Args:
        layer: The layer that owns the variables.
        variables: The variables.
    """

    differentiates = "variables"

    def __init__(self, layer, variables):
        super().__init__(layer, variables)
        self.kind = "diagonal"

    def statistics(self, calls, gradients, counted=None):
        """Returns d.

        Args:
            calls: Ignored.
            gradients: The gradient with respect to each variable, `None` where the loss does not depend on
                it.
            counted: Ignored.
        """
        pairs = zip(gradients, self.variables, strict=True)
        dense = [tf.zeros(v.shape, self.dtype) if g is None else g for g, v in pairs]
        return {"d": self.matrix(dense) ** 2}

    def per_example(self, calls, gradients):
        """Raises ValueError, as it is unknown how the layer uses these variables."""
        raise ValueError(
            f"The layer {self.layer.name!r} ({type(self.layer).__name__}) has no rule, and therefore no "
            "per-example gradients"
        )
