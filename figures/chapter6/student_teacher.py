"""Test and training error of a linear student over time, simulated and by theory (Eqs. 6.0.14 and 6.0.15).

Legend: P parameters, D examples, T times, R students.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import FixedLocator, NullFormatter, StrMethodFormatter

from ...publishing.page import style
from ...theory import student_teacher
from ...theory.generalization import Errors, LinearStudent, Stopping
from ..figure import Figure

RATIOS = (0.25, 0.8, 1.0, 1.25, 4.0)
"""The ratios r = D/P of the curves."""

NOISE, LEARNING_RATE, PARAMETERS = 0.5, 0.05, 80

_COLORS = dict(zip(RATIOS, (style.BLUE, style.SKY, style.VERMILION, style.ORANGE, style.GREEN), strict=True))


@dataclass(frozen=True)
class Curve:
    """Errors over time for one ratio.

    Args:
        ratio: r = D/P.
        times: Times, the number of steps times the learning rate, [T].
        simulated: Mean `Errors` of the simulated students, [T].
        deviations: Standard errors of `simulated`, [T].
        line: Times and `Errors` of the same steps in the limit of infinite P and D, on a finer grid.
        stopping: The best `Stopping` in this limit.
    """

    ratio: float
    times: np.ndarray
    simulated: Errors
    deviations: Errors
    line: tuple[np.ndarray, Errors]
    stopping: Stopping


def measure(ratio, parameters=PARAMETERS, repeats=20, last=2400, points=14):
    """Simulates gradient descent on Gaussian data from zero weights, and computes the theory.

    Args:
        ratio: r = D/P.
        parameters: Number P of parameters.
        repeats: Number R of students.
        last: Number of steps.
        points: Number T of times at which to measure, evenly spaced in the logarithm.

    Returns:
        A `Curve`.
    """
    steps = np.unique(np.geomspace(1, last, points).round().astype(int))
    result = student_teacher.simulate(
        parameters,
        round(ratio * parameters),
        learning_rate=LEARNING_RATE,
        steps=steps,
        noise=NOISE,
        repeats=repeats,
        seed=round(1000 * ratio),
    )
    both = Errors(result.test, result.train)
    limit = LinearStudent.limit(ratio, noise=NOISE)
    grid = np.unique(np.geomspace(1, last, 150).round().astype(int))
    return Curve(
        ratio,
        LEARNING_RATE * steps,
        Errors(*(np.mean(each, axis=0) for each in both)),
        Errors(*(np.std(each, axis=0, ddof=1) / np.sqrt(repeats) for each in both)),
        (LEARNING_RATE * grid, limit.descent(LEARNING_RATE, grid)),
        limit.best_stopping(),
    )


def plot(curves):
    """Draws test and training errors against time: points simulated, lines theory.

    Args:
        curves: A `Curve` for each ratio.
    """
    figure, axes = style.canvas(9.6, 4.6, columns=2)
    left, right = axes[0]
    for curve in curves:
        color, (times, errors) = _COLORS[curve.ratio], curve.line
        for axis, kind in ((left, "test"), (right, "train")):
            means, deviations = getattr(curve.simulated, kind), getattr(curve.deviations, kind)
            axis.plot(times, getattr(errors, kind), color=color, linewidth=1.5)
            axis.errorbar(curve.times, means, deviations, fmt="none", ecolor=color, elinewidth=1)
            axis.plot(curve.times, means, "o", markersize=4, color=color, label=f"r = {curve.ratio:g}")
    for curve in curves:
        best, lowest = curve.stopping.time, curve.stopping.errors.test
        left.plot(best, lowest, "*", color=style.INK, markersize=9, zorder=5, label="best time to stop")
    for axis, title in ((left, "Test error $E_{gen}(t)$"), (right, "Training error")):
        axis.axhline(NOISE**2, color=style.MUTED, linewidth=1, linestyle=":")
        axis.set(xscale="log", yscale="log", xlabel="time $t$ = learning rate × steps")
        axis.set_title(title, loc="left", fontsize=11)
    left.set(ylim=(0.2, 4))
    left.yaxis.set_major_locator(FixedLocator((0.2, 0.5, 1, 2, 4)))
    left.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    left.yaxis.set_minor_formatter(NullFormatter())
    right.set(ylim=(0.01, 2))
    noise = r"noise $\sigma_\epsilon^2$"
    left.annotate(
        noise, (0.055, NOISE**2), (0, -13), textcoords="offset points", color=style.MUTED, fontsize=9
    )
    left.set_ylabel("mean squared error")
    style.legend_below(figure, columns=6, title="points simulated, lines theory")
    return figure


def draw():
    """Simulates all ratios and draws the errors."""
    return plot([measure(ratio) for ratio in RATIOS])


FIGURE = Figure(
    section="6",
    name="student_teacher",
    draw=draw,
    caption=(
        "Test and training error of a linear student over time (Eqs. 6.0.14 and 6.0.15). Points: gradient "
        "descent on Gaussian data with 80 parameters and 80 r examples, mean and standard error of 20 "
        "students. Lines: the same steps in the limit of infinitely many parameters and examples. The labels "
        "have noise of variance 1/4 (dotted). Near r = 1, training for too long makes the test error exceed "
        "that of an untrained student, 1.25; stars mark the best time to stop. At r = 1 and late times the "
        "points deviate from the limit, because the smallest eigenvalues of a finite matrix are not those of "
        "an infinite one."
    ),
    place=1,
)
