"""The vanilla policy gradient (Sec. 8.2): one step of the policy on each rollout.

Legend: T steps of a rollout, N copies, B = T N.
"""

import numpy as np
import tensorflow as tf

from ..losses import policy as objectives
from ..theory.returns import generalized_advantages
from .descent import adam
from .on_policy import OnPolicy, normalized, require_one_replica
from .settings import VPGSettings


class VPG(OnPolicy):
    r"""The vanilla policy gradient, REINFORCE, with and without the reductions of its variance.

    Each rollout gives one step of Adam along the gradient of Eq. 8.2.3, averaged over steps instead of
    episodes, and then `value_steps` steps of the value function on the squared error. The weight of
    \(\nabla_\theta \log \pi_\theta(a_t|s_t)\) is

        total         sum_t' gamma^t' r_t' over the whole episode              (Eqs. 8.1.2 and 8.2.3)
        to_go         sum_t'>=t gamma^(t'-t) r_t' over the rest of it          (Eq. 8.2.8 without baseline)
        advantages    generalized advantages of the learned baseline           (Eq. 8.2.12)

    An episode may begin before a rollout or go on after it. The rewards before it are remembered. Those after
    it are replaced by the value function, as are those after a time limit; it is therefore learned in all
    three cases, although only the last subtracts it. With `normalize_advantages` the mean of the weights is
    also subtracted, which is a constant baseline; Eq. 8.2.3 as it stands needs `False`.

    The logs of an update are `policy_loss`, `value_loss` (before the update), `entropy`, `kl` (an estimate of
    the divergence of the step) and `explained_variance`.

    Args:
        environment: A Gymnasium id, a `gymnasium.Env`, or a function that returns one.
        settings: The `VPGSettings`.
        **kwargs: As for `Agent`.

    Raises:
        ValueError: As for `Agent`, or if the strategy has several replicas.

    Example:
        >>> agent = VPG("CartPole-v1", copies=2, rollout=32, weights="to_go", value_steps=5)
        >>> logs = agent.learn(128, progress=False)
        >>> int(agent.act(np.zeros(4, "float32"))) in (0, 1)
        True

    References:
        Williams, "Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning"
            (1992), Machine Learning 8, 229-256.
        Sutton, McAllester, Singh and Mansour, "Policy Gradient Methods for Reinforcement Learning with
            Function Approximation" (2000).
    """

    settings_class = VPGSettings

    def _build(self, policy):
        super()._build(policy)
        require_one_replica(self)
        # Discounted rewards of the running episodes before the next rollout, and the discount reached there.
        self._past = np.stack([np.zeros(self.copies), np.ones(self.copies)])
        self.value_optimizer = adam(self.settings.value_learning_rate)
        self.value_optimizer.build(self.value.trainable_variables)
        self._build_policy_step()
        self._fit_value = self._program(self._value_steps)

    def _build_policy_step(self):
        self.optimizer = adam(self.settings.learning_rate)
        self.optimizer.build(self.policy.trainable_variables)
        self._improve = self._program(self._policy_step)

    def _networks(self):
        return {"policy": (self.policy, self.optimizer), "value": (self.value, self.value_optimizer)}

    def _weights(self, rollout, rewards, values, following, advantages):
        settings = self.settings
        if settings.weights == "advantages":
            return advantages
        flags = rollout.terminated, rollout.ended
        to_go = values + generalized_advantages(rewards, values, following, *flags, settings.discount, 1.0)
        if settings.weights == "to_go":
            return to_go
        total, (past, power) = np.empty_like(to_go), self._past
        for step, ended in enumerate(rollout.ended):
            total[step] = past + power * to_go[step]
            past = np.where(ended, 0.0, past + power * rewards[step])
            power = np.where(ended, 1.0, power * settings.discount)
        self._past = np.stack([past, power])
        return total

    def _begin_episodes(self):
        super()._begin_episodes()
        self._past = np.stack([np.zeros(self.copies), np.ones(self.copies)])

    def _optimizers(self):
        settings = self.settings
        return [
            (self.optimizer, settings.learning_rate),
            (self.value_optimizer, settings.value_learning_rate),
        ]

    def _update(self, batch):
        observations, returns = (tf.convert_to_tensor(x) for x in (batch.observations, batch.returns))
        rest = (tf.convert_to_tensor(x) for x in (batch.actions, batch.log_probs, batch.advantages))
        logs = self._improve(observations, *rest)
        logs = {name: float(value) for name, value in logs.items()}
        return logs | {"value_loss": float(self._fit_value(observations, returns))}

    def _policy_step(self, observations, actions, old_log_probs, weights):
        """Makes a step of the policy on the whole rollout; returns the logs."""
        if self.settings.normalize_advantages:
            weights = normalized(weights)
        variables = self.policy.trainable_variables
        with tf.GradientTape() as tape:
            distribution = self.actions.distribution(self.policy(observations, training=True))
            loss = objectives.policy_gradient_loss(distribution.log_prob(actions), weights)
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return {
            "policy_loss": loss,
            "entropy": tf.reduce_mean(distribution.entropy()),
            "kl": self._step_divergence(observations, actions, old_log_probs),
        }

    def _step_divergence(self, observations, actions, old_log_probs):
        """Returns an estimate of the divergence of the step that was made."""
        distribution = self.actions.distribution(self.policy(observations))
        return objectives.approximate_divergence(distribution.log_prob(actions), old_log_probs)

    def _value_steps(self, observations, returns):
        """Makes all steps of the value function; returns its loss before them."""
        variables = self.value.trainable_variables

        def error():
            return objectives.value_loss(self.value(observations, training=True)[:, 0], returns)

        def body(index):
            with tf.GradientTape() as tape:
                loss = error()
            self.value_optimizer.apply(tape.gradient(loss, variables), variables)
            return (index + 1,)

        before = error()
        count = self.settings.value_steps
        tf.while_loop(lambda index: index < count, body, (0,), maximum_iterations=count)
        return before

    def _own_state(self):
        return {**super()._own_state(), "agent/past": self._past.copy()}

    def _restore_own(self, state):
        super()._restore_own(state)
        self._past = state["agent/past"].copy()
