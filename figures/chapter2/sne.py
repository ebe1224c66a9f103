"""Handwritten digits embedded in the plane by SNE and by t-SNE.

Legend: N points, D features.
"""

from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib import patheffects
from scipy.spatial.distance import cdist
from sklearn.datasets import load_digits

from ...publishing.page import style
from ...theory.sne import Embedding, embed
from ..figure import Figure

_NEIGHBORS = 10
_TITLES = {"sne": "SNE, Eqs. 2.6.1 to 2.6.4", "tsne": "t-SNE, with Student's heavy tail"}


@dataclass(frozen=True)
class DigitMaps:
    """Digits embedded in the plane.

    Args:
        labels: The digits, [N].
        embeddings: `theory.sne.Embedding` by method, `sne` and `tsne`.
        agreement: Mean fraction of the 10 nearest neighbors that show the same digit, by method, and for the
            64-dimensional data under `pixels`.
    """

    labels: np.ndarray
    embeddings: dict[str, Embedding]
    agreement: dict[str, float]


def measure(points=None, perplexity=30.0, iterations=1000, sne_iterations=300):
    """Embeds scikit-learn's digits by both methods, starting from the same principal components.

    Args:
        points: Number N of digits, the first of the data set; `None` for all 1,797.
        perplexity: Smooth number of neighbors.
        iterations: Maximum number of iterations of t-SNE.
        sne_iterations: Maximum number of iterations of SNE, which needs fewer because its points stay close.

    Returns:
        A `DigitMaps`.
    """
    x, labels = (array[:points] for array in load_digits(return_X_y=True))
    embeddings = {
        method: embed(x, method, perplexity, iterations=most)
        for method, most in (("sne", sne_iterations), ("tsne", iterations))
    }
    agreement = {method: neighbor_agreement(each.points, labels) for method, each in embeddings.items()}
    return DigitMaps(labels, embeddings, agreement | {"pixels": neighbor_agreement(x, labels)})


def neighbor_agreement(points, labels, neighbors=_NEIGHBORS):
    """Returns the mean fraction of the nearest neighbors of a point that have its label.

    Args:
        points: Coordinates, [N, D].
        labels: Labels, [N].
        neighbors: Number of neighbors, less than N.
    """
    distances = cdist(points, points, "sqeuclidean")
    np.fill_diagonal(distances, np.inf)
    nearest = np.argpartition(distances, neighbors - 1, axis=1)[:, :neighbors]
    return float(np.mean(labels[nearest] == labels[:, None]))


def plot(maps):
    """Draws both embeddings, with a color and a large numeral for each digit.

    Args:
        maps: A `DigitMaps`.
    """
    figure, axes = style.canvas(9.6, 5.2, columns=2)
    for axis, (method, embedding) in zip(axes[0], maps.embeddings.items(), strict=True):
        _map(axis, embedding.points, maps.labels)
        axis.set_title(_TITLES[method], loc="left", fontsize=11)
        percentage = 100 * maps.agreement[method]
        axis.set_xlabel(f"{percentage:.1f} % of the {_NEIGHBORS} nearest neighbors show the same digit")
        axis.set_box_aspect(1)
    return figure


def draw():
    """Embeds all digits and draws them."""
    return plot(measure())


def _map(axis, points, labels):
    colors = matplotlib.colormaps["tab10"].colors
    axis.scatter(*points.T, c=[colors[k] for k in labels], s=5, linewidths=0, rasterized=True)
    halo = [patheffects.withStroke(linewidth=3, foreground="white")]
    for k in np.unique(labels):
        same = points[labels == k]
        # The medoid lies within the largest group of a digit, whereas the mean could lie between two groups.
        center = same[np.argmin(cdist(same, same).sum(axis=1))]
        axis.text(*center, str(k), size=18, weight="bold", color=colors[k], ha="center", va="center").set(
            path_effects=halo
        )
    axis.grid(visible=False)
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(True)
    axis.spines[:].set_color(style.RULE)


FIGURE = Figure(
    section="2.6",
    name="sne",
    draw=draw,
    caption=(
        "scikit-learn's 1,797 handwritten digits in the plane, colored by digit. Both embeddings have "
        "perplexity 30 and start from the same principal components. Left: in SNE (Eqs. 2.6.1 to 2.6.4), the "
        "Gaussian q of Eq. 2.6.2 crowds the digits together. Right: the Student-t kernel of t-SNE lets them "
        "move apart."
    ),
    place=1,
)
