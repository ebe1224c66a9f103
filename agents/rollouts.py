"""Rollouts: the experience of all copies between two updates, and what a policy gradient learns from it.

Legend: T steps, N copies, O the shape of an observation, A the shape of an action.
"""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Rollout:
    """T steps of N copies.

    Args:
        observations: [T, N, *O].
        next_observations: To which the actions led, the last ones of episodes included, [T, N, *O].
        actions: As the policy drew them, [T, N, *A].
        rewards: [T, N].
        terminated: Whether the step ended in a terminal state, [T, N].
        ended: Whether the step ended an episode, [T, N].
    """

    observations: np.ndarray
    next_observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray
    ended: np.ndarray


def collect(environments, act, keys, clipped, count=None):
    """Returns a rollout.

    Args:
        environments: The `Environments`, which are left at the rollout's end.
        act: Function of observations [N, *O] and a random key [2] that returns actions [N, *A].
        keys: A key for each step, int32 [T, 2].
        clipped: Function that makes actions as the environment takes them.
        count: Function that is called with the rewards and the ends of each step.
    """
    rows = []
    for key in keys:
        observations = environments.observations
        actions = act(observations, key)
        step = environments.step(clipped(actions))
        if count is not None:
            count(step.rewards, step.ended)
        rows.append(
            (observations, step.next_observations, actions, step.rewards, step.terminated, step.ended)
        )
    return Rollout(*(np.stack(column) for column in zip(*rows, strict=True)))


def values_of(rollout, value):
    """Returns the values of the observations and of the next observations of a rollout, both [T, N].

    Within an episode the next observation is that of the next step, so that only the last observations of
    episodes and of the rollout are evaluated in addition.

    Args:
        rollout: The `Rollout`.
        value: Function from observations [B, *O] to values [B].
    """
    steps, copies = rollout.rewards.shape
    shape = rollout.observations.shape[2:]
    last = rollout.ended & ~rollout.terminated
    last[-1] |= ~rollout.ended[-1]
    extra = rollout.next_observations[last]
    values = value(np.concatenate([rollout.observations.reshape(-1, *shape), extra]))
    now = values[: steps * copies].reshape(steps, copies)
    following = np.zeros_like(now)
    following[:-1] = now[1:]
    following[rollout.ended] = 0.0
    following[last] = values[steps * copies :]
    return now, following


class RewardScale:
    """Divides rewards by the running standard deviation of the discounted return (Engstrom et al., 2020).

    Args:
        copies: Number of copies N.
        discount: The discount.
        limit: Largest absolute value of a scaled reward.
    """

    def __init__(self, copies, discount, limit=10.0):
        self._discount, self._limit = discount, limit
        self._returns = np.zeros(copies)
        # Count, mean and sum of squared deviations of the returns.
        self._moments = np.zeros(3)

    def __call__(self, rewards, ended):
        """Updates the statistics and returns the scaled rewards, [T, N].

        Args:
            rewards: [T, N].
            ended: Whether a step ended an episode, [T, N].
        """
        seen = np.empty(rewards.shape)
        for step, (reward, end) in enumerate(zip(rewards, ended, strict=True)):
            self._returns = self._discount * self._returns + reward
            seen[step] = self._returns
            self._returns[end] = 0.0
        count, mean, squares = self._moments
        total, difference = count + seen.size, seen.mean() - mean
        squares += seen.var() * seen.size + difference**2 * count * seen.size / total
        self._moments[:] = total, mean + difference * seen.size / total, squares
        scaled = rewards / np.sqrt(squares / total + 1e-8)
        return np.clip(scaled, -self._limit, self._limit).astype(rewards.dtype)

    def begin_episodes(self):
        """Forgets the returns of the running episodes."""
        self._returns[:] = 0.0

    def state(self):
        """Returns the statistics as one array."""
        return np.concatenate([self._returns, self._moments])

    def restore(self, state):
        """Restores the statistics."""
        self._returns, self._moments = state[:-3].copy(), state[-3:].copy()
