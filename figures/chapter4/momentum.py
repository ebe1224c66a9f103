"""Convergence rates of SGD and of momentum on a quadratic loss (Secs. 4.2 and 4.3)."""

import numpy as np

from ...publishing.page import style
from ...theory import descent
from ..figure import Figure

MOMENTA = (0.0, 0.25, 0.64, 0.9)
"""Momenta of the curves."""

CONDITION = 100.0
"""Condition number for which the best momentum is marked."""


def measure(points=241):
    """Computes the rate of momentum over the learning rate and the momentum, Eq. 4.3.8.

    Args:
        points: Number N of points along each axis.

    Returns:
        (epsilon lambda [N], m [N], rates [N, N] with m along the first axis).
    """
    steps, momenta = np.linspace(0, 4, points), np.linspace(0, 1, points)
    return steps, momenta, descent.momentum_rate(steps, momenta[:, None], 1.0)


def draw():
    """Draws the three phases of SGD with the plateaus of momentum, and the map of the rate."""
    figure, axes = style.canvas(10, 4.3, columns=2)
    plateaus, rates = axes[0]
    _plateaus(plateaus)
    _map(rates)
    return figure


def _plateaus(axes):
    steps = np.linspace(0, 4, 2001)
    colors = (style.VERMILION, style.ORANGE, style.GREEN, style.BLUE)
    for m, color in zip(MOMENTA, colors, strict=True):
        rates = descent.momentum_rate(steps, m, 1.0)
        axes.plot(steps, rates, color=color, linewidth=2, label=f"$m = {m:g}$" + (" (SGD)" if m == 0 else ""))
        ends = (1 - np.sqrt(m)) ** 2, (1 + np.sqrt(m)) ** 2
        axes.plot(ends, 2 * [np.sqrt(m)], "o", color=color, markersize=5)
    axes.axhspan(1, 1.42, color=style.RULE, alpha=0.6, linewidth=0)
    for x, text in ((0.5, "same\nsign"), (1.5, "alter-\nnating"), (3.0, "SGD does not converge")):
        axes.text(x, 0.03, text, color=style.VERMILION, fontsize=9, ha="center", va="bottom", linespacing=1.1)
    for x in (1, 2):
        axes.plot([x, x], [0, 0.18], ":", color=style.VERMILION, linewidth=1)
    axes.set(xlim=(0, 4), ylim=(0, 1.42), xlabel=r"$\epsilon\lambda$", ylabel="rate (factor per step)")
    axes.set_title("Phases of SGD, plateaus of momentum", loc="left", fontsize=11)
    axes.legend(frameon=False, fontsize=9, loc="upper left")


def _map(axes):
    steps, momenta, rates = measure()
    mesh = axes.contourf(steps, momenta, np.minimum(rates, 1.0), levels=np.linspace(0, 1, 11), cmap="viridis")
    axes.contourf(steps, momenta, rates, levels=[1 + 1e-9, 10], colors=[style.RULE])
    axes.plot(steps, descent.critical_momentum(steps, 1.0), color="white", linewidth=2)
    axes.text(0.33, 0.30, r"$e_+ = e_-$", color="white", fontsize=10)
    axes.plot(descent.momentum_limit(momenta[:-1], 1.0), momenta[:-1], color=style.INK, linewidth=1.2)
    axes.text(2.95, 0.25, "diverges\n" + r"$\epsilon\lambda > 2(1 + m)$", fontsize=10, color=style.INK)
    best = descent.best_momentum(1.0, CONDITION)
    ends = np.array([1.0, CONDITION]) * best.learning_rate
    axes.plot(ends, 2 * [best.momentum], "o-", color=style.ORANGE, linewidth=2, markersize=6)
    label = rf"best for $\kappa = {CONDITION:.0f}$"
    axes.text(1.0, best.momentum + 0.03, label, color=style.INK, fontsize=10)
    axes.set(xlim=(0, 4), ylim=(0, 1), xlabel=r"$\epsilon\lambda$", ylabel="momentum $m$")
    axes.set_title("Rate of momentum", loc="left", fontsize=11)
    bar = axes.figure.colorbar(mesh, ax=axes, ticks=np.linspace(0, 1, 6))
    bar.set_label("rate (factor per step)")
    bar.outline.set_visible(False)


FIGURE = Figure(
    section="4.3",
    name="momentum",
    draw=draw,
    caption=(
        "Left: the rate of Eq. 4.3.8 against ε λ. SGD (m = 0) has the three phases of Eqs. 4.3.4 and 4.3.5; "
        "momentum has plateaus at √m, whose ends (dots) are e₊ = e₋. Right: the rate over ε λ and m, with "
        "critical damping (white, Eq. 4.3.10), the bound of Eq. 4.3.9 (black), and the best choice for κ = "
        "100 (orange, Eq. 4.3.13), the lowest plateau that is as wide as the spectrum."
    ),
    place=1,
)
