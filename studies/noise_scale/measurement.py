"""The noise scales B_simple and B_noise during training, with error bars (Eqs. 4.5.8 and 4.5.9).

At each point, n fresh examples in R batches give gradients g_r and the matrix of their products. The mean of
its diagonal and the mean of all its entries are |G|^2 at two batch sizes, from which unbiased estimates of
|G|^2 and tr Sigma follow (`theory.noise_scale.two_batch_estimates`). With g_r^T H g_s instead of g_r^T g_s,
they are estimates of G^T H G and tr(H Sigma). Estimates are averaged before the ratio is taken, never after.
Errors are jackknife errors over the R batches. If batch normalization couples the examples, Sigma is the
covariance of the gradients of batches of `COUPLED` or more examples, times their size.

Legend: N examples, P parameters, B examples in a batch, R batches.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from ... import arguments
from ...theory.noise_scale import measured_ratio, ratio_error, two_batch_estimates

COUPLED = 32
"""Smallest batch size at which the statistics of batch normalization resemble those of training batches."""

START = 0.05
"""Fraction of a training run that counts as its start."""

_MIN_BATCH_SIZE = 8
_GROUPS = 16
_MAX_GRADIENT_ENTRIES = 2**25


@dataclass(frozen=True)
class Estimate:
    """A noise scale, the ratio of unbiased estimates of noise and signal.

    Args:
        signal: |G|^2 or G^T H G; it can be negative by chance.
        noise: tr Sigma or tr(H Sigma).
        signal_variance: Squared standard error of `signal`.
        noise_variance: Squared standard error of `noise`.
        covariance: Covariance of the two errors.
    """

    signal: float
    noise: float
    signal_variance: float
    noise_variance: float
    covariance: float

    @property
    def noise_scale(self):
        """The ratio in examples; infinite if the signal is not positive."""
        return measured_ratio(self.signal, self.noise)

    @property
    def standard_error(self):
        """First-order standard error of `noise_scale`; infinite if the signal is not positive."""
        return ratio_error(*dataclasses.astuple(self))


@dataclass(frozen=True)
class Point:
    """The measurement at one step of a training run.

    Args:
        step: Number of steps made.
        loss: Training loss.
        simple: `Estimate` of B_simple.
        curved: `Estimate` of B_noise; `None` if it was not measured.
    """

    step: int
    loss: float
    simple: Estimate
    curved: Estimate | None = None


@dataclass(frozen=True)
class NoisyRun:
    """A training run with its noise scales. The ratio of rate and batch size is its temperature.

    Args:
        batch_size: Batch size B.
        rate: Learning rate.
        seed: Seed of the initial weights and of the batches.
        points: `Point`s at equal distances, the first at step 0.
    """

    batch_size: int
    rate: float
    seed: int
    points: tuple[Point, ...]

    def start(self):
        """Returns the `Estimate` of B_simple over the first twentieth of the steps, including step 0."""
        last = START * self.points[-1].step
        return combine([point.simple for point in self.points if point.step <= last])

    def average(self, parts=8):
        """Returns the mean of B_simple over the steps, and its standard error.

        The mean is taken over equal parts of the training, each with the ratio of its averages. The ratio at
        a single step is too noisy, and the ratio of the averages over all steps would be that of the first
        steps, which have the largest gradients.

        Args:
            parts: Number of parts.
        """
        parts = np.array_split(np.arange(len(self.points)), min(parts, len(self.points)))
        estimates = [combine([self.points[i].simple for i in part]) for part in parts]
        scales = [each.noise_scale for each in estimates]
        errors = [each.standard_error for each in estimates]
        return float(np.mean(scales)), float(np.sqrt(np.sum(np.square(errors)))) / len(estimates)

    def whole(self):
        """Returns the `Estimate` of B_simple from averages over all steps, as from a running average."""
        return combine([point.simple for point in self.points])

    def average_curved(self):
        """Returns the mean of B_noise over the steps and its standard error; `None` without measurements."""
        estimates = [point.curved for point in self.points if point.curved]
        if not estimates:
            return None
        mean = float(np.mean([each.noise_scale for each in estimates]))
        errors = np.square([each.standard_error for each in estimates])
        return mean, float(np.sqrt(errors.sum())) / len(estimates)


def estimate(products, batch_size):
    """Estimates a noise scale from the products of the gradients of R independent batches.

    Args:
        products: g_r^T g_s or g_r^T H g_s, [R, R] with R >= 3.
        batch_size: Number B of examples in each batch.

    Returns:
        An `Estimate` for single examples: Sigma is B times the covariance of g_r.

    Raises:
        ValueError: If `products` is not a finite square matrix with at least 3 rows, or B is not positive.
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
    """Averages the signals and the noises of independent estimates; the ratio is taken last.

    Args:
        estimates: `Estimate`s, at least one.

    Returns:
        An `Estimate`.
    """
    fields = np.array([list(vars(each).values()) for each in estimates])
    means = fields.mean(axis=0)
    return Estimate(*map(float, [*means[:2], *(means[2:] / len(fields))]))


def measure_point(problem, examples=2048, hessian=False, hessian_batch=512):
    """Measures the noise scales at the current weights of a problem.

    Args:
        problem: A `Problem`.
        examples: Number n of fresh examples.
        hessian: Whether to measure B_noise, too, with 16 Hessian-vector products.
        hessian_batch: Number of fresh examples of the Hessian.

    Returns:
        A `Point`.
    """
    smallest = COUPLED if problem.coupled else _MIN_BATCH_SIZE
    # All gradients are in memory at once, so that large models use fewer and larger batches.
    count = max(
        _GROUPS, min(examples // smallest, _MAX_GRADIENT_ENTRIES // problem.parameters) // _GROUPS * _GROUPS
    )
    size = max(1, examples // count)
    gradients = problem.gradients(count, size)
    simple = estimate(_products(gradients, gradients), size)
    curved = None
    if hessian:
        groups = tf.reduce_mean(tf.reshape(gradients, [_GROUPS, count // _GROUPS, -1]), axis=1)
        products = _products(groups, problem.hessian_products(groups, hessian_batch))
        curved = estimate(products, size * count // _GROUPS)
    return Point(problem.step, problem.loss(), simple, curved)


def measure_run(problem, batch_size, rate, steps, seed=0, points=41, curved=6, examples=2048, progress=None):
    """Trains a problem and measures the noise scales along the way.

    Args:
        problem: A `Problem`; it is restarted.
        batch_size: Batch size B.
        rate: Learning rate.
        steps: Number of training steps.
        seed: Seed of the initial weights and of the batches.
        points: Number of measurements of B_simple, at equal distances from the first to the last step.
        curved: Number of these measurements that include B_noise.
        examples: Number of fresh examples of each measurement.
        progress: Function of (points done, points) that is called after each measurement.

    Returns:
        A `NoisyRun`.

    Raises:
        ArithmeticError: If the training diverges.
    """
    at = np.unique(np.round(np.linspace(0, steps, points)).astype(int))
    with_hessian = set(np.round(np.linspace(0, len(at) - 1, curved)).astype(int))
    problem.restart(seed, rate)
    measured = []
    for i, step in enumerate(at):
        if step > problem.step:
            problem.advance(int(step) - problem.step, batch_size)
        if not np.isfinite(problem.loss()):
            raise ArithmeticError(f"the loss is not finite after {step} steps at learning rate {rate:g}")
        measured.append(measure_point(problem, examples, i in with_hessian))
        if progress:
            progress(i + 1, len(at))
    return NoisyRun(batch_size, rate, seed, tuple(measured))


def _products(left, right):
    return tf.matmul(left, right, transpose_b=True).numpy().astype(np.float64)
