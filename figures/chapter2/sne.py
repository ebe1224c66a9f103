"""Digits in the plane by SNE and by t-SNE, and the bandwidths that the perplexity sets (Sec. 2.6).

Legend: N points, K digits.
"""

from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib import patheffects
from matplotlib.collections import EllipseCollection
from scipy.spatial.distance import cdist
from scipy.stats import entropy
from sklearn.datasets import load_digits

from ...publishing.page import style
from ...theory import perplexity as theory
from ...theory.sne import Embedding, embed

_NEIGHBORS = 10
_TITLES = {"sne": "SNE, Eqs. 2.6.1 to 2.6.4", "tsne": "t-SNE, with Student's heavy tail"}


@dataclass(frozen=True)
class DigitMaps:
    """Digits embedded in the plane.

    Args:
        labels: The digits, [N].
        embeddings: `theory.sne.Embedding` by method, `sne` and `tsne`.
        agreement: Mean share of a point's 10 nearest neighbors that are the same digit, by method; `pixels`
            has that of the 64-dimensional data.
    """

    labels: np.ndarray
    embeddings: dict[str, Embedding]
    agreement: dict[str, float]


@dataclass(frozen=True)
class Bandwidths:
    """A cloud of three densities and the widths that give its points one perplexity.

    Args:
        points: Coordinates, [N, 2].
        clusters: Cluster of each point, [N].
        widths: Standard deviation sigma_i / sqrt(2) of each point's Gaussian of Eq. 2.6.1, [N].
        chosen: Index of one point in the middle of each cluster, [3].
        grid: Standard deviations at which `curves` has values, [M].
        curves: Perplexity of the chosen points at every standard deviation, [3, M].
        perplexity: That of all points.
    """

    points: np.ndarray
    clusters: np.ndarray
    widths: np.ndarray
    chosen: np.ndarray
    grid: np.ndarray
    curves: np.ndarray
    perplexity: float


def compute(points=None, perplexity=30.0, iterations=1000, sne_iterations=300):
    """Embeds scikit-learn's digits by both methods from the same principal components.

    Args:
        points: Number N of digits, the first of the data set; `None` for all 1,797.
        perplexity: Smooth number of neighbors.
        iterations: Most iterations of t-SNE.
        sne_iterations: Most iterations of SNE, which needs fewer: nothing has to be pushed far.

    Returns:
        A `DigitMaps`.
    """
    x, labels = (array[:points] for array in load_digits(return_X_y=True))
    embeddings = {
        method: embed(x, method, perplexity, iterations=most)
        for method, most in (("sne", sne_iterations), ("tsne", iterations))
    }
    agreement = {method: neighbor_agreement(found.points, labels) for method, found in embeddings.items()}
    return DigitMaps(labels, embeddings, agreement | {"pixels": neighbor_agreement(x, labels)})


def neighbor_agreement(points, labels, neighbors=_NEIGHBORS):
    """Returns the mean share of a point's nearest neighbors that have its label.

    Args:
        points: Coordinates, [N, D].
        labels: Labels, [N].
        neighbors: Number of neighbors, below N.
    """
    distances = cdist(points, points, "sqeuclidean")
    np.fill_diagonal(distances, np.inf)
    nearest = np.argpartition(distances, neighbors - 1, axis=1)[:, :neighbors]
    return float(np.mean(labels[nearest] == labels[:, None]))


def draw_maps(maps):
    """Draws both embeddings, a color and a large numeral for each digit.

    Args:
        maps: A `DigitMaps`.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure, axes = style.canvas(9.6, 5.2, columns=2)
    for axis, (method, found) in zip(axes[0], maps.embeddings.items(), strict=True):
        _draw_map(axis, found.points, maps.labels)
        axis.set_title(_TITLES[method], loc="left", fontsize=11)
        share = 100 * maps.agreement[method]
        axis.set_xlabel(f"{share:.1f} % of the {_NEIGHBORS} nearest neighbors are the same digit")
        axis.set_box_aspect(1)
    return figure


def draw():
    """Embeds all digits and draws them.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    return draw_maps(compute())


def _draw_map(axis, points, labels):
    colors = matplotlib.colormaps["tab10"].colors
    axis.scatter(*points.T, c=[colors[k] for k in labels], s=5, linewidths=0, rasterized=True)
    halo = [patheffects.withStroke(linewidth=3, foreground="white")]
    for k in np.unique(labels):
        own = points[labels == k]
        # The medoid lies within the largest group of a digit, where a mean could lie between two.
        center = own[np.argmin(cdist(own, own).sum(axis=1))]
        axis.text(*center, str(k), size=18, weight="bold", color=colors[k], ha="center", va="center").set(
            path_effects=halo
        )
    axis.grid(visible=False)
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(True)
    axis.spines[:].set_color(style.RULE)


def compute_bandwidths(perplexity=15.0, points=80, seed=0):
    """Sets the widths of three Gaussian clusters, each three times as wide as the one before.

    Args:
        perplexity: Smooth number of neighbors.
        points: Points of each cluster.
        seed: Seed of the clusters.

    Returns:
        A `Bandwidths`.
    """
    rng = np.random.default_rng(seed)
    scales, centers = (1 / 9, 1 / 3, 1.0), ((-0.6, 1.4), (0.3, -0.6), (3.8, 0.4))
    x = np.concatenate(
        [c + s * rng.standard_normal((points, 2)) for s, c in zip(scales, centers, strict=True)]
    )
    clusters = np.repeat(np.arange(3), points)
    _, bandwidths = theory.conditional_probabilities(x, perplexity)
    chosen = np.array([np.argmin(np.sum((x - c) ** 2, axis=1)) for c in centers])
    grid = np.geomspace(3e-3, 10.0, 120)
    probabilities = (theory.gaussian_probabilities(x, np.sqrt(2) * width)[chosen] for width in grid)
    curves = np.exp([entropy(p, axis=1) for p in probabilities]).T
    return Bandwidths(x, clusters, bandwidths / np.sqrt(2), chosen, grid, curves, perplexity)


def draw_bandwidths(found=None):
    """Draws the cloud with circles of one standard deviation, and perplexity against that width.

    Args:
        found: A `Bandwidths`; `None` computes one.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    found = found or compute_bandwidths()
    colors = np.array([style.VERMILION, style.GREEN, style.BLUE])
    figure, axes = style.canvas(9.6, 4.2, columns=2, width_ratios=[1.25, 1])
    cloud, curves = axes[0]
    cloud.scatter(*found.points.T, c=colors[found.clusters], s=6, linewidths=0, alpha=0.45)
    some = np.arange(0, len(found.points), 8)
    diameters = 2 * found.widths[some]
    circles = EllipseCollection(
        diameters,
        diameters,
        np.zeros(len(some)),
        units="xy",
        offsets=found.points[some],
        offset_transform=cloud.transData,
        facecolors="none",
        edgecolors=colors[found.clusters[some]],
        linewidths=1.0,
    )
    cloud.add_collection(circles)
    cloud.set_aspect("equal")
    cloud.set(xlabel="$x_1$", ylabel="$x_2$")
    cloud.set_title(r"every eighth point with its width $\sigma_i/\sqrt{2}$", loc="left", fontsize=11)
    for i, curve, name in zip(found.chosen, found.curves, ("dense", "medium", "sparse"), strict=True):
        color = colors[found.clusters[i]]
        curves.plot(found.grid, curve, color=color, label=f"in the {name} cluster")
        curves.plot(found.widths[i], found.perplexity, "o", color=color, markersize=5)
    curves.axhline(found.perplexity, color=style.MUTED, linewidth=0.8, linestyle="--")
    curves.axhline(len(found.points) - 1, color=style.MUTED, linewidth=0.8)
    curves.text(3.2e-3, len(found.points) * 0.93, "$N-1$", color=style.MUTED, va="top", fontsize=9)
    curves.set(
        xscale="log", yscale="log", xlabel=r"width $\sigma_i/\sqrt{2}$", ylabel="perplexity of $p_{j|i}$"
    )
    curves.set_title("a width for each point at one perplexity", loc="left", fontsize=11)
    curves.legend(frameon=False, fontsize=9, loc="lower right", title="a point", alignment="left")
    return figure
