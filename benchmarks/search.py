"""Compares the tree search with OpenSpiel's `MCTSBot` in Python: simulations per second.

    python benchmarks/search.py [--game connect_four] [--games 1 16 64] [--simulations 200] [--rounds 5]

Both select by PUCT with the same constant, from the beginning of the game, without noise and without a
solver. OpenSpiel's bot searches one game after the other, curvezoo all at once. The evaluators are the same:

- uniform: equal priors, values of zero. This is the cost of the search itself.
- rollout: equal priors, the return of one random game.

Variants alternate in one process of one thread. Times are medians over rounds, of processor time; the ratio
is the median over the rounds of both times in the same round.
"""

import argparse
import importlib.metadata
import os
import platform
import statistics
import time

import numpy as np
import pyspiel
from open_spiel.python.algorithms import mcts

from curvezoo.agents import Game, Search
from curvezoo.agents.evaluators import Rollouts, uniform


class Uniform(mcts.Evaluator):
    """Equal priors and values of zero."""

    def evaluate(self, state):
        """Returns the values for both players."""
        return np.zeros(2)

    def prior(self, state):
        """Returns pairs of a legal action and its probability."""
        legal = state.legal_actions()
        return [(action, 1 / len(legal)) for action in legal]


EVALUATORS = {
    "uniform": (lambda: uniform, Uniform),
    "rollout": (
        lambda: Rollouts(1),
        lambda: mcts.RandomRolloutEvaluator(1, np.random.RandomState(0)),
    ),
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
    begin = time.process_time()
    for _ in range(games):
        bot.mcts_search(game.new_initial_state())
    return time.process_time() - begin


def main():
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--game", default="connect_four")
    parser.add_argument("--games", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--simulations", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--c", type=float, default=2.0)
    arguments = parser.parse_args()
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("open_spiel", "numpy"))
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}, {versions}")
    print(f"{arguments.game}, {arguments.simulations} simulations a game, {arguments.rounds} rounds\n")
    print("| evaluator | games | curvezoo, simulations/s | OpenSpiel, simulations/s | ratio |")
    print("|---|---|---|---|---|")
    for evaluator, (make_own, make_peer) in EVALUATORS.items():
        for games in arguments.games:
            settings = (games, arguments.simulations, arguments.c)
            times = [
                (own(arguments.game, make_own(), *settings), peer(arguments.game, make_peer(), *settings))
                for _ in range(arguments.rounds)
            ]
            total = games * arguments.simulations
            ours, theirs = (total / statistics.median(each) for each in zip(*times, strict=True))
            ratio = statistics.median(second / first for first, second in times)
            print(f"| {evaluator} | {games} | {ours:,.0f} | {theirs:,.0f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
