"""Matches of a network against its former selves, and the ratings that follow (Sec. 8.6).

Legend: P networks.
"""

import dataclasses

import numpy as np

from .evaluators import from_model
from .games import Game
from .matches import play
from .players import SearchPlayer
from .self_play_settings import SelfPlaySettings
from .workers import network

# Random moves at the beginning of each pair of games.
_OPENING = 2


@dataclasses.dataclass(frozen=True)
class Task:
    """A match that an actor plays.

    Args:
        game: Name of the game.
        network: The configuration of both networks, as JSON.
        first: Weights of one network.
        second: Weights of the other.
        games: Number of games.
        settings: The `SelfPlaySettings`.
        seed: Seed of all random draws.
    """

    game: str
    network: str
    first: list
    second: list
    games: int
    settings: SelfPlaySettings
    seed: int


def meet(task):
    """Plays a match; runs in the actor.

    Args:
        task: The `Task`.

    Returns:
        The points of the first network, a draw counting one half.
    """
    game, settings = Game(task.game), task.settings
    players = [
        SearchPlayer(
            game,
            from_model(game, network(task.network, weights, slot)),
            settings.arena_simulations,
            c=settings.c,
            solve=settings.solve,
        )
        for slot, weights in enumerate((task.first, task.second))
    ]
    match = play(game, *players, task.games, _OPENING, task.seed)
    return match.wins + match.draws / 2


class Ladder:
    """The points of networks against each other, and the weights of the latest ones.

    Args:
        keep: Number of networks whose weights are kept.
    """

    def __init__(self, keep):
        self._keep = keep
        self.points = np.zeros((0, 0))
        # Weights by the number of the network, the latest last.
        self.weights = {}

    def add(self, weights, points):
        """Adds a network.

        Args:
            weights: Its weights, or `None` if it does not become an opponent.
            points: Its points, and those of its opponent, by the opponent's number.

        Returns:
            Its number.
        """
        number = len(self.points)
        larger = np.zeros((number + 1, number + 1))
        larger[:number, :number] = self.points
        for opponent, (own, other) in points.items():
            larger[number, opponent], larger[opponent, number] = own, other
        self.points = larger
        if weights is not None:
            self.weights[number] = [np.array(weight) for weight in weights]
            for oldest in sorted(self.weights)[: -self._keep]:
                del self.weights[oldest]
        return number

    def state(self):
        """Returns the ladder as arrays by name."""
        weights = {
            f"weights/{number}/{index}": weight
            for number, network in self.weights.items()
            for index, weight in enumerate(network)
        }
        return {"points": self.points.copy(), **weights}

    def restore(self, state):
        """Takes over a ladder.

        Args:
            state: What `state` returned.
        """
        self.points, self.weights = state["points"].copy(), {}
        numbered = sorted(
            tuple(map(int, name.split("/")[1:])) for name in state if name.startswith("weights/")
        )
        for number, index in numbered:
            self.weights.setdefault(number, []).append(np.array(state[f"weights/{number}/{index}"]))
