"""Third part of a K-FAC step: the damping, trials of the step on its batch, and whether it is taken."""

import tensorflow as tf

from .. import replicas
from ..levenberg_marquardt import Trial, adapted_damping, raised_damping
from ..vectors import dot, finite, precision, shifted
from .damping import Damping, first_damping
from .quadratic import fisher_forms

# The factor of the damping after a rejected step.
REJECTED = 4.0
# The damping may be multiplied by this factor per step.
LOWERED = 0.95
# Number of steps between trials if the damping is constant.
TRIED_EVERY = 10
# A step is also tried if its divergence or linear loss change exceeds this fraction of the loss at the last
# trial.
RISKY = 0.5


class Acceptance:
    """Accepts or rejects steps and sets the damping.

    Args:
        damping: The variable of the damping lambda.
        bounds: The smallest and the largest damping.
        adapt_every: Number of steps between trials that adapt the damping; None for constant damping.
        divergence_is_exact: Whether the divergences that `judge` receives are s^T F s / 2 of the whole step.
        noise: The `NoiseControl`.
        batch_loss: Function of the `Objective` that returns its loss at the current weights.
        add_state: Function of a name that returns a new variable.
    """

    def __init__(self, damping, bounds, adapt_every, divergence_is_exact, noise, batch_loss, add_state):
        self.damping, self.bounds, self.adapt_every = damping, bounds, adapt_every
        self.divergence_is_exact, self.noise, self.batch_loss = divergence_is_exact, noise, batch_loss
        self.last_loss, self.first_damping = add_state("last_trial_loss"), add_state("first_damping")

    def damping_for(self, batch, statistics, states):
        """Returns the `Damping` of this step.

        Args:
            batch: The `Batch`.
            statistics: The `Statistics`.
            states: Their states with this batch.
        """
        dtype = precision(batch.values)
        damping = tf.cast(self.damping, dtype)
        damping = tf.where(damping > 0, damping, first_damping(statistics.preconditioners, states, dtype))
        damping, of_blocks = self.noise.bounded(damping, statistics.preconditioners, states)
        damping, of_blocks = (tf.clip_by_value(value, *self.bounds) for value in (damping, of_blocks))
        first = tf.cast(damping, self.first_damping.dtype)
        unset = batch.grads_finite & (self.first_damping == 0)
        self.first_damping.assign(tf.where(unset, first, self.first_damping))
        of_blocks = tf.unstack(of_blocks)
        pairs = zip(statistics.preconditioners, of_blocks, strict=True)
        damping_of = {id(v): its_damping for p, its_damping in pairs for v in p.block.variables}
        of_variables = [damping_of[id(v)] for v in batch.objective.model.trainable_variables]
        return Damping(damping, of_blocks, of_variables)

    def judge(self, batch, step, divergence, damping):
        """Returns whether the step is taken, and adapts the damping.

        Args:
            batch: The `Batch`.
            step: The step with its weight decay.
            divergence: The divergence of the step without weight decay, in units of the loss.
            damping: The `Damping` of this step.
        """
        objective, common = batch.objective, damping.common
        dtype = common.dtype
        due = batch.iteration % (self.adapt_every or TRIED_EVERY) == 0
        linear_change = dot(batch.gradients, step)
        # The divergence vanishes for saturated predictions, however large the predicted loss change is.
        risky = RISKY * tf.abs(tf.cast(self.last_loss, dtype))
        tried = due | (tf.maximum(divergence, tf.abs(linear_change)) > risky)

        def losses():
            pair = self.batch_loss(objective), objective.loss(shifted(batch.values, 1.0, step))
            return [tf.cast(loss, dtype) for loss in pair]

        def form():
            return tf.cast(fisher_forms(batch.examples, batch.values, [step], batch.draw)[0, 0], dtype)

        zero = tf.zeros([], dtype)
        shares = tf.cond(tried, losses, lambda: [zero, zero])
        # Only the adaptation of the damping compares the change of the loss with the quadratic model.
        measures_form = self.adapt_every is not None and not self.divergence_is_exact
        shares.append(tf.cond(due, form, lambda: zero) if measures_form else zero)
        before, after, form = replicas.total(shares)
        form = form if measures_form else 2 * divergence
        predicted = linear_change + form / 2 + damping.forms([step])[0, 0] / 2
        trial = Trial(before, after, predicted, objective.resolution)
        accepted = finite(step) & (~tried | (trial.is_finite & trial.not_raised))
        loss_known = tried & batch.grads_finite & trial.is_finite
        self.last_loss.assign(tf.where(loss_known, tf.cast(before, self.last_loss.dtype), self.last_loss))
        following = tf.where(
            accepted,
            self._damping_after_accepted(common, trial.ratio, due),
            raised_damping(common, REJECTED, self.bounds),
        )
        self.damping.assign(tf.where(batch.grads_finite, following, tf.cast(self.damping, dtype)))
        return accepted

    def _damping_after_accepted(self, damping, ratio, due):
        if self.adapt_every is None:
            return tf.maximum(LOWERED * damping, tf.cast(self.first_damping, damping.dtype))
        factor = min(LOWERED ** -min(self.adapt_every, 100), REJECTED)
        return tf.where(due, adapted_damping(damping, ratio, factor, self.bounds), damping)
