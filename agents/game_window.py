"""The positions of the latest games of self-play, from which a network learns.

Legend: N games, B positions, M moves of a game, A actions, O the shape of an observation.
"""

import collections

import numpy as np

from .self_play import Record
from .symmetries import Symmetries


class GameWindow:
    """Positions of ended games; the oldest games leave when there are more positions than wanted.

    Args:
        game: The `Game`.
        positions: Number of positions above which the oldest games leave.
        symmetric: Whether `sample` draws images of the positions under the game's symmetries.
    """

    def __init__(self, game, positions, symmetric=True):
        self._game, self._positions = game, positions
        self._symmetries = Symmetries(game)
        self._images = len(self._symmetries) if symmetric else 1
        self._records, self._arrays, self._size = collections.deque(), collections.deque(), 0
        self._joined = None

    def __len__(self):
        return self._size

    @property
    def games(self):
        """Number of games."""
        return len(self._records)

    def add(self, records):
        """Adds ended games.

        Args:
            records: A list of `Record`.
        """
        for record in records:
            self._records.append(record)
            self._arrays.append(self._examples(record))
            self._size += len(record.actions)
            while self._size > self._positions and len(self._records) > 1:
                self._size -= len(self._records.popleft().actions)
                self._arrays.popleft()
        self._joined = None

    def sample(self, random, count):
        """Draws positions, each with one of its images.

        Args:
            random: A `numpy.random.Generator`.
            count: Number B of positions, drawn with replacement.

        Returns:
            Observations [B, *O], policies of the search [B, A] and returns of the player to move [B], all
            float32.

        Raises:
            ValueError: If there is no game.
        """
        if not self._size:
            raise ValueError("sample must have a game that has ended, got none")
        if self._joined is None:
            self._joined = [np.concatenate(each) for each in zip(*self._arrays, strict=True)]
        chosen = random.integers(0, self._size, count)
        observations, policies, returns = (array[chosen] for array in self._joined)
        images = random.integers(0, self._images, count)
        for index in range(1, self._images):
            rows = images == index
            observations[rows], policies[rows] = self._symmetries.apply(
                index, observations[rows], policies[rows]
            )
        return observations, policies, returns

    def state(self):
        """Returns the games as arrays by name."""
        return pack(list(self._records), self._game.actions)

    def restore(self, state):
        """Takes over the games of a state.

        Args:
            state: What `state` returned.
        """
        self._records.clear()
        self._arrays.clear()
        self._size = 0
        self.add(unpack(state))

    def _examples(self, record):
        """Returns the observations, policies and returns of all positions of a game."""
        state, states = self._game.initial(), []
        for action in record.actions:
            states.append(state.clone())
            state.apply_action(action)
        seconds = np.array([state.current_player() for state in states])
        returns = np.where(seconds, -record.result, record.result).astype("float32")
        return self._game.observations(states), np.stack(record.policies), returns


def pack(records, actions):
    """Returns records as arrays by name, with their results if all are known.

    Args:
        records: A list of `Record`.
        actions: The game's number A of actions.
    """
    policies = [policy for record in records for policy in record.policies]
    arrays = {
        "lengths": np.array([len(record.actions) for record in records], np.int64),
        "actions": np.array([action for record in records for action in record.actions], np.int64),
        "policies": np.array(policies, np.float32).reshape(-1, actions),
    }
    results = [record.result for record in records]
    return arrays if None in results else arrays | {"results": np.array(results, np.float64)}


def unpack(arrays):
    """Returns the records that `pack` made into arrays.

    Args:
        arrays: The arrays by name.
    """
    ends = np.cumsum(arrays["lengths"])
    begins, results = ends - arrays["lengths"], arrays.get("results")
    return [
        Record(
            arrays["actions"][begin:end].tolist(),
            list(arrays["policies"][begin:end]),
            None if results is None else float(results[index]),
        )
        for index, (begin, end) in enumerate(zip(begins, ends, strict=True))
    ]
