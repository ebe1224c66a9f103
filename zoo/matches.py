"""Matches of the zoo's networks against other players of their game, and these networks as players."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from .. import arguments, quiet
from ..publishing import cards
from ..training.self_play import game_of, search_of
from . import catalogue

if TYPE_CHECKING:
    from ..agents.matches import Match
    from ..agents.players import SearchPlayer

# The measure of networks that play games.
MEASURE = "games"
OPPONENTS = ("random", "one_step", "minimax", "mcts", "mcts:ROLLOUTS", "policy")
"""Names of opponents besides those of networks."""

# Random moves at the beginning, since networks do not vary their moves.
_OPENING = 2


def player(
    name: str | os.PathLike,
    *,
    simulations: int | None = None,
    temperature: float = 0.0,
    moves: int = 0,
    seed: int = 0,
) -> SearchPlayer:
    """Returns a published network with its tree search as a player.

    Args:
        name: A published name, or a folder with a card, such as a run's folder.
        simulations: Simulations for each move; those of its card by default.
        temperature: tau of Eq. 8.6.5, with which the first `moves` moves of a game are drawn.
        moves: Number of moves, counting those of both players, that are drawn.
        seed: Seed of the draws.

    Returns:
        A `SearchPlayer`, a function of a list of OpenSpiel states that returns actions; its `game` is the
        `Game`.

    Raises:
        ValueError: If there is no such network, or a setting is not valid.
    """
    card, game = check(name, simulations)
    arguments.seed("seed", seed)
    quiet.load_keras()
    from ..agents.players import SearchPlayer

    search = search_of(card)
    return SearchPlayer(
        game,
        _evaluator(name, game),
        search["simulations"] if simulations is None else simulations,
        c=search["c"],
        temperature=temperature,
        moves=moves,
        seed=seed,
    )


def match(
    name: str | os.PathLike,
    against: str | os.PathLike = "random",
    *,
    games: int = 100,
    simulations: int | None = None,
    opening: int | None = None,
    seed: int = 0,
) -> Match:
    """Plays a match between a published network with its search and another player.

    Args:
        name: A published name, or a folder with a card, such as a run's folder.
        against: The opponent: `random`; `one_step`, which wins or prevents a loss with one move; `minimax`,
            which plays small games perfectly; `mcts` or `mcts:ROLLOUTS`, OpenSpiel's Monte Carlo tree search
            with 1,000 or another number of random games for each move; `policy`, the same network without
            search; or the name or the folder of another network for the same game.
        games: Number of games; each player begins half of them.
        simulations: Simulations for each move of both networks; those of each one's card by default.
        opening: Random moves at the beginning of each game; by default 2 against networks, since these do
            not vary their moves, and none against others.
        seed: Seed of all random draws.

    Returns:
        The `Match`: `wins`, `draws` and `losses` of the network, its `score`, and `part(began)` of them.

    Raises:
        ValueError: If there is no such network or opponent, they play different games, or a setting is not
            valid.
    """
    _, game = check(name, simulations)
    arguments.integer("games", games, 1)
    arguments.seed("seed", seed)
    opponent = _opponent(against, game, seed)
    if opening is None:
        opening = _OPENING if opponent is None else 0
    arguments.integer("opening", opening, 0)
    network = player(name, simulations=simulations, seed=seed)
    from ..agents import matches
    from ..agents.players import PolicyPlayer

    if opponent is None and against == "policy":
        opponent = PolicyPlayer(game, _evaluator(name, game))
    elif opponent is None:
        opponent = player(against, simulations=simulations, seed=seed)
    return matches.play(game, network, opponent, games, opening, seed)


def names() -> list[str]:
    """Returns the names of the published networks that play games."""
    return catalogue.measured_by((MEASURE,))


def check(name, simulations=None):
    """Checks that a network plays a game, without importing TensorFlow.

    Args:
        name: As for `match`.
        simulations: As for `match`.

    Returns:
        The card and the `Game`.

    Raises:
        ValueError: If not.
    """
    if simulations is not None:
        arguments.integer("simulations", simulations, 1)
    card = cards.read(cards.folder_of(name))
    if card["measure"] != MEASURE:
        valid = ", ".join(names()) or "none is published yet"
        raise ValueError(f"name must be that of a network for a game, got {str(name)!r}; valid: {valid}")
    return card, game_of(card).make()


def _opponent(against, game, seed):
    """Returns an opponent that needs no network; `None` for others, after checking their game."""
    from ..agents import players

    rollouts = re.fullmatch(r"mcts(?::(\d+))?", str(against))
    if rollouts:
        return players.MCTSPlayer(game, int(rollouts[1] or 1000), seed=seed)
    if against == "minimax":
        return players.MinimaxPlayer(game, seed)
    if against in ("random", "one_step"):
        return {"random": players.RandomPlayer, "one_step": players.OneStepPlayer}[against](seed)
    if against != "policy":
        _require_game(against, game)
    return None


def _require_game(against, game):
    """Checks that an opponent is a network for a game."""
    try:
        cards.folder_of(against)
    except ValueError:
        valid = [*OPPONENTS, *(name for name in names() if check(name)[1].name == game.name)]
        raise ValueError(
            f"against must be {', '.join(valid)}, or the folder of a network for {game.name}, got "
            f"{arguments.described(against)}{arguments.did_you_mean(against, valid)}"
        ) from None
    _, other = check(against)
    if other.name != game.name:
        raise ValueError(
            f"against must be a network for {game.name}, got {str(against)!r}, which plays {other.name}"
        )


def _evaluator(name, game):
    """Returns a published network as an evaluator."""
    from ..agents.evaluators import from_model
    from ..publishing import saved_model

    return from_model(game, saved_model.load(name))
