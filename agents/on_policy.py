"""What the algorithms have in common that learn from rollouts of their current policy.

Legend: T steps of a rollout, N copies, B = T N, O the shape of an observation, A the shape of an action.
"""

import collections

import numpy as np
import tensorflow as tf

from .. import arguments
from ..theory.returns import generalized_advantages
from . import actors, rollouts
from .actions import actions_of
from .agent import Agent
from .policies import network, normalizer_of, policy_network, policy_of

Batch = collections.namedtuple(
    "Batch", ["observations", "actions", "outputs", "log_probs", "advantages", "returns", "values"]
)
Batch.__doc__ = """What an update learns from, with one first axis B for all steps of all copies.

Args:
    observations: [B, *O].
    actions: [B, *A].
    outputs: Of the policy that collected the rollout, [B, P].
    log_probs: Of the actions under that policy, [B].
    advantages: [B].
    returns: Targets of the value function, [B].
    values: Of the value function before the update, [B].
"""


class OnPolicy(Agent):
    """Base class: collects a rollout, estimates advantages, and hands a `Batch` to `_update`.

    Args:
        environment: As for `Agent`.
        settings: As for `Agent`.
        executor: A `concurrent.futures.Executor` whose workers play the rollouts; `None` for this process.
        actors: Number of workers among which the copies are shared; it divides their number.
        **kwargs: As for `Agent`.
    """

    def __init__(self, environment, settings=None, *, executor=None, actors=1, **kwargs):
        super().__init__(environment, settings, **kwargs)
        self.executor, self.actors = executor, arguments.integer("actors", actors, 1)
        if self.copies % self.actors:
            raise ValueError(f"actors must divide the {self.copies} copies, got {actors}")

    def _build(self, policy):
        settings, name = self.settings, self.settings.algorithm
        self.actions = actions_of(self.environments.action_space, True, name)
        shape, look = self.environments.observation_space.shape, self._look()
        normalize = settings.normalize_observations
        self.policy = policy_of(
            policy,
            lambda: policy_network(
                shape, self.actions, normalize=normalize, log_std=settings.log_std, **look
            ),
            self.actions,
        )
        self.value = network(shape, 1, gain=1.0, normalize=normalize, name="value", **look)
        self.scale = rollouts.RewardScale(self.copies, settings.discount)
        vector = tf.TensorSpec((None, *shape), self.environments.observations.dtype)
        batch, key = tf.TensorSpec((self.copies, *shape), vector.dtype), tf.TensorSpec((2,), tf.int32)
        # A concrete function is called twice as fast, which counts for small networks.
        self._draw = self.policy.drawing([batch, key]).get_concrete_function()
        self._value_of = tf.function(
            lambda observations: self.value(observations)[:, 0], input_signature=[vector], autograph=False
        )
        self._judge = tf.function(self._judged, autograph=False, reduce_retracing=True)

    def _judged(self, observations, actions):
        outputs = self.policy(observations)
        return outputs, self.actions.distribution(outputs).log_prob(actions)

    def _iterate(self):
        begun = self.fraction
        rollout = self._rollout()
        batch = self._batch(rollout)
        self._anneal(begun)
        logs = self._update(batch)
        for model in (self.policy, self.value):
            layer = normalizer_of(model)
            if layer is not None:
                layer.update(np.reshape(batch.observations, (len(batch.observations), -1)))
        return {**logs, "explained_variance": explained_variance(batch.values, batch.returns)}

    def _rollout(self):
        shape = (self.actors, self.settings.rollout, 2)
        keys = self.random.integers(0, 2**31 - 1, shape, dtype=np.int32)
        if self.executor is None:
            draw = self._draw
            return rollouts.collect(
                self.environments,
                lambda observations, key: draw(tf.constant(observations), tf.constant(key)).numpy(),
                keys[0],
                self.actions.clipped,
                self._count,
            )
        rollout = actors.gather(self.executor, self.environments, self.policy, keys, self.actors)
        for rewards, ended in zip(rollout.rewards, rollout.ended, strict=True):
            self._count(rewards, ended)
        return rollout

    def _batch(self, rollout):
        """Returns the `Batch` of a rollout, with generalized advantages (Eq. 8.2.12)."""
        settings = self.settings
        rewards = rollout.rewards
        if settings.normalize_rewards:
            rewards = self.scale(rewards, rollout.ended)
        values, following = rollouts.values_of(rollout, lambda x: self._value_of(x).numpy())
        advantages = self._advantages(rollout, rewards, values, following)
        returns = (advantages + values).ravel().astype("float32")
        weights = self._weights(rollout, rewards, values, following, advantages)
        observations = rollout.observations.reshape(-1, *rollout.observations.shape[2:])
        actions = rollout.actions.reshape(-1, *rollout.actions.shape[2:])
        outputs, log_probs = self._judge(observations, actions)
        weights = weights.ravel().astype("float32")
        return Batch(observations, actions, outputs, log_probs, weights, returns, values.ravel())

    def _weights(self, rollout, rewards, values, following, advantages):
        """Returns the weights of the log-probabilities' gradients, [T, N]; by default the advantages."""
        del rollout, rewards, values, following
        return advantages

    def _advantages(self, rollout, rewards, values, following):
        return generalized_advantages(
            rewards,
            values,
            following,
            rollout.terminated,
            rollout.ended,
            self.settings.discount,
            self.settings.lam,
        )

    def _check_minibatch(self, size):
        """Raises ValueError if minibatches of a size do not divide a rollout."""
        rollout = self.settings.rollout
        if rollout * self.copies % size:
            raise ValueError(
                f"minibatch must divide the {rollout * self.copies} steps of a rollout ({rollout} of each of "
                f"{self.copies} copies), got {size}"
            )

    def _minibatches(self, size, epochs, count):
        """Returns the indices of minibatches of shuffled epochs, int32 [epochs * count // size, size]."""
        order = [self.random.permutation(count)[: count - count % size] for _ in range(epochs)]
        return np.concatenate(order).reshape(-1, size).astype("int32")

    def _begin_episodes(self):
        super()._begin_episodes()
        self.scale.begin_episodes()

    def _own_state(self):
        return {"agent/scale": self.scale.state()}

    def _restore_own(self, state):
        self.scale.restore(state["agent/scale"])

    def _update(self, batch):
        """Improves the policy and the value function; returns the logs."""
        raise NotImplementedError


def explained_variance(predicted, target):
    """Returns 1 - Var(target - predicted) / Var(target), 0 if the targets are constant.

    Args:
        predicted: Predictions, [B].
        target: Targets, [B].
    """
    variance = np.var(target)
    return float(1 - np.var(target - predicted) / variance) if variance > 0 else 0.0


def normalized(weights):
    """Returns a tensor scaled to mean 0 and variance 1."""
    mean, variance = tf.nn.moments(weights, 0)
    return (weights - mean) / (tf.sqrt(variance) + 1e-8)


def require_one_replica(agent):
    """Raises ValueError if the strategy of an agent has several replicas."""
    count = agent.strategy.num_replicas_in_sync
    if count > 1:
        raise ValueError(f"strategy of {agent.settings.algorithm} must have one replica, got {count}")
