"""The exponential tilt that gives weighted numbers a required mean, as beta does for energies (Sec. 2.4).

Legend: N numbers.
"""

import math

import numpy as np

from .. import arguments

_LEAST = 5e-324  # In place of a sum that underflows.
_ROUNDING = 1e-10  # Below this size a value that no longer decreases is a rounding error.


def tilt(values, mean, weights):
    """Returns the beta for which the weights w_i exp(-beta x_i) give the numbers x_i the required mean.

    With the deviations d_i = x_i - mean, beta solves

        log(sum over d_i > 0 of w_i d_i exp(-beta d_i)) = log(sum over d_i < 0 of w_i |d_i| exp(-beta d_i)).

    Each side is computed without cancellation, and their difference decreases with beta. The relative error
    of beta is therefore about 1e-15 times its condition number, for means arbitrarily close to either end.

    Args:
        values: Numbers x_i, [N].
        mean: Required mean, between the smallest and the largest number.
        weights: Weights w_i, [N], positive.

    Returns:
        beta, in inverse units of the numbers; infinite if the mean is the smallest number, minus infinity if
        it is the largest, and zero if all numbers are equal.

    Raises:
        ValueError: If an argument is not finite or has the wrong shape, there are no numbers, a weight is not
            positive, or the mean is not between the smallest and the largest number.
    """
    values, mean = arguments.finite("values", values, 1), float(arguments.finite("mean", mean, 0))
    weights = arguments.positive("weights", weights, 1)
    arguments.same_shape(values=values, weights=weights)
    if not values.size:
        raise ValueError("values must contain at least one number, got none")
    low, high = values.min(), values.max()
    if not low <= mean <= high:
        raise ValueError(f"mean must be between {low:.10g} and {high:.10g}, got {mean:.10g}")
    if low == high:
        return 0.0
    if mean in (low, high):
        return math.inf if mean == low else -math.inf
    # A power of two changes no digits, and keeps differences of the largest numbers finite.
    scale = 2.0 ** (math.frexp(max(-low, high))[1] - 2)
    deviations = values / scale - mean / scale
    weights = weights / weights.max()
    above, below = deviations > 0, deviations < 0
    sides = (deviations[above], weights[above]), (-deviations[below], weights[below])
    if _log_ratio(0.0, *sides)[0] >= 0:
        return _positive_tilt(*sides) / scale
    return -_positive_tilt(*sides[::-1]) / scale


def _positive_tilt(above, below):
    """Returns beta >= 0 for the distances and weights of the numbers above the mean and of those below."""
    (up, up_weights), (down, down_weights) = above, below
    start, _ = _log_ratio(0.0, above, below)
    # The slope is at most the sum of the two largest distances, so beta cannot be below this.
    farthest = down.argmax()
    least = start / (up.max() + down.max())
    if not least > 0:
        return 0.0
    # The sums are bounded by the number nearest above the mean and by the lowest one.
    bound = math.log(up @ up_weights) - math.log(down[farthest] * down_weights[farthest])
    most = bound / (up.min() + down.max())
    return _root(lambda beta: _log_ratio(beta, above, below), least, most)


def _root(function, least, most):
    """Returns the root of a decreasing function, given as (value, slope), by Newton's method in a bracket."""
    beta, previous = least, math.inf
    while True:
        value, slope = function(beta)
        slow = abs(value) > previous / 2
        if value == 0 or (slow and abs(value) < _ROUNDING):
            return beta
        least, most = (beta, most) if value > 0 else (least, beta)
        step = -value / slope if slope else math.inf
        previous = abs(value)
        if slow or not least <= beta + step <= most:
            # The logarithm is halved, because beta may be orders of magnitude below its bound.
            step, previous = math.sqrt(least) * math.sqrt(most) - beta, math.inf
        if abs(step) <= 2e-16 * beta:
            return beta + step
        beta += step


def _log_ratio(beta, above, below):
    """Returns the log of the ratio of the two sums, which decreases with beta, and its derivative."""
    (up, up_weights), (down, down_weights) = above, below
    lowest = down.max()
    # In units of the Boltzmann factor of the lowest number, for beta >= 0, no exponential overflows.
    upper = np.exp(-beta * (up + lowest)) * up_weights * up
    lower = np.exp(-beta * (lowest - down)) * down_weights * down
    totals = max(upper.sum(), _LEAST), max(lower.sum(), _LEAST)
    return math.log(totals[0]) - math.log(totals[1]), -(upper @ up / totals[0] + lower @ down / totals[1])
