"""The error of single modes against time, by eigenvalue (Eqs. 6.0.13 and 6.0.14).

Legend: P parameters, D examples, M modes, T times, R draws.
"""

from dataclasses import dataclass

import numpy as np

from ...publishing.page import style
from ...theory import student_teacher
from ...theory.generalization import LinearStudent
from ..figure import Figure

EIGENVALUES = (0.0, 0.01, 0.1, 1.0, 3.0)
"""The eigenvalues of the modes; their inputs are orthogonal."""

NOISE = 0.3

_COLORS = (style.MUTED, style.VERMILION, style.ORANGE, style.BLUE, style.GREEN)


@dataclass(frozen=True)
class ModeErrors:
    """Mean squared errors of modes over time.

    Args:
        eigenvalues: Eigenvalues, [M].
        times: Times, [T].
        measured: Mean over random teachers and noise of the squared error of each mode, [M, T].
        signal: The first term of Eq. 6.0.14, [M, T].
        overfitting: The second term, [M, T].
    """

    eigenvalues: np.ndarray
    times: np.ndarray
    measured: np.ndarray
    signal: np.ndarray
    overfitting: np.ndarray


def measure(eigenvalues=EIGENVALUES, noise=NOISE, repeats=4000, points=60, seed=0):
    """Averages the errors of modes under gradient flow over random teachers and noise.

    Args:
        eigenvalues: Eigenvalues in ascending order, [M].
        noise: Standard deviation of the noise; the teacher's weights have 1.
        repeats: Number R of draws.
        points: Number T of times.
        seed: Seed of the draws.

    Returns:
        A `ModeErrors`.
    """
    eigenvalues = np.asarray(eigenvalues, float)
    times = np.geomspace(0.01, 1e4, points)
    rng = np.random.default_rng(seed)
    inputs, size = np.diag(np.sqrt(eigenvalues)), len(eigenvalues)
    squares = np.zeros((points, size))
    for _ in range(repeats):
        regression = student_teacher.Regression(
            inputs, rng.normal(size=size), noise * rng.normal(size=size), 1 / size
        )
        squares += regression.mode_errors(np.zeros(size), times) ** 2 / repeats
    decay = np.exp(-np.outer(eigenvalues, times))
    with np.errstate(divide="ignore", invalid="ignore"):
        overfitting = np.nan_to_num(noise**2 / eigenvalues[:, None] * (1 - decay) ** 2)
    # `modes` sorts the eigenvalues in descending order.
    return ModeErrors(eigenvalues, times, squares.T[::-1], decay**2, overfitting)


def plot(errors):
    """Draws the total error of each mode (left) and its two terms (right).

    Args:
        errors: A `ModeErrors`.
    """
    figure, axes = style.canvas(9.6, 4.2, columns=2, sharey=True)
    left, right = axes[0]
    rows = zip(errors.eigenvalues, _COLORS, errors.measured, errors.signal, errors.overfitting, strict=True)
    for eigenvalue, color, measured, signal, overfitting in rows:
        label = rf"$\lambda = {eigenvalue:g}$"
        left.plot(errors.times, signal + overfitting, color=color, linewidth=1.5)
        left.plot(errors.times[::3], measured[::3], "o", color=color, markersize=4, label=label)
        right.plot(errors.times, signal, color=color, linewidth=1.5)
        right.plot(errors.times, overfitting, "--", color=color, linewidth=1.5)
    for eigenvalue in errors.eigenvalues[errors.eigenvalues > 0]:
        stopping = LinearStudent([eigenvalue], [1.0], 1.0, NOISE).best_stopping()
        # The test error of a new example includes its noise.
        lowest = stopping.errors.test - NOISE**2
        left.plot(
            stopping.time, lowest, "*", color=style.INK, markersize=9, zorder=5, label="best time to stop"
        )
    for axis, title in (
        (left, "Squared error of a mode"),
        (right, "Its terms: signal (solid), noise (dashed)"),
    ):
        axis.set(xscale="log", yscale="log", xlabel="time $t$", ylim=(3e-3, 20))
        axis.set_title(title, loc="left", fontsize=11)
    left.set_ylabel(r"$\langle (\bar z_\alpha - z_\alpha)^2 \rangle$")
    style.legend_below(figure, columns=6)
    return figure


def draw():
    """Averages and draws the errors of the modes."""
    return plot(measure())


FIGURE = Figure(
    section="6",
    name="learning_modes",
    draw=draw,
    caption=(
        "The squared error of single modes (Eq. 6.0.13), averaged over 4,000 teachers and noises of variance "
        "0.09 (points), and the two terms of Eq. 6.0.14 (lines). A mode is learned after a time 1/λ, and by "
        "then its noise is amplified to σ_ε²/λ: a mode with small λ ends worse than it started. Each has a "
        "time of its own at which to stop (stars), of at most σ_w²/σ_ε². The mode with λ = 0 is never "
        "learned and never overfits."
    ),
    place=2,
)
