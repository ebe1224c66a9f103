"""Positions of games: the board, and the policy before and after a search as bars beside it.

Legend: A actions of the game.
"""

import numpy as np

from . import style

COLORS = (style.BLUE, style.VERMILION)
"""Colors of the first and the second player."""

_PRIOR = "#B5B5B5"
_STONES = {"x": COLORS[0], "o": COLORS[1], ".": "white"}
# Actions that have bars; more of them would not be legible.
_BARS = 9


def draw_board(axes, state):
    """Draws a position: stones for a board of `x`, `o` and `.`, and OpenSpiel's text for others.

    Args:
        axes: A Matplotlib `Axes`.
        state: An OpenSpiel state.
    """
    axes.set_axis_off()
    rows = str(state).strip().splitlines()
    if not rows or {*"".join(rows)} - {*_STONES} or len({len(row) for row in rows}) > 1:
        axes.text(0.5, 0.5, str(state), family="monospace", fontsize=10, ha="center", va="center")
        return
    height, width = len(rows), len(rows[0])
    for row, line in enumerate(rows):
        for column, field in enumerate(line):
            place = (column, height - 1 - row)
            axes.add_patch(_disc(place, facecolor=_STONES[field], edgecolor=style.RULE))
    last = _last_field(state, rows)
    if last is not None:
        row, column = last
        axes.add_patch(
            _disc((column, height - 1 - row), facecolor="none", edgecolor=style.INK, linewidth=1.6)
        )
    # Numbers of the columns are those of the actions if a stone falls into a column.
    if state.get_game().num_distinct_actions() == width:
        for column in range(width):
            axes.text(column, -1, str(column), ha="center", va="center", fontsize=8, color=style.MUTED)
    axes.set(xlim=(-0.6, width - 0.4), ylim=(-1.4, height - 0.4), aspect="equal")


def _disc(place, **look):
    from matplotlib.patches import Circle

    return Circle(place, 0.43, **look)


def _last_field(state, rows):
    """Returns the field that the last move changed, (row, column), or `None` at the beginning."""
    history = state.history()
    if not history:
        return None
    before = state.get_game().new_initial_state()
    for action in history[:-1]:
        before.apply_action(action)
    for row, (old, new) in enumerate(zip(str(before).strip().splitlines(), rows, strict=True)):
        for column, pair in enumerate(zip(old, new, strict=True)):
            if pair[0] != pair[1]:
                return row, column
    return None


def draw_policies(axes, state, before, after):
    """Draws two policies as bars for the legal actions, the most probable ones if there are many.

    Args:
        axes: A Matplotlib `Axes`.
        state: The position, an OpenSpiel state.
        before: The priors, [A].
        after: The policy of the search, [A].
    """
    legal = np.array(state.legal_actions())
    if len(legal) > _BARS:
        weights = np.maximum(before, after)[legal]
        legal = np.sort(legal[np.argsort(-weights, kind="stable")[:_BARS]])
    places = np.arange(len(legal))
    axes.barh(places - 0.2, before[legal], 0.38, color=_PRIOR)
    axes.barh(places + 0.2, after[legal], 0.38, color=COLORS[state.current_player()])
    axes.set_yticks(places, [state.action_to_string(action) for action in legal.tolist()])
    axes.grid(visible=False, axis="y")
    axes.set(xlim=(0, 1.02), ylim=(len(legal) - 0.4, -0.6), xlabel="probability")


def decisions(search, titles, before):
    """Returns a figure with the board and the policies before and after the search of each of its games.

    Args:
        search: A `Search` after some simulations.
        titles: A title for each of its games.
        before: Where the priors come from, for the legend.
    """
    from matplotlib.patches import Patch

    count, states, priors, policies = len(titles), search.states, search.priors, search.policy()
    figure, grid = style.canvas(7.2, 2.7 * count + 0.4, rows=count, columns=2, width_ratios=(1, 1.25))
    for (left, right), title, *position in zip(grid, titles, states, priors, policies, strict=True):
        draw_board(left, position[0])
        left.set_title(title, fontsize=10)
        draw_policies(right, *position)
    handles = [Patch(color=_PRIOR, label=before)]
    for player in sorted({state.current_player() for state in states}):
        name = ("first", "second")[player]
        handles.append(Patch(color=COLORS[player], label=f"visits, {name} player to move"))
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure
