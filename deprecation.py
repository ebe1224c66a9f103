"""Defaults that will change with the next version."""

import warnings


def changing_default(name, value, old, new):
    """Returns `value`, or for `None` the `old` default of the caller's argument, with a `FutureWarning`.

    Args:
        name: The argument's name, for the message.
        value: The value; `None` if the argument was left out.
        old: The default for now.
        new: The default of the next version.
    """
    if value is not None:
        return value
    warnings.warn(
        f"{name} is {old} by default, and will be {new} in the next version: pass {name}={old} or {new}",
        FutureWarning,
        stacklevel=3,
    )
    return old
