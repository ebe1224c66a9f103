"""What the functions of this room accept: checks that name the argument and the first bad index."""

import numbers

import numpy as np

# Wide enough for probabilities that a network computed in single precision.
ROUNDING = 1e-5


def first_index(bad):
    """Returns the index of the first true entry of a boolean array as it is written: `[2, 0]`, or nothing."""
    index = np.unravel_index(np.argmax(bad), np.shape(bad))
    return f"[{', '.join(map(str, index))}]" if index else ""


def finite(name, value, ndim=None):
    """Returns `value` as a float64 array after checking that every entry is finite.

    Args:
        name: The argument's name, for the message.
        value: A number or an array.
        ndim: The number of axes that it must have; `None` for any.

    Raises:
        ValueError: If it is not numeric, has other axes, or an entry is not finite.
    """
    try:
        given = np.asarray(value)
        # An array of objects may still hold numbers, such as fractions; None would become nan.
        numeric = given.dtype.kind in "biuf" or (given.dtype.kind == "O" and None not in given.ravel())
        array = given.astype(np.float64) if numeric else None
    except (TypeError, ValueError):
        array = None
    except OverflowError:
        raise ValueError(f"{name} must hold numbers below 1.8e308 in size") from None
    if array is None:
        raise ValueError(f"{name} must hold real numbers in rows of one length, got {_described(value)}")
    if ndim is not None and array.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} axes, got shape {array.shape}")
    _refuse(name, array, ~np.isfinite(array), "be finite")
    return array


def positive(name, value, ndim=None):
    """Returns `value` as a float64 array after checking that every entry is finite and above zero.

    Args:
        name: The argument's name, for the message.
        value: A number or an array.
        ndim: The number of axes that it must have; `None` for any.

    Raises:
        ValueError: As `finite`, or if an entry is zero or negative.
    """
    array = finite(name, value, ndim)
    _refuse(name, array, array <= 0, "be positive")
    return array


def nonnegative(name, value, ndim=None):
    """Returns `value` as a float64 array after checking that every entry is finite and not below zero.

    Args:
        name: The argument's name, for the message.
        value: A number or an array.
        ndim: The number of axes that it must have; `None` for any.

    Raises:
        ValueError: As `finite`, or if an entry is negative.
    """
    array = finite(name, value, ndim)
    _refuse(name, array, array < 0, "not be negative")
    return array


def fraction(name, value):
    """Returns `value` as a float after checking that it is a number in [0, 1).

    Args:
        name: The argument's name, for the message.
        value: What the caller gave.

    Raises:
        ValueError: If it is not.
    """
    if not 0 <= finite(name, value, 0) < 1:
        raise ValueError(f"{name} must be in [0, 1), got {value!r}")
    return float(value)


def share(name, value):
    """Returns `value` as a float after checking that it is a number in [0, 1].

    Args:
        name: The argument's name, for the message.
        value: What the caller gave.

    Raises:
        ValueError: If it is not.
    """
    if not 0 <= finite(name, value, 0) <= 1:
        raise ValueError(f"{name} must be in [0, 1], got {value!r}")
    return float(value)


def integer(name, value, low):
    """Returns `value` as an `int` after checking that it is an integer of at least `low`.

    Args:
        name: The argument's name, for the message.
        value: What the caller gave.
        low: The smallest valid value.

    Raises:
        ValueError: If it is not.
    """
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < low:
        raise ValueError(f"{name} must be an integer of at least {low}, got {value!r}")
    return int(value)


def seed(name, value):
    """Returns `value` as an `int` after checking that it is an integer in [0, 2^31).

    Args:
        name: The argument's name, for the message.
        value: What the caller gave.

    Raises:
        ValueError: If it is not.
    """
    if integer(name, value, 0) >= 2**31:
        raise ValueError(f"{name} must be below 2^31, got {value!r}")
    return int(value)


def integers(name, value, low):
    """Returns `value` as a float64 array after checking that every entry is a whole number of at least `low`.

    Args:
        name: The argument's name, for the message.
        value: A number or an array.
        low: The smallest valid value.

    Raises:
        ValueError: As `finite`, or if an entry is another number.
    """
    array = finite(name, value)
    bad = (array < low) | (array != np.floor(array))
    _refuse(name, array, bad, f"be an integer of at least {low}")
    return array


def interval(name, value):
    """Returns the ends of an interval as floats, infinite ones allowed.

    Args:
        name: The argument's name, for the message.
        value: The lower and upper end.

    Raises:
        ValueError: If it is no increasing pair of numbers.
    """
    try:
        low, high = map(float, value)
    except (TypeError, ValueError):
        low = high = np.nan
    if not low < high:
        raise ValueError(f"{name} must be an increasing pair of numbers, got {value!r}")
    return low, high


def distributions(name, value, axis=-1):
    """Returns `value` as a float64 array of probabilities after checking that they are.

    Args:
        name: The argument's name, for the message.
        value: Probabilities.
        axis: The axis or axes over which they sum to one; `None` for all.

    Returns:
        The array, as given: it is not normalized again.

    Raises:
        ValueError: If an entry is not finite or negative, or a sum is not one within 1e-5; the message has
            the first bad index. Also if `axis` is no axis.
    """
    array = nonnegative(name, value)
    if array.size == 0 or array.ndim == 0:
        raise ValueError(f"{name} must hold at least one probability along an axis, got shape {array.shape}")
    try:
        totals = np.asarray(array.sum(axis=axis))
    except TypeError:
        raise ValueError(f"axis must be an integer, a tuple of them or None, got {axis!r}") from None
    # A kept axis is written as an index, a summed one has none.
    _refuse(name, totals, np.abs(totals - 1.0) > ROUNDING, "sum to 1")
    return array


def covariance(name, value, definite=True):
    """Returns a covariance matrix as a symmetric float64 array [D, D]; a number becomes [1, 1].

    Symmetry and definiteness are judged in units of the standard deviations, so that they do not depend on
    the units of the variables.

    Args:
        name: The argument's name, for the message.
        value: The matrix.
        definite: Whether zero eigenvalues are refused too.

    Raises:
        ValueError: If it is not square, symmetric, and positive definite or semidefinite.
    """
    matrix = finite(name, value)
    if matrix.ndim == 0:
        matrix = (positive if definite else nonnegative)(name, matrix).reshape(1, 1)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise ValueError(f"{name} must be a square matrix, got shape {matrix.shape}")
    variances = np.diagonal(matrix)
    _refuse(name, variances, variances < 0, "have a diagonal that is not negative")
    scale = np.sqrt(np.where(variances > 0, variances, 1.0))
    unit = matrix / scale / scale[:, None]
    asymmetric = np.abs(unit - unit.T) > 1e-8
    if asymmetric.any():
        raise ValueError(f"{name} must be symmetric, which fails at {first_index(asymmetric)}")
    least = np.linalg.eigvalsh((unit + unit.T) / 2)[0]
    rounding = 1e-12 * len(unit)
    if least < -rounding or (definite and least <= rounding):
        kind = "definite" if definite else "semidefinite"
        raise ValueError(f"{name} must be positive {kind}, got least eigenvalue {least:.3g} in unit scales")
    return (matrix + matrix.T) / 2


def same_shape(**arrays):
    """Checks that named arrays have one shape.

    Args:
        **arrays: The arrays by their arguments' names.

    Raises:
        ValueError: If two differ; the message has both names and shapes.
    """
    (name, first), *others = arrays.items()
    for other, array in others:
        if np.shape(array) != np.shape(first):
            raise ValueError(
                f"{name} and {other} must have the same shape, got {np.shape(first)} and {np.shape(array)}"
            )


def broadcastable(**arrays):
    """Checks that named arrays broadcast to one shape.

    Args:
        **arrays: The arrays by their arguments' names.

    Returns:
        The common shape.

    Raises:
        ValueError: If they do not; the message has all names and shapes.
    """
    try:
        return np.broadcast_shapes(*(np.shape(array) for array in arrays.values()))
    except ValueError:
        shapes = ", ".join(f"{name} {np.shape(array)}" for name, array in arrays.items())
        raise ValueError(f"shapes must broadcast to one, got {shapes}") from None


def _refuse(name, array, bad, what):
    """Raises the error about the first bad entry, if there is one."""
    if bad.any():
        raise ValueError(f"{name}{first_index(bad)} must {what}, got {array[bad][0]:.9g}")


def _described(value):
    """What a value is, for a message: None, its dtype, or its type where it makes no array of numbers."""
    if value is None:
        return "None"
    return f"dtype {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__
