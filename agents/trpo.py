"""Trust region policy optimization (Sec. 8.5): a natural gradient whose step is bounded in divergence.

Legend: B steps of a rollout over all copies, M steps of a minibatch.
"""

import numpy as np
import tensorflow as tf

from ..losses.policy import value_loss
from .descent import adam
from .on_policy import OnPolicy, normalized, require_one_replica
from .policy_objective import Experience, PolicyObjective
from .settings import TRPOSettings
from .trust_region import trust_region_step


class TRPO(OnPolicy):
    """Trust region policy optimization.

    On each rollout the policy makes one step along the natural gradient of the surrogate, with advantages
    of a learned baseline (Eq. 8.2.12) that are scaled to mean 0 and variance 1. The step is shortened until
    the mean divergence of the policies on the rollout's states (Eq. 8.5.1) is at most `kl_limit` and the
    surrogate improves, and it is not made if that fails (`trust_region_step`). The value function is then
    fitted in `value_epochs` passes of minibatches by Adam, whose step size is `learning_rate`.

    The logs of an update are `policy_loss`, `improvement` of the surrogate, `kl` of the step (Eq. 8.5.1),
    `trials` and `accepted` of the line search, `entropy`, `value_loss` (the mean over its minibatches) and
    `explained_variance`.

    Args:
        environment: A Gymnasium id, a `gymnasium.Env`, or a function that returns one.
        settings: The `TRPOSettings`.
        **kwargs: As for `Agent`.

    Raises:
        ValueError: As for `Agent`, if the minibatches do not divide the rollout, or if the strategy has
            several replicas.

    Example:
        >>> agent = TRPO("CartPole-v1", copies=2, rollout=32, minibatch=32)
        >>> logs = agent.learn(128, progress=False)
        >>> all(update["kl"] <= 0.01 for update in logs)
        True

    References:
        Schulman, Levine, Moritz, Jordan and Abbeel, "Trust Region Policy Optimization" (2015),
            arXiv:1502.05477.
    """

    settings_class = TRPOSettings

    def _build(self, policy):
        super()._build(policy)
        require_one_replica(self)
        self._check_minibatch(self.settings.minibatch)
        self.value_optimizer = adam(self.settings.learning_rate)
        self.value_optimizer.build(self.value.trainable_variables)
        self._improve = self._program(self._policy_step)
        self._fit_value = self._program(self._value_steps)

    def _networks(self):
        return {"policy": (self.policy, None), "value": (self.value, self.value_optimizer)}

    def _optimizers(self):
        return [(self.value_optimizer, self.settings.learning_rate)]

    def _update(self, batch):
        settings = self.settings
        observations, returns = (tf.convert_to_tensor(x) for x in (batch.observations, batch.returns))
        experience = (tf.convert_to_tensor(x) for x in (batch.actions, batch.log_probs, batch.advantages))
        logs = self._improve(observations, Experience(*experience))
        order = self._minibatches(settings.minibatch, settings.value_epochs, len(batch.returns))
        logs["value_loss"] = self._fit_value(observations, returns, order)
        return {name: float(value) for name, value in logs.items()}

    def _policy_step(self, observations, experience):
        """Makes the step of the policy; returns the logs."""
        settings = self.settings
        experience = experience._replace(weights=normalized(experience.weights))
        objective = PolicyObjective(self.policy, observations, experience)
        step = trust_region_step(
            objective,
            settings.kl_limit,
            settings.damping,
            settings.solver_steps,
            settings.backtracking,
            settings.trials,
        )
        entropy = self.actions.distribution(self.policy(observations)).entropy()
        for variable, value in zip(self.policy.trainable_variables, step.values, strict=True):
            variable.assign(value)
        return {
            "policy_loss": step.loss,
            "improvement": step.improvement,
            "kl": step.divergence,
            "trials": step.trials,
            "accepted": tf.cast(step.accepted, tf.int32),
            "entropy": tf.reduce_mean(entropy),
        }

    def _value_steps(self, observations, returns, order):
        """Makes a step of the value function for each row of indices; returns the mean loss."""
        variables, count = self.value.trainable_variables, order.shape[0]

        def body(index, total):
            inputs, targets = tf.gather(observations, order[index]), tf.gather(returns, order[index])
            with tf.GradientTape() as tape:
                loss = value_loss(self.value(inputs, training=True)[:, 0], targets)
            self.value_optimizer.apply(tape.gradient(loss, variables), variables)
            return index + 1, total + loss

        _, total = tf.while_loop(
            lambda index, _: index < count, body, (0, np.float32(0)), maximum_iterations=count
        )
        return total / count
