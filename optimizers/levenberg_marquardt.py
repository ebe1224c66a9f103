"""Damping that follows how well a quadratic model predicts the loss, and the steps that it judges.

Near theta the loss is modelled as \\(L(\\theta + s) \\approx L + g^T s + s^T B s / 2\\) (Eq. 4.7.1 with a
matrix B in place of the Hessian). Far from theta it is wrong, so that steps solve \\((B + \\lambda) d = g\\):
a large damping lambda makes them short. Levenberg and Marquardt's rule raises lambda where the loss fell by
much less than predicted, and lowers it where it fell as predicted.
"""

import tensorflow as tf

from .. import arguments
from .keras_bridge.attachment import finite, select
from .trials import TrialOptimizer
from .vectors import ROUNDING, dot, precision, scaled, shifted

POOR, GOOD = 0.25, 0.75
# Of the damping's factor, after a rejected step: it costs a batch, and damping that is wrong by orders of
# magnitude must grow fast.
REJECTED_POWER = 4


def reduction_ratio(before, after, predicted):
    r"""Returns \(\rho = (L(\theta + s) - L(\theta)) / (g^T s + s^T B s / 2)\): 1 where the model is exact.

    Args:
        before: The loss at theta.
        after: The loss at theta + s.
        predicted: The change that the model predicts, in the unit of the loss.
    """
    return (after - before) / predicted


def adapted_damping(damping, ratio, factor=1.5, bounds=(0.0, float("inf"))):
    r"""Returns the next damping: times `factor` unless \(\rho \ge 1/4\), divided by it if \(\rho > 3/4\).

    Args:
        damping: The damping lambda of the step.
        ratio: The step's reduction ratio rho. One that is not a number counts as poor.
        factor: By how much damping changes, above 1.
        bounds: The smallest and the largest damping.
    """
    damping = tf.convert_to_tensor(damping)
    adapted = tf.where(ratio > GOOD, damping / factor, tf.where(ratio >= POOR, damping, damping * factor))
    return tf.clip_by_value(adapted, *bounds)


class DampedOptimizer(TrialOptimizer):
    r"""Base of the optimizers that solve \((B + \lambda) d = g\) and try the step on its batch.

    The step is \(s = -\epsilon (d + w \theta)\), with the weight decay w. It is taken if the loss of the
    batch is finite there and, with `monotone`, has not risen. If it is not taken, theta stays as it is to the
    last bit and the damping is multiplied by the fourth power of `damping_factor`. Loss, gradient and
    products are evaluated under the same dropout masks.

    A subclass implements `solve` and `product`.

    Args:
        learning_rate: The rate eps, dimensionless: 1 goes to the minimum of the damped model.
        damping: The first lambda, in units of loss / theta^2.
        adaptive: Whether the damping follows the reduction ratio. Otherwise it is constant, but for the
            steps after a rejected one, in which it returns to its value by `damping_factor` a step.
        monotone: Whether steps that raise the loss of their batch are rejected, rather than those alone that
            lead to an infinite or undefined loss.
        damping_factor: By how much damping changes, above 1.
        damping_bounds: The smallest and the largest damping; a constant damping may be smaller.
        name: Name of the optimizer.
        **kwargs: As in `keras.optimizers.Optimizer`. Clipping acts on d; weight decay is part of the step
            that is tried.

    Raises:
        ValueError: If an argument is outside the above.
    """

    def __init__(
        self, learning_rate, damping, adaptive, monotone, damping_factor, damping_bounds, name, **kwargs
    ):
        damping = float(arguments.nonnegative("damping", damping, 0))
        super().__init__(learning_rate, damping, damping_bounds, name, **kwargs)
        low, high = self.damping_bounds
        if adaptive and not low <= self.initial_damping <= high:
            raise ValueError(f"damping must be in [{low:g}, {high:g}] if adaptive, got {damping!r}")
        if not arguments.finite("damping_factor", damping_factor, 0) > 1:
            raise ValueError(f"damping_factor must be above 1, got {damping_factor!r}")
        self.adaptive, self.monotone = bool(adaptive), bool(monotone)
        self.damping_factor = float(damping_factor)

    def add_states(self, name, variables):
        """Returns a state variable of the shape of each variable.

        Args:
            name: Name of the state.
            variables: The variables.
        """
        return [self.add_state(f"{name}_{i}", v.shape, dtype=v.dtype) for i, v in enumerate(variables)]

    def solve(self, objective, values, gradient, damping):
        """Returns d, the same on all replicas, and what the next step needs: variables and next values.

        The variables take the values if the step is accepted, and zeros if it is not.

        Args:
            objective: The `Objective` of this replica's batch.
            values: The current values.
            gradient: The gradient of the whole batch at them, all zero if it is not finite.
            damping: The damping lambda.
        """
        raise NotImplementedError

    def product(self, objective, values, tangents):
        """Returns B v of the whole batch.

        Args:
            objective: The `Objective` of this replica's batch.
            values: The current values.
            tangents: The vector v, a tensor for each value.
        """
        raise NotImplementedError

    def direction(self, objective, gradients):
        """Returns d + w theta if the step is taken and zero otherwise, divided among the replicas.

        Args:
            objective: The `Objective` of this replica's batch.
            gradients: The gradients of this replica's share of the loss.
        """
        values = objective.values
        loss, gradient = self.total([objective.loss(values), gradients])
        loss = tf.cast(loss, precision([loss, *values]))
        grads_finite = finite([loss]) & finite(gradient)
        gradient = select(grads_finite, gradient)
        damping, rate = (tf.cast(t, loss.dtype) for t in (self._damping, self.learning_rate))
        direction, memory = self.solve(objective, values, gradient, damping)
        # The step is minus the direction times the rate, so that the rate is not in it yet.
        direction = self.with_decay(self.clipped(direction), values, -1.0)
        curvature = dot(direction, self.product(objective, values, direction))
        predicted = -rate * dot(gradient, direction) + rate**2 * curvature / 2
        reached = tf.cast(self.total(objective.loss(shifted(values, -rate, direction))), loss.dtype)
        rounding = ROUNDING * objective.resolution * tf.abs(loss)
        accepted = grads_finite & finite(direction) & finite([reached])
        if self.monotone:
            accepted &= reached <= loss + rounding
        ratio = reduction_ratio(loss, reached, predicted)
        # A model that predicts a rise is as poor as one that is wrong.
        ratio = tf.where(predicted < 0, ratio, -tf.ones_like(ratio))
        ratio = tf.where(tf.abs(predicted) <= rounding, (POOR + GOOD) / 2 * tf.ones_like(ratio), ratio)
        self._damping.assign(self._next_damping(damping, ratio, accepted))
        for variable, value in memory:
            variable.assign(*select(accepted, [value]))
        return scaled(1 / self.replicas(), select(accepted, direction))

    def get_config(self):
        """Returns the arguments that rebuild this optimizer."""
        return {
            **super().get_config(),
            "adaptive": self.adaptive,
            "monotone": self.monotone,
            "damping_factor": self.damping_factor,
        }

    def _next_damping(self, damping, ratio, accepted):
        low, high = self.damping_bounds
        raised = tf.maximum(damping, low) * self.damping_factor**REJECTED_POWER
        if self.adaptive:
            kept = adapted_damping(damping, ratio, self.damping_factor, self.damping_bounds)
        else:
            kept = tf.maximum(damping / self.damping_factor, self.initial_damping)
        return tf.where(accepted, kept, tf.minimum(raised, high))
