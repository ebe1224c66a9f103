"""How error messages show values, rules and choices. A message never prints a whole array or a long value."""

import difflib
import math
import reprlib

import numpy as np

_ABBREVIATED = reprlib.Repr()
_ABBREVIATED.maxstring = _ABBREVIATED.maxother = _ABBREVIATED.maxlong = 120


def described(value):
    """Returns a value as messages show it: its abbreviated `repr`, or the shape of an array or tensor.

    Args:
        value: The value.
    """
    if isinstance(value, np.generic):
        value = value.item()
    shape = getattr(value, "shape", None)
    if shape is None or callable(shape):
        return _ABBREVIATED.repr(value)
    return f"{type(value).__name__} of shape {shape}"


def did_you_mean(value, valid, count=1):
    """Returns `"; did you mean 'adam'?"` for the strings in `valid` nearest to `value`, or an empty string.

    Args:
        value: The value that was not valid.
        valid: The valid values; those that are not strings are ignored.
        count: The largest number of suggestions.
    """
    names = [choice for choice in valid if isinstance(choice, str)]
    near = difflib.get_close_matches(value, names, count) if isinstance(value, str) else []
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""


def first_index(bad):
    """Returns the index of the first true entry as text, such as `[2, 0]`; an empty string for a number.

    Args:
        bad: A Boolean array.
    """
    index = np.unravel_index(np.argmax(bad), np.shape(bad))
    return f"[{', '.join(map(str, index))}]" if index else ""


def range_rule(low, high, bounds):
    """Returns the rule of a finite number between two bounds in words.

    Args:
        low: The lower bound.
        high: The upper bound.
        bounds: Which bounds are included, as in `arguments.number`.
    """
    at_least = bounds[0] == "["
    if low == 0 and high == math.inf:
        return f"a {'nonnegative' if at_least else 'positive'} finite number"
    if low > -math.inf and high < math.inf:
        return f"a number in {bounds[0]}{low:.9g}, {high:.9g}{bounds[1]}"
    if low > -math.inf:
        return f"a finite number {'of at least' if at_least else 'above'} {low:.9g}"
    if high < math.inf:
        return f"a finite number {'of at most' if bounds[1] == ']' else 'below'} {high:.9g}"
    return "a finite number"


def listed(valid):
    """Returns the list of valid values for a message: strings without quotes, the others as their `repr`.

    Args:
        valid: The values, in the order of the message.
    """
    return ", ".join(choice if isinstance(choice, str) else repr(choice) for choice in valid)


def kind_of(value):
    """Returns the text for a value without real numbers: `None`, the dtype of an array, or the type.

    Args:
        value: The value.
    """
    if value is None:
        return "None"
    return f"dtype {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__
