r"""Levenberg and Marquardt's rule: damping that follows how well a quadratic model predicts the loss.

Near theta the loss is modelled as \(L(\theta + s) \approx L + g^T s + s^T B s / 2\) (Eq. 4.7.1 with a matrix
B in place of the Hessian). Far from theta the model is wrong, so steps solve \((B + \lambda) d = g\), where a
large damping lambda makes them short. The rule raises lambda where the loss fell by much less than predicted,
and lowers it where it fell as predicted.
"""

import dataclasses

import tensorflow as tf

from .vectors import ROUNDING, finite

POOR, GOOD = 0.25, 0.75


@dataclasses.dataclass(frozen=True, eq=False)
class Trial:
    """The loss of one batch before and after a step.

    Args:
        before: The loss at theta, a scalar.
        after: The loss at theta + s, in the same precision.
        predicted: The change of the loss that the quadratic model predicts.
        resolution: The relative rounding error of the loss.
    """

    before: tf.Tensor
    after: tf.Tensor
    predicted: tf.Tensor
    resolution: float

    @property
    def rounding(self):
        """The largest change of the loss that may be a rounding error."""
        return ROUNDING * self.resolution * tf.abs(self.before)

    @property
    def is_finite(self):
        """Whether both losses are finite."""
        return finite([self.before, self.after])

    @property
    def not_raised(self):
        """Whether the step did not raise the loss, up to rounding."""
        return self.after <= self.before + self.rounding

    @property
    def ratio(self):
        """The reduction ratio; a neutral value where the predicted change is within rounding."""
        ratio = reduction_ratio(self.before, self.after, self.predicted)
        # A model that predicts a rise is as poor as one that is wrong.
        ratio = tf.where(self.predicted < 0, ratio, -tf.ones_like(ratio))
        neutral = (POOR + GOOD) / 2 * tf.ones_like(ratio)
        return tf.where(tf.abs(self.predicted) <= self.rounding, neutral, ratio)


def reduction_ratio(before, after, predicted):
    r"""Returns \(\rho = (L(\theta + s) - L(\theta)) / (g^T s + s^T B s / 2)\): 1 where the model is exact.

    Args:
        before: The loss at theta.
        after: The loss at theta + s.
        predicted: The change that the model predicts, in the unit of the loss.
    """
    return (after - before) / predicted


def adapted_damping(damping, ratio, factor=1.5, bounds=(0.0, float("inf"))):
    r"""Returns the next damping: divided by `factor` if \(\rho > 3/4\), multiplied by it if \(\rho < 1/4\).

    Args:
        damping: The damping lambda of the step.
        ratio: The step's reduction ratio rho; NaN counts as poor.
        factor: The factor by which the damping changes, above 1.
        bounds: The smallest and the largest damping.
    """
    damping = tf.convert_to_tensor(damping)
    adapted = tf.where(ratio > GOOD, damping / factor, tf.where(ratio >= POOR, damping, damping * factor))
    return tf.clip_by_value(adapted, *bounds)


def raised_damping(damping, factor, bounds):
    """Returns the damping after a rejected step.

    Args:
        damping: The damping lambda of the step.
        factor: The factor by which the damping rises, above 1.
        bounds: The smallest and the largest damping; a smaller damping rises from the smallest.
    """
    low, high = bounds
    return tf.minimum(tf.maximum(damping, low) * factor, high)
