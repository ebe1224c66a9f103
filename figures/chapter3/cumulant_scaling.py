"""Cumulants of normalized sums against the number of copies."""

import numpy as np

from ...publishing.page import style
from ...theory import cumulants
from ..figure import Figure
from .normalized_sums import laws, normalized_sum

ORDERS = (3, 4, 5)
"""Orders of the cumulants."""

COUNTS = (1, 2, 4, 8, 16, 32, 64)
"""Numbers N of copies."""

_EXPONENTS = {3: "-1/2", 4: "-1", 5: "-3/2"}


def measure(law, counts=COUNTS, order=ORDERS[-1]):
    """Computes cumulants of convolved densities, and those that Eq. 3.2.14 predicts from one copy.

    Args:
        law: The `Law` of one copy.
        counts: Numbers N of copies, [R].
        order: Highest order.

    Returns:
        (measured, predicted), arrays [R, order + 1].
    """
    measured = []
    for count in counts:
        y, density = normalized_sum(law, count)
        probabilities = density * (y[1] - y[0])
        positive = probabilities > 0
        moments = cumulants.moments(y[positive], order, probabilities[positive])
        measured.append(cumulants.cumulants_from_moments(moments))
    y, density = normalized_sum(law, 1)
    one = cumulants.cumulants_from_moments(cumulants.moments(y, order, density * (y[1] - y[0])))
    return np.array(measured), cumulants.cumulants_of_normalized_sum(one, counts)


def draw():
    """Draws the absolute third to fifth cumulants of normalized sums against N."""
    figure, axes = style.canvas(8.3, 3.9, columns=len(ORDERS))
    for law in laws().values():
        measured, predicted = measure(law)
        for axis, n in zip(axes[0], ORDERS, strict=True):
            # The odd cumulants of a symmetric law vanish up to rounding.
            if abs(predicted[0, n]) < 1e-9:
                continue
            axis.plot(COUNTS, np.abs(predicted[:, n]), color=law.color, linewidth=1)
            axis.plot(COUNTS, np.abs(measured[:, n]), law.marker, color=law.color, markersize=5)
    for axis, n in zip(axes[0], ORDERS, strict=True):
        axis.set(xscale="log", yscale="log", xlabel="number of copies $N$", xticks=COUNTS[::2])
        axis.set_xticks([], minor=True)
        axis.set_xticklabels([str(count) for count in COUNTS[::2]])
        axis.set_title(rf"$|\langle y^{n}\rangle_c| \propto N^{{{_EXPONENTS[n]}}}$", fontsize=11)
    axes[0, 0].set_ylabel(r"cumulant, for $\langle y^2\rangle_c = 1$")
    for law in laws().values():
        axes[0, 1].plot([], [], law.marker + "-", color=law.color, linewidth=1, markersize=5, label=law.label)
    title = "points by convolution, lines Eq. 3.2.14; odd cumulants of symmetric laws vanish"
    style.legend_below(figure, title=title)
    return figure


FIGURE = Figure(
    section="3.2",
    name="cumulant_scaling",
    draw=draw,
    caption=(
        "Cumulants of the normalized sum of N independent copies, computed from the convolved densities "
        "(points, Eqs. 3.2.10 and 3.2.11), fall as N^(1 - n/2) (lines, Eq. 3.2.14). Only the variance stays "
        "constant."
    ),
    place=1,
)
