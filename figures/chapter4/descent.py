"""Figures: how fast SGD, momentum, a third stage and RMSProp descend a quadratic (notes, Secs. 4.2 to 4.4).

`rates_map`, `best_rates`, `rates_between` and `bowls` compute, `draw_momentum`, `draw_three_stage` and
`draw_rmsprop` draw.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...publishing.page import style
from ...theory import descent, rmsprop, three_stage

MOMENTA = (0.0, 0.25, 0.64, 0.9)
CONDITION = 100.0
"""The condition number of `rates_between`, and of the optimum in `draw_momentum`."""

STAGES = (1, 2, 3)
_COLORS = dict(zip(STAGES, (style.VERMILION, style.BLUE, style.GREEN), strict=True))
_NAMES = {1: "SGD", 2: "momentum", 3: "three stages"}


@dataclass(frozen=True)
class BestRates:
    """Best rates against the condition number, found by search and by the laws.

    Args:
        conditions: Condition numbers kappa, [N].
        interval: Slowest rates on a fine grid over the whole interval of the best rules, by stages, [N] each.
        pair: The same for two distinct eigenvalues, [N] each.
    """

    conditions: np.ndarray
    interval: dict[int, np.ndarray]
    pair: dict[int, np.ndarray]


def rates_map(points=241):
    """Computes momentum's rate over the learning rate and the momentum, Eq. 4.3.8.

    Args:
        points: Points along each axis.

    Returns:
        (epsilon lambda [N], m [N], rates [N, N], first by m).
    """
    steps, momenta = np.linspace(0, 4, points), np.linspace(0, 1, points)
    return steps, momenta, descent.momentum_rate(steps, momenta[:, None], 1.0)


def best_rates(conditions=(10.0, 100.0, 1000.0), iterations=200) -> BestRates:
    """Searches the best rules of one, two and three stages for an interval and for two eigenvalues.

    Args:
        conditions: Condition numbers kappa.
        iterations: Generations of the search on the interval; for two eigenvalues three times as many.
    """

    def slowest(searched, checked, stages, generations):
        found = three_stage.best_rule(searched, stages, generations)
        return three_stage.rate(found, checked).max()

    interval, pair = {}, {}
    for stages in STAGES:
        interval[stages] = np.array(
            [
                slowest(three_stage.interval(1, k, 11), three_stage.interval(1, k, 501), stages, iterations)
                for k in conditions
            ]
        )
        pair[stages] = np.array([slowest([1.0, k], [1.0, k], stages, 3 * iterations) for k in conditions])
    return BestRates(np.asarray(conditions), interval, pair)


def rates_between(condition=CONDITION, points=601):
    """Computes how the rules that are best for two eigenvalues do between them.

    Args:
        condition: Condition number kappa.
        points: Number N of curvatures.

    Returns:
        (lambda / lambda_max [N], rates by stages [N]).
    """
    curvature = np.geomspace(1 / condition, 1, points)
    rules = {stages: three_stage.two_eigenvalues(1 / condition, 1.0, stages) for stages in STAGES}
    return curvature, {stages: three_stage.rate(rule, curvature) for stages, rule in rules.items()}


def bowls(curvatures=(1.0, 10.0, 1000.0), beta=0.9, start=300.3, steps=420):
    """Descends a diagonal quadratic by SGD and by RMSProp, and |theta| by SGD, Eq. 4.4.6.

    Args:
        curvatures: The Hessian's diagonal [D]; SGD has the learning rate 1 / max(curvatures).
        beta: RMSProp's decay.
        start: The first value of all parameters, in units of the learning rate of RMSProp.
        steps: Number N of steps.

    Returns:
        Parameters by method, [N + 1, D] each, the last method [N + 1, 1].
    """
    curvatures = np.asarray(curvatures)
    first = np.full(curvatures.size, start)
    factors = descent.sgd_factor(1 / curvatures.max(), curvatures)
    slope = [start]
    for _ in range(steps):
        slope.append(slope[-1] - np.sign(slope[-1]))
    return {
        "SGD": first * factors ** np.arange(steps + 1)[:, None],
        "RMSProp": rmsprop.rmsprop_path(lambda theta: curvatures * theta, first, 1.0, beta, steps),
        "SGD on |theta|": np.array(slope)[:, None],
    }


def draw_momentum() -> Figure:
    """Draws SGD's three phases and momentum's plateaus, and the rate over learning rate and momentum.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure, axes = style.canvas(10, 4.3, columns=2)
    left, right = axes[0]
    _plateaus(left)
    _map(right)
    return figure


def draw_three_stage() -> Figure:
    """Draws which root of the condition number one, two and three stages leave, and the rates in between.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure, axes = style.canvas(10, 4.3, columns=2)
    left, right = axes[0]
    _roots(left, best_rates())
    curvature, rates = rates_between()
    low, high = curvature[0], curvature[-1]
    right.axhspan(1, 1.2, color=style.RULE, alpha=0.6, linewidth=0)
    for stages, values in rates.items():
        right.plot(curvature, values, color=_COLORS[stages], linewidth=2, label=_NAMES[stages])
        ends = three_stage.root_rate(high / low, stages)
        right.plot([low, high], [ends, ends], "o", color=_COLORS[stages], markersize=6, clip_on=False)
    right.text(0.0115, 1.155, "diverges", color=style.MUTED, fontsize=10)
    right.set(xscale="log", xlim=(low, high), ylim=(0, 1.2))
    right.set(xlabel=r"curvature $\lambda / \lambda_{max}$", ylabel="rate (factor a step)")
    right.set_title(rf"Best rules for two eigenvalues, $\kappa = {high / low:.0f}$", loc="left", fontsize=11)
    right.legend(frameon=False, fontsize=10, loc="lower center")
    return figure


def draw_rmsprop() -> Figure:
    """Draws RMSProp's way down a quadratic beside SGD on |theta|, and the memory's effect.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure, axes = style.canvas(10, 4.3, columns=2)
    left, right = axes[0]
    paths = {method: np.abs(path) for method, path in bowls().items()}
    names = [rf"$\lambda_{{max}} / {k}$" if k > 1 else r"$\lambda_{max}$" for k in (1000, 100, 1)]
    for values, name, (step, height) in zip(
        paths["SGD"].T, names, ((230, 258), (12, 62), (5, 8)), strict=True
    ):
        left.plot(values, color=style.VERMILION, linewidth=1.4)
        left.text(step, height, f"SGD, {name}", color=style.VERMILION, fontsize=10)
    left.plot(paths["RMSProp"][:, 0], color=style.SKY, linewidth=5, label=r"RMSProp, $\lambda_{max} / 1000$")
    left.plot(paths["RMSProp"][:, -1], color=style.BLUE, linewidth=1.5, label=r"RMSProp, $\lambda_{max}$")
    left.plot(paths["SGD on |theta|"], "--", color=style.INK, linewidth=1.2, label=r"SGD on $|\theta|$")
    left.set(xlabel="steps", ylabel=r"distance $|\theta| / \epsilon$", ylim=(0, 310), xlim=(0, 420))
    left.set_title(
        r"RMSProp ($\beta = 0.9$) descends $\lambda\theta^2$ as SGD descends $|\theta|$",
        loc="left",
        fontsize=11,
    )
    left.legend(frameon=False, fontsize=9, loc="upper right", bbox_to_anchor=(1, 0.62))
    _memories(right)
    return figure


def _plateaus(axes: Axes) -> None:
    steps = np.linspace(0, 4, 2001)
    colors = (style.VERMILION, style.ORANGE, style.GREEN, style.BLUE)
    for m, color in zip(MOMENTA, colors, strict=True):
        rates = descent.momentum_rate(steps, m, 1.0)
        axes.plot(steps, rates, color=color, linewidth=2, label=f"$m = {m:g}$" + (" (SGD)" if m == 0 else ""))
        ends = (1 - np.sqrt(m)) ** 2, (1 + np.sqrt(m)) ** 2
        axes.plot(ends, 2 * [np.sqrt(m)], "o", color=color, markersize=5)
    axes.axhspan(1, 1.25, color=style.RULE, alpha=0.6, linewidth=0)
    for x, text in ((0.5, "same\nsign"), (1.5, "alter-\nnating"), (3.0, "SGD does not converge")):
        axes.text(x, 0.03, text, color=style.VERMILION, fontsize=9, ha="center", va="bottom", linespacing=1.1)
    for x in (1, 2):
        axes.plot([x, x], [0, 0.18], ":", color=style.VERMILION, linewidth=1)
    axes.set(xlim=(0, 4), ylim=(0, 1.25), xlabel=r"$\epsilon\lambda$", ylabel="rate (factor a step)")
    axes.set_title("SGD's three phases, momentum's plateaus", loc="left", fontsize=11)
    axes.legend(frameon=False, fontsize=9, ncols=2, loc="upper left")


def _map(axes: Axes) -> None:
    steps, momenta, rates = rates_map()
    mesh = axes.contourf(steps, momenta, np.minimum(rates, 1.0), levels=np.linspace(0, 1, 11), cmap="viridis")
    axes.contourf(steps, momenta, rates, levels=[1 + 1e-9, 10], colors=[style.RULE])
    axes.plot(steps, descent.critical_momentum(steps, 1.0), color="white", linewidth=2)
    axes.text(0.33, 0.30, r"$e_+ = e_-$", color="white", fontsize=10)
    axes.plot(descent.momentum_limit(momenta[:-1], 1.0), momenta[:-1], color=style.INK, linewidth=1.2)
    axes.text(2.95, 0.25, "diverges\n" + r"$\epsilon\lambda > 2(1 + m)$", fontsize=10, color=style.INK)
    best = descent.best_momentum(1.0, CONDITION)
    ends = np.array([1.0, CONDITION]) * best.learning_rate
    axes.plot(ends, 2 * [best.momentum], "o-", color=style.ORANGE, linewidth=2, markersize=6)
    axes.text(
        1.0, best.momentum + 0.03, rf"best for $\kappa = {CONDITION:.0f}$", color=style.INK, fontsize=10
    )
    axes.set(xlim=(0, 4), ylim=(0, 1), xlabel=r"$\epsilon\lambda$", ylabel="momentum $m$")
    axes.set_title("Rate with momentum", loc="left", fontsize=11)
    bar = axes.figure.colorbar(mesh, ax=axes, ticks=np.linspace(0, 1, 6))
    bar.set_label("rate (factor a step)")
    bar.outline.set_visible(False)


def _roots(axes: Axes, best: BestRates) -> None:
    kappa = np.geomspace(3, 3000, 50)
    for root in STAGES:
        axes.plot(kappa, kappa ** (1 / root), "--", color=style.MUTED, linewidth=1)
        name = r"$\kappa$" if root == 1 else rf"$\kappa^{{1/{root}}}$"
        axes.annotate(name, (kappa[-1], kappa[-1] ** (1 / root)), (4, -3), textcoords="offset points")
    for stages, marker in zip(STAGES, "osD", strict=True):
        look = {"linestyle": "none", "marker": marker, "color": _COLORS[stages]}
        size = 12 - 2.5 * stages
        whole = three_stage.effective_condition(best.interval[stages])
        ends = three_stage.effective_condition(best.pair[stages])
        axes.plot(best.conditions, whole, markersize=size, label=f"{_NAMES[stages]}, interval", **look)
        axes.plot(
            best.conditions,
            ends,
            markersize=size + 5,
            fillstyle="none",
            label=f"{_NAMES[stages]}, two eigenvalues",
            **look,
        )
    axes.set(xscale="log", yscale="log", xlim=(3, 6000), ylim=(1, 2e5))
    axes.set(xlabel=r"condition number $\kappa$", ylabel=r"effective $\kappa$: $(1 + rate) / (1 - rate)$")
    axes.set_title("Best rules found by search", loc="left", fontsize=11)
    axes.legend(frameon=False, fontsize=9, loc="upper left")


def _memories(axes: Axes) -> None:
    colors = (style.GREEN, style.BLUE, style.ORANGE, style.VERMILION)
    for beta, color in zip((0.5, 0.9, 0.99, 0.999), colors, strict=True):
        path = rmsprop.rmsprop_path(lambda theta: theta, [100.3], 1.0, beta, 4000)[:, 0]
        axes.plot(np.abs(path), color=color, linewidth=1.4, label=rf"$\beta = {beta:g}$")
    axes.plot(
        np.abs(100.3 - np.arange(101)), "--", color=style.INK, linewidth=1.2, label=r"SGD on $|\theta|$"
    )
    axes.text(11, 0.6, r"$\epsilon / 2$", color=style.MUTED, fontsize=10)
    axes.plot([10, 4000], [0.5, 0.5], color=style.MUTED, linewidth=0.8)
    axes.set(xscale="log", yscale="log", xlim=(10, 4000), ylim=(1e-4, 200))
    axes.set(xlabel="steps", ylabel=r"distance $|\theta| / \epsilon$")
    axes.set_title("A longer memory arrives later", loc="left", fontsize=11)
    axes.legend(frameon=False, fontsize=9, loc="lower left")
