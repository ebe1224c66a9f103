"""Deep deterministic policy gradients (Sec. 8.3): Q-learning for continuous actions.

Legend: N copies, B steps of a batch, A components of an action.
"""

import keras
import numpy as np
import tensorflow as tf

from ..losses import bellman
from .actions import bounded_actions
from .off_policy import OffPolicy, twin
from .policies import Policy, network, policy_of
from .settings import DDPGSettings


class DDPG(OffPolicy):
    r"""Deterministic policy gradients for bounded continuous actions.

    The maximum of Eq. 8.3.2 over continuous actions is taken by a second network, the policy a = pi(s). Each
    gradient step moves Q(s, a) towards \(r + \gamma Q'(s', \pi'(s'))\), and then the policy up the
    gradient of \(\langle Q(s, \pi(s)) \rangle\). The target networks Q' and pi' are running averages of the
    weights.

    Gaussian noise on the policy's actions explores. The logs of an update are `loss` of Q, `value` (the mean
    of Q over the batches) and `policy_value` (the mean of Q for the policy's own actions).

    Args:
        environment: A Gymnasium id, a `gymnasium.Env`, or a function that returns one.
        settings: The `DDPGSettings`.
        **kwargs: As for `Agent`; a `policy` of your own has outputs [B, A] in [-1, 1].

    Raises:
        ValueError: As for `Agent`, or if the actions are not continuous and bounded.

    Example:
        >>> agent = DDPG("Pendulum-v1", hidden=(32,), warmup=200)
        >>> logs = agent.learn(250, progress=False)
        >>> agent.act(np.zeros(3, "float32")).shape
        (1,)

    References:
        Lillicrap et al., "Continuous control with deep reinforcement learning" (2016), arXiv:1509.02971.
    """

    settings_class = DDPGSettings
    log_names = ("loss", "value", "policy_value")

    def _build_networks(self, policy):
        settings, environments = self.settings, self.environments
        self.actions = bounded_actions(environments.action_space, settings.algorithm)
        shape, look = environments.observation_space.shape, self._look()
        self.policy = policy_of(
            policy, lambda: _bounded_network(shape, self.actions.size, look), self.actions
        )
        self.critic = network(shape, 1, gain=1.0, name="critic", actions=self.actions.size, **look)
        self.target = Policy(twin(self.policy.network), self.actions)
        self.critic_target = twin(self.critic)
        self.optimizer = keras.optimizers.Adam(settings.actor_learning_rate)
        self.optimizer.build(self.policy.trainable_variables)
        self.critic_optimizer = keras.optimizers.Adam(settings.learning_rate)
        self.critic_optimizer.build(self.critic.trainable_variables)

    def _networks(self):
        return {
            "policy": (self.policy, self.optimizer),
            "critic": (self.critic, self.critic_optimizer),
            "target": (self.target, None),
            "critic_target": (self.critic_target, None),
        }

    def _optimizers(self):
        settings = self.settings
        return [
            (self.optimizer, settings.actor_learning_rate),
            (self.critic_optimizer, settings.learning_rate),
        ]

    def _followed(self):
        return [(self.policy, self.target), (self.critic, self.critic_target)]

    def _share(self, steps):
        del steps
        return self.settings.polyak

    def _acted(self, outputs):
        return outputs

    def _random_actions(self):
        return self.random.uniform(-1, 1, (self.copies, self.actions.size)).astype("float32")

    def _explored(self, observations):
        noise = self.random.normal(0, self.settings.noise, (self.copies, self.actions.size))
        return np.clip(self._greedy(tf.constant(observations)).numpy() + noise, -1, 1).astype("float32")

    def _bounded(self, actions):
        low, high = self.actions.low, self.actions.high
        # Rounding must not lead beyond the bounds.
        return np.clip(self.actions.greedy(actions), low, high)

    def _learned(self, batch):
        batch = self._part(batch)
        observations, following = batch.observations, batch.next_observations
        values = self.critic_target([following, self.target(following)])[:, 0]
        targets = bellman.td_targets(batch.rewards, values, batch.terminated, batch.discounts)
        weights = self.critic.trainable_variables
        with tf.GradientTape() as tape:
            values = self.critic([observations, batch.actions], training=True)[:, 0]
            errors = targets - values
            loss = tf.reduce_mean(batch.weights * errors**2) / 2
        self._descend(self.critic_optimizer, tape.gradient(loss, weights), weights)
        weights = self.policy.trainable_variables
        with tf.GradientTape() as tape:
            own = tf.reduce_mean(self.critic([observations, self.policy(observations, training=True)]))
            loss_of_policy = -own
        self._descend(self.optimizer, tape.gradient(loss_of_policy, weights), weights)
        return errors, tf.stack([loss, tf.reduce_mean(values), own])


def _bounded_network(shape, count, look):
    """Returns the network of a policy whose outputs lie in [-1, 1]."""
    body = network(shape, count, gain=0.01, **look)
    return keras.Model(body.inputs, keras.layers.Activation("tanh")(body.outputs[0]), name=body.name)
