"""Exact optimal transport between two point clouds, and the bias of entropic regularization."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.collections import LineCollection

from ...publishing.page import style
from ...theory import transport
from ..figure import Figure

PLANS = (0.03, 0.5)
"""Regularizations of the plans that are drawn, in units of the mean cost."""

_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Plans:
    """Plans and costs between two clouds of N points with equal weights; costs are squared distances.

    Args:
        x: The first cloud, [N, 2].
        y: The second cloud, [N, 2].
        exact: The optimal plan.
        sinkhorn: Sinkhorn's plans by regularization in units of the mean cost.
        regularizations: Regularizations of the curves in the same units, [M].
        entropic: Cost <P, C> of Sinkhorn's plans at these regularizations, [M].
        divergence: Debiased Sinkhorn divergence at these regularizations, [M].
    """

    x: np.ndarray
    y: np.ndarray
    exact: transport.Transport
    sinkhorn: dict[float, transport.Transport]
    regularizations: np.ndarray
    entropic: np.ndarray
    divergence: np.ndarray


def measure(points: int = 40, seed: int = 3) -> Plans:
    """Computes the exact plan and Sinkhorn's plans between a ring and two clusters.

    Args:
        points: Number N of points of each cloud.
        seed: Seed of the clouds.
    """
    rng = np.random.default_rng(seed)
    angles = np.linspace(0, 2 * np.pi, points, endpoint=False)
    x = np.stack([np.cos(angles), np.sin(angles)], axis=1) + 0.08 * rng.normal(size=(points, 2))
    centers = np.where(np.arange(points) % 2, 1, -1)[:, None] * np.array([1.3, 0.7])
    y = centers + 0.25 * rng.normal(size=(points, 2))
    weights = np.full(points, 1 / points)
    cost, cost_x, cost_y = (transport.cost_matrix(*pair) for pair in ((x, y), (x, x), (y, y)))
    unit = cost.mean()
    regularizations = np.logspace(-2, 1, 13)
    settings = {"tolerance": _TOLERANCE, "max_iterations": 100_000}

    def plan(strength):
        return transport.sinkhorn(weights, weights, cost, strength * unit, **settings)

    def divergence(strength):
        costs = (cost, cost_x, cost_y)
        return transport.sinkhorn_divergence(weights, weights, *costs, strength * unit, **settings)

    return Plans(
        x,
        y,
        transport.optimal_transport(weights, weights, cost),
        {strength: plan(strength) for strength in PLANS},
        regularizations,
        np.array([plan(strength).cost for strength in regularizations]),
        np.array([divergence(strength) for strength in regularizations]),
    )


def plot(plans: Plans):
    """Draws the exact plan, two of Sinkhorn's plans, and both Sinkhorn costs against the regularization.

    Args:
        plans: A `Plans`.
    """
    figure, axes = style.canvas(8.3, 7.2, rows=2, columns=2)
    _plan(axes[0, 0], plans, plans.exact, "Exact plan (linear programming)")
    for axis, (strength, plan) in zip(axes.flat[1:], plans.sinkhorn.items(), strict=False):
        _plan(axis, plans, plan, rf"Sinkhorn, $\epsilon = {strength:g}\,\overline{{C}}$")
    _costs(axes[1, 1], plans)
    axes[0, 0].legend(frameon=False, fontsize=9, loc="upper left", handletextpad=0.1)
    return figure


def draw():
    """Computes the plans and draws them."""
    return plot(measure())


def _plan(axis, plans, result, title):
    mass = result.plan * len(plans.x)
    i, j = np.nonzero(mass > 0.01)
    segments = np.stack([plans.x[i], plans.y[j]], axis=1)
    # The opacity of a line is the mass that moves along it.
    axis.add_collection(
        LineCollection(segments, colors=style.MUTED, alpha=mass[i, j].clip(max=1), linewidths=1.2)
    )
    axis.scatter(*plans.x.T, s=18, color=style.BLUE, zorder=3, label="from")
    axis.scatter(*plans.y.T, s=18, color=style.VERMILION, zorder=3, label="to")
    axis.set_aspect("equal", adjustable="datalim")
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)
    axis.set_title(rf"{title}: $\langle P, C\rangle = {result.cost:.3f}$", loc="left", fontsize=10)


def _costs(axis, plans):
    axis.axhline(plans.exact.cost, color=style.INK, linewidth=1.2, label="exact")
    curves = (
        (plans.entropic, "o-", style.VERMILION, r"Sinkhorn's $\langle P, C\rangle$"),
        (plans.divergence, "s-", style.BLUE, "debiased divergence"),
    )
    for values, form, color, label in curves:
        axis.plot(plans.regularizations, values, form, color=color, markersize=4, label=label)
    axis.set(xscale="log", xlabel=r"regularization $\epsilon$ / mean cost", ylabel="cost")
    axis.set_ylim(bottom=0)
    axis.set_title("Bias of the regularization", loc="left", fontsize=10)
    axis.legend(frameon=False, fontsize=9, loc="upper left")


FIGURE = Figure(
    section="3.6",
    name="transport",
    draw=draw,
    caption=(
        "The earth mover's plan between a ring and two clusters (Sec. 3.6), exact and by Sinkhorn's "
        "algorithm, whose entropy spreads the mass of each point. The cost of Sinkhorn's plan lies above the "
        "exact cost, the debiased divergence below it. Both approach it as the regularization decreases."
    ),
    place=2,
)
