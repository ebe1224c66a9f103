"""AlphaZero: a network that learns a game by playing against itself with a tree search (Sec. 8.6).

    agent = AlphaZero(Game("tic_tac_toe"), network, games=64)
    agent.learn(iterations=20)
    agent.act([agent.game.initial()])

Each iteration plays, learns, and from time to time measures (`SelfPlaySettings`). The search improves on the
network's policy, and the network learns the search's policy and the results of the games:

    pi, r <- self-play with p, v
    p, v  <- minimize (r - v)^2 - sum_a pi(a|s) log p(a|s)                     (Eq. 8.6.1)

Legend: B positions, A actions, O the shape of an observation.

References:
    Silver et al., "A general reinforcement learning algorithm that masters chess, shogi and Go through
    self-play", Science 362 (2018), arXiv:1712.01815.
"""

import dataclasses
import itertools
import pathlib
import time

import keras
import numpy as np
import tensorflow as tf

from .. import arguments
from ..losses.self_play import self_play_loss
from ..optimizers import replicas
from ..progress import Progress
from ..variables import assign, named_variables, state_of
from . import actors, agent_files, arena, elo, self_play, workers
from .descent import descend
from .evaluators import from_model
from .game_window import GameWindow, pack, unpack
from .games import Game, require_game
from .players import SearchPlayer
from .self_play_settings import SelfPlaySettings

# Separates the random draws of self-play, the arena and learning. NumPy pads seeds with zeros, so a seed
# without one of these would be that of self-play.
_PLAY, _ARENA, _LEARN = 0, 1, 2


class AlphaZero:
    """Learns a game by self-play.

    Args:
        game: The `Game`.
        network: A `keras.Model` from observations [B, *O] to logits [B, A] and values [B, 1] of the player to
            move, such as `zoo.games.alphazero.residual_tower(game)`.
        settings: The `SelfPlaySettings`; `None` for the defaults.
        optimizer: A Keras optimizer; `None` for Adam. Its weight decay takes the place of the L2 term of
            AlphaZero's loss.
        seed: Seed of all random draws but the network's initial weights.
        strategy: A `tf.distribute.MirroredStrategy` that shares each batch among its replicas; the network
            and the optimizer were made in its scope.
        executor: A `concurrent.futures.Executor` whose workers are the actors, such as
            `dask.distributed.Client(...).get_executor()`; `None` for processes on this machine.
        **changes: Settings to change, by name.

    Raises:
        ValueError: If a setting is not valid, or the network is not one for the game.
    """

    def __init__(
        self,
        game,
        network,
        settings=None,
        *,
        optimizer=None,
        seed=0,
        strategy=None,
        executor=None,
        **changes,
    ):
        settings = settings or SelfPlaySettings()
        for name in changes:
            arguments.one_of("setting of AlphaZero", name, SelfPlaySettings.__dataclass_fields__)
        self.settings = dataclasses.replace(settings, **changes)
        self.game, self.network = require_game(game), network
        self._evaluator = from_model(game, network)
        self.seed = arguments.seed("seed", seed)
        self.strategy = strategy or tf.distribute.get_strategy()
        replicas.check_divisible("batch_size", self.settings.batch_size, self.strategy)
        with self.strategy.scope():
            self.optimizer = keras.optimizers.Adam() if optimizer is None else optimizer
            self.optimizer.build(network.trainable_variables)
        self.iteration = 0
        self.window = GameWindow(game, self.settings.window, self.settings.symmetries)
        self._running = [self_play.Record() for _ in range(self.settings.games)]
        self._executor, self._own_pool = executor, None
        self._network = workers.described(network)
        # With a gate, the weights that play; they follow the network's only when it has passed.
        self._playing = workers.weights_of(network) if self.settings.gate else None
        self._ladder = arena.Ladder(self.settings.ladder)
        self._ladder.add(workers.weights_of(network), {})
        self._compiled = tf.function(self._on_replicas, autograph=False)

    def learn(self, iterations, *, progress=True, report=None):
        """Plays and learns.

        Args:
            iterations: Number of iterations.
            progress: Whether to show a progress bar.
            report: A function of (iterations in this call, logs) that is called after each iteration;
                learning stops if it returns `True`.

        Returns:
            The logs of each iteration, a list of dictionaries: `games` that ended, their mean `length`, the
            share of `draws`; `games_per_second`, `simulations_per_second`; `loss`, `policy_loss`,
            `value_loss`; after a match `elo`, where the initial network has zero, `score` against the
            latest former self, and with a gate `passed`.

        Raises:
            ValueError: If `iterations` is not positive.
            ArithmeticError: If a loss is not finite.
        """
        count = arguments.integer("iterations", iterations, 1)
        history = []
        try:
            with Progress("iteration", count, visible=progress, lines=False) as bar:
                for done in range(1, count + 1):
                    logs = self.iterate()
                    history.append(logs)
                    bar.advance(done, logs)
                    if report is not None and report(done, logs):
                        break
        finally:
            self.close()
        return history

    def iterate(self):
        """Makes one iteration; returns its logs."""
        begin = time.perf_counter()
        ended, simulations = self._play()
        seconds = time.perf_counter() - begin
        self.window.add(ended)
        logs = {"games": len(ended), "simulations_per_second": simulations / seconds}
        if ended:
            logs["games_per_second"] = len(ended) / seconds
            logs["length"] = float(np.mean([len(record.actions) for record in ended]))
            logs["draws"] = float(np.mean([record.result == 0 for record in ended]))
        if len(self.window):
            logs |= self._learn()
        self.iteration += 1
        if self.settings.arena_every and self.iteration % self.settings.arena_every == 0:
            logs |= self._measure()
        return logs

    def update(self, observations, policies, returns):
        """Makes one step of gradient descent on the loss of Eq. 8.6.1.

        Args:
            observations: Of B positions, [B, *O], where B is `batch_size`.
            policies: The search's policies there, [B, A].
            returns: The returns of the players to move, [B].

        Returns:
            The losses of the policy and the value before the step, [2].
        """
        return self._compiled(*map(tf.constant, (observations, policies, returns))).numpy()

    def act(self, states, simulations=None):
        """Returns the actions with most visits, [G].

        Args:
            states: A list of G states, none of them terminal.
            simulations: Simulations of each search; `None` for the number of self-play.
        """
        return self.player(simulations)(states)

    def player(self, simulations=None):
        """Returns the network with its search as a player for matches.

        Args:
            simulations: As for `act`.
        """
        settings = self.settings
        count = settings.simulations if simulations is None else simulations
        return SearchPlayer(self.game, self._evaluator, count, c=settings.c, solve=settings.solve)

    def close(self):
        """Ends the worker processes; they begin again when they are needed."""
        if self._own_pool is not None:
            self._own_pool.shutdown()
            self._own_pool = None

    def save(self, folder):
        """Writes the agent to a folder: `agent.json` with its settings, `network.keras` and `state.npz`.

        Args:
            folder: The folder, which must be new, empty, or hold nothing but an agent, which is replaced.

        Raises:
            ValueError: If the folder is a file or holds other files, which are kept.
        """
        described = {
            "algorithm": "AlphaZero",
            "game": self.game.name,
            "seed": self.seed,
            "settings": dataclasses.asdict(self.settings),
        }
        agent_files.write(folder, described, "network.keras", self.network, self.state())

    @classmethod
    def load(cls, folder, **options):
        """Returns an agent that `save` wrote, which learns on as if it had never stopped.

        Args:
            folder: The folder.
            **options: Further arguments of the class that it had, such as `optimizer` or `executor`.

        Raises:
            ValueError: If the folder holds no agent, or one of another algorithm.
        """
        folder = pathlib.Path(folder).expanduser()
        described = agent_files.read_description(folder, "AlphaZero")
        with (options.get("strategy") or tf.distribute.get_strategy()).scope():
            network = keras.models.load_model(folder / "network.keras", compile=False)
        agent = cls(
            Game(described["game"]),
            network,
            SelfPlaySettings(**described["settings"]),
            seed=described["seed"],
            **options,
        )
        agent.restore(agent_files.read_state(folder))
        return agent

    def state(self):
        """Returns all that further learning depends on, as arrays by name."""
        parts = {
            "window": self.window.state(),
            "running": pack(self._running, self.game.actions),
            "ladder": self._ladder.state(),
            "playing": {str(index): weight for index, weight in enumerate(self._playing or ())},
        }
        return {
            **state_of(named_variables(self.network, self.optimizer, "network")),
            **{f"agent/{part}/{name}": value for part, own in parts.items() for name, value in own.items()},
            "agent/iteration": np.array(self.iteration),
        }

    def restore(self, state):
        """Restores a state.

        Args:
            state: What `state` returned for an agent of the same game, network and settings.

        Raises:
            ValueError: If it is the state of another agent.
        """
        if "agent/iteration" not in state or "agent/running/lengths" not in state:
            raise ValueError("state must be that of AlphaZero, but agent/iteration is missing")
        variables = {name: value for name, value in state.items() if not name.startswith("agent/")}
        assign(named_variables(self.network, self.optimizer, "network"), variables)

        def part(name):
            prefix = f"agent/{name}/"
            return {key.removeprefix(prefix): v for key, v in state.items() if key.startswith(prefix)}

        self.window.restore(part("window"))
        self._running = unpack(part("running"))
        self._ladder.restore(part("ladder"))
        playing = part("playing")
        self._playing = [playing[str(index)] for index in range(len(playing))] or None
        self.iteration = int(state["agent/iteration"])

    def _play(self):
        """Plays all games for some moves; returns those that ended and the number of simulations."""
        weights = self._playing or workers.weights_of(self.network)
        tasks = [
            self_play.Task(
                self.game.name,
                self._network,
                weights,
                list(records),
                self.settings,
                (self.seed, self.iteration, _PLAY, index),
            )
            for index, records in enumerate(self._parts(self._running))
        ]
        played = self._run(self_play.play_moves, tasks)
        ended, running, simulations = zip(*played, strict=True)
        self._running = [record for part in running for record in part]
        return [record for part in ended for record in part], sum(simulations)

    def _learn(self):
        """Learns from the window; returns the mean losses."""
        random = np.random.default_rng((self.seed, self.iteration, _LEARN))
        sums = np.zeros(2)
        for _ in range(self.settings.updates):
            batch = self.window.sample(random, self.settings.batch_size)
            sums += self.update(*batch)
        policy, value = (sums / self.settings.updates).tolist()
        if not np.isfinite(policy + value):
            raise ArithmeticError(f"the loss is {policy + value} in iteration {self.iteration + 1}")
        return {"loss": policy + value, "policy_loss": policy, "value_loss": value}

    def _on_replicas(self, *batch):
        return self.strategy.reduce("MEAN", self.strategy.run(self._step, batch), axis=None)

    def _step(self, *batch):
        observations, policies, returns = replicas.own_rows(
            batch, self.settings.batch_size // replicas.number()
        )
        weights = self.network.trainable_variables
        with tf.GradientTape() as tape:
            logits, values = self.network(observations, training=True)
            values = tf.squeeze(values, -1)
            loss = self_play_loss(logits, values, policies, returns)
        descend(self.optimizer, tape.gradient(loss, [w.value for w in weights]), weights)
        value = tf.reduce_mean((returns - values) ** 2)
        return tf.stack([loss - value, value])

    def _measure(self):
        """Plays against former selves; returns the logs."""
        settings, ladder = self.settings, self._ladder
        own = workers.weights_of(self.network)
        # Pairs of games stay together, in which the players change sides.
        sizes = [2 * len(pairs) for pairs in self._parts(range(settings.arena_games // 2))]
        tasks, opponents = [], []
        for number, weights in ladder.weights.items():
            for index, size in enumerate(sizes):
                seeds = np.random.SeedSequence((self.seed, self.iteration, _ARENA, number, index))
                seed = int(seeds.generate_state(1)[0] % 2**31)
                tasks.append(arena.Task(self.game.name, self._network, own, weights, size, settings, seed))
                opponents.append((number, size))
        points = {number: np.zeros(2) for number in ladder.weights}
        for (number, size), won in zip(opponents, self._run(arena.meet, tasks), strict=True):
            points[number] += (won, size - won)
        latest = max(points)
        score = float(points[latest][0] / points[latest].sum())
        passed = score >= settings.gate
        if passed and settings.gate:
            self._playing = own
        number = ladder.add(own if passed else None, points)
        logs = {"elo": float(elo.ratings(ladder.points)[number]), "score": score}
        return logs | {"passed": float(passed)} if settings.gate else logs

    def _parts(self, items):
        """Splits items among the actors, as evenly as possible."""
        count = min(max(self.settings.actors, 1), len(items))
        bounds = np.linspace(0, len(items), count + 1).round().astype(int)
        return [items[begin:end] for begin, end in itertools.pairwise(bounds)]

    def _run(self, function, tasks):
        """Returns a function's values for all tasks, from actors if there are any."""
        executor = self._executor
        if executor is None and not self.settings.actors:
            return [function(task) for task in tasks]
        if executor is None:
            if self._own_pool is not None and workers.is_lost(self._own_pool):
                self.close()
            self._own_pool = self._own_pool or workers.pool(self.settings.actors)
            executor = self._own_pool
        return actors.completed(executor, function, tasks)
