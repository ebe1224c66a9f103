"""Deep Q-learning (Sec. 8.3): a network learns the value of each action from the Bellman equation.

Legend: N copies, B steps of a batch, A actions.
"""

import numpy as np
import tensorflow as tf

from ..losses import bellman
from .actions import actions_of
from .descent import adam
from .off_policy import OffPolicy, twin
from .policies import Policy, network, policy_of
from .settings import DQNSettings


class DQN(OffPolicy):
    r"""Deep Q-learning for discrete actions.

    Minimizes the Huber loss of \(r + \gamma \max_a Q'(s', a) - Q(s, a)\) (Eq. 8.3.2) on steps from the replay
    buffer, in which Q' is a target network, a copy of Q that is renewed every `target_every` gradient steps.
    With `double`, Q chooses the next action and Q' values it, which reduces the upward bias of the maximum.

    A copy of the environment takes a random action with probability epsilon, which decays linearly. The logs
    of an update are `loss`, `value` (the mean value of the actions in the batches) and `epsilon`.

    Args:
        environment: A Gymnasium id, a `gymnasium.Env`, or a function that returns one.
        settings: The `DQNSettings`.
        **kwargs: As for `Agent`.

    Raises:
        ValueError: As for `Agent`, or if the actions are not discrete.

    Example:
        >>> agent = DQN("CartPole-v1", double=True, hidden=(32,), warmup=100, train_every=50, updates=5)
        >>> logs = agent.learn(500, progress=False)
        >>> int(agent.act(np.zeros(4, "float32"))) in (0, 1)
        True

    References:
        Mnih et al., "Human-level control through deep reinforcement learning" (2015).
        van Hasselt, Guez and Silver, "Deep Reinforcement Learning with Double Q-learning" (2016),
        arXiv:1509.06461.
    """

    settings_class = DQNSettings
    log_names = ("loss", "value")

    def _build_networks(self, policy):
        settings, environments = self.settings, self.environments
        self.actions = actions_of(environments.action_space, False, settings.algorithm, **self._meaning())
        size = self.actions.size
        outputs = (size, self._outputs()) if self._outputs() else size
        shape, look = environments.observation_space.shape, self._look()
        self.policy = policy_of(policy, lambda: network(shape, outputs, gain=1.0, **look), self.actions)
        self.target = Policy(twin(self.policy.network), self.actions)
        self.optimizer = adam(settings.learning_rate)
        self.optimizer.build(self.policy.trainable_variables)

    def _outputs(self):
        """Returns the number of outputs of each action; 0 for a single value."""
        return 0

    def _meaning(self):
        """Returns what the outputs are, as arguments of `ValuedActions`."""
        return {"kind": "values"}

    def _networks(self):
        return {"policy": (self.policy, self.optimizer), "target": (self.target, None)}

    def _followed(self):
        return [(self.policy, self.target)]

    def _share(self, steps):
        return tf.cast(tf.equal(steps % self.settings.target_every, 0), tf.float32)

    def _schedules(self):
        return {"epsilon": self.epsilon}

    @property
    def epsilon(self):
        """The current probability of a random action."""
        settings = self.settings
        done = min(1.0, self.fraction / settings.exploration) if settings.exploration else 1.0
        return settings.epsilon + done * (settings.final_epsilon - settings.epsilon)

    def _acted(self, outputs):
        return self.actions.greedy(outputs)

    def _random_actions(self):
        return self.random.integers(self.actions.size, size=self.copies, dtype=np.int32)

    def _explored(self, observations):
        random = self.random.random(self.copies) < self.epsilon
        actions = self._random_actions()
        return (
            actions
            if random.all()
            else np.where(random, actions, self._greedy(tf.constant(observations)).numpy())
        )

    def _learned(self, batch):
        batch = self._part(batch)
        targets = self._targets(batch)
        weights = self.policy.trainable_variables
        with tf.GradientTape() as tape:
            outputs = bellman.of_actions(self.policy(batch.observations, training=True), batch.actions)
            losses, errors = self._losses(outputs, targets)
            loss = tf.reduce_mean(batch.weights * losses)
        self._descend(self.optimizer, tape.gradient(loss, weights), weights)
        value = tf.reduce_mean(self.actions.values(outputs))
        return errors, tf.stack([loss, value])

    def _following(self, batch):
        """Returns the target network's outputs of the next states, and the next actions, int [B]."""
        outputs = self.target(batch.next_observations)
        chooser = self.policy(batch.next_observations) if self.settings.double else outputs
        return outputs, self.actions.greedy(chooser)

    def _targets(self, batch):
        """Returns what the outputs of the actions should be."""
        outputs, actions = self._following(batch)
        values = bellman.of_actions(outputs, actions)
        return bellman.td_targets(batch.rewards, values, batch.terminated, batch.discounts)

    def _losses(self, outputs, targets):
        """Returns the losses of the outputs of the actions, and the errors for the priorities, both [B]."""
        errors = targets - outputs
        return bellman.huber(errors), errors
