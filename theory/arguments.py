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
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must hold real numbers, got {type(value).__name__}") from None
    if ndim is not None and array.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} axes, got shape {array.shape}")
    bad = ~np.isfinite(array)
    if bad.any():
        raise ValueError(f"{name}{first_index(bad)} must be finite, got {array[bad][0]}")
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
    bad = array <= 0
    if bad.any():
        raise ValueError(f"{name}{first_index(bad)} must be positive, got {array[bad][0]}")
    return array


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
            the first bad index.
    """
    array = finite(name, value)
    if array.size == 0 or array.ndim == 0:
        raise ValueError(f"{name} must hold at least one probability along an axis, got shape {array.shape}")
    bad = array < 0
    if bad.any():
        raise ValueError(f"{name}{first_index(bad)} must not be negative, got {array[bad][0]}")
    totals = array.sum(axis=axis)
    bad = np.abs(totals - 1.0) > ROUNDING
    if bad.any():
        # A kept axis is written as an index, a summed one has none.
        raise ValueError(f"{name}{first_index(bad)} must sum to 1, got {np.asarray(totals)[bad][0]:.9g}")
    return array


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
