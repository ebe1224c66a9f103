"""Figures of the central limit: cumulants of normalized sums against N, and their densities (Sec. 3.2).

y = (X - N <X_1>) / sqrt(N) for a sum X of N copies, in units in which <X_1^2>_c = 1, so that <y^2>_c = 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from ...publishing.page import style
from ...theory import characteristic, cumulants

ORDERS = (3, 4, 5)
_POWERS = {3: "-1/2", 4: "-1", 5: "-3/2"}
SCALING_COUNTS = (1, 2, 4, 8, 16, 32, 64)
DENSITY_COUNTS = (1, 2, 4, 16)


@dataclass(frozen=True)
class Law:
    """The law of one copy, on cells.

    Args:
        label: For the plot.
        points: Midpoints of the cells, [C], evenly spaced.
        density: Density there, [C].
        color: Color of its points and lines.
        marker: Marker of its points.
    """

    label: str
    points: np.ndarray
    density: np.ndarray
    color: str
    marker: str


def _law(label, density, low, high, color, marker, cells=1000):
    """Cells the density; sums over the midpoints are those of the law on the lattice, whatever the cells."""
    width = (high - low) / cells
    points = low + (np.arange(cells) + 0.5) * width
    values = density(points)
    return Law(label, points, values / (width * values.sum()), color, marker)


def laws() -> dict[str, Law]:
    """Returns the laws of the figures by name."""

    def two_bumps(x):
        return 0.7 * stats.norm.pdf(x, -1, 0.35) + 0.3 * stats.norm.pdf(x, 1.5, 0.35)

    return {
        "exponential": _law("exponential", stats.expon.pdf, 0, 40, style.VERMILION, "o"),
        "bumps": _law("two bumps", two_bumps, -5, 5, style.GREEN, "^"),
        "laplace": _law("Laplace", stats.laplace.pdf, -40, 40, style.PURPLE, "D"),
        "uniform": _law("uniform", stats.uniform.pdf, 0, 1, style.BLUE, "s"),
    }


def normalized_sum(law: Law, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Convolves copies of a law and rescales the sum to mean 0 and variance 1, Eqs. 3.2.10 and 3.2.14.

    Args:
        law: The `Law` of one copy.
        count: Number N of copies.

    Returns:
        (y, density), arrays of one length.
    """
    weights = law.density * (law.points[1] - law.points[0])
    mean = weights @ law.points
    deviation = np.sqrt(weights @ (law.points - mean) ** 2)
    points, density = characteristic.density_of_sum(law.points, law.density, count)
    scale = deviation * np.sqrt(count)
    return (points - count * mean) / scale, density * scale


def measure(law: Law, counts=SCALING_COUNTS, order=ORDERS[-1]) -> tuple[np.ndarray, np.ndarray]:
    """Measures cumulants of convolved densities, beside those that Eq. 3.2.14 predicts from one copy.

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
        held = probabilities > 0
        moments = cumulants.moments(y[held], order, probabilities[held])
        measured.append(cumulants.cumulants_from_moments(moments))
    y, density = normalized_sum(law, 1)
    one = cumulants.cumulants_from_moments(cumulants.moments(y, order, density * (y[1] - y[0])))
    return np.array(measured), cumulants.cumulants_of_normalized_sum(one, counts)


def draw_scaling() -> Figure:
    """Draws the size of the third to fifth cumulants of normalized sums against N.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure, axes = style.canvas(8.3, 3.9, columns=len(ORDERS))
    for law in laws().values():
        measured, predicted = measure(law)
        for axis, n in zip(axes[0], ORDERS, strict=True):
            # The odd cumulants of a symmetric law vanish, up to rounding.
            if abs(predicted[0, n]) < 1e-9:
                continue
            axis.plot(SCALING_COUNTS, np.abs(predicted[:, n]), color=law.color, linewidth=1)
            axis.plot(SCALING_COUNTS, np.abs(measured[:, n]), law.marker, color=law.color, markersize=5)
    for axis, n in zip(axes[0], ORDERS, strict=True):
        axis.set(xscale="log", yscale="log", xlabel="number of copies $N$", xticks=SCALING_COUNTS[::2])
        axis.set_xticks([], minor=True)
        axis.set_xticklabels([str(count) for count in SCALING_COUNTS[::2]])
        axis.set_title(rf"$|\langle y^{n}\rangle_c| \propto N^{{{_POWERS[n]}}}$", fontsize=11)
    axes[0, 0].set_ylabel(r"cumulant, for $\langle y^2\rangle_c = 1$")
    for law in laws().values():
        axes[0, 1].plot([], [], law.marker + "-", color=law.color, linewidth=1, markersize=5, label=law.label)
    _legend(figure, axes[0, 1], "points convolved, lines Eq. 3.2.14; symmetric laws have no odd cumulants")
    return figure


def draw_densities() -> Figure:
    """Draws the densities of normalized sums of N copies beside the Gaussian.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure, axes = style.canvas(8.3, 3.7, columns=3, sharey=True)
    y = np.linspace(-3.5, 3.5, 281)
    shades = (style.ORANGE, style.SKY, style.GREEN, style.BLUE)
    names = ("exponential", "bumps", "uniform")
    for axis, law in zip(axes[0], [laws()[name] for name in names], strict=True):
        for count, color in zip(DENSITY_COUNTS, shades, strict=True):
            points, density = normalized_sum(law, count)
            shown = np.abs(points) <= y[-1]
            # Cells begin where the law jumps: the line falls to zero there.
            inside = np.pad(density[shown], 1)
            at = np.pad(points[shown], 1, mode="edge")
            axis.plot(at, inside, color=color, linewidth=1.5, label=f"$N = {count}$")
        axis.plot(y, stats.norm.pdf(y), "--", color=style.INK, linewidth=1.2, label="Gaussian")
        axis.set(xlabel="$y$", xlim=(y[0], y[-1]), ylim=(0, 1.05))
        axis.set_title(law.label, loc="left", fontsize=11)
    axes[0, 0].set_ylabel("density of $y$")
    _legend(figure, axes[0, 0], None)
    return figure


def _legend(figure: Figure, axis: Axes, title: str | None) -> None:
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=len(labels),
        frameon=False,
        fontsize=9,
        title=title,
        title_fontsize=9,
    )
