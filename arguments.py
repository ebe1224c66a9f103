"""Checks of arguments, in one message style: `NAME must RULE, got VALUE`.

- For one Python number, name, flag or folder: `integer`, `number`, `one_of`, `boolean`, `folder`, ... They
  return the plain Python value and make no array.
- For arrays: `finite`, `positive`, `distributions`, `covariance`, ... They return float64 arrays, and their
  messages name the first bad entry: `sigma[2] must be positive, got 0`.
- For other messages in the same style: `require`, and from `wording` `described`, `did_you_mean` and
  `first_index`.

The first argument `name` is the name of the caller's argument, for the message. Every check raises
`ValueError`.
"""

import math
import numbers
import os
import pathlib

import numpy as np

from .wording import described, did_you_mean, first_index, kind_of, listed, range_rule

# Tolerance on sums of probabilities, which a network may have computed in single precision.
ROUNDING = 1e-5


def require(name, array, valid, rule):
    """Checks a condition on every entry of an array; the message is `x[2, 0] must RULE, got VALUE`.

    Args:
        name: The argument's name.
        array: The array.
        valid: A boolean array of the same shape, true where the condition holds.
        rule: The condition as it follows "must", such as `be below 1`.
    """
    bad = ~np.asarray(valid, bool)
    if bad.any():
        raise ValueError(f"{name}{first_index(bad)} must {rule}, got {np.asarray(array)[bad][0]:.9g}")


def integer(name, value, low, high=None):
    """Returns `value` as an `int` after checking that it is an integer of at least `low` and at most `high`.

    `True` and `2.0` are not accepted as integers. If `high` is `None`, there is no upper limit.
    """
    valid = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not valid or value < low or (high is not None and value > high):
        rule = f"of at least {low}" if high is None else f"from {low} to {high}"
        raise ValueError(f"{name} must be an integer {rule}, got {described(value)}")
    return int(value)


def sizes(name, values, count=None):
    """Returns `values` as a tuple after checking that each is an integer of at least 1.

    Args:
        name: The argument's name, for the message.
        values: The values to check.
        count: The required number of values; `None` for any.
    """
    given = tuple(values) if np.iterable(values) else None
    if given is None or count not in (None, len(given)):
        number = "integers" if count is None else f"{count} integers"
        raise ValueError(f"{name} must be a tuple of {number}, got {described(values)}")
    return tuple(integer(f"{name}[{index}]", value, 1) for index, value in enumerate(given))


def number(name, value, low=-math.inf, high=math.inf, bounds="[]"):
    """Returns `value` as a `float` after checking that it is a finite real number between two bounds.

    Args:
        name: The argument's name, for the message.
        value: The value to check; `True` and strings are rejected.
        low: The lower bound.
        high: The upper bound.
        bounds: Which bounds are included: `"[]"` both, `"[)"` the lower one, `"(]"` the upper one, `"()"`
            neither.

    Raises:
        ValueError: If `value` is not such a number.
    """
    try:
        real = isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        # An integer or fraction above 1.8e308 does not fit into a float.
        real = False
    above = real and (value >= low if bounds[0] == "[" else value > low)
    below = real and (value <= high if bounds[1] == "]" else value < high)
    if not above or not below:
        raise ValueError(f"{name} must be {range_rule(low, high, bounds)}, got {described(value)}")
    return float(value)


def positive_number(name, value):
    """Returns `value` as a `float` after checking that it is a positive finite number."""
    return number(name, value, low=0, bounds="()")


def nonnegative_number(name, value):
    """Returns `value` as a `float` after checking that it is zero or a positive finite number."""
    return number(name, value, low=0)


def fraction(name, value):
    """Returns a number or a zero-dimensional array as a `float` after checking that it is in [0, 1)."""
    if not 0 <= finite(name, value, 0) < 1:
        raise ValueError(f"{name} must be in [0, 1), got {value!r}")
    return float(value)


def unit_interval(name, value):
    """Returns a number or a zero-dimensional array as a `float` after checking that it is in [0, 1]."""
    if not 0 <= finite(name, value, 0) <= 1:
        raise ValueError(f"{name} must be in [0, 1], got {value!r}")
    return float(value)


def seed(name, value):
    """Returns `value` as an `int` after checking that it is an integer in [0, 2^31)."""
    if integer(name, value, 0) >= 2**31:
        raise ValueError(f"{name} must be below 2^31, got {value!r}")
    return int(value)


def boolean(name, value):
    """Returns `value` as a `bool` after checking that it is `True` or `False`, not 0, 1 or `None`."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} must be True or False, got {described(value)}")
    return bool(value)


def one_of(name, value, valid):
    """Returns the entry of `valid` that equals `value`.

    The message lists the valid values and suggests the nearest:
    `optimizer must be one of sgd, adam, got 'adamm'; did you mean 'adam'?`

    Args:
        name: The argument's name, for the message.
        value: The value to check.
        valid: The valid values in the order of the message: strings, numbers or `None`.

    Raises:
        ValueError: If no entry equals `value`.
    """
    valid = tuple(valid)
    if value is None or isinstance(value, str | numbers.Number):
        for choice in valid:
            # In Python, True == 1, but a Boolean must not match a number.
            if value == choice and isinstance(value, bool) == isinstance(choice, bool):
                return choice
    raise ValueError(
        f"{name} must be one of {listed(valid)}, got {described(value)}{did_you_mean(value, valid)}"
    )


def distinct_names(name, values, valid):
    """Returns `values` as a tuple after checking that they are distinct valid names.

    Args:
        name: The argument's name, for the message.
        values: A tuple or list of strings; it may be empty.
        valid: The valid names.

    Raises:
        ValueError: If `values` is neither a tuple nor a list, a name is not valid, or a name occurs twice.
    """
    valid = tuple(valid)
    if not isinstance(values, tuple | list):
        raise ValueError(f"{name} must be a tuple of names among {listed(valid)}, got {described(values)}")
    for index, value in enumerate(values):
        one_of(f"{name}[{index}]", value, valid)
    if len(set(values)) < len(values):
        raise ValueError(f"{name} must not repeat a name, got {described(tuple(values))}")
    return tuple(values)


def known_name(kind, name, valid):
    """Returns `name` after checking that it is one of the valid names.

    The message is `Unknown data set 'mnits'; did you mean 'mnist'? Valid names: digits, mnist`.

    Args:
        kind: The noun for what the names denote, such as `data set`.
        name: The name to look up.
        valid: The valid names.

    Raises:
        ValueError: If `name` is not among the valid names.
    """
    valid = tuple(valid)
    if not isinstance(name, str) or name not in valid:
        hint = did_you_mean(name, valid) or "."
        raise ValueError(f"Unknown {kind} {described(name)}{hint} Valid names: {listed(valid)}")
    return name


def folder(name, value):
    """Returns the path of an existing folder as a `pathlib.Path`, with a leading `~` expanded."""
    if not isinstance(value, str | os.PathLike):
        raise ValueError(f"{name} must be the path of a folder, got {described(value)}")
    path = os.path.expanduser(os.fspath(value))
    if os.path.isfile(path):
        raise ValueError(f"{name} must be a folder, got the file {path!r}")
    if not os.path.isdir(path):
        raise ValueError(f"{name} must be an existing folder, got {path!r}")
    return pathlib.Path(path)


def output_file(name, value):
    """Returns the path of a file to write as a `pathlib.Path`, after checking that it is not a folder."""
    if not isinstance(value, str | os.PathLike):
        raise ValueError(f"{name} must be the path of a file, got {described(value)}")
    path = pathlib.Path(value).expanduser()
    if path.is_dir():
        raise ValueError(f"{name} must be a file, got the folder {str(path)!r}")
    return path


def finite(name, value, ndim=None):
    """Returns `value` as a float64 array after checking that every entry is finite.

    Args:
        name: The argument's name, for the message.
        value: A number or an array.
        ndim: The required number of axes; `None` for any.

    Raises:
        ValueError: If `value` is not numeric, has the wrong number of axes, or an entry is not finite.
    """
    try:
        given = np.asarray(value)
        # An array of objects may hold numbers, such as fractions; None would become nan. An array of Booleans
        # holds zeros and ones, but True is not a number.
        numeric = given.dtype.kind in ("iuf" if given.ndim == 0 else "biuf") or (
            given.dtype.kind == "O" and None not in given.ravel()
        )
        array = given.astype(np.float64) if numeric else None
    except (TypeError, ValueError):
        array = None
    except OverflowError:
        raise ValueError(f"{name} must hold numbers of magnitude below 1.8e308") from None
    if array is None:
        raise ValueError(f"{name} must hold real numbers in rows of one length, got {kind_of(value)}")
    if ndim is not None and array.ndim != ndim:
        axes = {0: "be a number", 1: "have 1 axis"}.get(ndim, f"have {ndim} axes")
        raise ValueError(f"{name} must {axes}, got shape {array.shape}")
    require(name, array, np.isfinite(array), "be finite")
    return array


def finite_or(infinities, name, value, ndim=None):
    """Returns `value` as `finite` does; entries equal to one of the `infinities`, a tuple, are valid, too."""
    try:
        given = np.asarray(value)
    except ValueError:
        return finite(name, value, ndim)  # Rows of different lengths, which it rejects.
    infinite = np.isin(given, infinities) if given.dtype.kind == "f" else np.zeros(given.shape, bool)
    if not infinite.any():
        return finite(name, value, ndim)
    return np.where(infinite, given, finite(name, np.where(infinite, 0.0, given), ndim))


def positive(name, value, ndim=None):
    """Returns `value` as a float64 array after checking that every entry is finite and positive."""
    array = finite(name, value, ndim)
    require(name, array, array > 0, "be positive")
    return array


def nonnegative(name, value, ndim=None):
    """Returns `value` as a float64 array after checking that every entry is finite and not negative."""
    array = finite(name, value, ndim)
    require(name, array, array >= 0, "not be negative")
    return array


def integers(name, value, low):
    """Returns `value` as a float64 array after checking that every entry is an integer of at least `low`."""
    array = finite(name, value)
    require(name, array, (array >= low) & (array == np.floor(array)), f"be an integer of at least {low}")
    return array


def interval(name, value):
    """Returns the ends of an interval, an increasing pair of numbers, as floats; they may be infinite."""
    try:
        low, high = map(float, finite_or((-math.inf, math.inf), name, value, 1))
    except ValueError:
        low = high = np.nan
    if not low < high:
        raise ValueError(f"{name} must be an increasing pair of numbers, got {described(value)}")
    return low, high


def distributions(name, value, axis=-1):
    """Returns `value` as a float64 array after checking that it holds probability distributions.

    Args:
        name: The argument's name, for the message.
        value: Probabilities.
        axis: The axis or axes over which they sum to one; `None` for all.

    Returns:
        The array as given, without normalizing it again, except that entries of at least -1e-5 are zero if
        they are negative by rounding.

    Raises:
        ValueError: If an entry is below -1e-5 or not finite, or a sum differs from one by more than 1e-5; the
            message gives the first bad index. Also if `axis` is not an axis of the array.
    """
    array = finite(name, value)
    require(name, array, array >= -ROUNDING, "not be negative")
    array = np.maximum(array, 0.0) if (array < 0).any() else array
    if array.size == 0 or array.ndim == 0:
        raise ValueError(f"{name} must hold at least one probability along an axis, got shape {array.shape}")
    try:
        totals = np.asarray(array.sum(axis=axis))
    except TypeError:
        raise ValueError(
            f"axis must be an integer, a tuple of integers or None, got {described(axis)}"
        ) from None
    # The index in the message is that of the distribution, without the summed axes.
    require(name, totals, np.abs(totals - 1.0) <= ROUNDING, "sum to 1")
    return array


def covariance(name, value, definite=True):
    """Returns a covariance matrix as a symmetric float64 array [D, D]; a number becomes [1, 1].

    Symmetry and definiteness are tested on the correlation matrix, so that the result does not depend on the
    units of the variables.

    Args:
        name: The argument's name, for the message.
        value: The matrix.
        definite: Whether to reject zero eigenvalues as well.

    Raises:
        ValueError: If `value` is not square, symmetric, and positive definite or semidefinite.
    """
    matrix = finite(name, value)
    if matrix.ndim == 0:
        matrix = (positive if definite else nonnegative)(name, matrix).reshape(1, 1)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise ValueError(f"{name} must be a square matrix, got shape {matrix.shape}")
    variances = np.diagonal(matrix)
    require(name, variances, variances >= 0, "have a diagonal that is not negative")
    scale = np.sqrt(np.where(variances > 0, variances, 1.0))
    correlation = matrix / scale / scale[:, None]
    asymmetric = np.abs(correlation - correlation.T) > 1e-8
    if asymmetric.any():
        raise ValueError(f"{name} must be symmetric, which fails at {first_index(asymmetric)}")
    least = np.linalg.eigvalsh((correlation + correlation.T) / 2)[0]
    rounding = 1e-12 * len(correlation)
    if least < -rounding or (definite and least <= rounding):
        kind = "definite" if definite else "semidefinite"
        raise ValueError(f"{name} must be positive {kind}, got least eigenvalue {least:.3g} in unit scales")
    return (matrix + matrix.T) / 2


def has_shape(name, array, shape):
    """Checks that an array has the given shape, a tuple of integers."""
    if np.shape(array) != tuple(shape):
        raise ValueError(f"{name} must have shape {tuple(shape)}, got {np.shape(array)}")


def same_shape(**arrays):
    """Checks that arrays, given by their arguments' names, have the same shape."""
    (name, first), *others = arrays.items()
    for other, array in others:
        if np.shape(array) != np.shape(first):
            raise ValueError(
                f"{name} and {other} must have the same shape, got {np.shape(first)} and {np.shape(array)}"
            )


def broadcastable(**arrays):
    """Returns the shape to which arrays, given by their arguments' names, broadcast together."""
    try:
        return np.broadcast_shapes(*(np.shape(array) for array in arrays.values()))
    except ValueError:
        shapes = ", ".join(f"{name} {np.shape(array)}" for name, array in arrays.items())
        raise ValueError(f"shapes must broadcast to one, got {shapes}") from None
