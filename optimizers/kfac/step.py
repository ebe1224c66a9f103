"""Second part of a K-FAC step: its step size, momentum and clipping, and the fraction that is signal."""

import dataclasses

import tensorflow as tf

from .. import replicas
from ..vectors import dot, scaled, select
from .quadratic import best_coefficients, fisher_forms


@dataclasses.dataclass(frozen=True, eq=False)
class Proposal:
    """A step before it is accepted.

    Args:
        step: The step s, a tensor for each variable, without weight decay.
        divergence: s^T F s / 2, in units of the loss.
        rate: The learning rate times the signal fraction.
    """

    step: list
    divergence: tf.Tensor
    rate: tf.Tensor


class StepRule:
    """Turns natural gradients into steps.

    Args:
        variables: The trainable variables.
        momentum: A fixed momentum, or None to minimize the quadratic model over step size and momentum.
        kl_clip: The largest divergence of a step, or None.
        noise: The `NoiseControl`.
        optimizer: The `ModelOptimizer`, which clips steps and creates the variables.
    """

    def __init__(self, variables, momentum, kl_clip, noise, optimizer):
        self.momentum, self.kl_clip, self.noise, self.clip = momentum, kl_clip, noise, optimizer.clip
        self.last_step = optimizer.add_states(variables, "step")

    def propose(self, batch, natural, damping, learning_rate):
        """Returns the `Proposal` of this batch.

        Args:
            batch: The `Batch`.
            natural: The natural gradient d.
            damping: The `Damping`.
            learning_rate: The learning rate.
        """
        last = [tf.convert_to_tensor(v) for v in self.last_step]
        dtype = damping.common.dtype
        rate = tf.cast(self.noise.fraction(batch, last), dtype) * tf.cast(learning_rate, dtype)
        if self.momentum is None:
            forms = fisher_forms(batch.examples, batch.values, [natural, last], batch.draw)
            forms = replicas.total(forms)
            damped = forms + damping.forms([natural, last])
            coefficients = rate * best_coefficients(batch.gradients, natural, last, damped)
            divergence = tf.tensordot(coefficients, tf.linalg.matvec(forms, coefficients), 1) / 2
            clip = self._clip_factor(divergence)
            natural_factor, last_factor = tf.unstack(clip * coefficients)
            divergence = clip**2 * divergence
        else:
            # F d is approximately g.
            divergence = rate**2 * dot(batch.gradients, natural) / 2
            clip = self._clip_factor(divergence)
            natural_factor, last_factor = -rate * clip, tf.constant(self.momentum, rate.dtype)
            # Momentum sums a steady direction to 1 / (1 - m) steps.
            divergence *= clip**2 / (1 - self.momentum) ** 2
        terms = zip(scaled(natural_factor, natural), scaled(last_factor, last), strict=True)
        return Proposal(self.clip([d + v for d, v in terms]), divergence, rate)

    def remember(self, batch, proposal, accepted):
        """Stores the step for the next one, or zero if it was rejected; a non-finite batch is ignored.

        Args:
            batch: The `Batch`.
            proposal: The `Proposal`.
            accepted: Whether the step is taken.
        """
        self.noise.note(batch, proposal.step, proposal.divergence, accepted)
        last = [tf.convert_to_tensor(v) for v in self.last_step]
        following = select(batch.grads_finite, select(accepted, proposal.step), last)
        for variable, value in zip(self.last_step, following, strict=True):
            variable.assign(value)

    def _clip_factor(self, divergence):
        """The factor that bounds a step's divergence."""
        if self.kl_clip is None:
            return tf.ones_like(divergence)
        return tf.sqrt(self.kl_clip / tf.maximum(divergence, self.kl_clip))
