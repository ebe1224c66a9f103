"""Checks of the dtypes and static shapes of tensors, whose values are not known while a graph is traced."""

import keras
from keras import ops


def floating(**values):
    """Returns values, given by their arguments' names, as tensors after checking their dtypes.

    Returns:
        A tuple of tensors; the tensor if there is one value.

    Raises:
        ValueError: If a value holds integers, Booleans or complex numbers.
    """
    tensors = tuple(map(ops.convert_to_tensor, values.values()))
    for name, tensor in zip(values, tensors, strict=True):
        dtype = keras.backend.standardize_dtype(tensor.dtype)
        if not keras.backend.is_float_dtype(dtype):
            raise ValueError(f"{name} must hold floating-point numbers, got dtype {dtype}")
    return tensors if len(tensors) > 1 else tensors[0]


def alike(**values):
    """Returns values as `floating` does after checking that they have one shape, as far as it is known.

    Raises:
        ValueError: If a value is not floating-point, or the shapes differ, so that they would broadcast.
    """
    tensors = floating(**values)
    (name, *others), (first, *rest) = values, tensors
    for other, tensor in zip(others, rest, strict=True):
        if not agree(first.shape, tensor.shape):
            raise ValueError(
                f"{name} and {other} must have the same shape, got {tuple(first.shape)} and "
                f"{tuple(tensor.shape)}"
            )
    return tensors


def axes(name, tensor, legend):
    """Checks the number of axes of a tensor.

    Args:
        name: The argument's name.
        tensor: The tensor.
        legend: The shape as text, such as `[B, K]`.

    Raises:
        ValueError: If the number differs.
    """
    if _known(tensor.shape) and len(tensor.shape) != legend.count(",") + 1:
        raise ValueError(f"{name} must have shape {legend}, got {tuple(tensor.shape)}")


def agree(shape, other):
    """Returns whether two shapes can be equal once all lengths are known.

    Args:
        shape: A tuple or a `tf.TensorShape`, with `None` for a length that is not known.
        other: Another one.
    """
    if not _known(shape) or not _known(other):
        return True
    return len(shape) == len(other) and all(
        a is None or b is None or a == b for a, b in zip(shape, other, strict=True)
    )


def _known(shape):
    """Returns whether the number of axes is known, as it is outside TensorFlow's graphs."""
    return getattr(shape, "rank", 0) is not None
