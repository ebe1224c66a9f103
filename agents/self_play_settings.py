"""The settings of self-play. This module does not import TensorFlow."""

import dataclasses

from .. import arguments


@dataclasses.dataclass(frozen=True)
class SelfPlaySettings:
    """How a network plays against itself, and what it learns from.

    An iteration has three parts: every game goes on by some moves, the network learns from positions of the
    last games that have ended, and from time to time it meets its former selves.

    Args:
        simulations: Simulations of each search.
        c: The constant c_puct of Eq. 8.6.2.
        noise: Fraction of Dirichlet noise in the priors of the roots.
        concentration: Parameter of the Dirichlet distribution; about 10 divided by the number of legal moves.
        temperature: tau of Eq. 8.6.5 for the first moves of a game.
        exploring_moves: Number of these moves.
        final_temperature: tau for later moves.
        solve: Whether proven results are passed upwards. A game whose result is proven ends there.
        games: Games that are played at the same time.
        moves: Moves of each game in an iteration.
        actors: Parts among which the games are shared, each in a worker process; 0 for one part in this
            process.
        window: Positions of the latest games from which the network learns.
        updates: Steps of gradient descent in an iteration.
        batch_size: Positions in each of them.
        symmetries: Whether images of the positions under the game's symmetries are learned from.
        arena_every: Iterations between matches with former selves; 0 for none.
        arena_games: Games of each match, an even number.
        arena_simulations: Simulations of each search in a match.
        ladder: Number of former selves that are met, the latest ones.
        gate: Share of the points against the latest of them that a network needs to become the one that
            plays; 0 to take every network, as AlphaZero does.

    Raises:
        ValueError: If a value is not valid.
    """

    simulations: int = 64
    c: float = 2.0
    noise: float = 0.25
    concentration: float = 1.0
    temperature: float = 1.0
    exploring_moves: int = 10
    final_temperature: float = 0.1
    solve: bool = True
    games: int = 128
    moves: int = 16
    actors: int = 2
    window: int = 50_000
    updates: int = 100
    batch_size: int = 256
    symmetries: bool = True
    arena_every: int = 5
    arena_games: int = 40
    arena_simulations: int = 32
    ladder: int = 2
    gate: float = 0.0

    def __post_init__(self):
        for name in ("simulations", "games", "moves", "window", "updates", "batch_size", "ladder"):
            arguments.integer(name, getattr(self, name), 1)
        for name in ("exploring_moves", "actors", "arena_every"):
            arguments.integer(name, getattr(self, name), 0)
        arguments.integer("arena_games", self.arena_games, 2)
        arguments.integer("arena_simulations", self.arena_simulations, 1)
        for name in ("c", "concentration"):
            arguments.positive_number(name, getattr(self, name))
        for name in ("temperature", "final_temperature"):
            arguments.nonnegative_number(name, getattr(self, name))
        for name in ("noise", "gate"):
            arguments.unit_interval(name, getattr(self, name))
        for name in ("solve", "symmetries"):
            arguments.boolean(name, getattr(self, name))
        if self.arena_games % 2:
            raise ValueError(f"arena_games must be even, got {self.arena_games}")
        if self.gate and not self.arena_every:
            raise ValueError(f"gate must be 0 without matches (arena_every=0), got {self.gate}")
        if self.actors > self.games:
            raise ValueError(f"actors must be at most the {self.games} games, got {self.actors}")
