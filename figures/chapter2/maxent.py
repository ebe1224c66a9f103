"""Figures of maximum entropy: a loaded die, and densities of a given mean and spread (Sec. 2.4)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from ...publishing.page import style
from ...theory import maxent

FACES = np.arange(1, 7)
MEANS = (1.5, 2.5, 3.5, 4.5, 5.5)
"""Mean throws of the loaded dice."""

SPREAD = 1.0
"""What sqrt(<x^2>) or <|x|> is fixed to on the grid."""


@dataclass(frozen=True)
class Die:
    """Loaded dice of maximum entropy.

    Args:
        means: Mean throws, [R].
        betas: Their multipliers, [R], in inverse points.
        probabilities: Of the faces, [R, 6].
    """

    means: np.ndarray
    betas: np.ndarray
    probabilities: np.ndarray


@dataclass(frozen=True)
class Density:
    """A density of maximum entropy on a grid, with the closed form of the whole line.

    Args:
        x: Points, [C].
        density: Solved on the grid, [C].
        closed_form: The same on the whole line, [C].
    """

    x: np.ndarray
    density: np.ndarray
    closed_form: np.ndarray


def load_die(means=MEANS) -> Die:
    """Solves for the loaded die of each mean throw, Eq. 2.4.3.

    Args:
        means: Mean throws, between 1 and 6.

    Returns:
        A `Die`.
    """
    results = [maxent.boltzmann(FACES, mean) for mean in means]
    return Die(
        np.asarray(means, dtype=float),
        np.array([result.multipliers[0] for result in results]),
        np.array([result.probabilities for result in results]),
    )


def mean_throw(betas) -> np.ndarray:
    """Returns the mean throw of the die with probabilities proportional to exp(-beta E).

    Args:
        betas: Multipliers, [R].
    """
    weights = np.exp(-np.multiply.outer(betas, FACES - FACES.mean()))
    return weights @ FACES / weights.sum(axis=-1)


def solve_densities() -> dict[str, Density]:
    """Solves for the densities of maximum entropy with one spread fixed and mean zero.

    Returns:
        `gaussian` with a fixed variance (Eq. 2.4.8), `laplace` with a fixed mean distance.
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


def draw_die() -> Figure:
    """Draws the probabilities of the faces for several mean throws, and beta against the mean.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    die = load_die()
    figure, axes = style.canvas(8.3, 3.8, columns=2)
    faces, betas = axes[0]
    colors = (style.BLUE, style.SKY, style.MUTED, style.ORANGE, style.VERMILION)
    ends = np.linspace(-2.2, 2.2, 201)
    betas.plot(mean_throw(ends), ends, color=style.INK, linewidth=1)
    for mean, beta, p, color in zip(die.means, die.betas, die.probabilities, colors, strict=True):
        faces.plot(FACES, p, "o-", color=color, markersize=4, linewidth=1.4, label=f"{mean:g}")
        betas.plot(mean, beta, "o", color=color, markersize=6)
    faces.set(yscale="log", xlabel="face $E_i$ (points)", ylabel="probability $p_i$", xticks=FACES)
    faces.set_title("Boltzmann weights of a loaded die", loc="left", fontsize=11)
    faces.legend(title="mean throw", frameon=False, fontsize=9, title_fontsize=9, ncols=2, loc="lower center")
    betas.axhline(0, color=style.MUTED, linewidth=0.8)
    betas.axvline(3.5, color=style.MUTED, linewidth=0.8)
    betas.set(xlabel=r"mean throw $\langle E\rangle$ (points)", ylabel=r"$\beta$ (1/point)", xlim=(0.9, 6.1))
    betas.set_title("The multiplier runs to infinity at the ends", loc="left", fontsize=11)
    betas.annotate("fair die", (3.5, 0), xytext=(3.6, 0.15), color=style.INK, fontsize=9)
    return figure


def draw_densities() -> Figure:
    """Draws the densities of maximum entropy for a fixed variance and for a fixed mean distance.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    looks = {
        "gaussian": (style.BLUE, r"$\langle x^2\rangle = 1$: Gaussian", (1.15, 0.25)),
        "laplace": (style.VERMILION, r"$\langle |x|\rangle = 1$: Laplace", (0.45, 0.42)),
    }
    figure, axes = style.canvas(8.3, 3.8, columns=2)
    for panel, scale, width in zip(axes[0], ("linear", "log"), (4, 8), strict=True):
        for name, solved in solve_densities().items():
            color, label, at = looks[name]
            shown = np.abs(solved.x) <= width
            points = slice(None, None, 25 if scale == "linear" else 50)
            panel.plot(solved.x[shown], solved.closed_form[shown], color=color, linewidth=1.4)
            panel.plot(
                solved.x[shown][points], solved.density[shown][points], "o", color=color, markersize=3.5
            )
            if scale == "linear":
                panel.annotate(label, at, color=color, fontsize=10)
        panel.set(yscale=scale, xlabel="$x$", ylabel="density $p(x)$", xlim=(-width, width))
    axes[0, 0].set_ylim(0, 0.54)
    axes[0, 1].set_ylim(1e-8, 1)
    axes[0, 0].set_title("Points: the dual solved on a grid", loc="left", fontsize=11)
    axes[0, 1].set_title("Lines: closed forms, here with a log scale", loc="left", fontsize=11)
    return figure
