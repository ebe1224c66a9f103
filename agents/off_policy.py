"""What the algorithms have in common that learn from a replay buffer of past experience.

Legend: N copies, U gradient steps of an update, B steps of experience in each, O the shape of an observation,
A the shape of an action.
"""

import keras
import numpy as np
import tensorflow as tf

from ..optimizers import replicas
from .agent import Agent
from .descent import descend
from .multi_step import MultiStep
from .replay import Batch, PrioritizedReplay, Replay

# Steps of experience, over all copies, that make an iteration with its logs where updates are more frequent.
_ITERATION = 250


class OffPolicy(Agent):
    """Base class: alternates between steps of experience and updates from the replay buffer.

    Subclasses build the networks in `_build_networks`, choose the actions in `_explored`, and make a gradient
    step in `_learned`. The U gradient steps of an update are one program, in which the target networks follow
    too. Its batches are drawn before it, so that priorities change between updates only.
    """

    def _build(self, policy):
        settings = self.settings
        replicas.check_divisible("batch_size", settings.batch_size, self.strategy)
        if settings.capacity < self.copies:
            raise ValueError(f"capacity must be at least the {self.copies} copies, got {settings.capacity}")
        self._build_networks(policy)
        observation = self.environments.observations[0]
        self.replay = self._new_replay(observation)
        self.steps_joined = MultiStep(
            self.copies, settings.horizon, settings.discount, observation, self._random_actions()[0]
        )
        self.gradient_steps = 0
        # Whole steps of all copies between updates, and updates of an iteration.
        self._between = -(-settings.train_every // self.copies)
        self._rounds = max(1, _ITERATION // (self._between * self.copies))
        batch = tf.TensorSpec((self.copies, *observation.shape), observation.dtype)
        # A concrete function is called twice as fast, which counts for small networks.
        self._greedy = self._program(
            lambda observations: self._acted(self.policy(observations)), [batch]
        ).get_concrete_function()
        if self.strategy.num_replicas_in_sync > 1:
            self._update = self._distributed_steps
            self._distributed = tf.function(
                lambda batch: self.strategy.run(self._learned, (batch,)), autograph=False
            )
        else:
            self._update = self._program(self._all_steps)

    def _new_replay(self, observation):
        settings, action = self.settings, self._random_actions()[0]
        if settings.prioritized:
            return PrioritizedReplay(settings.capacity, observation, action, settings.prioritized)
        return Replay(settings.capacity, observation, action)

    def _iterate(self):
        self._anneal(self.fraction)
        rows = []
        for _ in range(self._rounds):
            for _ in range(self._between):
                self._gather()
            if self.steps >= self.settings.warmup and len(self.replay):
                rows.append(self._improve())
        logs = np.mean(rows, axis=0).tolist() if rows else []
        return {**dict(zip(self.log_names, logs, strict=False)), **self._schedules()}

    def _gather(self):
        """Makes one step in each copy and stores it."""
        observations = self.environments.observations
        if self.steps < self.settings.warmup:
            actions = self._random_actions()
        else:
            actions = self._explored(observations)
        step = self.environments.step(self._bounded(actions))
        completed = self.steps_joined.add(observations, actions, step)
        if len(completed[0]):
            self.replay.add(*completed)
        self._count(step.rewards, step.ended)

    def _improve(self):
        """Makes the gradient steps of one update; returns their mean logs."""
        settings = self.settings
        importance = settings.importance + (1 - settings.importance) * self.fraction
        rows, batches = self.replay.sample(self.random, settings.updates, settings.batch_size, importance)
        batches = Batch(*map(tf.convert_to_tensor, batches))
        errors, logs = self._update(batches, tf.constant(self.gradient_steps, tf.int32))
        self.gradient_steps += settings.updates
        self.replay.update(rows, np.asarray(errors))
        return np.asarray(logs)

    def _all_steps(self, batches, before):
        """Makes U gradient steps in one program; returns the errors [U, B] and the mean logs.

        Args:
            batches: A `Batch` of tensors [U, B, ...].
            before: Number of gradient steps so far.
        """
        count, size = batches.rewards.shape

        def body(index, errors, total):
            error, logs = self._learned(Batch(*(tensor[index] for tensor in batches)))
            self._follow(before + index + 1)
            return index + 1, tf.tensor_scatter_nd_update(errors, [[index]], error[None]), total + logs

        begin = 0, tf.zeros((count, size)), tf.zeros(len(self.log_names))
        _, errors, total = tf.while_loop(
            lambda index, *_: index < count, body, begin, maximum_iterations=count
        )
        return errors, total / count

    def _distributed_steps(self, batches, before):
        """The same with each batch shared among the replicas."""
        errors, rows = [], []
        for index in range(self.settings.updates):
            error, logs = self._distributed(Batch(*(tensor[index] for tensor in batches)))
            self._follow(int(before) + index + 1)
            errors.append(np.concatenate(self.strategy.experimental_local_results(error)))
            rows.append(self.strategy.reduce("MEAN", logs, axis=None).numpy())
        return np.stack(errors), np.mean(rows, axis=0)

    def _part(self, batch):
        """Returns this replica's part of a batch."""
        return replicas.own_rows(batch, self.settings.batch_size // replicas.number())

    def _descend(self, optimizer, gradients, weights):
        """Applies the mean of the replicas' gradients, clipped to the largest norm."""
        descend(optimizer, gradients, weights, self.settings.gradient_norm)

    def _follow(self, steps):
        """Moves each target network towards its online network after a number of gradient steps."""
        share = self._share(steps)
        for online, target in self._followed():
            for weight, follower in zip(online.weights, target.weights, strict=True):
                follower.assign(share * weight + (1 - share) * follower)

    def _begin_episodes(self):
        super()._begin_episodes()
        self.steps_joined.forget()

    def _own_state(self):
        stored = {f"agent/replay/{name}": array for name, array in self.replay.state().items()}
        stored |= {f"agent/joined/{name}": array for name, array in self.steps_joined.state().items()}
        return {**stored, "agent/gradient_steps": np.array(self.gradient_steps)}

    def _restore_own(self, state):
        for part, prefix in ((self.replay, "agent/replay/"), (self.steps_joined, "agent/joined/")):
            part.restore({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
        self.gradient_steps = int(state["agent/gradient_steps"])

    def _bounded(self, actions):
        """Returns actions as the environment takes them."""
        return actions

    def _schedules(self):
        """Returns the values of schedules for the logs."""
        return {}

    def _build_networks(self, policy):
        """Makes the networks, of which `self.policy` acts, and their optimizers."""
        raise NotImplementedError

    def _acted(self, outputs):
        """Returns the best actions as the buffer stores them, of the policy's outputs."""
        raise NotImplementedError

    def _random_actions(self):
        """Returns uniformly random actions as the buffer stores them, [N, *A]."""
        raise NotImplementedError

    def _explored(self, observations):
        """Returns the policy's actions with exploration, [N, *A]."""
        raise NotImplementedError

    def _learned(self, batch):
        """Makes a gradient step on this replica's part of a batch; returns its errors [B] and logs."""
        raise NotImplementedError

    def _followed(self):
        """Returns pairs of an online network and its target network."""
        raise NotImplementedError

    def _share(self, steps):
        """Returns the share of the online weights in a target network after a number of gradient steps."""
        raise NotImplementedError


def twin(network):
    """Returns a second network with the same weights."""

    def cloned(layer):
        # A Lambda can't be made again from its configuration; layers without variables are shared.
        return type(layer).from_config(layer.get_config()) if layer.variables else layer

    copy = keras.models.clone_model(network, clone_function=cloned, recursive=True)
    copy.set_weights(network.get_weights())
    copy.trainable = False
    return copy
