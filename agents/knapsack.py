r"""The 0/1 knapsack problem as a tabular decision process and as a Gymnasium environment (Sec. 8.3).

Of items with weights w_i and values v_i, choose those of largest total value whose weights sum to at most the
capacity C. A state of the notes is the set of items in the knapsack, and an action adds another, so that
there are 2^N states. Dynamic programming needs only N (C + 1): items are considered in order, and a state is
the item to decide on and the capacity c that remains. With the two actions of leaving and taking the item,
the Bellman equation, Eq. 8.3.3 without discount, is

\[ V_i(c) = \max \{ V_{i+1}(c),\; v_i + V_{i+1}(c - w_i) \text{ if } w_i \le c \}. \]

Taking an item that does not fit is not allowed, which is an action mask. No state can come back, so N sweeps
of value iteration give the exact values. Both processes have the same optimal value.

Legend: N items, C capacity, S states.

References:
    Bellman, "Dynamic programming" (1957).
"""

from __future__ import annotations

from dataclasses import dataclass

import gymnasium
import numpy as np

from .. import arguments
from .tabular import FiniteMDP

LEAVE, TAKE = 0, 1
"""The actions for an item."""


@dataclass(frozen=True, eq=False)
class Knapsack:
    """A 0/1 knapsack problem.

    Args:
        weights: Weights w_i of the items, integers of at least 0, [N].
        values: Values v_i of the items, not negative, [N].
        capacity: Capacity C, an integer of at least 0.

    Raises:
        ValueError: If there is no item, or an argument is not valid.
    """

    weights: np.ndarray
    values: np.ndarray
    capacity: int

    def __post_init__(self):
        weights = arguments.integers("weights", self.weights, 0).astype(int)
        values = arguments.nonnegative("values", self.values, 1)
        arguments.same_shape(weights=weights, values=values)
        if not len(values):
            raise ValueError("values must have at least one item, got none")
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "capacity", arguments.integer("capacity", self.capacity, 0))

    @property
    def items(self):
        """The number N of items."""
        return len(self.weights)

    def state(self, item, remaining):
        """Returns the number of the state in which an item is decided on with a remaining capacity."""
        return item * (self.capacity + 1) + remaining

    def as_mdp(self):
        """Returns the `FiniteMDP` of N (C + 1) states whose actions are to leave or take the next item."""
        size = self.items * (self.capacity + 1)
        transitions, rewards = np.zeros((size, 2, size)), np.zeros((size, 2))
        initial, allowed = np.zeros(size), np.ones((size, 2), bool)
        initial[self.state(0, self.capacity)] = 1.0
        for item, (weight, value) in enumerate(zip(self.weights, self.values, strict=True)):
            for remaining in range(self.capacity + 1):
                state = self.state(item, remaining)
                allowed[state, TAKE] = weight <= remaining
                rewards[state, TAKE] = value
                # After the last item the episode ends.
                if item + 1 < self.items:
                    transitions[state, LEAVE, self.state(item + 1, remaining)] = 1.0
                    if weight <= remaining:
                        transitions[state, TAKE, self.state(item + 1, remaining - weight)] = 1.0
        return FiniteMDP(transitions, rewards, 1.0, initial, allowed)

    def as_mdp_of_sets(self):
        """Returns the `FiniteMDP` of the notes: 2^N sets of items, and N + 1 actions, add an item or stop.

        Bit i of a state's number tells whether item i is in the knapsack; the last action stops.

        Raises:
            ValueError: If there are more than 8 items: the table of transitions has (N + 1) 4^N entries.
        """
        items = arguments.integer("items", self.items, 1, 8)
        size = 2**items
        transitions, rewards = np.zeros((size, items + 1, size)), np.zeros((size, items + 1))
        allowed, initial = np.ones((size, items + 1), bool), np.eye(size)[0]
        rewards[:, :items] = self.values
        for contents in range(size):
            inside = contents >> np.arange(items) & 1
            free = self.capacity - inside @ self.weights
            allowed[contents, :items] = (inside == 0) & (self.weights <= free)
            for item in np.flatnonzero(inside == 0):
                transitions[contents, item, contents | 1 << item] = 1.0
        return FiniteMDP(transitions, rewards, 1.0, initial, allowed)

    def solve(self):
        """Returns (largest total value, indices of the chosen items), by the Bellman equation.

        The items are those of one best choice; others may have the same value. The values of the N (C + 1)
        states are computed from the last item back, so that no table of transitions is needed.
        """
        v, takes = np.zeros(self.capacity + 1), np.zeros((self.items, self.capacity + 1), bool)
        for item in reversed(range(self.items)):
            weight = self.weights[item]
            taken = np.full_like(v, -np.inf)
            taken[weight:] = self.values[item] + v[: max(len(v) - weight, 0)]
            takes[item] = taken > v
            v = np.maximum(v, taken)
        remaining, chosen = self.capacity, []
        for item in range(self.items):
            if takes[item, remaining]:
                chosen.append(item)
                remaining -= int(self.weights[item])
        return float(v[self.capacity]), chosen


class KnapsackEnvironment(gymnasium.Env):
    """A knapsack problem as an environment: one step for each item, in order.

    Observations are the numbers of the states of `Knapsack.as_mdp`, actions are `LEAVE` (0) and `TAKE` (1),
    and the reward is the value of a taken item. `info["action_mask"]` tells whether the next item fits.

    Args:
        problem: A `Knapsack`.
    """

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(self, problem):
        self.problem = problem
        self.observation_space = gymnasium.spaces.Discrete(problem.items * (problem.capacity + 1))
        self.action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        """Empties the knapsack; returns (observation, info)."""
        super().reset(seed=seed)
        self._item, self._remaining = 0, self.problem.capacity
        return self._observe()

    def step(self, action):
        """Leaves or takes the next item; returns (observation, reward, terminated, truncated, info).

        Raises:
            ValueError: If the action is neither, or the item does not fit.
        """
        action = arguments.one_of("action", int(action), (LEAVE, TAKE))
        reward = 0.0
        if action == TAKE:
            weight = int(self.problem.weights[self._item])
            if weight > self._remaining:
                raise ValueError(f"action must be {LEAVE}, since the item does not fit, got {TAKE}")
            self._remaining -= weight
            reward = float(self.problem.values[self._item])
        terminated = self._item == self.problem.items - 1
        # The observation after the last item is not used; it stays in the space.
        self._item += not terminated
        observation, info = self._observe()
        return observation, reward, terminated, False, info

    def _observe(self):
        fits = self.problem.weights[self._item] <= self._remaining
        info = {"action_mask": np.array([True, fits], np.int8)}
        return self.problem.state(self._item, self._remaining), info
