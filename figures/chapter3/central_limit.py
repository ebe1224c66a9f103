"""Densities of normalized sums, which approach the Gaussian."""

import numpy as np
from scipy import stats

from ...publishing.page import style
from ..figure import Figure
from .normalized_sums import laws, normalized_sum

COUNTS = (1, 2, 4, 16)
"""Numbers N of copies."""


def draw():
    """Draws the densities of normalized sums of N copies, and the Gaussian."""
    figure, axes = style.canvas(8.3, 3.7, columns=3, sharey=True)
    y = np.linspace(-3.5, 3.5, 281)
    colors = (style.ORANGE, style.SKY, style.GREEN, style.BLUE)
    names = ("exponential", "bimodal", "uniform")
    for axis, law in zip(axes[0], [laws()[name] for name in names], strict=True):
        for count, color in zip(COUNTS, colors, strict=True):
            points, density = normalized_sum(law, count)
            inside = np.abs(points) <= y[-1]
            # Where the law jumps, the line falls to zero at the edge of the first or last cell.
            x = np.pad(points[inside], 1, mode="edge")
            axis.plot(x, np.pad(density[inside], 1), color=color, linewidth=1.5, label=f"$N = {count}$")
        axis.plot(y, stats.norm.pdf(y), "--", color=style.INK, linewidth=1.2, label="Gaussian")
        axis.set(xlabel="$y$", xlim=(y[0], y[-1]), ylim=(0, 1.05))
        axis.set_title(law.label, loc="left", fontsize=11)
    axes[0, 0].set_ylabel("density of $y$")
    style.legend_below(figure)
    return figure


FIGURE = Figure(
    section="3.2",
    name="central_limit",
    draw=draw,
    caption=(
        "Densities of normalized sums of 1, 2, 4 and 16 copies (Eqs. 3.2.10 and 3.2.14) approach the "
        "Gaussian: fast for the symmetric uniform law, as one over the root of N for the skewed exponential "
        "law."
    ),
    place=2,
)
