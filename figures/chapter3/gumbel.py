"""The Gumbel trick: samples of three categories and their softened versions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...publishing.page import style
from ...theory import sampling
from ..figure import Figure

BETAS = (0.5, 2.0, 10.0)
"""Inverse temperatures of the ternary plots."""

_CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(3) / 2]])
_LOGITS = (1.0, 0.0, 0.6)


@dataclass(frozen=True)
class GumbelSamples:
    """Samples of three categories.

    Args:
        probabilities: softmax(x), Eq. 3.5.2, [3].
        frequencies: Frequencies of the argmax samples, Eq. 3.5.3, [3].
        standard_errors: Standard errors of the frequencies, [3].
        points: S samples of the softened argmax, Eq. 3.5.7, by beta, [S, 3] each.
    """

    probabilities: np.ndarray
    frequencies: np.ndarray
    standard_errors: np.ndarray
    points: dict[float, np.ndarray]


def measure(samples: int = 20_000, points: int = 800, seed: int = 0) -> GumbelSamples:
    """Draws from three categories with the Gumbel trick.

    Args:
        samples: Number of argmax samples.
        points: Number S of softened samples for each beta; all betas share the noise.
        seed: Seed of the noise.
    """
    rng = np.random.default_rng(seed)
    p = sampling.softmax(_LOGITS)
    categories = sampling.gumbel_max(_LOGITS, samples, rng)
    noise = rng.gumbel(size=(points, len(p)))
    return GumbelSamples(
        p,
        np.bincount(categories, minlength=len(p)) / samples,
        np.sqrt(p * (1 - p) / samples),
        {beta: sampling.softened_argmax(_LOGITS, noise, beta) for beta in BETAS},
    )


def draw():
    """Draws the frequencies of argmax samples with softmax(x), and softened samples on the simplex."""
    samples = measure()
    figure, axes = style.canvas(8.3, 7.2, rows=2, columns=2)
    _histogram(axes[0, 0], samples)
    for axis, (beta, points) in zip(axes.flat[1:], samples.points.items(), strict=True):
        _ternary(axis, beta, points, samples.probabilities)
    return figure


def _histogram(axis, samples):
    places, p = np.arange(len(samples.probabilities)), samples.probabilities
    axis.bar(places - 0.2, p, 0.38, color=style.RULE, edgecolor=style.MUTED, label="softmax")
    label = r"frequency of $\arg\max(x + z)$"
    axis.bar(places + 0.2, samples.frequencies, 0.38, color=style.BLUE, label=label)
    axis.errorbar(
        places + 0.2,
        samples.frequencies,
        2 * samples.standard_errors,
        fmt="none",
        ecolor=style.INK,
        capsize=4,
        label="2 standard errors",
    )
    axis.set(xticks=places, xticklabels=[str(i + 1) for i in places], xlabel="category", ylabel="probability")
    axis.set_ylim(0, 0.7)
    axis.set_title("Gumbel-max samples (Eq. 3.5.3)", loc="left", fontsize=11)
    axis.legend(frameon=False, fontsize=9, loc="upper center")
    axis.grid(axis="x", visible=False)


def _ternary(axis, beta, points, probabilities):
    axis.set_axis_off()
    axis.set_aspect("equal")
    axis.set(xlim=(-0.12, 1.12), ylim=(-0.12, 1.0))
    axis.fill(*_CORNERS.T, facecolor="none", edgecolor=style.MUTED, linewidth=1)
    axis.scatter(*(points @ _CORNERS).T, s=9, color=style.BLUE, alpha=0.35, linewidths=0)
    marks = (
        (probabilities, "*", 12, style.VERMILION, "$p$"),
        (points.mean(axis=0), "o", 7, style.INK, r"mean of $f$"),
    )
    for point, marker, size, color, label in marks:
        look = {"color": color, "markersize": size, "markeredgecolor": "white", "linestyle": "none"}
        axis.plot(*(point @ _CORNERS), marker, label=label, **look)
    offsets = ((-0.05, -0.05), (0.05, -0.05), (0, 0.05))
    for number, (corner, offset) in enumerate(zip(_CORNERS, offsets, strict=True), start=1):
        axis.text(*(corner + offset), str(number), ha="center", va="center", color=style.INK)
    axis.set_title(rf"Softened argmax, $\beta = {beta:g}$", loc="left", fontsize=11)
    axis.legend(frameon=False, fontsize=9, loc="upper left", handletextpad=0.2)


FIGURE = Figure(
    section="3.5",
    name="gumbel",
    draw=draw,
    caption=(
        "The argmax of logits with Gumbel noise (Eq. 3.5.3) is a sample of their softmax (Eq. 3.5.2). The "
        "softened argmax (Eq. 3.5.7) fills the simplex at small beta and moves to its corners as beta grows. "
        "Its mean (dot) differs from p (star) but approaches it."
    ),
    place=1,
)
