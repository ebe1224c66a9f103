"""Players of games: random, one-step, perfect, Monte Carlo, and those of a network with and without search.

    player = SearchPlayer(Game("connect_four"), Rollouts(), simulations=100)
    actions = player(states)

A player is any function of a list of G states, none of them terminal, that returns a legal action for each,
integers [G]. The states may belong to different games in progress.

Legend: G states, A actions of the game.
"""

import random

import numpy as np

from .. import arguments
from .games import require_game, under_way
from .minimax import LIMIT, position, solved
from .search import Search

# MiB of OpenSpiel's tree, beyond which it drops rarely visited nodes.
_MEMORY = 1000


class RandomPlayer:
    """Plays uniformly random legal actions.

    Args:
        seed: Seed of the draws.
    """

    def __init__(self, seed=0):
        self._random = random.Random(arguments.seed("seed", seed))

    def __call__(self, states):
        """Returns actions [G]."""
        return np.array([self._random.choice(state.legal_actions()) for state in under_way(states)], np.int64)


class OneStepPlayer:
    """Wins if one move suffices, and does not let the opponent win with the next move if that can be avoided.

    Among the actions that are left it draws at random. In connect four it plays like the one-step player of
    alpha-zero-general, except that it does not put a stone below a field with which the opponent wins.

    Args:
        seed: Seed of the draws.
    """

    def __init__(self, seed=0):
        self._random = random.Random(arguments.seed("seed", seed))

    def __call__(self, states):
        """Returns actions [G]."""
        chosen = [self._random.choice(self._candidates(state)) for state in under_way(states)]
        return np.array(chosen, np.int64)

    def _candidates(self, state):
        """Returns the winning actions, or else those that prevent an immediate loss, or else all."""
        player = state.current_player()
        children = {action: state.child(action) for action in state.legal_actions()}
        winning = [action for action, child in children.items() if _won(child, player)]
        return winning or [a for a, child in children.items() if not _loses(child, player)] or [*children]


def _won(state, player):
    return state.is_terminal() and state.returns()[player] > 0


def _loses(state, player):
    """Returns whether the opponent has won or wins with one move."""
    if state.is_terminal():
        return state.returns()[player] < 0
    opponent = 1 - player
    return state.current_player() == opponent and any(
        _won(state.child(action), opponent) for action in state.legal_actions()
    )


class MinimaxPlayer:
    """Plays perfectly: a random one of the actions that reach the value of the position.

    Args:
        game: The `Game`.
        seed: Seed of the draws.
        limit: Largest number of positions to solve.

    Attributes:
        table: The `Solution` of each position, as `minimax.solved` returns it.

    Raises:
        ValueError: If the game is too large to solve, or one of its positions can occur twice in a game.
    """

    def __init__(self, game, seed=0, limit=LIMIT):
        self._random = random.Random(arguments.seed("seed", seed))
        self.table = solved(game, arguments.integer("limit", limit, 1))
        self._game = game

    def __call__(self, states):
        """Returns actions [G]."""
        chosen = [self._random.choice(self._solution(state).actions) for state in under_way(states)]
        return np.array(chosen, np.int64)

    def _solution(self, state):
        try:
            return self.table[position(state)]
        except KeyError:
            raise ValueError(
                f"states must be reachable in {self._game} and not terminal, got {arguments.described(state)}"
            ) from None


class MCTSPlayer:
    """OpenSpiel's Monte Carlo tree search, which values a new state by a random game from it.

    It chooses actions with the bound c sqrt(log N / n) of UCT, passes proven results upwards, and needs no
    network.

    Args:
        game: The `Game`.
        rollouts: Random games for each move.
        c: The constant of the bound.
        seed: Seed of the games.

    References:
        Kocsis and Szepesvari, "Bandit based Monte-Carlo planning" (2006).
    """

    def __init__(self, game, rollouts=1000, c=2.0, seed=0):
        spiel_game = require_game(game).initial().get_game()
        import pyspiel

        rollouts = arguments.integer("rollouts", rollouts, 1)
        c, seed = arguments.positive_number("c", c), arguments.seed("seed", seed)
        evaluator = pyspiel.RandomRolloutEvaluator(1, seed)
        self._bot = pyspiel.MCTSBot(spiel_game, evaluator, c, rollouts, _MEMORY, True, seed, False)

    def __call__(self, states):
        """Returns actions [G]."""
        return np.array([self._bot.step(state) for state in under_way(states)], np.int64)


class SearchPlayer:
    """Plays by the visit counts of a new tree search of each state, all states at once (Sec. 8.6).

    Args:
        game: The `Game`.
        evaluator: Priors and values of states, as for `Search`, such as a `Network`.
        simulations: Simulations for each move.
        c: The constant c_puct of Eq. 8.6.2.
        temperature: tau of Eq. 8.6.5, with which the first moves are drawn.
        moves: How many moves of a game, counting those of both players, are drawn; afterwards the action
            with most visits is played.
        noise: Fraction of Dirichlet noise in the priors of the roots.
        solve: Whether proven results are passed upwards.
        seed: Seed of the draws and the noise.

    Raises:
        ValueError: If an argument is not valid.
    """

    def __init__(
        self,
        game,
        evaluator,
        simulations=100,
        c=1.25,
        temperature=0.0,
        moves=0,
        noise=0.0,
        solve=True,
        seed=0,
    ):
        self.game, self._evaluator = require_game(game), evaluator
        self._simulations = arguments.integer("simulations", simulations, 1)
        self._temperature = arguments.nonnegative_number("temperature", temperature)
        self._moves = arguments.integer("moves", moves, 0)
        self._options = {"c": c, "noise": noise, "solve": solve}
        self._random = np.random.default_rng(arguments.seed("seed", seed))
        # Building a search checks the evaluator and the options now rather than in the first game.
        Search(game, evaluator, **self._options)

    def search(self, states):
        """Returns the `Search` of some states after all simulations."""
        seed = int(self._random.integers(2**31))
        search = Search(self.game, self._evaluator, under_way(states), **self._options, seed=seed)
        search.run(self._simulations)
        return search

    def __call__(self, states):
        """Returns actions [G]."""
        search = self.search(states)
        actions = search.best()
        drawn = [index for index, state in enumerate(states) if state.move_number() < self._moves]
        if drawn and self._temperature:
            policy = search.policy(self._temperature)
            actions[drawn] = [self._random.choice(self.game.actions, p=policy[index]) for index in drawn]
        return actions


class PolicyPlayer:
    """Plays the legal action of largest prior, without search.

    Args:
        game: The `Game`.
        evaluator: Priors and values of states, as for `Search`, such as a `Network`.

    Raises:
        ValueError: If an argument is not valid.
    """

    def __init__(self, game, evaluator):
        self._game = require_game(game)
        if not callable(evaluator):
            raise ValueError(f"evaluator must be callable, got {arguments.described(evaluator)}")
        self._evaluator = evaluator

    def __call__(self, states):
        """Returns actions [G]."""
        priors, _ = self._evaluator(under_way(states))
        arguments.has_shape("the evaluator's priors", priors, (len(states), self._game.actions))
        priors = arguments.nonnegative("the evaluator's priors", priors)
        return np.where(self._game.legal(states), priors, -1).argmax(-1)
