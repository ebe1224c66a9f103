"""A tree search that finds a forced win (Eqs. 8.6.2 to 8.6.5).

In a position of connect four the first player wins by making three in a row with both ends open. Leaves are
valued by random games, and all priors are equal, so that no network takes part.

Legend: R searches with different random games, M measurements, A actions.
"""

from dataclasses import dataclass

import numpy as np

from ...publishing.page import boards, search_tree, style
from ..figure import Figure

LINE = (3, 3, 2, 2)
WINNING = (1, 4)
"""The actions after which the first player wins, whatever the opponent replies."""

C = 2.0
_SEARCHES = 16
_SIMULATIONS = (7, 10, 14, 20, 30, 45, 70, 100, 150, 220, 320, 470, 680, 1000)
_SHOWN, _NODES, _DEPTH = 300, 24, 4


@dataclass(frozen=True)
class Growth:
    """Visits of the root's actions while the search goes on.

    Args:
        simulations: Numbers of simulations, [M].
        shares: Shares of the visits, means over the searches, [M, A].
        proven: Simulations after which the solver has proven the win, [R].
    """

    simulations: np.ndarray
    shares: np.ndarray
    proven: np.ndarray


def searched(count, seed=0, solve=False):
    """Returns new searches of the position, without simulations.

    Args:
        count: Number of searches R.
        seed: Seed of the random games.
        solve: Whether proven results are passed upwards.
    """
    from ...agents.evaluators import Rollouts
    from ...agents.games import Game
    from ...agents.search import Search

    game = Game("connect_four")
    return Search(game, Rollouts(seed=seed), [game.after(*LINE)] * count, c=C, solve=solve)


def measure(searches=_SEARCHES, simulations=_SIMULATIONS, seed=0):
    """Returns the `Growth` of visits.

    Args:
        searches: Number of searches R.
        simulations: Increasing numbers of simulations.
        seed: Seed of the random games.
    """
    search, shares = searched(searches, seed), []
    for before, after in zip((0, *simulations), simulations, strict=False):
        search.run(after - before)
        shares.append((search.visits / after).mean(axis=0))
    solver = searched(searches, seed + 1, solve=True)
    solver.run(simulations[-1])
    proven = np.where(np.isnan(solver.proven), np.inf, solver.visits.sum(axis=-1))
    return Growth(np.array(simulations), np.array(shares), proven)


def plot(growth, search):
    """Draws the position, its policies, the growth of visits, and a tree.

    Args:
        growth: A `Growth`.
        search: A `Search` of the position, after its simulations.
    """
    figure, axes = style.canvas(
        9.6, 7.6, rows=2, columns=3, height_ratios=(1, 1.75), width_ratios=(1, 1, 1.2)
    )
    board, bars, lines = axes[0]
    grid = board.get_gridspec()
    for axis in axes[1]:
        axis.remove()
    tree = figure.add_subplot(grid[1, :])
    state = search.states[0]
    boards.draw_board(board, state)
    board.set_title("first player (blue) to move", fontsize=10)
    boards.draw_policies(bars, state, search.priors[0], search.policy()[0])
    bars.set_title(f"equal priors, {int(search.visits.sum()):,} simulations", fontsize=10)
    _draw_growth(lines, growth)
    search_tree.draw(tree, search.nodes(count=_NODES, depth=_DEPTH))
    return figure


def _draw_growth(axes, growth):
    """Draws the shares of the visits, the winning actions in color."""
    colors = dict(zip(WINNING, (style.GREEN, style.PURPLE), strict=True))
    for action, share in enumerate(growth.shares.T):
        look = {"color": colors.get(action, style.MUTED), "linewidth": 1.8 if action in colors else 0.8}
        label = f"column {action}, wins" if action in colors else None
        axes.plot(growth.simulations, share, label=label, **look)
    axes.plot([], [], color=style.MUTED, linewidth=0.8, label="other columns")
    middle = float(np.median(growth.proven))
    # It ends below the legend.
    axes.plot([middle, middle], [0, 0.62], ":", color=style.INK, linewidth=1.2, label="proven by the solver")
    axes.set(xscale="log", xlabel="simulations", ylabel="share of the visits", ylim=(0, 1))
    axes.legend(frameon=False, fontsize=8, loc="upper left")


def draw():
    """Searches the position, and draws the figure."""
    search = searched(1)
    search.run(_SHOWN)
    return plot(measure(), search)


FIGURE = Figure(
    section="8.6",
    name="tree_search",
    draw=draw,
    caption=(
        "Tree search in connect four without a network: equal priors, and a random game from each new state "
        "as its value. Columns 1 and 4 make three in a row with both ends open and win whatever the other "
        "player replies. Top: the position, with a ring around the last stone; the policy before the search "
        "(gray) and after it (Eq. 8.6.5 with temperature 1); and the shares of the visits, means over 16 "
        "searches, while the number of simulations grows. The dotted line is the median number after which a "
        "search that passes proven results upwards has proven the win. Bottom: the most visited nodes of one "
        "search, with visits N and mean values Q for the player who makes the move (Eq. 8.6.3). Lines are as "
        "wide as their share of the visits, blue for moves of the first player, orange for the second's."
    ),
)
