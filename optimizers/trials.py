"""Base classes of optimizers that evaluate a step on its batch before taking it, and adapt the damping."""

import tensorflow as tf

from .. import arguments
from .keras_bridge.attachment import ModelOptimizer
from .levenberg_marquardt import Trial, adapted_damping, raised_damping
from .vectors import dot, finite, precision, scaled, select, shifted

# After a rejected step the damping is multiplied by this power of its factor: a rejection wastes a batch, so
# that damping that is too small by orders of magnitude must grow fast.
REJECTED_POWER = 4


class TrialOptimizer(ModelOptimizer):
    """Base class of optimizers that evaluate a step first. Clipping and weight decay are part of the step.

    Args:
        learning_rate: As in `ModelOptimizer`.
        damping: The initial lambda, in units of loss / theta^2, not negative; None if it is measured.
        damping_bounds: The smallest and the largest damping.
        name: Name of the optimizer.
        **kwargs: As in `keras.optimizers.Optimizer`.

    Raises:
        ValueError: If an argument is out of range.
    """

    direction_is_final = True
    direction_is_decayed = True

    def __init__(self, learning_rate, damping, damping_bounds, name, **kwargs):
        super().__init__(learning_rate, name, **kwargs)
        low, high = arguments.interval("damping_bounds", damping_bounds)
        if not 0 < low < high < float("inf"):
            raise ValueError(f"damping_bounds must be finite and positive, got {damping_bounds!r}")
        self.damping_bounds = low, high
        self.initial_damping = (
            None if damping is None else float(arguments.nonnegative("damping", damping, 0))
        )

    @property
    def damping(self):
        """The current damping lambda: a variable, or the initial value before the optimizer is built."""
        return self._damping if self.built else self.initial_damping

    def build(self, variables):
        """Creates the damping, zero until it is measured.

        Args:
            variables: The trainable variables.
        """
        if self.built:
            return
        super().build(variables)
        # Keras's constant initializer would round to single precision.
        self._damping = self.add_state(
            "damping", initializer=lambda _, dtype: tf.constant(self.initial_damping or 0.0, dtype)
        )

    def with_decay(self, step, values, rate):
        """Returns a step with weight decay, step - rate * weight_decay * theta.

        Args:
            step: The step, a list of tensors.
            values: The trainable values.
            rate: The learning rate, or its negative where `step` is to be subtracted.
        """
        if self.weight_decay is None:
            return step
        return [
            shifted(s, -rate * decay, v)
            for s, decay, v in zip(step, self.decay_factors(), values, strict=True)
        ]

    def get_config(self):
        """Returns the arguments that rebuild this optimizer."""
        return {
            **super().get_config(),
            "damping": self.initial_damping,
            "damping_bounds": list(self.damping_bounds),
        }


class DampedOptimizer(TrialOptimizer):
    r"""Base class of the optimizers that solve \((B + \lambda) d = g\) and evaluate each step on its batch.

    The step is \(s = -\epsilon (d + w \theta)\), with the weight decay w. It is taken if the loss of the
    batch is finite there and, with `monotone`, has not risen. Otherwise theta is unchanged, bit for bit,
    and the damping is multiplied by the fourth power of `damping_factor`. Loss, gradient and products are
    evaluated with the same dropout masks.

    A subclass implements `solve` and `product`.

    Args:
        learning_rate: The rate eps, dimensionless: a rate of 1 goes to the minimum of the damped model.
        damping: The initial lambda, in units of loss / theta^2.
        adaptive: Whether to adapt the damping to the reduction ratio. Otherwise it is constant, except that a
            rejected step raises it, and it returns to its value by `damping_factor` per step.
        monotone: Whether to reject steps that raise the loss of their batch. Otherwise only steps to a
            non-finite loss are rejected.
        damping_factor: The factor by which the damping changes, above 1.
        damping_bounds: The smallest and the largest damping; a constant damping may be smaller.
        name: Name of the optimizer.
        **kwargs: As in `keras.optimizers.Optimizer`. Clipping acts on d; weight decay is part of the step
            that is evaluated.

    Raises:
        ValueError: If an argument is out of range.
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

    def solve(self, objective, values, gradient, damping):
        """Returns d, the same on all replicas, and the state for the next step: pairs of variable and value.

        The variables are set to the values if the step is accepted, and to zero if it is not.

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
        """Returns d + w theta if the step is taken and zero otherwise, divided by the number of replicas.

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
        # The step is minus the rate times the direction, which therefore does not contain the rate.
        direction = self.with_decay(self.clip(direction), values, -1.0)
        curvature = dot(direction, self.product(objective, values, direction))
        predicted = -rate * dot(gradient, direction) + rate**2 * curvature / 2
        after = tf.cast(self.total(objective.loss(shifted(values, -rate, direction))), loss.dtype)
        trial = Trial(loss, after, predicted, objective.resolution)
        accepted = grads_finite & finite(direction) & trial.is_finite
        if self.monotone:
            accepted &= trial.not_raised
        self._damping.assign(self._next_damping(damping, trial.ratio, accepted))
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
        if self.adaptive:
            after_accepted = adapted_damping(damping, ratio, self.damping_factor, self.damping_bounds)
        else:
            after_accepted = tf.maximum(damping / self.damping_factor, self.initial_damping)
        raised = raised_damping(damping, self.damping_factor**REJECTED_POWER, self.damping_bounds)
        return tf.where(accepted, after_accepted, raised)
