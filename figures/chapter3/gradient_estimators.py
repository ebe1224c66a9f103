"""Gradients through a random sample: bias and variance of four estimators (Sec. 3.5).

Wanted is the gradient of an expectation with respect to the parameters of the distribution it is taken over.

- Categories: J(x) = sum_k p_k h(e_k) with p = softmax(x) and one-hot e_k. Enumeration gives the exact
  dJ/dx_j = p_j (h(e_j) - J). The score function (h(e_k) - b)(e_k - p), k drawn from p, is unbiased for any
  baseline b. The Gumbel-softmax gives the gradient of h(f) through Eq. 3.5.7, straight-through the one that
  evaluates dh at the one-hot argmax of f.
- Gaussian: d/dmu_1 E|x|^2 with x = mu + sigma z (Eq. 3.5.1) is 2 x_1 by reparameterization and
  |x|^2 z_1 / sigma by the score function. Both are unbiased; the second one's variance grows with D^2.

The straight-through bias need not vanish as beta -> infinity: at a tie of i and j it puts
(dh(e_i) + dh(e_j)) . (e_i - e_j) / 2, the trapezoid rule, in the place of h(e_i) - h(e_j). That is exact for
quadratic h only.

Legend: K categories, S samples, D dimensions.

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
from ...theory.sampling import softmax


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
class Estimator:
    """What S samples say of a gradient estimator.

    Args:
        mean: Mean of the samples, [K].
        bias: Distance of the mean from the exact gradient.
        variance: Variance of one sample, summed over the components.
        standard_error: sqrt(variance / S), by which chance alone moves the mean.
    """

    mean: np.ndarray
    bias: float
    variance: float
    standard_error: float


def likelihood(points):
    """Returns h(y) = -log sum_k c_k y_k, the surprise of a mixture with weights y, [S, K] to [S]."""
    return -ops.log(ops.matmul(points, ops.convert_to_tensor([0.9, 0.4, 0.15, 0.05], dtype=points.dtype)))


MIXTURE = Problem((0.5, 0.0, -0.5, 1.0), likelihood)
"""Four components, the likeliest of which explains the data worst."""


def exact_gradient(problem: Problem) -> np.ndarray:
    """Returns dJ/dx by enumeration, [K] in float64."""
    p, values = _enumerate(problem)
    return p * (values - p @ values)


def score_function_moments(problem: Problem, baseline: float = 0.0) -> tuple[np.ndarray, float]:
    """Returns the mean [K] and the summed variance of one score-function sample, by enumeration.

    Args:
        problem: The expectation.
        baseline: Number b that is subtracted from h.
    """
    p, values = _enumerate(problem)
    samples = (values - baseline)[:, None] * (np.eye(len(p)) - p)
    mean = p @ samples
    return mean, float(p @ np.sum(samples**2, axis=1) - mean @ mean)


def score_function_gradients(problem: Problem, samples: int, seed: int, baseline: float = 0.0) -> np.ndarray:
    """Returns the score-function estimate (h(e_k) - b)(e_k - p) of each of S exact samples, [S, K].

    Args:
        problem: The expectation.
        samples: Their number S.
        seed: Seed of the noise.
        baseline: Number b that is subtracted from h.
    """
    chosen = GumbelSoftmax(seed=seed)(_repeat(problem.logits, samples))
    values = ops.convert_to_numpy(problem.function(chosen)).astype(float)
    return (values - baseline)[:, None] * (ops.convert_to_numpy(chosen) - softmax(problem.logits))


def gumbel_gradients(
    problem: Problem, beta: float, samples: int, seed: int, straight_through: bool = False
) -> np.ndarray:
    """Returns the gradient of h through each of S samples of the `GumbelSoftmax` layer, [S, K].

    Args:
        problem: The expectation.
        beta: Inverse temperature.
        samples: Their number S.
        seed: Seed of the noise.
        straight_through: Whether h and its derivative are taken at the one-hot argmax.
    """
    layer = GumbelSoftmax(beta, straight_through=straight_through, seed=seed)
    logits = _repeat(problem.logits, samples)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        total = ops.sum(problem.function(layer(logits, training=True)))
    return tape.gradient(total, logits).numpy().astype(float)


def summarize(gradients: np.ndarray, exact: np.ndarray) -> Estimator:
    """Returns the bias and variance of an estimator of a gradient whose exact value is known.

    Args:
        gradients: Independent estimates, [S, K].
        exact: The gradient, [K].
    """
    mean = gradients.mean(axis=0)
    variance = float(gradients.var(axis=0, ddof=1).sum())
    return Estimator(mean, float(np.linalg.norm(mean - exact)), variance, np.sqrt(variance / len(gradients)))


def sweep(
    problem: Problem, betas: np.ndarray, samples: int = 100_000, seed: int = 0
) -> dict[str, list[Estimator]]:
    """Measures the two estimators that depend on beta.

    Args:
        problem: The expectation.
        betas: Inverse temperatures.
        samples: Samples at each of them.
        seed: Seed of the noise, the same for every beta, so that curves are smooth.

    Returns:
        One `Estimator` for each beta, by the estimator's name.
    """
    exact = exact_gradient(problem)
    return {
        name: [summarize(gumbel_gradients(problem, beta, samples, seed, straight), exact) for beta in betas]
        for name, straight in (("Gumbel-softmax", False), ("straight-through", True))
    }


def gaussian_gradients(
    dimensions: int, mean: float, scale: float, samples: int, seed: int
) -> dict[str, np.ndarray]:
    """Returns samples of d/dmu_1 E|x|^2 for x of N(mu, sigma^2) in D dimensions, all mu_d the same, [S] each.

    Args:
        dimensions: Number D.
        mean: Mean mu of every component; the exact derivative is 2 mu.
        scale: Standard deviation sigma.
        samples: Their number S.
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
    """Returns the variances of `gaussian_gradients` in closed form.

    2 x_1 has 4 sigma^2. With R = |x|^2 - x_1^2 the score function's second moment is

        <x_1^4 z_1^2 + 2 x_1^2 z_1^2 R + z_1^2 R^2> / sigma^2,

    whose Gaussian moments are polynomials in mu and sigma.

    Args:
        dimensions: Numbers D, an array.
        mean: Mean mu of every component.
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


def _enumerate(problem):
    p = softmax(problem.logits)
    return p, ops.convert_to_numpy(problem.function(ops.eye(len(p), dtype="float64")))


def _repeat(logits, samples):
    return tf.tile(tf.constant([logits], tf.float32), (samples, 1))
