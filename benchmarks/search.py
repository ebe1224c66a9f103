"""Compares the tree search with OpenSpiel's `MCTSBot` in Python: simulations per second.

    python benchmarks/search.py [--game connect_four] [--games 1 16 64] [--simulations 200] [--rounds 5]
    python benchmarks/search.py --figure search.png

Both select by PUCT with the same constant, from the beginning of the game, without noise and without a
solver. OpenSpiel's bot searches one game after the other, curvezoo all at once. The evaluators are the same:

- uniform: equal priors, values of zero. This is the cost of the search itself.
- rollout: equal priors, the return of one random game.
- network: the network of the recipe `alphazero_GAME`, with one compiled function for both. OpenSpiel's bot
  asks it about one state at a time, and once only. Both multiply in bfloat16 where the processor can, as the
  workers of self-play do.

Variants alternate in one process of one thread. Times are medians over rounds, of processor time; the ratio
is the median over the rounds of both times in the same round. `--figure` draws curvezoo's simulations per
second against the number of games and of simulations.
"""

import argparse
import functools
import importlib.metadata
import os
import platform
import statistics
import time

import numpy as np
import pyspiel
import tensorflow as tf
from open_spiel.python.algorithms import mcts

# As in the workers of self-play; it must be set before TensorFlow's first operation.
os.environ.setdefault("TF_SET_ONEDNN_FPMATH_MODE", "BF16")

from curvezoo import zoo
from curvezoo.agents import Game, Search
from curvezoo.agents.evaluators import Rollouts, from_model, uniform

# OpenSpiel's bot with a network takes a millisecond for a simulation.
NETWORK_GAMES = 8


class Uniform(mcts.Evaluator):
    """Equal priors and values of zero."""

    def evaluate(self, state):
        """Returns the values for both players."""
        return np.zeros(2)

    def prior(self, state):
        """Returns pairs of a legal action and its probability."""
        legal = state.legal_actions()
        return [(action, 1 / len(legal)) for action in legal]


class Network(mcts.Evaluator):
    """Priors and values of one of our evaluators, which sees each state once."""

    def __init__(self, evaluator):
        self._evaluator, self._last, self._found = evaluator, None, None

    def evaluate(self, state):
        """Returns the values for both players."""
        _, [value] = self._of(state)
        return np.array([value, -value] if state.current_player() == 0 else [-value, value])

    def prior(self, state):
        """Returns pairs of a legal action and its probability."""
        [priors], _ = self._of(state)
        legal = state.legal_actions()
        total = priors[legal].sum()
        return [(action, priors[action] / total) for action in legal]

    def _of(self, state):
        # The bot asks for the value of a state right after its priors.
        if self._last != state.history():
            self._last, self._found = state.history(), self._evaluator([state])
        return self._found


@functools.cache
def network(name):
    """Returns the evaluator of the recipe's network, with new weights."""
    return from_model(Game(name), zoo.build(f"alphazero_{name}"))


EVALUATORS = {
    "uniform": (lambda name: uniform, lambda name: Uniform()),
    "rollout": (
        lambda name: Rollouts(1),
        lambda name: mcts.RandomRolloutEvaluator(1, np.random.RandomState(0)),
    ),
    "network": (network, lambda name: Network(network(name))),
}


def own(name, evaluator, games, simulations, c):
    """Searches all games at once; returns seconds."""
    begin = time.process_time()
    Search(Game(name), evaluator, games, c=c).run(simulations)
    return time.process_time() - begin


def peer(name, evaluator, games, simulations, c):
    """Searches one game after the other; returns seconds."""
    game = pyspiel.load_game(name)
    bot = mcts.MCTSBot(
        game,
        c,
        simulations,
        evaluator,
        solve=False,
        random_state=np.random.RandomState(0),
        child_selection_fn=mcts.SearchNode.puct_value,
    )
    searched = min(games, NETWORK_GAMES) if isinstance(evaluator, Network) else games
    begin = time.process_time()
    for _ in range(searched):
        bot.mcts_search(game.new_initial_state())
    return (time.process_time() - begin) * games / searched


def draw(name, c, path):
    """Measures and draws how the speed grows with the numbers of games and of simulations."""
    from curvezoo.publishing.page import style

    figure, axes = style.canvas(8, 3.6, columns=2)
    colors = (style.BLUE, style.GREEN, style.VERMILION)
    numbers = {"games": (1, 2, 4, 8, 16, 32, 64, 128, 256), "simulations": (10, 30, 100, 300, 1000)}
    for axis, (title, values) in zip(axes[0], numbers.items(), strict=True):
        fixed = "100 simulations a game" if title == "games" else "64 games"
        for (evaluator, (make, _)), color in zip(EVALUATORS.items(), colors, strict=True):
            speeds = []
            for value in values:
                games, simulations = (value, 100) if title == "games" else (64, value)
                seconds = min(own(name, make(name), games, simulations, c) for _ in range(3))
                speeds.append(games * simulations / seconds)
            axis.plot(values, speeds, marker="o", markersize=3, color=color, label=evaluator)
        axis.set(xscale="log", yscale="log", xlabel=f"{title} ({fixed})", ylabel="simulations per second")
    style.legend_below(figure)
    figure.savefig(path, dpi=144)


def main():
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--game", default="connect_four")
    parser.add_argument("--games", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--simulations", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--c", type=float, default=2.0)
    parser.add_argument("--figure", metavar="FILE", help="draw the growth instead")
    arguments = parser.parse_args()
    for set_threads in (
        tf.config.threading.set_intra_op_parallelism_threads,
        tf.config.threading.set_inter_op_parallelism_threads,
    ):
        set_threads(1)
    if arguments.figure:
        draw(arguments.game, arguments.c, arguments.figure)
        return
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in ("open_spiel", "numpy", "tensorflow")
    )
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}, {versions}")
    print(f"{arguments.game}, {arguments.simulations} simulations a game, {arguments.rounds} rounds\n")
    print("| evaluator | games | curvezoo, simulations/s | OpenSpiel, simulations/s | ratio |")
    print("|---|---|---|---|---|")
    for evaluator, (make_own, make_peer) in EVALUATORS.items():
        for games in arguments.games:
            settings = (games, arguments.simulations, arguments.c)
            times = [
                (
                    own(arguments.game, make_own(arguments.game), *settings),
                    peer(arguments.game, make_peer(arguments.game), *settings),
                )
                for _ in range(arguments.rounds)
            ]
            total = games * arguments.simulations
            ours, theirs = (total / statistics.median(each) for each in zip(*times, strict=True))
            ratio = statistics.median(second / first for first, second in times)
            print(f"| {evaluator} | {games} | {ours:,.0f} | {theirs:,.0f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
