"""Figure: exact transport between two clouds beside Sinkhorn's, and the bias of the entropy (Sec. 3.6)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from ...publishing.page import style
from ...theory import transport

PLANS = (0.03, 0.5)
"""Regularizations of the drawn plans, in units of the mean cost."""

_TOLERANCE = 1e-6


@dataclass(frozen=True)
class TransportNumbers:
    """Plans and costs between two clouds of N points of equal weight; costs are squared distances.

    Args:
        x: The first cloud, [N, 2].
        y: The second, [N, 2].
        exact: The cheapest plan.
        plans: Sinkhorn's plans by regularization in units of the mean cost.
        regularizations: Those of the curves, in the same units.
        entropic: <P, C> of Sinkhorn's plans against them.
        divergence: Debiased Sinkhorn divergence against them.
    """

    x: np.ndarray
    y: np.ndarray
    exact: transport.Transport
    plans: dict[float, transport.Transport]
    regularizations: np.ndarray
    entropic: np.ndarray
    divergence: np.ndarray


def measure(points: int = 40, seed: int = 3) -> TransportNumbers:
    """Computes the exact plan and Sinkhorn's between a ring and two lumps.

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

    def sinkhorn(strength):
        return transport.sinkhorn(weights, weights, cost, strength * unit, **settings)

    return TransportNumbers(
        x,
        y,
        transport.optimal_transport(weights, weights, cost),
        {strength: sinkhorn(strength) for strength in PLANS},
        regularizations,
        np.array([sinkhorn(strength).cost for strength in regularizations]),
        np.array(
            [
                transport.sinkhorn_divergence(
                    weights, weights, cost, cost_x, cost_y, strength * unit, **settings
                )
                for strength in regularizations
            ]
        ),
    )


def draw() -> Figure:
    """Draws the exact plan, two of Sinkhorn's, and both Sinkhorn costs against the regularization."""
    numbers = measure()
    figure, axes = style.canvas(8.3, 7.2, rows=2, columns=2)
    _plan(axes[0, 0], numbers, numbers.exact, "exact plan (linear programming)")
    for axis, (strength, plan) in zip(axes.flat[1:], numbers.plans.items(), strict=False):
        _plan(axis, numbers, plan, rf"Sinkhorn, $\epsilon = {strength:g}\,\overline{{C}}$")
    _costs(axes[1, 1], numbers)
    axes[0, 0].legend(frameon=False, fontsize=9, loc="upper left", handletextpad=0.1)
    return figure


def _plan(axis, numbers, result, title):
    mass = result.plan * len(numbers.x)
    i, j = np.nonzero(mass > 0.01)
    segments = np.stack([numbers.x[i], numbers.y[j]], axis=1)
    # Ink in proportion to the mass that moves along a line.
    axis.add_collection(
        LineCollection(segments, colors=style.MUTED, alpha=mass[i, j].clip(max=1), linewidths=1.2)
    )
    axis.scatter(*numbers.x.T, s=18, color=style.BLUE, zorder=3, label="from")
    axis.scatter(*numbers.y.T, s=18, color=style.VERMILION, zorder=3, label="to")
    axis.set_aspect("equal", adjustable="datalim")
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)
    axis.set_title(rf"{title}: $\langle P, C\rangle = {result.cost:.3f}$", loc="left", fontsize=10)


def _costs(axis, numbers):
    strengths = numbers.regularizations
    axis.axhline(numbers.exact.cost, color=style.INK, linewidth=1.2, label="exact")
    axis.plot(
        strengths,
        numbers.entropic,
        "o-",
        color=style.VERMILION,
        markersize=4,
        label=r"Sinkhorn's $\langle P, C\rangle$",
    )
    axis.plot(
        strengths, numbers.divergence, "s-", color=style.BLUE, markersize=4, label="debiased divergence"
    )
    axis.set(xscale="log", xlabel=r"regularization $\epsilon$ / mean cost", ylabel="cost")
    axis.set_ylim(bottom=0)
    axis.set_title("bias of the entropy", loc="left", fontsize=10)
    axis.legend(frameon=False, fontsize=9, loc="upper left")
