"""Games of a network against itself, played by actors (Sec. 8.6).

An actor receives the weights and games under way, plays all of them for some moves, and returns those that
ended and those that go on. It keeps nothing that matters: if it is lost, its moves are played again. A
game that has ended is followed by a new one, so that all searches share large batches at all times.

Legend: A actions, M moves of a game.
"""

import dataclasses

import numpy as np

from .evaluators import from_model
from .games import Game
from .search import Search
from .self_play_settings import SelfPlaySettings
from .workers import network


@dataclasses.dataclass
class Record:
    """A game of self-play.

    Args:
        actions: The moves, a list of M.
        policies: The policy pi of the search at each position (Eq. 8.6.5 with a temperature of one), a list
            of M arrays [A].
        result: The return of the first player once it is known.
    """

    actions: list = dataclasses.field(default_factory=list)
    policies: list = dataclasses.field(default_factory=list)
    result: float | None = None


@dataclasses.dataclass(frozen=True)
class Task:
    """What an actor needs.

    Args:
        game: Name of the game.
        network: The configuration of the network, as JSON.
        weights: Its weights.
        records: The games under way.
        settings: The `SelfPlaySettings`.
        seed: Integers that determine all random draws.
    """

    game: str
    network: str
    weights: list
    records: list
    settings: SelfPlaySettings
    seed: tuple


def play_moves(task):
    """Plays all games of a task for `settings.moves` moves; runs in the actor.

    Args:
        task: The `Task`.

    Returns:
        The records of games that ended, those of games under way, and the number of simulations.
    """
    settings, game = task.settings, Game(task.game)
    noise_seed, random_seed = np.random.SeedSequence(task.seed).generate_state(2)
    random = np.random.default_rng(random_seed)
    records = [Record(list(record.actions), list(record.policies)) for record in task.records]
    search = Search(
        game,
        from_model(game, network(task.network, task.weights)),
        [game.after(*record.actions) for record in records],
        c=settings.c,
        noise=settings.noise,
        concentration=settings.concentration,
        solve=settings.solve,
        seed=int(noise_seed % 2**31),
    )
    ended, simulations = [], 0
    for _ in range(settings.moves):
        before = search.visits.sum()
        search.run(settings.simulations)
        simulations += search.visits.sum() - before
        policies = search.policy()
        plies = np.array([len(record.actions) for record in records])
        exploring = plies < settings.exploring_moves
        played = search.policy(np.where(exploring, settings.temperature, settings.final_temperature))
        actions = _drawn(random, played)
        # A proven return is that of the player to move.
        seconds = np.array([state.current_player() for state in search.states])
        results = np.where(seconds, -1.0, 1.0) * search.proven
        for record, action, policy in zip(records, actions.tolist(), policies, strict=True):
            record.actions.append(action)
            record.policies.append(policy.astype("float32"))
        search.advance(actions)
        results = np.where(search.over, search.results, results)
        for index in np.flatnonzero(~np.isnan(results)):
            records[index].result = float(results[index])
            ended.append(records[index])
            records[index] = Record()
            search.replace(int(index))
    return ended, records, int(simulations)


def _drawn(random, probabilities):
    """Returns an action for each row of probabilities, [G]."""
    sums = probabilities.cumsum(-1)
    return (random.random((len(sums), 1)) * sums[:, -1:] >= sums).sum(-1)
