"""Optimizers that try a step on its batch before they take it, with damping that follows from it."""

import tensorflow as tf

from .. import arguments
from .keras_bridge.attachment import ModelOptimizer
from .vectors import shifted


class TrialOptimizer(ModelOptimizer):
    """Base of the optimizers that try their steps: clipping and weight decay are in the step that is tried.

    Args:
        learning_rate: As in `ModelOptimizer`.
        damping: The first lambda, in units of loss / theta^2, not negative; None if it is measured.
        damping_bounds: The smallest and the largest damping.
        name: Name of the optimizer.
        **kwargs: As in `keras.optimizers.Optimizer`.

    Raises:
        ValueError: If an argument is outside the above.
    """

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
        """The current damping lambda: a variable, and the first value before there is one."""
        return self._damping if self.built else self.initial_damping

    def build(self, variables):
        """Makes the damping, zero until it is measured.

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
        rates = [-rate * self.weight_decay * self._use_weight_decay(v) for v in self._trainable_variables]
        return [shifted(s, r, v) for s, r, v in zip(step, rates, values, strict=True)]

    def get_config(self):
        """Returns the arguments that rebuild this optimizer."""
        return {
            **super().get_config(),
            "damping": self.initial_damping,
            "damping_bounds": list(self.damping_bounds),
        }

    def clipped(self, step):
        """Returns a step clipped as Keras clips gradients.

        Args:
            step: The step, a list of tensors.
        """
        return super()._clip_gradients(step)

    def _clip_gradients(self, grads):
        # Done before the step was tried.
        return grads

    def _apply_weight_decay(self, variables):
        # In the step already.
        pass
