"""The bandwidth that a given perplexity sets for each point of a cloud with varying density.

Legend: N points, M grid points.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.collections import EllipseCollection
from scipy.stats import entropy

from ...publishing.page import style
from ...theory import perplexity as theory
from ..figure import Figure

_COLORS = np.array([style.VERMILION, style.GREEN, style.BLUE])


@dataclass(frozen=True)
class Bandwidths:
    """Three clusters of different density, and the widths that give all points the same perplexity.

    Args:
        points: Coordinates, [N, 2].
        clusters: Cluster of each point, [N].
        widths: Standard deviation sigma_i / sqrt(2) of each point's Gaussian in Eq. 2.6.1, [N].
        centers: Index of the point closest to the center of each cluster, [3].
        grid: Standard deviations at which `curves` are evaluated, [M].
        curves: Perplexity of the points in `centers` against the standard deviation, [3, M].
        perplexity: The perplexity of all points.
    """

    points: np.ndarray
    clusters: np.ndarray
    widths: np.ndarray
    centers: np.ndarray
    grid: np.ndarray
    curves: np.ndarray
    perplexity: float


def measure(perplexity=15.0, points=80, seed=0):
    """Finds the bandwidths of three Gaussian clusters, each three times as wide as the one before.

    Args:
        perplexity: Smooth number of neighbors.
        points: Number of points of each cluster.
        seed: Seed of the clusters.

    Returns:
        A `Bandwidths`.
    """
    rng = np.random.default_rng(seed)
    scales, means = (1 / 9, 1 / 3, 1.0), ((-0.6, 1.4), (0.3, -0.6), (3.8, 0.4))
    x = np.concatenate(
        [mean + s * rng.standard_normal((points, 2)) for s, mean in zip(scales, means, strict=True)]
    )
    clusters = np.repeat(np.arange(3), points)
    _, bandwidths = theory.conditional_probabilities(x, perplexity)
    centers = np.array([np.argmin(np.sum((x - mean) ** 2, axis=1)) for mean in means])
    grid = np.geomspace(3e-3, 10.0, 120)
    probabilities = (theory.gaussian_probabilities(x, np.sqrt(2) * width)[centers] for width in grid)
    curves = np.exp([entropy(p, axis=1) for p in probabilities]).T
    return Bandwidths(x, clusters, bandwidths / np.sqrt(2), centers, grid, curves, perplexity)


def plot(result):
    """Draws the cloud with circles of one standard deviation, and the perplexity against that width.

    Args:
        result: A `Bandwidths`.
    """
    figure, axes = style.canvas(9.6, 4.2, columns=2, width_ratios=[1.25, 1])
    cloud, curves = axes[0]
    _cloud(cloud, result)
    _curves(curves, result)
    return figure


def draw():
    """Finds the bandwidths and draws them."""
    return plot(measure())


def _cloud(axis, result):
    axis.scatter(*result.points.T, c=_COLORS[result.clusters], s=6, linewidths=0, alpha=0.45)
    every_eighth = np.arange(0, len(result.points), 8)
    diameters = 2 * result.widths[every_eighth]
    circles = EllipseCollection(
        diameters,
        diameters,
        np.zeros(len(every_eighth)),
        units="xy",
        offsets=result.points[every_eighth],
        offset_transform=axis.transData,
        facecolors="none",
        edgecolors=_COLORS[result.clusters[every_eighth]],
        linewidths=1.0,
    )
    axis.add_collection(circles)
    axis.set_aspect("equal")
    axis.set(xlabel="$x_1$", ylabel="$x_2$")
    axis.set_title(r"Every eighth point with its width $\sigma_i/\sqrt{2}$", loc="left", fontsize=11)


def _curves(axis, result):
    for i, curve, name in zip(result.centers, result.curves, ("dense", "medium", "sparse"), strict=True):
        color = _COLORS[result.clusters[i]]
        axis.plot(result.grid, curve, color=color, label=f"in the {name} cluster")
        axis.plot(result.widths[i], result.perplexity, "o", color=color, markersize=5)
    axis.axhline(result.perplexity, color=style.MUTED, linewidth=0.8, linestyle="--")
    axis.axhline(len(result.points) - 1, color=style.MUTED, linewidth=0.8)
    axis.text(3.2e-3, len(result.points) * 0.93, "$N-1$", color=style.MUTED, va="top", fontsize=9)
    axis.set(xscale="log", yscale="log")
    axis.set(xlabel=r"width $\sigma_i/\sqrt{2}$", ylabel="perplexity of $p_{j|i}$")
    axis.set_title("A width for each point at one perplexity", loc="left", fontsize=11)
    axis.legend(frameon=False, fontsize=9, loc="lower right", title="a point", alignment="left")


FIGURE = Figure(
    section="2.6",
    name="perplexity",
    draw=draw,
    caption=(
        "Eq. 2.6.4 gives all points the same effective number of neighbors, here a perplexity of 15. Left: a "
        "cloud with three densities, and the widths of Eq. 2.6.1 as circles of one standard deviation. "
        "Right: the perplexity of three points against this width grows from one neighbor to all N − 1."
    ),
    place=2,
)
