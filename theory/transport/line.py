"""Wasserstein distances on a line, where the optimal plan preserves the order (Sec. 3.6).

Legend: N values of x, M values of y.
"""

import math

import numpy as np

from ... import arguments
from .problem import order_of, sample_weights

_ROUNDING = 1e-15  # Smaller differences between cumulative weights are rounding errors of the weights.


def wasserstein_1d(x, y, order=1.0, x_weights=None, y_weights=None):
    """Returns W_p between two weighted samples of numbers.

    On a line the optimal plan preserves the order, so with the quantile functions F^-1 and G^-1

        W_p^p = integral_0^1 |F^-1(t) - G^-1(t)|^p dt.

    Cumulative weights of x and of y that differ by less than 1e-15 count as equal, since weights such as
    1/147 and 1/49 are rounded. Apart from that no mass is neglected, however small.

    Args:
        x: Values, [N].
        y: Values, [M].
        order: Order p, at least 1; infinity gives the largest displacement.
        x_weights: Probabilities of `x`, [N]; equal ones by default.
        y_weights: Probabilities of `y`, [M]; equal ones by default.

    Returns:
        The distance, in units of `x`.

    Raises:
        ValueError: If there are no values, a value is not finite, weights are not probabilities, or `order`
            is below 1.
    """
    order = order_of(order)
    x, y = arguments.finite("x", x, ndim=1), arguments.finite("y", y, ndim=1)
    if x_weights is None and y_weights is None and x.size and y.size:
        moves, widths = _equal_weights(np.sort(x), np.sort(y))
    else:
        moves, widths = _any_weights(*_sorted("x", x, x_weights), *_sorted("y", y, y_weights))
    largest = moves.max()
    if math.isinf(order) or largest == 0:
        return float(2 * largest)
    if order == 1:
        return float(2 * (moves.mean() if widths is None else widths @ moves))
    # In units of the largest displacement, no power overflows.
    powers = (moves / largest) ** order
    return float(2 * largest * (powers.mean() if widths is None else widths @ powers) ** (1 / order))


def _equal_weights(x, y):
    """Returns half the displacements and their masses for sorted samples; `None` stands for equal masses."""
    if len(x) == len(y):
        return _half_moves(x, y), None
    # Both quantile functions are constant between these multiples of 1 / (N M).
    levels = _merged(np.arange(1, len(x) + 1) * len(y), np.arange(1, len(y) + 1) * len(x))
    moves = _half_moves(x[(levels - 1) // len(y)], y[(levels - 1) // len(x)])
    return moves, np.diff(levels, prepend=0) / (len(x) * len(y))


def _any_weights(x, x_weights, y, y_weights):
    """Returns half the displacements and their masses for samples in increasing order."""
    below_x, below_y = _cumulative(x_weights), _cumulative(y_weights)
    below_y = _aligned(below_y, below_x)
    levels = _merged(below_x, below_y)
    widths = np.diff(levels, prepend=0)
    widths = widths.real + widths.imag
    moved = widths > 0
    levels, widths = levels[moved], widths[moved]
    return _half_moves(x[np.searchsorted(below_x, levels)], y[np.searchsorted(below_y, levels)]), widths


def _half_moves(x, y):
    # The full difference may overflow.
    return np.abs(x / 2 - y / 2)


def _merged(levels, others):
    # A stable sort merges two sorted parts in linear time.
    return np.sort(np.concatenate([levels, others]), kind="stable")


def _sorted(name, values, weights):
    weights = sample_weights(name, weights, len(values))
    order = np.argsort(values)
    return values[order], weights[order]


def _cumulative(weights):
    """Returns cumulative weights with twice the digits of a float: the sum of real and imaginary part.

    NumPy orders complex numbers by the real part first and then by the imaginary part, which is the order of
    the sums if the real part is the sum rounded to a float.
    """
    # The coarse parts are multiples of 2^-50, whose sums have no rounding error.
    coarse = np.rint(weights * 2.0**50) / 2.0**50
    levels = _sum(np.cumsum(coarse), np.cumsum(weights - coarse))
    # The weights sum to 1 up to rounding; the last level is exactly 1.
    excess = (levels[-1].real - 1) + levels[-1].imag
    levels = _sum(levels.real, levels.imag - excess * levels.real)
    levels[-1] = 1
    return levels


def _sum(a, b):
    """Returns a + b without rounding error: the rounded sum and, as its imaginary part, the error."""
    total = a + b
    added = total - a
    return total + 1j * ((a - (total - added)) + (b - added))


def _aligned(levels, others):
    """Returns levels after moving each to that of the others from which it differs by rounding alone.

    Only pairs that are nearest to each other are moved, which preserves the order and the number of levels.
    """
    nearest, distance = _nearest(others, levels)
    back, _ = _nearest(levels, others)
    same = (distance < _ROUNDING) & (back[nearest] == np.arange(len(levels)))
    return np.where(same, others[nearest], levels)


def _nearest(levels, points):
    """Returns the index of the level nearest to each point, and the distance to it."""
    above = np.searchsorted(levels, points).clip(max=len(levels) - 1)
    below = (above - 1).clip(min=0)
    gaps = [levels[index] - points for index in (above, below)]
    upper, lower = (np.abs(gap.real + gap.imag) for gap in gaps)
    return np.where(upper <= lower, above, below), np.minimum(upper, lower)
