"""Best rates of update rules with one, two and three stages (Sec. 4.3, after Eq. 4.3.14)."""

from dataclasses import dataclass

import numpy as np

from ...publishing.page import style
from ...theory import three_stage as theory
from ..figure import Figure

STAGES = (1, 2, 3)
"""Numbers of stages: SGD, momentum, and three stages."""

CONDITION = 100.0
"""Condition number of `rates_between`."""

_COLORS = dict(zip(STAGES, (style.VERMILION, style.BLUE, style.GREEN), strict=True))
_LABELS = {1: "SGD", 2: "momentum", 3: "three stages"}


@dataclass(frozen=True)
class BestRates:
    """Rates of the best rules against the condition number, from a numerical search.

    Args:
        conditions: Condition numbers kappa, [N].
        interval: Slowest rates of the best rules for the whole interval, on a fine grid, by stages, [N] each.
        pair: The same for two distinct eigenvalues, [N] each.
    """

    conditions: np.ndarray
    interval: dict[int, np.ndarray]
    pair: dict[int, np.ndarray]


def measure(conditions=(10.0, 100.0, 1000.0), iterations=200):
    """Searches for the best rules of one, two and three stages for an interval and for two eigenvalues.

    Args:
        conditions: Condition numbers kappa, [N].
        iterations: Number of generations of the search for the interval; two eigenvalues get three times as
            many.

    Returns:
        A `BestRates`.
    """

    def slowest(curvatures, grid, stages, generations):
        rule = theory.best_rule(curvatures, stages, generations)
        return theory.rate(rule, grid).max()

    interval, pair = {}, {}
    for stages in STAGES:
        interval[stages] = np.array(
            [
                slowest(theory.interval(1, k, 11), theory.interval(1, k, 501), stages, iterations)
                for k in conditions
            ]
        )
        pair[stages] = np.array([slowest([1.0, k], [1.0, k], stages, 3 * iterations) for k in conditions])
    return BestRates(np.asarray(conditions), interval, pair)


def rates_between(condition=CONDITION, points=601):
    """Computes the rates between two eigenvalues of the rules that are best for these two.

    Args:
        condition: Condition number kappa.
        points: Number N of curvatures.

    Returns:
        (lambda / lambda_max [N], rates by stages [N]).
    """
    curvature = np.geomspace(1 / condition, 1, points)
    rules = {stages: theory.two_eigenvalues(1 / condition, 1.0, stages) for stages in STAGES}
    return curvature, {stages: theory.rate(rule, curvature) for stages, rule in rules.items()}


def plot(best):
    """Draws the effective condition number of the best rules, and the rates between two eigenvalues.

    Args:
        best: A `BestRates`.
    """
    figure, axes = style.canvas(10, 4.3, columns=2)
    roots, between = axes[0]
    _roots(roots, best)
    _between(between)
    return figure


def draw():
    """Searches for the best rules and draws their rates."""
    return plot(measure())


def _roots(axes, best):
    kappa = np.geomspace(3, 3000, 50)
    for root in STAGES:
        axes.plot(kappa, kappa ** (1 / root), "--", color=style.MUTED, linewidth=1)
        name = r"$\kappa$" if root == 1 else rf"$\kappa^{{1/{root}}}$"
        axes.annotate(name, (kappa[-1], kappa[-1] ** (1 / root)), (4, -3), textcoords="offset points")
    for stages, marker in zip(STAGES, "osD", strict=True):
        look = {"linestyle": "none", "marker": marker, "color": _COLORS[stages]}
        size, label = 12 - 2.5 * stages, _LABELS[stages]
        whole = theory.effective_condition(best.interval[stages])
        ends = theory.effective_condition(best.pair[stages])
        axes.plot(best.conditions, whole, markersize=size, label=f"{label}, interval", **look)
        look |= {"markersize": size + 5, "fillstyle": "none"}
        axes.plot(best.conditions, ends, label=f"{label}, two eigenvalues", **look)
    axes.set(xscale="log", yscale="log", xlim=(3, 6000), ylim=(1, 2e5))
    axes.set(xlabel=r"condition number $\kappa$", ylabel=r"effective $\kappa$: $(1 + rate) / (1 - rate)$")
    axes.set_title("Best rules found by search", loc="left", fontsize=11)
    axes.legend(frameon=False, fontsize=9, loc="upper left")


def _between(axes):
    curvature, rates = rates_between()
    low, high = curvature[0], curvature[-1]
    axes.axhspan(1, 1.2, color=style.RULE, alpha=0.6, linewidth=0)
    for stages, values in rates.items():
        axes.plot(curvature, values, color=_COLORS[stages], linewidth=2, label=_LABELS[stages])
        ends = theory.root_rate(high / low, stages)
        axes.plot([low, high], [ends, ends], "o", color=_COLORS[stages], markersize=6, clip_on=False)
    axes.text(0.0115, 1.155, "diverges", color=style.MUTED, fontsize=10)
    axes.set(xscale="log", xlim=(low, high), ylim=(0, 1.2))
    axes.set(xlabel=r"curvature $\lambda / \lambda_{max}$", ylabel="rate (factor per step)")
    axes.set_title(rf"Best rules for two eigenvalues, $\kappa = {high / low:.0f}$", loc="left", fontsize=11)
    axes.legend(frameon=False, fontsize=10, loc="lower center")


FIGURE = Figure(
    section="4.3",
    name="three_stage",
    draw=draw,
    caption=(
        "Does a third stage reduce the condition number to its cube root? Left: the best rules of one, two "
        "and three stages from a numerical search (Eq. 4.3.14 and after). K stages reach the K-th root of κ "
        "for two eigenvalues, but never more than the square root for an interval. Right: the rule with the "
        "cube root at both eigenvalues diverges between them, where momentum keeps its rate."
    ),
    place=2,
)
