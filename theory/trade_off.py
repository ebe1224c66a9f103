"""Steps against examples: what a training costs at each batch size, and the critical one (Sec. 4.5).

To reach one loss with batches of B examples takes S steps and E = B S examples on a hyperbola,

    (S / S_min - 1) (E / E_min - 1) = 1,        S = S_min + E_min / B,

whose turnover is at B_crit = E_min / S_min, Eqs. 4.5.11 and 4.5.12. It follows exactly from the gains of
Eq. 4.5.7 where trainings at all batch sizes take the same path (docs/errata.md).

Legend: M measured trainings, B examples in a batch.

References:
    S. McCandlish, J. Kaplan, D. Amodei, An Empirical Model of Large-Batch Training, arXiv:1812.06162.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares, nnls

from .. import arguments

# Below this share of every measured S a term of S_min + E_min / B is not seen.
_UNSEEN = 1e-6


@dataclass(frozen=True)
class TradeOff:
    """The hyperbola of steps S against examples E that reach one loss, (S / S_min - 1)(E / E_min - 1) = 1.

    With E = B S this is S = S_min + E_min / B, Eq. 4.5.11.

    Args:
        least_steps: S_min, steps.
        least_examples: E_min, examples.

    Raises:
        ValueError: If one is not positive.
    """

    least_steps: float
    least_examples: float

    def __post_init__(self):
        arguments.positive("least_steps", self.least_steps, ndim=0)
        arguments.positive("least_examples", self.least_examples, ndim=0)

    @property
    def critical_batch_size(self):
        """B_crit = E_min / S_min, Eq. 4.5.12: both costs are twice their least."""
        return self.least_examples / self.least_steps

    def steps(self, batch_size):
        """Returns S(B) = S_min (1 + B_crit / B), steps.

        Args:
            batch_size: Batch sizes B, positive.
        """
        return self.least_steps + self.least_examples / arguments.positive("batch_size", batch_size)

    def examples(self, batch_size):
        """Returns E(B) = E_min (1 + B / B_crit), examples.

        Args:
            batch_size: Batch sizes B, positive.
        """
        return self.least_examples + self.least_steps * arguments.positive("batch_size", batch_size)


def trade_off_of_path(noise_scales):
    """Returns the trade-off of a training from the noise scales on its way, the average behind Eq. 4.5.11.

    A batch B does 1 / (1 + B_noise / B) of a noiseless step's work (Eq. 4.5.7), so what that step does costs
    1 + B_noise / B steps. Summed over a noiseless run S = S_min + E_min / B, exact if all runs take its path:
    S_min counts its steps, E_min sums B_noise, and B_crit is the plain average of B_noise over those steps.

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
        least_steps: S_min, steps.
        least_examples: E_min, examples.
        least_steps_error: Standard error of S_min.
        least_examples_error: Standard error of E_min.
        critical_batch_size_error: Standard error of B_crit, the two errors' correlation included.
        residuals: log(S measured / S fitted), [M].
    """

    least_steps_error: float
    least_examples_error: float
    critical_batch_size_error: float
    residuals: np.ndarray


def fit_trade_off(batch_sizes, steps, relative_errors=None):
    """Fits S_min and E_min to measured trainings by least squares of log S.

    In log space an error is relative, and the same for S and for E = B S. The standard errors are of the
    linearized fit, for independent relative errors; the learning rate must have been tuned at each B.

    Args:
        batch_sizes: Batch sizes B, [M], at least two different ones.
        steps: Steps S to one level of the loss, [M].
        relative_errors: Standard errors of log S, positive, [M] or a number. If None they are taken as equal
            and found from the residuals; two pairs leave none, and the errors are then infinite.

    Returns:
        A `TradeOffFit`.

    Raises:
        ValueError: If fewer than two batch sizes differ, a value is not positive, or the measurements do not
            bracket the turnover, so that S_min or E_min cannot be told from zero.
    """
    batch_sizes = arguments.positive("batch_sizes", batch_sizes, ndim=1)
    steps = arguments.positive("steps", steps, ndim=1)
    arguments.same_shape(batch_sizes=batch_sizes, steps=steps)
    if len(np.unique(batch_sizes)) < 2:
        raise ValueError(f"batch_sizes must hold at least two different values, got {batch_sizes}")
    sigma = np.ones_like(steps)
    if relative_errors is not None:
        relative_errors = arguments.positive("relative_errors", relative_errors)
        if relative_errors.ndim:
            arguments.same_shape(steps=steps, relative_errors=relative_errors)
        sigma = sigma * relative_errors

    def shares(logs):
        return np.exp(np.stack([np.full_like(steps, logs[0]), logs[1] - np.log(batch_sizes)], axis=1))

    def residuals(logs):
        return (np.log(shares(logs).sum(axis=1)) - np.log(steps)) / sigma

    def jacobian(logs):
        found = shares(logs)
        return found / found.sum(axis=1, keepdims=True) / sigma[:, None]

    # S is linear in S_min and E_min: relative least squares start the fit, and refuse a negative coefficient.
    rows = np.stack([1 / steps, 1 / (batch_sizes * steps)], axis=1) / sigma[:, None]
    # Columns of one size, so that a zero is judged apart from the units.
    sizes = np.linalg.norm(rows, axis=0)
    start, _ = nnls(rows / sizes, 1 / sigma)
    _refuse_unseen(start / np.linalg.norm(1 / sigma), batch_sizes)
    fit = least_squares(residuals, np.log(start / sizes), jacobian, xtol=1e-15, ftol=1e-15, gtol=1e-15)
    slopes = jacobian(fit.x)
    _refuse_unseen(np.max(slopes * sigma[:, None], axis=0), batch_sizes)
    free, spread = len(steps) - 2, 1.0
    if relative_errors is None:
        spread = 2 * fit.cost / free if free else np.inf
    variance = np.linalg.inv(slopes.T @ slopes)
    difference = np.array([-1.0, 1.0])
    variances = spread * np.array([variance[0, 0], variance[1, 1], difference @ variance @ difference])
    values = np.exp([fit.x[0], fit.x[1], fit.x[1] - fit.x[0]])
    errors = values * np.sqrt(variances)
    return TradeOffFit(*map(float, values[:2]), *map(float, errors), -fit.fun * sigma)


def advised_batch_size(critical, excess=1.0, low=1, high=None):
    """Returns the power of two nearest to `excess` times B_crit, within limits.

    At B = x B_crit a training takes (1 + x) E_min examples and (1 + 1/x) S_min steps: x = 1 doubles both,
    smaller x saves computation, larger x saves time.

    Args:
        critical: B_crit, or B_noise or B_simple in its place; infinite if `high` is given.
        excess: x, the excess of examples over E_min, in units of E_min, that one is ready to process.
        low: Smallest batch size, at least 1.
        high: Largest batch size, such as memory allows; None for no limit.

    Returns:
        An `int`; `low` or `high` themselves need not be powers of two.

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


def _refuse_unseen(shares, batch_sizes):
    for share, name, side in zip(shares, ("S_min", "E_min"), ("larger", "smaller"), strict=True):
        if share < _UNSEEN:
            raise ValueError(
                f"batch_sizes must bracket the turnover: {name} cannot be told from zero between "
                f"{batch_sizes.min():g} and {batch_sizes.max():g}; {side} batches are needed"
            )
