"""The loaded die: the distribution of maximum entropy with a given mean throw."""

from dataclasses import dataclass

import numpy as np

from ...publishing.page import style
from ...theory import maxent
from ..figure import Figure

FACES = np.arange(1, 7)
MEANS = (1.5, 2.5, 3.5, 4.5, 5.5)
"""Mean throws of the dice."""


@dataclass(frozen=True)
class Dice:
    """Loaded dice of maximum entropy.

    Args:
        means: Mean throws, [R].
        betas: Lagrange multipliers, [R], in inverse points.
        probabilities: Probabilities of the faces, [R, 6].
    """

    means: np.ndarray
    betas: np.ndarray
    probabilities: np.ndarray


def measure(means=MEANS):
    """Finds the loaded die of maximum entropy for each mean throw, Eq. 2.4.3.

    Args:
        means: Mean throws, between 1 and 6.

    Returns:
        A `Dice`.
    """
    results = [maxent.boltzmann(FACES, mean) for mean in means]
    return Dice(
        np.asarray(means, dtype=float),
        np.array([result.multipliers[0] for result in results]),
        np.array([result.probabilities for result in results]),
    )


def mean_throw(betas):
    """Returns the mean throw of the die with probabilities proportional to exp(-beta E).

    Args:
        betas: Lagrange multipliers, [R].
    """
    weights = np.exp(-np.multiply.outer(betas, FACES - FACES.mean()))
    return weights @ FACES / weights.sum(axis=-1)


def draw():
    """Draws the probabilities of the faces for several mean throws, and beta against the mean."""
    dice = measure()
    figure, axes = style.canvas(8.3, 3.8, columns=2)
    faces, multipliers = axes[0]
    colors = (style.BLUE, style.SKY, style.MUTED, style.ORANGE, style.VERMILION)
    betas = np.linspace(-2.2, 2.2, 201)
    multipliers.plot(mean_throw(betas), betas, color=style.INK, linewidth=1)
    for mean, beta, p, color in zip(dice.means, dice.betas, dice.probabilities, colors, strict=True):
        faces.plot(FACES, p, "o-", color=color, markersize=4, linewidth=1.4, label=f"{mean:g}")
        multipliers.plot(mean, beta, "o", color=color, markersize=6)
    faces.set(yscale="log", xlabel="face $E_i$ (points)", ylabel="probability $p_i$", xticks=FACES)
    faces.set_title("Boltzmann weights of a loaded die", loc="left", fontsize=11)
    faces.legend(title="mean throw", frameon=False, fontsize=9, title_fontsize=9, ncols=2, loc="lower center")
    multipliers.axhline(0, color=style.MUTED, linewidth=0.8)
    multipliers.axvline(3.5, color=style.MUTED, linewidth=0.8)
    multipliers.set(xlabel=r"mean throw $\langle E\rangle$ (points)", ylabel=r"$\beta$ (1/point)")
    multipliers.set(xlim=(0.9, 6.1))
    multipliers.set_title("The multiplier diverges at the ends", loc="left", fontsize=11)
    multipliers.annotate("fair die", (3.5, 0), xytext=(3.6, 0.15), color=style.INK, fontsize=9)
    return figure


FIGURE = Figure(
    section="2.4",
    name="die",
    draw=draw,
    caption=(
        "Maximum entropy for a die with a given mean throw (Eqs. 2.4.1 to 2.4.3). The probabilities depend "
        "exponentially on the points and are straight lines on the logarithmic axis. The multiplier beta is "
        "positive for means below the fair die's 3.5 and negative for means above it; it diverges at 1 and "
        "6. Points are numerical solutions, the line on the right is the closed form of the mean."
    ),
    place=1,
)
