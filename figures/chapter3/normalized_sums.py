"""Distributions of normalized sums of independent copies, by convolution.

For a sum X of N copies, y = (X - N <X_1>) / sqrt(N <X_1^2>_c), so that <y> = 0 and <y^2>_c = 1.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from ...publishing.page import style
from ...theory import characteristic


@dataclass(frozen=True)
class Law:
    """The distribution of one copy on a lattice.

    Args:
        label: Label in the figures.
        points: Midpoints of the cells, [C], evenly spaced.
        density: Density at the midpoints, [C].
        color: Color of its points and lines.
        marker: Marker of its points.
    """

    label: str
    points: np.ndarray
    density: np.ndarray
    color: str
    marker: str


def laws():
    """Returns the `Law`s of the figures by name."""

    def two_modes(x):
        return 0.7 * stats.norm.pdf(x, -1, 0.35) + 0.3 * stats.norm.pdf(x, 1.5, 0.35)

    return {
        "exponential": _on_lattice("exponential", stats.expon.pdf, 0, 40, style.VERMILION, "o"),
        "bimodal": _on_lattice("bimodal", two_modes, -5, 5, style.GREEN, "^"),
        "laplace": _on_lattice("Laplace", stats.laplace.pdf, -40, 40, style.PURPLE, "D"),
        "uniform": _on_lattice("uniform", stats.uniform.pdf, 0, 1, style.BLUE, "s"),
    }


def normalized_sum(law, count):
    """Convolves copies of a law and rescales the sum to mean 0 and variance 1, Eqs. 3.2.10 and 3.2.14.

    Args:
        law: The `Law` of one copy.
        count: Number N of copies.

    Returns:
        (y, density), arrays of the same length.
    """
    weights = law.density * (law.points[1] - law.points[0])
    mean = weights @ law.points
    deviation = np.sqrt(weights @ (law.points - mean) ** 2)
    points, density = characteristic.density_of_sum(law.points, law.density, count)
    scale = deviation * np.sqrt(count)
    return (points - count * mean) / scale, density * scale


def _on_lattice(label, density, low, high, color, marker, cells=1000):
    """Evaluates a density on a lattice, on which sums of copies are exact for any number of cells."""
    width = (high - low) / cells
    points = low + (np.arange(cells) + 0.5) * width
    values = density(points)
    return Law(label, points, values / (width * values.sum()), color, marker)
