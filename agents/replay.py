"""Replay buffers: past steps of experience, drawn uniformly or by priority.

Legend: C capacity, F filled rows, N copies, U batches, B steps of a batch, O the shape of an observation,
A the shape of an action.
"""

import collections

import numpy as np

from .. import arguments

# Added to each error, so that no step's priority is zero.
_SMALL = 1e-6

Batch = collections.namedtuple(
    "Batch", ["observations", "actions", "rewards", "next_observations", "terminated", "discounts", "weights"]
)
Batch.__doc__ = """Steps of experience; a sample of U batches has a further first axis.

Args:
    observations: [B, *O].
    actions: [B, *A].
    rewards: float32, [B].
    next_observations: To which the actions led, the last ones of episodes included, [B, *O].
    terminated: 1 if the next observation is terminal, so that its value is zero, 0 otherwise, float32 [B].
    discounts: Of the values of the next observations, [B].
    weights: Importance weights of the losses, float32 [B].
"""


class Replay:
    """A ring buffer in arrays that are allocated once; the oldest steps are overwritten.

    It stores whether a state was terminal and not whether its episode ended: a time limit does not make the
    value of the last state zero.

    Args:
        capacity: Number C of steps.
        observation: An example of one observation, for its shape and dtype.
        action: An example of one action.
    """

    def __init__(self, capacity, observation, action):
        self.capacity = arguments.integer("capacity", capacity, 1)
        observation, action = np.asarray(observation), np.asarray(action)
        # Zeroed memory takes no space before it is written.
        self._columns = {
            "observations": np.zeros((capacity, *observation.shape), observation.dtype),
            "actions": np.zeros((capacity, *action.shape), action.dtype),
            "rewards": np.zeros(capacity, "float32"),
            "next_observations": np.zeros((capacity, *observation.shape), observation.dtype),
            "terminated": np.zeros(capacity, bool),
            "discounts": np.zeros(capacity, "float32"),
        }
        self._size = self._position = 0

    def __len__(self):
        """Returns the number F of filled rows."""
        return self._size

    def add(self, observations, actions, rewards, next_observations, terminated, discounts):
        """Stores one step of each of N copies.

        Args:
            observations: [N, *O].
            actions: [N, *A].
            rewards: [N].
            next_observations: [N, *O].
            terminated: Boolean, [N].
            discounts: Of the values of the next observations, [N].

        Returns:
            Their rows, [N].

        Raises:
            ValueError: If N exceeds the capacity.
        """
        count = len(rewards)
        if count > self.capacity:
            raise ValueError(f"capacity must be at least the {count} copies, got {self.capacity}")
        rows = (self._position + np.arange(count)) % self.capacity
        steps = observations, actions, rewards, next_observations, terminated, discounts
        for column, values in zip(self._columns.values(), steps, strict=True):
            column[rows] = values
        self._position = (self._position + count) % self.capacity
        self._size = min(self._size + count, self.capacity)
        return rows

    def sample(self, generator, count, size, importance=1.0):
        """Draws batches uniformly, with replacement.

        Args:
            generator: A `numpy.random.Generator`.
            count: Number U of batches.
            size: Steps B of each.
            importance: Has no effect on uniform draws.

        Returns:
            The rows [U, B], and a `Batch` of arrays [U, B, ...].

        Raises:
            ValueError: If the buffer is empty.
        """
        del importance
        self._check_filled()
        rows = generator.integers(self._size, size=(count, size))
        return rows, self._batch(rows, np.ones(rows.shape, "float32"))

    def update(self, rows, errors):
        """Takes note of the errors of sampled steps; uniform draws do not depend on them."""

    def state(self):
        """Returns the filled rows and the position of the next one, as arrays by name."""
        filled = {name: column[: self._size].copy() for name, column in self._columns.items()}
        return {**filled, "position": np.array(self._position)}

    def restore(self, state):
        """Takes over a state.

        Args:
            state: What `state` returned for a buffer of the same capacity.

        Raises:
            ValueError: If the state has more rows than this buffer.
        """
        size = len(state["rewards"])
        if size > self.capacity:
            raise ValueError(f"capacity must be at least the {size} stored steps, got {self.capacity}")
        for name, column in self._columns.items():
            column[:size] = state[name]
        self._size, self._position = size, int(state["position"])

    def _batch(self, rows, weights):
        columns = {name: column[rows] for name, column in self._columns.items()}
        columns["terminated"] = columns["terminated"].astype("float32")
        return Batch(**columns, weights=weights)

    def _check_filled(self):
        if not self._size:
            raise ValueError("the replay buffer must hold a step before it can be sampled")


class PrioritizedReplay(Replay):
    """Draws step i with probability P(i) proportional to (|error| + 1e-6)^exponent.

    A new step has the largest priority so far. The losses get the importance weights
    (F P(i))^-importance, divided by the largest of their batch.

    Args:
        capacity: Number C of steps.
        observation: An example of one observation.
        action: An example of one action.
        exponent: The exponent, positive.

    References:
        Schaul et al., "Prioritized Experience Replay" (2016), arXiv:1511.05952.
    """

    def __init__(self, capacity, observation, action, exponent=0.6):
        super().__init__(capacity, observation, action)
        self._exponent = arguments.positive_number("exponent", exponent)
        self._tree, self._largest = SumTree(capacity), 1.0

    def add(self, *steps):
        """As for `Replay`; the new steps get the largest priority."""
        rows = super().add(*steps)
        self._tree.set(rows, np.full(len(rows), self._largest))
        return rows

    def sample(self, generator, count, size, importance=1.0):
        """Draws batches by priority, one step from each of B equal parts of the total.

        Args:
            generator: A `numpy.random.Generator`.
            count: Number U of batches.
            size: Steps B of each.
            importance: Exponent of the importance weights, in [0, 1]; 1 removes the bias of the draws.

        Returns:
            The rows [U, B], and a `Batch` of arrays [U, B, ...].

        Raises:
            ValueError: If the buffer is empty.
        """
        self._check_filled()
        shares = (np.arange(size) + generator.random((count, size))) / size
        rows = self._tree.find(shares * self._tree.total)
        probabilities = self._tree.get(rows) / self._tree.total
        weights = (self._size * probabilities) ** -importance
        weights /= weights.max(axis=1, keepdims=True)
        return rows, self._batch(rows, weights.astype("float32"))

    def update(self, rows, errors):
        """Sets the priorities of sampled steps.

        Args:
            rows: As `sample` returned them, of any shape; the last of equal rows counts.
            errors: Their temporal-difference errors, of the same shape.
        """
        priorities = (np.abs(np.ravel(errors)).astype("float64") + _SMALL) ** self._exponent
        self._tree.set(np.ravel(rows), priorities)
        self._largest = max(self._largest, priorities.max())

    def priorities(self):
        """Returns the priorities of the filled rows, [F]."""
        return self._tree.get(np.arange(self._size))

    def state(self):
        """Returns the state of `Replay` and the priorities."""
        return {**super().state(), "priorities": self.priorities(), "largest": np.array(self._largest)}

    def restore(self, state):
        """Takes over a state of a prioritized buffer."""
        super().restore(state)
        self._tree.set(np.arange(self._size), state["priorities"])
        self._largest = float(state["largest"])


class SumTree:
    """Nonnegative numbers whose partial sums are found in logarithmic time.

    A binary tree in one array: node i is the sum of its children 2i and 2i + 1; the numbers are the leaves.

    Args:
        count: How many numbers; all are zero at first.
    """

    def __init__(self, count):
        self._depth = max(count - 1, 1).bit_length()
        self._leaves = 2**self._depth
        self._nodes = np.zeros(2 * self._leaves)

    @property
    def total(self):
        """The sum of all numbers."""
        return self._nodes[1]

    def get(self, indices):
        """Returns numbers by index."""
        return self._nodes[self._leaves + indices]

    def set(self, indices, values):
        """Sets numbers by index, [M]; the last of equal indices counts."""
        self._nodes[self._leaves + indices] = values
        nodes = np.unique(self._leaves + indices)
        for _ in range(self._depth):
            # Sorted nodes have sorted parents.
            nodes = nodes >> 1
            nodes = nodes[np.append(True, nodes[1:] != nodes[:-1])]
            self._nodes[nodes] = self._nodes[2 * nodes] + self._nodes[2 * nodes + 1]

    def find(self, sums):
        """Returns the index at which the cumulative sum first exceeds each value, for any shape of values."""
        rest, nodes = np.array(sums, "float64"), np.ones(np.shape(sums), int)
        for _ in range(self._depth):
            left = self._nodes[2 * nodes]
            # Rounding must not lead to an empty branch.
            right = (rest >= left) & (self._nodes[2 * nodes + 1] > 0)
            rest -= np.where(right, left, 0.0)
            nodes = 2 * nodes + right
        return nodes - self._leaves
