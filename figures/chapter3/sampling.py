"""Figures: the Gumbel trick, and the bias and variance of gradients through a sample (Sec. 3.5)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from ...publishing.page import style
from ...theory import sampling
from . import gradient_estimators as estimators

BETAS = (0.5, 2.0, 10.0)
"""Inverse temperatures of the ternary plots."""

_CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(3) / 2]])
_LOGITS = (1.0, 0.0, 0.6)
_COLORS = {"Gumbel-softmax": style.BLUE, "straight-through": style.VERMILION}


@dataclass(frozen=True)
class GumbelNumbers:
    """Samples of three categories.

    Args:
        probabilities: softmax(x), Eq. 3.5.2, [3].
        frequencies: Shares of the argmax samples, Eq. 3.5.3, [3].
        standard_errors: Of the frequencies, [3].
        points: Samples of the softened argmax, Eq. 3.5.7, by beta, [S, 3] each.
    """

    probabilities: np.ndarray
    frequencies: np.ndarray
    standard_errors: np.ndarray
    points: dict[float, np.ndarray]


@dataclass(frozen=True)
class EstimatorNumbers:
    """Bias and variance of gradient estimators.

    Args:
        betas: Inverse temperatures.
        measured: One `Estimator` for each beta, by name.
        score_function: Variance of one score-function sample without and with the baseline b = J.
        dimensions: Numbers D of dimensions of the Gaussian.
        gaussian: Measured variances against D, by name.
        gaussian_theory: The closed form of `gaussian`.
    """

    betas: np.ndarray
    measured: dict[str, list[estimators.Estimator]]
    score_function: tuple[float, float]
    dimensions: np.ndarray
    gaussian: dict[str, np.ndarray]
    gaussian_theory: dict[str, np.ndarray]


def measure_gumbel(samples: int = 20_000, points: int = 800, seed: int = 0) -> GumbelNumbers:
    """Draws from three categories by the Gumbel trick.

    Args:
        samples: Number of argmax samples.
        points: Number of softened samples for each beta; all betas share the noise.
        seed: Seed.
    """
    rng = np.random.default_rng(seed)
    p = sampling.softmax(_LOGITS)
    chosen = sampling.gumbel_max(_LOGITS, samples, rng)
    noise = rng.gumbel(size=(points, len(p)))
    return GumbelNumbers(
        p,
        np.bincount(chosen, minlength=len(p)) / samples,
        np.sqrt(p * (1 - p) / samples),
        {beta: sampling.softened_argmax(_LOGITS, noise, beta) for beta in BETAS},
    )


def draw_gumbel() -> Figure:
    """Draws the histogram of argmax samples beside softmax(x), and softened samples on the simplex."""
    numbers = measure_gumbel()
    figure, axes = style.canvas(8.3, 7.2, rows=2, columns=2)
    _histogram(axes[0, 0], numbers)
    for axis, (beta, points) in zip(axes.flat[1:], numbers.points.items(), strict=True):
        _ternary(axis, beta, points, numbers.probabilities)
    return figure


def _histogram(axis, numbers):
    places = np.arange(len(numbers.probabilities))
    axis.bar(
        places - 0.2, numbers.probabilities, 0.38, color=style.RULE, edgecolor=style.MUTED, label="softmax"
    )
    axis.bar(places + 0.2, numbers.frequencies, 0.38, color=style.BLUE, label=r"share of $\arg\max(x + z)$")
    axis.errorbar(
        places + 0.2,
        numbers.frequencies,
        2 * numbers.standard_errors,
        fmt="none",
        ecolor=style.INK,
        capsize=4,
        label="2 standard errors",
    )
    axis.set(xticks=places, xticklabels=[str(i + 1) for i in places], xlabel="category", ylabel="probability")
    axis.set_ylim(0, 0.7)
    axis.set_title(r"Gumbel-max samples (Eq. 3.5.3)", loc="left", fontsize=11)
    axis.legend(frameon=False, fontsize=9, loc="upper center")
    axis.grid(axis="x", visible=False)


def _ternary(axis, beta, points, probabilities):
    axis.set_axis_off()
    axis.set_aspect("equal")
    axis.set(xlim=(-0.12, 1.12), ylim=(-0.12, 1.0))
    axis.fill(*_CORNERS.T, facecolor="none", edgecolor=style.MUTED, linewidth=1)
    axis.scatter(*(points @ _CORNERS).T, s=9, color=style.BLUE, alpha=0.35, linewidths=0)
    marks = (
        (probabilities, "*", style.VERMILION, "$p$"),
        (points.mean(axis=0), "o", style.INK, r"mean of $f$"),
    )
    for place, marker, color, label in marks:
        axis.plot(
            *(place @ _CORNERS),
            marker,
            color=color,
            markersize=12 if marker == "*" else 7,
            markeredgecolor="white",
            linestyle="none",
            label=label,
        )
    for number, (corner, side) in enumerate(
        zip(_CORNERS, ((-0.05, -0.05), (0.05, -0.05), (0, 0.05)), strict=True)
    ):
        axis.text(*(corner + side), str(number + 1), ha="center", va="center", color=style.INK)
    axis.set_title(rf"softened argmax, $\beta = {beta:g}$", loc="left", fontsize=11)
    axis.legend(frameon=False, fontsize=9, loc="upper left", handletextpad=0.2)


def measure_estimators(samples: int = 100_000, seed: int = 0) -> EstimatorNumbers:
    """Measures the gradient estimators of `experiments.gradient_estimators`.

    Args:
        samples: Samples for each beta; a fifth of them for each number of dimensions.
        seed: Seed.
    """
    betas = 2.0 ** np.arange(-2, 6)
    problem, center, scale = estimators.MIXTURE, 0.5, 0.7
    p = sampling.softmax(problem.logits)
    values = np.asarray(problem.function(np.eye(len(p))))
    dimensions = 2 ** np.arange(7)
    runs = [estimators.gaussian_gradients(d, center, scale, samples // 5, seed) for d in dimensions]
    return EstimatorNumbers(
        betas,
        estimators.sweep(problem, betas, samples, seed),
        tuple(estimators.score_function_moments(problem, b)[1] for b in (0.0, float(p @ values))),
        dimensions,
        {name: np.array([run[name].var() for run in runs]) for name in runs[0]},
        estimators.gaussian_variances(dimensions, center, scale),
    )


def draw_gradient_estimators() -> Figure:
    """Draws bias, variance and total error against beta, and the Gaussian variances against the dimension."""
    numbers = measure_estimators()
    figure, ((bias, variance), (error, gaussian)) = style.canvas(8.3, 7.2, rows=2, columns=2)
    _bias(bias, numbers)
    _variance(variance, numbers)
    _total_error(error, numbers)
    _gaussian(gaussian, numbers)
    for axis in (bias, variance, error):
        axis.set(xscale="log", yscale="log", xlabel=r"inverse temperature $\beta$")
        axis.set_xticks([0.25, 1, 4, 16], ["1/4", "1", "4", "16"])
        axis.minorticks_off()
    return figure


def _bias(axis, numbers):
    for name, results in numbers.measured.items():
        axis.plot(
            numbers.betas, [r.bias for r in results], "o-", color=_COLORS[name], markersize=4, label=name
        )
    chance = [r.standard_error for r in numbers.measured["Gumbel-softmax"]]
    axis.plot(numbers.betas, chance, ":", color=_COLORS["Gumbel-softmax"], label="error by chance")
    axis.set_title("bias (score function: none)", loc="left", fontsize=11)
    axis.set_ylabel("distance of the mean from the gradient")
    axis.legend(frameon=False, fontsize=9, loc="lower right")


def _variance(axis, numbers):
    for name, results in numbers.measured.items():
        axis.plot(numbers.betas, [r.variance for r in results], "o-", color=_COLORS[name], markersize=4)
    labels = ("score function", "score function, baseline $J$")
    for value, label in zip(numbers.score_function, labels, strict=True):
        axis.axhline(value, color=style.GREEN, linewidth=1.2, linestyle="--")
        axis.annotate(
            label, (32, value), xytext=(0, -4), textcoords="offset points", ha="right", va="top", fontsize=9
        )
    axis.set_title("variance of one sample", loc="left", fontsize=11)
    axis.set_ylabel("variance, summed over components")


def _total_error(axis, numbers):
    results = numbers.measured["Gumbel-softmax"]
    shades = (style.SKY, style.BLUE, style.INK)
    for batch, color in zip((1, 30, 1000), shades, strict=True):
        total = [np.sqrt(r.bias**2 + r.variance / batch) for r in results]
        label = f"{batch} sample{'s' if batch > 1 else ''}"
        axis.plot(numbers.betas, total, "o-", color=color, markersize=4, label=label)
        score = np.sqrt(numbers.score_function[1] / batch)
        axis.axhline(score, color=color, linestyle="--", linewidth=1.2)
    axis.plot([], [], "--", color=style.MUTED, label="score function, baseline")
    axis.set_title("Gumbel-softmax, error of a mean", loc="left", fontsize=11)
    axis.set_ylim(bottom=1e-3)
    axis.set_ylabel(r"(bias$^2$ + variance / samples)$^{1/2}$")
    axis.legend(frameon=False, fontsize=9, loc="lower left")


def _gaussian(axis, numbers):
    for name, color in (("reparameterization", style.BLUE), ("score function", style.GREEN)):
        axis.plot(numbers.dimensions, numbers.gaussian[name], "o", color=color, markersize=5, label=name)
        axis.plot(numbers.dimensions, numbers.gaussian_theory[name], color=color)
    axis.set(xscale="log", yscale="log", xlabel="dimensions $D$", ylabel="variance of one sample")
    axis.set_xticks(numbers.dimensions, [str(d) for d in numbers.dimensions])
    axis.minorticks_off()
    axis.set_title(r"Gaussian, $\partial \langle |x|^2 \rangle / \partial \mu_1$", loc="left", fontsize=11)
    axis.legend(frameon=False, fontsize=9, loc="upper left")
