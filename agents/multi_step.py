"""Rewards of several steps before the next value is needed (n-step returns).

Legend: N copies, H steps of the horizon, M experiences, O the shape of an observation, A that of an action.
"""

import numpy as np

from .. import arguments


class MultiStep:
    r"""Joins H steps of experience into one, whose reward is \(\sum_{i<k} \gamma^i r_{t+i}\).

    The value of the state after them has the discount \(\gamma^k\). At the end of an episode k is smaller.
    Rewards then reach the values of earlier states in fewer updates, and the error of the next value counts
    less; but the actions in between are those of the policy that took them, not those of the best one.

    Args:
        copies: Number N of copies.
        horizon: Number H of steps.
        discount: The discount.
        observation: An example of one observation, for its shape and dtype.
        action: An example of one action.

    Raises:
        ValueError: If `horizon` is not positive.

    References:
        Sutton, "Learning to Predict by the Methods of Temporal Differences" (1988).
        Hessel et al., "Rainbow" (2018), arXiv:1710.02298.
    """

    def __init__(self, copies, horizon, discount, observation, action):
        self.horizon = arguments.integer("horizon", horizon, 1)
        self._discount = discount
        observation, action = np.asarray(observation), np.asarray(action)
        # Experiences that have begun and not ended, in a ring over the steps.
        self._arrays = {
            "observations": np.zeros((horizon, copies, *observation.shape), observation.dtype),
            "actions": np.zeros((horizon, copies, *action.shape), action.dtype),
            "rewards": np.zeros((horizon, copies)),
            "lengths": np.zeros((horizon, copies), int),
            "running": np.zeros((horizon, copies), bool),
            "position": np.zeros((), int),
        }

    def add(self, observations, actions, step):
        """Adds a step of all copies, and returns the experiences that it completes.

        Args:
            observations: From which the actions were chosen, [N, *O].
            actions: [N, *A].
            step: The `Step`.

        Returns:
            Observations [M, *O], actions [M, *A], summed rewards [M], next observations [M, *O], whether
            these are terminal [M], and the discounts of their values [M].
        """
        arrays, row = self._arrays, int(self._arrays["position"])
        begun = {"observations": observations, "actions": actions, "rewards": 0.0, "lengths": 0}
        for name, values in (begun | {"running": True}).items():
            arrays[name][row] = values
        arrays["position"][...] = (row + 1) % self.horizon
        running, lengths = arrays["running"], arrays["lengths"]
        arrays["rewards"] += running * self._discount**lengths * step.rewards
        lengths += running
        done = running & ((lengths == self.horizon) | step.ended)
        running &= ~done
        _, copies = np.nonzero(done)
        return (
            arrays["observations"][done],
            arrays["actions"][done],
            arrays["rewards"][done],
            step.next_observations[copies],
            step.terminated[copies],
            self._discount ** lengths[done],
        )

    def forget(self):
        """Drops the experiences that have not ended."""
        self._arrays["running"][...] = False

    def state(self):
        """Returns the experiences that have not ended, as arrays by name."""
        return {name: array.copy() for name, array in self._arrays.items()}

    def restore(self, state):
        """Restores what `state` returned."""
        for name, array in self._arrays.items():
            array[...] = state[name]
