"""Matches between two players of a game (Sec. 8.6).

    match = play(Game("connect_four"), SearchPlayer(...), RandomPlayer(), games=100)
    match.score

A player is any function of a list of G states, none of them terminal, that returns G legal actions.
"""

import dataclasses

import numpy as np

from .. import arguments
from .games import require_legal


@dataclasses.dataclass(frozen=True)
class Match:
    """Results of the first of two players.

    Args:
        results: In each game 1 if the first player won, 0 for a draw, -1 if it lost, [N].
        began: Whether the first player made the first move of the game, bool, [N].
    """

    results: np.ndarray
    began: np.ndarray

    @property
    def games(self):
        """Number of games."""
        return len(self.results)

    @property
    def wins(self):
        """Games that the first player won."""
        return int((self.results > 0).sum())

    @property
    def draws(self):
        """Games that nobody won."""
        return int((self.results == 0).sum())

    @property
    def losses(self):
        """Games that the first player lost."""
        return int((self.results < 0).sum())

    @property
    def score(self):
        """The first player's share of the points, a draw counting one half."""
        return (self.wins + self.draws / 2) / self.games

    def part(self, began):
        """Returns the results of the games in which the first player began, or did not begin.

        Args:
            began: Which of both.
        """
        chosen = self.began == began
        return Match(self.results[chosen], self.began[chosen])


def play(game, first, second, games, opening=0, seed=0):
    """Plays a match, all games at the same time.

    The first player begins half of the games, rounded up. Games come in pairs of one opening, in which the
    players change sides.

    Args:
        game: The `Game`.
        first: A player.
        second: Its opponent.
        games: Number of games.
        opening: Random moves at the beginning of each game, so that players without chance do not repeat one
            game. An opening that ends the game is drawn again.
        seed: Seed of the openings.

    Returns:
        The `Match`.

    Raises:
        ValueError: If an argument is not valid, or a player's action is not legal.
    """
    count = arguments.integer("games", games, 1)
    random = np.random.default_rng(arguments.seed("seed", seed))
    opening = arguments.integer("opening", opening, 0)
    beginnings = [_opening(game, opening, random) for _ in range((count + 1) // 2)]
    states = [beginnings[index // 2].clone() for index in range(count)]
    # Opening moves count as moves of the side whose turn it is.
    began = np.arange(count) % 2 == 0
    running = np.arange(count)
    while len(running):
        turn = np.array([states[index].current_player() == 0 for index in running]) == began[running]
        for name, player, moving in (("first", first, running[turn]), ("second", second, running[~turn])):
            if len(moving):
                _move(name, player, [states[index] for index in moving])
        running = running[[not states[index].is_terminal() for index in running]]
    returns = np.array([state.returns()[0] for state in states])
    return Match(np.sign(np.where(began, returns, -returns)).astype(np.int64), began)


def _opening(game, plies, random):
    """Returns a state after random moves."""
    for _ in range(1000):
        state = game.initial()
        for _ in range(plies):
            if state.is_terminal():
                break
            state.apply_action(int(random.choice(state.legal_actions())))
        if not state.is_terminal():
            return state
    raise ValueError(f"opening must leave a game under way, got {plies} moves in {game.name}")


def _move(name, player, states):
    """Applies a player's actions."""
    actions = np.asarray(player(states))
    arguments.has_shape(f"actions of the {name} player", actions, (len(states),))
    for state, action in zip(states, actions.tolist(), strict=True):
        require_legal(f"an action of the {name} player", action, state)
        state.apply_action(action)
