"""The noise scales B_simple and B_noise along a training, with error bars (Eqs. 4.5.8 and 4.5.9).

At each point n fresh examples in R batches give gradients g_r and the matrix of their products. Its diagonal
and its whole are |G|^2 at two batch sizes, which give |G|^2 and tr Sigma without bias
(`theory.noise_scale.two_batch_estimates`); with g_r^T H g_s in place of g_r^T g_s they give G^T H G and
tr(H Sigma). Points are averaged before the ratio is taken, never after. Errors are jackknife errors over the
R batches. Where batch norms couple the examples, Sigma is the covariance that batches of `COUPLED` or more
examples show, times their size.

Legend: N examples, P parameters, B examples in a batch, R batches.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from ... import arguments
from ...theory.noise_scale import measured_ratio, ratio_error, two_batch_estimates

COUPLED = 32
"""Examples of the smallest batch in which a batch norm's statistics stand for a training batch's."""

START = 0.05
"""Share of a training that is its start."""

_SMALLEST = 8
_GROUPS = 16
_LARGEST = 2**25


@dataclass(frozen=True)
class Estimate:
    """A noise scale, noise / signal, from unbiased estimates of both.

    Args:
        signal: |G|^2, or G^T H G; it may be negative by chance.
        noise: tr Sigma, or tr(H Sigma).
        signal_variance: Square of the standard error of `signal`.
        noise_variance: Square of the standard error of `noise`.
        covariance: Covariance of the two errors.
    """

    signal: float
    noise: float
    signal_variance: float
    noise_variance: float
    covariance: float

    @property
    def noise_scale(self):
        """The ratio, in examples: infinite where no signal is seen."""
        return measured_ratio(self.signal, self.noise)

    @property
    def standard_error(self):
        """Standard error of `noise_scale` to first order; infinite where no signal is seen."""
        return ratio_error(*dataclasses.astuple(self))


@dataclass(frozen=True)
class Point:
    """What is measured at one step of a training.

    Args:
        step: Steps done.
        loss: Training loss.
        simple: B_simple's `Estimate`.
        curved: B_noise's `Estimate`; `None` where it was not measured.
    """

    step: int
    loss: float
    simple: Estimate
    curved: Estimate | None = None


@dataclass(frozen=True)
class NoisyRun:
    """A training with its noise scales; the ratio of rate to batch size is its temperature.

    Args:
        batch_size: B.
        rate: Learning rate.
        seed: Of initial weights and batches.
        points: `Point`s at equal distances in steps, the first at step 0.
    """

    batch_size: int
    rate: float
    seed: int
    points: tuple[Point, ...]

    def start(self):
        """Returns B_simple's `Estimate` over the first twentieth of the steps, step 0 among them."""
        last = START * self.points[-1].step
        return combine([point.simple for point in self.points if point.step <= last])

    def average(self, parts=8):
        """Returns the mean over the steps of B_simple, and its standard error.

        It is the mean over equal parts of the training, each with the ratio of its averages: a step's own
        ratio is too noisy, and the ratio of all averages would be that of the first steps, whose gradients
        are largest.

        Args:
            parts: Number of parts.
        """
        parts = np.array_split(np.arange(len(self.points)), min(parts, len(self.points)))
        found = [combine([self.points[i].simple for i in part]) for part in parts]
        scales = [each.noise_scale for each in found]
        errors = [each.standard_error for each in found]
        return float(np.mean(scales)), float(np.sqrt(np.sum(np.square(errors)))) / len(found)

    def whole(self):
        """Returns B_simple's `Estimate` from the averages over all steps, as a running average has it."""
        return combine([point.simple for point in self.points])

    def average_curved(self):
        """Returns the mean over the measured steps of B_noise, and its standard error; `None` if none was."""
        found = [point.curved for point in self.points if point.curved]
        if not found:
            return None
        errors = np.square([each.standard_error for each in found])
        return float(np.mean([each.noise_scale for each in found])), float(np.sqrt(errors.sum())) / len(found)


def estimate(products, batch_size):
    """Estimates a noise scale from the products of the gradients of R independent batches.

    Args:
        products: g_r^T g_s, or g_r^T H g_s, [R, R], R at least 3.
        batch_size: Examples B of each.

    Returns:
        An `Estimate`, for single examples: Sigma is B times the covariance of g_r.

    Raises:
        ValueError: If `products` is not a square matrix of at least 3 finite rows, or B is not positive.
    """
    products = arguments.finite("products", products, ndim=2)
    count = len(products)
    if count < 3 or products.shape[1] != count:
        raise ValueError(f"products must have shape [R, R] with R >= 3, got {products.shape}")
    diagonal, total = np.diag(products), products.sum()
    sides = products.sum(axis=0) + products.sum(axis=1)
    whole = two_batch_estimates(diagonal.mean(), total / count**2, batch_size, batch_size * count)
    small = (diagonal.sum() - diagonal) / (count - 1)
    big = (total - sides + diagonal) / (count - 1) ** 2
    without = two_batch_estimates(small, big, batch_size, batch_size * (count - 1))
    errors = (count - 1) * np.cov(without, ddof=0)
    return Estimate(*map(float, whole), float(errors[0, 0]), float(errors[1, 1]), float(errors[0, 1]))


def combine(estimates):
    """Returns the `Estimate` of the averages of independent estimates: the ratio is taken last.

    Args:
        estimates: `Estimate`s, at least one.
    """
    fields = np.array([list(vars(each).values()) for each in estimates])
    means = fields.mean(axis=0)
    return Estimate(*map(float, [*means[:2], *(means[2:] / len(fields))]))


def measure_point(problem, examples=2048, hessian=False, hessian_batch=512):
    """Measures the noise scales at a problem's present weights.

    Args:
        problem: A `Problem`.
        examples: Number n of fresh examples.
        hessian: Whether to measure B_noise too, by 16 products with the Hessian.
        hessian_batch: Fresh examples that stand for the Hessian.

    Returns:
        A `Point`.
    """
    smallest = COUPLED if problem.coupled else _SMALLEST
    # All gradients are held at once: large models get fewer and larger batches.
    count = max(_GROUPS, min(examples // smallest, _LARGEST // problem.parameters) // _GROUPS * _GROUPS)
    size = max(1, examples // count)
    gradients = problem.gradients(count, size)
    simple = estimate(_products(gradients, gradients), size)
    curved = None
    if hessian:
        groups = tf.reduce_mean(tf.reshape(gradients, [_GROUPS, count // _GROUPS, -1]), axis=1)
        bent = problem.hessian_products(groups, hessian_batch)
        curved = estimate(_products(groups, bent), size * count // _GROUPS)
    return Point(problem.step, problem.loss(), simple, curved)


def measure_run(problem, batch_size, rate, steps, seed=0, points=41, curved=6, examples=2048, progress=None):
    """Trains a problem and measures the noise scales on the way.

    Args:
        problem: A `Problem`; it is restarted.
        batch_size: B.
        rate: Learning rate.
        steps: Steps of the training.
        seed: Of initial weights and batches.
        points: How often B_simple is measured, at equal distances, from the first step to the last.
        curved: At how many of these points B_noise is measured too.
        examples: Fresh examples of each point.
        progress: Function of (points done, points), called after each.

    Returns:
        A `NoisyRun`.

    Raises:
        ArithmeticError: If the training diverges.
    """
    at = np.unique(np.round(np.linspace(0, steps, points)).astype(int))
    bent = set(np.round(np.linspace(0, len(at) - 1, curved)).astype(int))
    problem.restart(seed, rate)
    found = []
    for i, step in enumerate(at):
        if step > problem.step:
            problem.advance(int(step) - problem.step, batch_size)
        if not np.isfinite(problem.loss()):
            raise ArithmeticError(f"the loss is not finite after {step} steps at learning rate {rate:g}")
        found.append(measure_point(problem, examples, i in bent))
        if progress:
            progress(i + 1, len(at))
    return NoisyRun(batch_size, rate, seed, tuple(found))


def _products(left, right):
    return tf.matmul(left, right, transpose_b=True).numpy().astype(np.float64)
