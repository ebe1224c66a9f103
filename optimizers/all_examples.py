"""Validates data for computations over all examples: arrays, or a finite dataset of batches."""

import keras
import numpy as np
import tensorflow as tf


def checked(data):
    """Returns data after validating their form: a dataset unchanged, arrays as a tuple.

    Args:
        data: Arrays (x, y) or (x, y, sample_weight), where x may be nested and the weights may be None; or a
            `tf.data.Dataset` of such batches.

    Returns:
        The dataset, or (x, y) or (x, y, sample_weight), as given.

    Raises:
        ValueError: If the data have any other form, are empty or infinite, or the arrays differ in length.
    """
    if isinstance(data, tf.data.Dataset):
        if data.cardinality() == tf.data.INFINITE_CARDINALITY:
            raise ValueError(
                "data must be finite, got a dataset that repeats forever: limit it with its method take"
            )
        if not isinstance(data.element_spec, tuple) or len(data.element_spec) not in (2, 3):
            raise ValueError(
                f"data must have batches (x, y) or (x, y, sample_weight), got {data.element_spec!r}"
            )
        return data
    if not isinstance(data, tuple | list) or len(data) not in (2, 3):
        raise ValueError(
            "data must be (x, y), (x, y, sample_weight) or a tf.data.Dataset of such batches, got "
            f"{type(data).__name__}"
        )
    data = tuple(data[:2] if data[-1] is None else data)
    lengths = [(*np.shape(a), 0)[0] for a in keras.tree.flatten(data) if a is not None]
    if len(set(lengths)) != 1 or not lengths[0]:
        raise ValueError(f"arrays of data must have one number of examples of at least 1, got {lengths}")
    return data
