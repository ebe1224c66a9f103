"""Evaluation of a policy on whole episodes."""

import dataclasses

import numpy as np

from .. import arguments
from .environments import maker

# Episodes that are played side by side, in one batch of the policy.
_TOGETHER = 100


@dataclasses.dataclass(frozen=True)
class Episodes:
    """Undiscounted returns and lengths of episodes.

    Args:
        returns: The returns, [E].
        lengths: Numbers of steps, [E].
    """

    returns: np.ndarray
    lengths: np.ndarray

    @property
    def mean(self):
        """The mean return."""
        return float(self.returns.mean())

    @property
    def std(self):
        """The standard deviation of the returns over the episodes."""
        return float(self.returns.std())


def evaluate(policy, environment, episodes=100, seed=0, deterministic=True):
    """Plays whole episodes, each once, so that short ones do not count more often than long ones.

    Args:
        policy: A `Policy`, or anything with its `act`.
        environment: As for `Environments`.
        episodes: Number of episodes.
        seed: Seed of the first episode; episode i has seed + i.
        deterministic: Whether the best action is taken rather than a random one.

    Returns:
        The `Episodes`.

    Raises:
        ValueError: If an argument is not valid, or a reward is not finite.
    """
    episodes, seed = arguments.integer("episodes", episodes, 1), arguments.seed("seed", seed)
    make = maker(environment, learning=False)
    returns, lengths = np.zeros(episodes), np.zeros(episodes, int)
    copies = [make() for _ in range(min(episodes, _TOGETHER))]
    for first in range(0, episodes, len(copies)):
        numbers = range(first, min(first + len(copies), episodes))
        playing = {number: copy for number, copy in zip(numbers, copies, strict=False)}
        observed = {number: copy.reset(seed=seed + number)[0] for number, copy in playing.items()}
        step = 0
        while playing:
            # A batch of a constant size needs no new trace when episodes end.
            batch = np.stack([observed[number] for number in numbers])
            actions = policy.act(batch, (seed + step) % 2**31, deterministic)
            for index, number in enumerate(numbers):
                if number not in playing:
                    continue
                observed[number], reward, terminated, truncated, _ = playing[number].step(actions[index])
                returns[number] += reward
                lengths[number] += 1
                if terminated or truncated:
                    del playing[number]
            step += 1
    for copy in copies:
        copy.close()
    arguments.finite("returns", returns)
    return Episodes(returns, lengths)
