"""Densities of maximum entropy with mean zero and a given variance or mean absolute value."""

from dataclasses import dataclass

import numpy as np

from ...publishing.page import style
from ...theory import maxent
from ..figure import Figure

SPREAD = 1.0
"""Value of the constraint: sqrt(<x^2>) of the one density, <|x|> of the other."""


@dataclass(frozen=True)
class Density:
    """A density of maximum entropy on a grid.

    Args:
        x: Grid points, [C].
        density: Numerical solution on the grid, [C].
        closed_form: The closed form on the whole line, [C].
    """

    x: np.ndarray
    density: np.ndarray
    closed_form: np.ndarray


def measure():
    """Solves for the densities of maximum entropy with mean zero and one constraint on the spread.

    Returns:
        `Density`s by name: `gaussian` for a given variance (Eq. 2.4.8), `laplace` for a given <|x|>.
    """
    x = np.linspace(-12, 12, 2401)
    gaussian = maxent.gaussian(x, 0.0, SPREAD**2)
    features = np.stack([x, np.abs(x)], axis=1)
    laplace = maxent.maximum_entropy(features, [0.0, SPREAD], maxent.cell_widths(x))
    return {
        "gaussian": Density(
            x, gaussian.density, np.exp(-(x**2) / (2 * SPREAD**2)) / np.sqrt(2 * np.pi * SPREAD**2)
        ),
        "laplace": Density(x, laplace.density, np.exp(-np.abs(x) / SPREAD) / (2 * SPREAD)),
    }


def draw():
    """Draws both densities on a linear and on a logarithmic scale."""
    looks = {
        "gaussian": (style.BLUE, r"$\langle x^2\rangle = 1$: Gaussian", (1.15, 0.25)),
        "laplace": (style.VERMILION, r"$\langle |x|\rangle = 1$: Laplace", (0.45, 0.42)),
    }
    densities = measure()
    figure, axes = style.canvas(8.3, 3.8, columns=2)
    for panel, scale, width in zip(axes[0], ("linear", "log"), (4, 8), strict=True):
        for name, result in densities.items():
            color, label, position = looks[name]
            inside = np.abs(result.x) <= width
            x, density = result.x[inside], result.density[inside]
            every = slice(None, None, 25 if scale == "linear" else 50)
            panel.plot(x, result.closed_form[inside], color=color, linewidth=1.4)
            panel.plot(x[every], density[every], "o", color=color, markersize=3.5)
            if scale == "linear":
                panel.annotate(label, position, color=color, fontsize=9)
        panel.set(yscale=scale, xlabel="$x$", ylabel="density $p(x)$", xlim=(-width, width))
    axes[0, 0].set_ylim(0, 0.54)
    axes[0, 1].set_ylim(1e-8, 1)
    axes[0, 0].set_title("Points: numerical, lines: closed form", loc="left", fontsize=11)
    axes[0, 1].set_title("The same on a logarithmic scale", loc="left", fontsize=11)
    return figure


FIGURE = Figure(
    section="2.4",
    name="maximum_entropy",
    draw=draw,
    caption=(
        "Densities of maximum entropy with mean zero. A given variance leads to the Gaussian (Eqs. 2.4.6 to "
        "2.4.8), a given mean absolute value to the Laplace density with its straight tails. Points are "
        "numerical solutions of the dual problem on a grid, lines are the closed forms."
    ),
    place=2,
)
