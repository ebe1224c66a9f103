"""A picture of a search tree: its most visited nodes, from the root on the left to the right."""

import numpy as np

from . import style
from .boards import COLORS

_COLUMN, _ROW = 2.05, 0.3
_WIDEST = 6.0


def draw(axes, nodes):
    """Draws a tree.

    A box has the action, its visits N, and its mean value Q for the player who chose it, whose color it has;
    or the proven result. The width of a line is proportional to the visits.

    Args:
        axes: A Matplotlib `Axes`.
        nodes: What `Search.nodes` returned.
    """
    places = layout(nodes)
    most = max(nodes[0].visits, 1)
    for index, node in enumerate(nodes):
        x, y = places[index]
        color = style.INK if node.parent < 0 else COLORS[_chooser(nodes, node)]
        if node.parent >= 0:
            _connect(axes, places[node.parent], (x, y), color, max(0.4, _WIDEST * node.visits / most))
        axes.text(
            x,
            y,
            label(nodes, node),
            ha="center",
            va="center",
            fontsize=7.5,
            color=style.INK,
            bbox={"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": color, "linewidth": 1.1},
            zorder=3,
        )
    axes.set_axis_off()
    axes.set(xlim=(-0.5, places[:, 0].max() + 0.5), ylim=(places[:, 1].max() + 0.6, -0.6))


def figure(nodes):
    """Returns a figure of a tree, whose size fits the tree.

    Args:
        nodes: What `Search.nodes` returned.
    """
    from matplotlib.patches import Patch

    places = layout(nodes)
    width, height = _COLUMN * (places[:, 0].max() + 1), _ROW * (places[:, 1].max() + 1) + 0.6
    canvas, grid = style.canvas(max(width, 5.0), max(height, 1.5))
    draw(grid[0, 0], nodes)
    handles = [
        Patch(facecolor="white", edgecolor=color, label=f"move of the {name} player")
        for color, name in zip(COLORS, ("first", "second"), strict=True)
    ]
    canvas.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return canvas


def layout(nodes):
    """Returns the places of nodes, (depth, height) [N, 2]: leaves one below the other, parents amid children.

    Args:
        nodes: As for `draw`.
    """
    children = [[] for _ in nodes]
    for index, node in enumerate(nodes):
        if node.parent >= 0:
            children[node.parent].append(index)
    places = np.array([[node.depth, 0.0] for node in nodes])
    leaf, order, waiting = 0, [], [0]
    while waiting:
        index = waiting.pop()
        order.append(index)
        if not children[index]:
            places[index, 1], leaf = leaf, leaf + 1
        waiting += reversed(children[index])
    for index in reversed(order):
        if children[index]:
            below = places[children[index], 1]
            places[index, 1] = (below.min() + below.max()) / 2
    return places


def label(nodes, node):
    """Returns the text of a node's box.

    Args:
        nodes: As for `draw`.
        node: One of them.
    """
    name = "root" if node.parent < 0 else nodes[node.parent].state.action_to_string(node.action)
    value = node.result or f"Q {node.value:+.2f}".replace("-", "\N{MINUS SIGN}")
    return f"{name}   N {node.visits:,}   {value}"


def _chooser(nodes, node):
    """Returns the player who chose a node's action."""
    return nodes[node.parent].state.current_player()


def _connect(axes, start, end, color, width):
    """Draws a curve between the places of a node and its child, horizontal at both ends."""
    share = np.linspace(0, 1, 40)
    smooth = share**2 * (3 - 2 * share)
    axes.plot(
        start[0] + share * (end[0] - start[0]),
        start[1] + smooth * (end[1] - start[1]),
        color=color,
        alpha=0.45,
        linewidth=width,
        solid_capstyle="butt",
        zorder=1,
    )
