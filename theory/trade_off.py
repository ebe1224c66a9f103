"""Steps versus examples: the cost of training at each batch size, and the critical batch size (Sec. 4.5).

Training with batches of B examples to a given loss takes S steps and E = B S examples, which lie on a
hyperbola,

    (S / S_min - 1) (E / E_min - 1) = 1,        S = S_min + E_min / B,

with the turnover at B_crit = E_min / S_min, Eqs. 4.5.11 and 4.5.12. It follows exactly from the gains of
Eq. 4.5.7 if runs at all batch sizes take the same path (docs/errata.md).

Legend: M measured runs, B examples in a batch.

References:
    S. McCandlish, J. Kaplan, D. Amodei, An Empirical Model of Large-Batch Training, arXiv:1812.06162.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares, nnls

from .. import arguments

# A term of S_min + E_min / B counts as zero if it is below this fraction of every measured S.
_NEGLIGIBLE = 1e-6


@dataclass(frozen=True)
class TradeOff:
    """The hyperbola of steps S and examples E that reach a given loss, (S / S_min - 1)(E / E_min - 1) = 1.

    With E = B S this is S = S_min + E_min / B, Eq. 4.5.11.

    Args:
        least_steps: Minimum number of steps S_min.
        least_examples: Minimum number of examples E_min.

    Raises:
        ValueError: If a value is not positive.
    """

    least_steps: float
    least_examples: float

    def __post_init__(self):
        arguments.positive("least_steps", self.least_steps, ndim=0)
        arguments.positive("least_examples", self.least_examples, ndim=0)

    @property
    def critical_batch_size(self):
        """B_crit = E_min / S_min, Eq. 4.5.12, where both costs are twice their minimum."""
        return self.least_examples / self.least_steps

    def steps(self, batch_size):
        """Returns the number of steps S(B) = S_min (1 + B_crit / B).

        Args:
            batch_size: Batch sizes B, positive.
        """
        return self.least_steps + self.least_examples / arguments.positive("batch_size", batch_size)

    def examples(self, batch_size):
        """Returns the number of examples E(B) = E_min (1 + B / B_crit).

        Args:
            batch_size: Batch sizes B, positive.
        """
        return self.least_examples + self.least_steps * arguments.positive("batch_size", batch_size)


def trade_off_of_path(noise_scales):
    """Returns the trade-off of a run from the noise scales along its path, the average behind Eq. 4.5.11.

    A step with a batch of B gains 1 / (1 + B_noise / B) of a noiseless step (Eq. 4.5.7), so 1 + B_noise / B
    steps replace a noiseless one. Summed over a noiseless run this gives S = S_min + E_min / B, exactly if
    all runs take its path: S_min is the number of its steps, E_min the sum of B_noise over them, and B_crit
    the mean.

    Args:
        noise_scales: B_noise at each step of a noiseless (large-batch) run, [S_min], not negative.

    Returns:
        A `TradeOff`.
    """
    noise_scales = arguments.nonnegative("noise_scales", noise_scales, ndim=1)
    return TradeOff(float(len(noise_scales)), float(noise_scales.sum()))


@dataclass(frozen=True)
class TradeOffFit(TradeOff):
    """A fitted `TradeOff` with standard errors.

    Args:
        least_steps: Minimum number of steps S_min.
        least_examples: Minimum number of examples E_min.
        least_steps_error: Standard error of S_min.
        least_examples_error: Standard error of E_min.
        critical_batch_size_error: Standard error of B_crit, which includes the correlation of the other two.
        residuals: log(S measured / S fitted), [M].
    """

    least_steps_error: float
    least_examples_error: float
    critical_batch_size_error: float
    residuals: np.ndarray


def fit_trade_off(batch_sizes, steps, relative_errors=None):
    """Fits S_min and E_min to measured runs by least squares in log S.

    In the logarithm, errors are relative, and the same for S and for E = B S. The standard errors are those
    of the linearized fit for independent relative errors. The learning rate must have been tuned at each B.

    Args:
        batch_sizes: Batch sizes B, [M], at least two of them different.
        steps: Steps S to a given loss, [M].
        relative_errors: Standard errors of log S, positive, [M] or a number. If `None`, they are assumed
            equal and estimated from the residuals; two runs leave no residuals, and the errors are then
            infinite.

    Returns:
        A `TradeOffFit`.

    Raises:
        ValueError: If fewer than two batch sizes differ, a value is not positive, or the measurements do not
            bracket the turnover, so that S_min or E_min is not distinguishable from zero.
    """
    batch_sizes, steps, sigma = _check_measurements(batch_sizes, steps, relative_errors)
    fit, slopes = _fit_logarithms(batch_sizes, steps, sigma)
    degrees_of_freedom, scale = len(steps) - 2, 1.0
    if relative_errors is None:
        scale = 2 * fit.cost / degrees_of_freedom if degrees_of_freedom else np.inf
    covariance = np.linalg.inv(slopes.T @ slopes)
    difference = np.array([-1.0, 1.0])
    variances = scale * np.array([covariance[0, 0], covariance[1, 1], difference @ covariance @ difference])
    values = np.exp([fit.x[0], fit.x[1], fit.x[1] - fit.x[0]])
    errors = values * np.sqrt(variances)
    return TradeOffFit(*map(float, values[:2]), *map(float, errors), -fit.fun * sigma)


def _check_measurements(batch_sizes, steps, relative_errors):
    """Returns the batch sizes, the steps and the standard errors of log S, which default to one."""
    batch_sizes = arguments.positive("batch_sizes", batch_sizes, ndim=1)
    steps = arguments.positive("steps", steps, ndim=1)
    arguments.same_shape(batch_sizes=batch_sizes, steps=steps)
    if len(np.unique(batch_sizes)) < 2:
        raise ValueError(f"batch_sizes must contain at least two different values, got {batch_sizes}")
    if relative_errors is None:
        return batch_sizes, steps, np.ones_like(steps)
    relative_errors = arguments.positive("relative_errors", relative_errors)
    if relative_errors.ndim:
        arguments.same_shape(steps=steps, relative_errors=relative_errors)
    return batch_sizes, steps, np.ones_like(steps) * relative_errors


def _fit_logarithms(batch_sizes, steps, sigma):
    """Returns SciPy's fit of (log S_min, log E_min) and its Jacobian at the solution."""

    def terms(logs):
        return np.exp(np.stack([np.full_like(steps, logs[0]), logs[1] - np.log(batch_sizes)], axis=1))

    def residuals(logs):
        return (np.log(terms(logs).sum(axis=1)) - np.log(steps)) / sigma

    def jacobian(logs):
        values = terms(logs)
        return values / values.sum(axis=1, keepdims=True) / sigma[:, None]

    # S is linear in S_min and E_min, so nonnegative least squares on relative errors starts the fit.
    rows = np.stack([1 / steps, 1 / (batch_sizes * steps)], axis=1) / sigma[:, None]
    # Normalize the columns, so that the test for zero does not depend on the units.
    sizes = np.linalg.norm(rows, axis=0)
    start, _ = nnls(rows / sizes, 1 / sigma)
    _check_bracketed(start / np.linalg.norm(1 / sigma), batch_sizes)
    fit = least_squares(residuals, np.log(start / sizes), jacobian, xtol=1e-15, ftol=1e-15, gtol=1e-15)
    slopes = jacobian(fit.x)
    _check_bracketed(np.max(slopes * sigma[:, None], axis=0), batch_sizes)
    return fit, slopes


def advised_batch_size(critical, excess=1.0, low=1, high=None):
    """Returns the power of two nearest to `excess` times B_crit, within limits.

    At B = x B_crit, training takes (1 + x) E_min examples and (1 + 1/x) S_min steps: x = 1 doubles both, a
    smaller x saves computation, and a larger x saves time.

    Args:
        critical: B_crit, or B_noise or B_simple as an estimate of it; it may be infinite if `high` is given.
        excess: Acceptable excess x of examples over E_min, in units of E_min.
        low: Smallest batch size, at least 1.
        high: Largest batch size, for example what memory allows; `None` for no limit.

    Returns:
        An `int`; `low` and `high` themselves need not be powers of two.

    Raises:
        ValueError: If a value is out of its range.
    """
    low = arguments.integer("low", low, 1)
    high = None if high is None else arguments.integer("high", high, low)
    excess = float(arguments.positive("excess", excess, ndim=0))
    if critical == np.inf and high is not None:
        return high
    critical = float(arguments.nonnegative("critical", critical, ndim=0))
    nearest = 2 ** round(float(np.log2(max(critical * excess, 1.0))))
    return max(low, nearest if high is None else min(nearest, high))


def _check_bracketed(fractions, batch_sizes):
    """Checks that the largest shares of S_min and of E_min / B in the measured steps are not negligible."""
    for fraction, name, side in zip(fractions, ("S_min", "E_min"), ("larger", "smaller"), strict=True):
        if fraction < _NEGLIGIBLE:
            raise ValueError(
                f"batch_sizes must bracket the turnover: {name} is not distinguishable from zero between "
                f"{batch_sizes.min():g} and {batch_sizes.max():g}; {side} batches are needed"
            )
