"""The Marchenko-Pastur law and the eigenvalues of random matrices (Eq. 6.0.15).

Legend: P parameters, D examples.
"""

from dataclasses import dataclass

import numpy as np

from ...publishing.page import style
from ...theory import student_teacher
from ...theory.random_matrix import MarchenkoPastur
from ..figure import Figure

RATIOS = (0.3, 1.0, 3.0)
"""The ratios r = D/P of the panels."""


@dataclass(frozen=True)
class Eigenvalues:
    """The eigenvalues of one random matrix X X^T.

    Args:
        values: The positive eigenvalues in ascending order.
        zeros: The fraction of eigenvalues that are zero.
        law: The `MarchenkoPastur` law of the same ratio.
    """

    values: np.ndarray
    zeros: float
    law: MarchenkoPastur


def measure(ratio, parameters=600, seed=0):
    """Computes the eigenvalues of X X^T for Gaussian inputs of variance 1/P.

    Args:
        ratio: r = D/P.
        parameters: Number P of parameters.
        seed: Seed of the inputs.

    Returns:
        An `Eigenvalues`.
    """
    examples = round(ratio * parameters)
    inputs = student_teacher.draw(parameters, examples, noise=0.0, seed=seed).inputs
    eigenvalues = np.linalg.eigvalsh(inputs @ inputs.T)
    positive = eigenvalues[max(0, parameters - examples) :]
    return Eigenvalues(positive, 1 - len(positive) / parameters, MarchenkoPastur(examples / parameters))


def plot(panels):
    """Draws a histogram of the positive eigenvalues, with the law, for each ratio.

    Args:
        panels: `Eigenvalues`, one for each panel.
    """
    figure, axes = style.canvas(9.6, 3.4, columns=len(panels))
    for axis, each in zip(axes[0], panels, strict=True):
        low, high = each.law.support
        edges = np.linspace(low, high, 26)
        width = edges[1] - edges[0]
        count = len(each.values) / (1 - each.zeros)
        heights = np.histogram(each.values, edges)[0] / count / width
        axis.bar(edges[:-1], heights, width, align="edge", color=style.SKY, alpha=0.6, linewidth=0)
        grid = low + (high - low) * np.sin(np.linspace(0.02, np.pi / 2, 400)) ** 2
        axis.plot(grid, each.law.density(grid), color=style.BLUE, linewidth=2)
        top = 1.35 * heights.max()
        axis.set(ylim=(0, top), xlim=(-0.05 * high, 1.05 * high), xlabel=r"eigenvalue $\lambda$ of $XX^T$")
        if each.zeros:
            axis.plot([0, 0], [0, top], color=style.VERMILION, linewidth=3, solid_capstyle="butt")
            label = f"{100 * each.zeros:.0f} % at $\\lambda = 0$"
            axis.text(0.06 * high, 0.93 * top, label, color=style.VERMILION, fontsize=10)
        axis.set_title(f"$r = D/P = {each.law.ratio:g}$", loc="left", fontsize=11)
    axes[0, 0].set_ylabel(r"density $\rho(\lambda)$")
    return figure


def draw():
    """Computes the eigenvalues of one random matrix for each ratio and draws them with the law."""
    return plot([measure(ratio) for ratio in RATIOS])


FIGURE = Figure(
    section="6",
    name="marchenko_pastur",
    draw=draw,
    caption=(
        "Eigenvalues of X Xᵀ for one Gaussian matrix of 600 parameters and 600 r examples, with variance 1/P "
        "(bars), and the Marchenko-Pastur law of Eq. 6.0.15 (lines). With fewer examples than parameters, a "
        "fraction 1 − r of the eigenvalues is zero. Positive eigenvalues near zero, which cause the "
        "overfitting, exist only near r = 1, where the density diverges as 1/√λ."
    ),
    place=0,
)
