"""The overfitting peak at as many parameters as examples (Sec. 6, after Eq. 6.0.15).

Legend: P parameters, D examples, N ratios.
"""

from dataclasses import dataclass

import numpy as np

from ...publishing.page import style
from ...theory import generalization, student_teacher
from ...theory.generalization import LinearStudent
from ..figure import Figure

NOISES = (0.25, 0.7)
"""Standard deviations of the noise of the panels; the teacher's weights have 1."""

_PARAMETERS = (3, 8, 20, 40, 50, 72, 90, 180, 600)


@dataclass(frozen=True)
class Peak:
    """Test errors against P/D for one level of noise.

    Args:
        noise: Standard deviation of the noise.
        ratios: Parameters per example P/D, [N].
        final: Test error at infinite time, [N].
        stopped: Test error at the best time to stop, [N].
        ridge: Test error with the best L2 penalty, [N].
        simulated: (P/D, mean, standard error) of students at infinite time with D = 60 examples, [3, M].
    """

    noise: float
    ratios: np.ndarray
    final: np.ndarray
    stopped: np.ndarray
    ridge: np.ndarray
    simulated: np.ndarray


def measure(noise, points=40, examples=60, repeats=30):
    """Computes the three test errors in the limit of infinite P and D, and simulates the first.

    Args:
        noise: Standard deviation of the noise.
        points: Number N/2 of ratios on each side of P = D, denser close to it.
        examples: Number D of examples of the simulation.
        repeats: Number of simulated students at each ratio.

    Returns:
        A `Peak`.
    """
    distances = np.geomspace(0.004, np.log(32), points)
    ratios = np.exp(np.append(-distances[::-1], distances))
    students = [LinearStudent.limit(1 / ratio, noise=noise) for ratio in ratios]
    return Peak(
        noise,
        ratios,
        generalization.final_test_error(1 / ratios, noise=noise),
        np.array([student.best_stopping().errors.test for student in students]),
        np.array([student.ridge(student.best_strength).test for student in students]),
        np.transpose([_simulated(p, examples, noise, repeats) for p in _PARAMETERS]),
    )


def _simulated(parameters, examples, noise, repeats):
    """Returns P/D, and mean and standard error of the test error at infinite time."""
    draws = [student_teacher.draw(parameters, examples, noise=noise, seed=seed) for seed in range(repeats)]
    errors = [each.test_error(each.limit(np.zeros(parameters)), noise) for each in draws]
    return parameters / examples, np.mean(errors), np.std(errors, ddof=1) / np.sqrt(repeats)


def plot(peaks):
    """Draws the test errors against P/D.

    Args:
        peaks: A `Peak` for each panel.
    """
    figure, axes = style.canvas(9.6, 4.2, columns=len(peaks), sharey=True)
    for axis, peak in zip(axes[0], peaks, strict=True):
        axis.plot(peak.ratios, peak.final, color=style.VERMILION, linewidth=2, label="infinite time")
        x, mean, error = peak.simulated
        axis.errorbar(x, mean, error, fmt="o", markersize=4, color=style.VERMILION, label="simulated, D = 60")
        axis.plot(peak.ratios, peak.stopped, color=style.BLUE, linewidth=2, label="best early stopping")
        axis.plot(peak.ratios, peak.ridge, "--", color=style.ORANGE, linewidth=2, label=r"best $L^2$")
        untrained = 1 + peak.noise**2
        axis.axhline(untrained, color=style.MUTED, linewidth=1, linestyle=":", label="untrained, $w = 0$")
        axis.set(xscale="log", yscale="log", xlabel="parameters per example $P/D$", ylim=(0.05, 20))
        axis.set_title(rf"$\sigma_\epsilon = {peak.noise}$", loc="left", fontsize=11)
    axes[0, 0].set_ylabel("test error")
    style.legend_below(figure, columns=5)
    return figure


def draw():
    """Computes and draws the errors at two levels of noise."""
    return plot([measure(noise) for noise in NOISES])


FIGURE = Figure(
    section="6",
    name="overfitting_peak",
    draw=draw,
    caption=(
        "The test error of a linear student after infinite training diverges at as many parameters as "
        "examples, and the overfitting disappears for P ≫ D. There the student does not overfit, but it does "
        "not learn either: with inputs of independent directions, its error tends to that of w = 0 (dotted). "
        "The best L² penalty, of strength σ_ε²/σ_w², removes the peak, and stopping at the best time does "
        "almost as well (the blue and orange curves nearly coincide)."
    ),
    place=3,
)
