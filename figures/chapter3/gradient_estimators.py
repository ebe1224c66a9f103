"""Bias and variance of gradients through a random sample (Sec. 3.5).

The estimators approximate the gradient of an expectation with respect to the parameters of its distribution.

- Categories: J(x) = sum_k p_k h(e_k) with p = softmax(x) and one-hot e_k. Enumeration gives the exact
  dJ/dx_j = p_j (h(e_j) - J). The score function (h(e_k) - b)(e_k - p), with k drawn from p, is unbiased for
  any baseline b. Gumbel-softmax is the gradient of h(f) through Eq. 3.5.7. Straight-through is the same, but
  evaluates dh at the one-hot argmax of f.
- Gaussian: d/dmu_1 E|x|^2 with x = mu + sigma z (Eq. 3.5.1) is 2 x_1 by reparameterization and
  |x|^2 z_1 / sigma by the score function. Both are unbiased; the variance of the latter grows as D^2.

The bias of straight-through need not vanish as beta -> infinity. At a tie of i and j it replaces
h(e_i) - h(e_j) with the trapezoid rule, (dh(e_i) + dh(e_j)) . (e_i - e_j) / 2, which is exact for quadratic h
only.

Legend: K categories, S samples, D dimensions, M inverse temperatures beta.

References:
    Williams, "Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning"
        (1992), Machine Learning 8, 229-256.
    Mohamed et al., "Monte Carlo Gradient Estimation in Machine Learning" (2020), arXiv:1906.10652.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from keras import ops

from ...layers.sampling import GaussianSampling, GumbelSoftmax
from ...publishing.page import style
from ...theory.sampling import softmax
from ..figure import Figure

_COLORS = {"Gumbel-softmax": style.BLUE, "straight-through": style.VERMILION}


@dataclass(frozen=True)
class Problem:
    """An expectation over K categories.

    Args:
        logits: Logits x, [K].
        function: The function h in `keras.ops`, from points of the simplex [S, K] to values [S].
    """

    logits: tuple[float, ...]
    function: Callable


@dataclass(frozen=True)
class Summary:
    """Statistics of S samples of a gradient estimator.

    Args:
        mean: Mean of the samples, [K].
        bias: Distance of the mean from the exact gradient.
        variance: Variance of one sample, summed over the components.
        standard_error: sqrt(variance / S), the statistical error of the mean.
    """

    mean: np.ndarray
    bias: float
    variance: float
    standard_error: float


@dataclass(frozen=True)
class Statistics:
    """Bias and variance of all estimators.

    Args:
        betas: Inverse temperatures, [M].
        relaxed: `Summary`s against beta by name, for Gumbel-softmax and straight-through.
        score_function: Variance of one score-function sample without and with the baseline b = J.
        dimensions: Numbers D of dimensions of the Gaussian.
        gaussian: Measured variances against D by name.
        gaussian_theory: Closed forms of `gaussian`.
    """

    betas: np.ndarray
    relaxed: dict[str, list[Summary]]
    score_function: tuple[float, float]
    dimensions: np.ndarray
    gaussian: dict[str, np.ndarray]
    gaussian_theory: dict[str, np.ndarray]


def surprise(points):
    """Returns h(y) = -log sum_k c_k y_k, the surprise of a mixture with weights y, [S, K] to [S]."""
    return -ops.log(ops.matmul(points, ops.convert_to_tensor([0.9, 0.4, 0.15, 0.05], dtype=points.dtype)))


MIXTURE = Problem((0.5, 0.0, -0.5, 1.0), surprise)
"""Four components; the most likely one explains the data worst."""


def exact_gradient(problem: Problem) -> np.ndarray:
    """Computes dJ/dx by enumeration, [K] in float64."""
    p, values = _enumerate(problem)
    return p * (values - p @ values)


def score_function_moments(problem: Problem, baseline: float = 0.0) -> tuple[np.ndarray, float]:
    """Computes the mean [K] and the summed variance of one score-function sample, by enumeration.

    Args:
        problem: The expectation.
        baseline: Number b that is subtracted from h.
    """
    p, values = _enumerate(problem)
    samples = (values - baseline)[:, None] * (np.eye(len(p)) - p)
    mean = p @ samples
    return mean, float(p @ np.sum(samples**2, axis=1) - mean @ mean)


def score_function_gradients(problem: Problem, samples: int, seed: int, baseline: float = 0.0) -> np.ndarray:
    """Computes the score-function estimate (h(e_k) - b)(e_k - p) for each of S exact samples, [S, K].

    Args:
        problem: The expectation.
        samples: Number S of samples.
        seed: Seed of the noise.
        baseline: Number b that is subtracted from h.
    """
    one_hot = GumbelSoftmax(seed=seed)(_repeat(problem.logits, samples))
    values = ops.convert_to_numpy(problem.function(one_hot)).astype(float)
    return (values - baseline)[:, None] * (ops.convert_to_numpy(one_hot) - softmax(problem.logits))


def gumbel_gradients(
    problem: Problem, beta: float, samples: int, seed: int, straight_through: bool = False
) -> np.ndarray:
    """Computes the gradient of h through each of S samples of the `GumbelSoftmax` layer, [S, K].

    Args:
        problem: The expectation.
        beta: Inverse temperature.
        samples: Number S of samples.
        seed: Seed of the noise.
        straight_through: Whether h and its derivative are evaluated at the one-hot argmax.
    """
    layer = GumbelSoftmax(beta, straight_through=straight_through, seed=seed)
    logits = _repeat(problem.logits, samples)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        total = ops.sum(problem.function(layer(logits, training=True)))
    return tape.gradient(total, logits).numpy().astype(float)


def summarize(gradients: np.ndarray, exact: np.ndarray) -> Summary:
    """Computes the bias and variance of an estimator of a gradient with a known exact value.

    Args:
        gradients: Independent estimates, [S, K].
        exact: The exact gradient, [K].
    """
    mean = gradients.mean(axis=0)
    variance = float(gradients.var(axis=0, ddof=1).sum())
    return Summary(mean, float(np.linalg.norm(mean - exact)), variance, np.sqrt(variance / len(gradients)))


def sweep(
    problem: Problem, betas: np.ndarray, samples: int = 100_000, seed: int = 0
) -> dict[str, list[Summary]]:
    """Measures the two estimators that depend on beta.

    Args:
        problem: The expectation.
        betas: Inverse temperatures, [M].
        samples: Number S of samples for each beta.
        seed: Seed of the noise, the same for every beta, so that the curves are smooth.

    Returns:
        A `Summary` for each beta, by the name of the estimator.
    """
    exact = exact_gradient(problem)
    return {
        name: [summarize(gumbel_gradients(problem, beta, samples, seed, straight), exact) for beta in betas]
        for name, straight in (("Gumbel-softmax", False), ("straight-through", True))
    }


def gaussian_gradients(
    dimensions: int, mean: float, scale: float, samples: int, seed: int
) -> dict[str, np.ndarray]:
    """Samples estimates of d/dmu_1 E|x|^2 for x of N(mu, sigma^2) in D dimensions with equal mu_d, [S] each.

    Args:
        dimensions: Number D of dimensions.
        mean: Mean mu of each component; the exact derivative is 2 mu.
        scale: Standard deviation sigma.
        samples: Number S of samples.
        seed: Seed of the noise.
    """
    center = tf.fill((samples, dimensions), float(mean))
    with tf.GradientTape() as tape:
        tape.watch(center)
        x = GaussianSampling(seed=seed)([center, tf.fill(center.shape, 2 * float(np.log(scale)))])
        squares = ops.sum(x**2, axis=1)
        total = ops.sum(squares)
    score = (x - center)[:, 0] / scale**2
    return {
        "reparameterization": tape.gradient(total, center)[:, 0].numpy().astype(float),
        "score function": (squares * score).numpy().astype(float),
    }


def gaussian_variances(dimensions: np.ndarray, mean: float, scale: float) -> dict[str, np.ndarray]:
    """Computes the variances of `gaussian_gradients` in closed form.

    The variance of 2 x_1 is 4 sigma^2. With R = |x|^2 - x_1^2, the second moment of the score function is

        <x_1^4 z_1^2 + 2 x_1^2 z_1^2 R + z_1^2 R^2> / sigma^2,

    a sum of Gaussian moments that are polynomials in mu and sigma.

    Args:
        dimensions: Numbers D of dimensions, an array.
        mean: Mean mu of each component.
        scale: Standard deviation sigma.
    """
    others = np.asarray(dimensions, dtype=float) - 1
    m2, s2 = mean**2, scale**2
    rest = others * (m2 + s2)
    rest_squared = rest**2 + others * (4 * m2 * s2 + 2 * s2**2)
    fourth = m2**2 + 18 * m2 * s2 + 15 * s2**2
    second_moment = (fourth + 2 * (m2 + 3 * s2) * rest + rest_squared) / s2
    return {
        "reparameterization": np.full(others.shape, 4 * s2),
        "score function": second_moment - 4 * m2,
    }


def measure(samples: int = 100_000, seed: int = 0) -> Statistics:
    """Measures all estimators.

    Args:
        samples: Number of samples for each beta; a fifth of them for each number of dimensions.
        seed: Seed of the noise.
    """
    betas = 2.0 ** np.arange(-2, 6)
    problem, center, scale = MIXTURE, 0.5, 0.7
    p, values = _enumerate(problem)
    dimensions = 2 ** np.arange(7)
    runs = [gaussian_gradients(d, center, scale, samples // 5, seed) for d in dimensions]
    return Statistics(
        betas,
        sweep(problem, betas, samples, seed),
        tuple(score_function_moments(problem, b)[1] for b in (0.0, float(p @ values))),
        dimensions,
        {name: np.array([run[name].var() for run in runs]) for name in runs[0]},
        gaussian_variances(dimensions, center, scale),
    )


def plot(statistics: Statistics):
    """Draws bias, variance and total error against beta, and the Gaussian variances against the dimension.

    Args:
        statistics: A `Statistics`.
    """
    figure, ((bias, variance), (error, gaussian)) = style.canvas(8.3, 7.2, rows=2, columns=2)
    _bias(bias, statistics)
    _variance(variance, statistics)
    _total_error(error, statistics)
    _gaussian(gaussian, statistics)
    for axis in (bias, variance, error):
        axis.set(xscale="log", yscale="log", xlabel=r"inverse temperature $\beta$")
        axis.set_xticks([0.25, 1, 4, 16], ["1/4", "1", "4", "16"])
        axis.minorticks_off()
    return figure


def draw():
    """Measures all estimators and draws the results."""
    return plot(measure())


def _enumerate(problem):
    p = softmax(problem.logits)
    return p, ops.convert_to_numpy(problem.function(ops.eye(len(p), dtype="float64")))


def _repeat(logits, samples):
    return tf.tile(tf.constant([logits], tf.float32), (samples, 1))


def _bias(axis, statistics):
    betas = statistics.betas
    for name, results in statistics.relaxed.items():
        axis.plot(betas, [r.bias for r in results], "o-", color=_COLORS[name], markersize=4, label=name)
    errors = [r.standard_error for r in statistics.relaxed["Gumbel-softmax"]]
    axis.plot(betas, errors, ":", color=_COLORS["Gumbel-softmax"], label="statistical error")
    axis.set_title("Bias (score function: none)", loc="left", fontsize=11)
    axis.set_ylabel("distance of the mean from the gradient")
    axis.legend(frameon=False, fontsize=9, loc="lower right")


def _variance(axis, statistics):
    for name, results in statistics.relaxed.items():
        axis.plot(statistics.betas, [r.variance for r in results], "o-", color=_COLORS[name], markersize=4)
    labels = ("score function", "score function, baseline $J$")
    look = {"xytext": (0, -4), "textcoords": "offset points", "ha": "right", "va": "top", "fontsize": 9}
    for value, label in zip(statistics.score_function, labels, strict=True):
        axis.axhline(value, color=style.GREEN, linewidth=1.2, linestyle="--")
        axis.annotate(label, (32, value), **look)
    axis.set_title("Variance of one sample", loc="left", fontsize=11)
    axis.set_ylabel("variance, summed over components")


def _total_error(axis, statistics):
    results = statistics.relaxed["Gumbel-softmax"]
    colors = (style.SKY, style.BLUE, style.INK)
    for batch, color in zip((1, 30, 1000), colors, strict=True):
        total = [np.sqrt(r.bias**2 + r.variance / batch) for r in results]
        label = f"{batch} sample{'s' if batch > 1 else ''}"
        axis.plot(statistics.betas, total, "o-", color=color, markersize=4, label=label)
        score = np.sqrt(statistics.score_function[1] / batch)
        axis.axhline(score, color=color, linestyle="--", linewidth=1.2)
    axis.plot([], [], "--", color=style.MUTED, label="score function, baseline")
    axis.set_title("Gumbel-softmax, error of a mean", loc="left", fontsize=11)
    axis.set_ylim(1e-3, 7)
    axis.set_ylabel(r"(bias$^2$ + variance / samples)$^{1/2}$")
    axis.legend(frameon=False, fontsize=9, loc="lower left")


def _gaussian(axis, statistics):
    d = statistics.dimensions
    for name, color in (("reparameterization", style.BLUE), ("score function", style.GREEN)):
        axis.plot(d, statistics.gaussian[name], "o", color=color, markersize=5, label=name)
        axis.plot(d, statistics.gaussian_theory[name], color=color)
    axis.set(xscale="log", yscale="log", xlabel="dimensions $D$", ylabel="variance of one sample")
    axis.set_xticks(d, [str(each) for each in d])
    axis.minorticks_off()
    axis.set_title(r"Gaussian, $\partial \langle |x|^2 \rangle / \partial \mu_1$", loc="left", fontsize=11)
    axis.legend(frameon=False, fontsize=9, loc="upper left")


FIGURE = Figure(
    section="3.5",
    name="gradient_estimators",
    draw=draw,
    caption=(
        "Gradients of an expectation over four categories. As beta grows, the bias of Gumbel-softmax (Eq. "
        "3.5.7) falls and its variance grows, so that the best beta depends on the number of samples. "
        "Straight-through stays biased. The score function is unbiased but needs a baseline. Lower right: "
        "the variance of reparameterization of a Gaussian (Eq. 3.5.1) is the same in any dimension (points "
        "are measured, lines are closed forms)."
    ),
    place=2,
)
