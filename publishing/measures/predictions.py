"""A model's outputs on a whole split."""

import numpy as np
import tensorflow as tf


def outputs_and_targets(model, split):
    """Returns a model's outputs and the targets of a whole split, in its order.

    Args:
        model: A `keras.Model`.
        split: A `tf.data.Dataset` of (inputs, targets).

    Returns:
        Two NumPy arrays with a row for each example.
    """
    step = tf.function(lambda inputs: model(inputs, training=False), reduce_retracing=True)
    pairs = [(step(inputs).numpy(), targets.numpy()) for inputs, targets in split]
    outputs, targets = zip(*pairs, strict=True)
    return np.concatenate(outputs), np.concatenate(targets)


def inputs_at(split, indices):
    """Returns some inputs of a split, holding one batch at a time.

    Args:
        split: A `tf.data.Dataset` of (inputs, targets).
        indices: Positions in the split's order.

    Returns:
        The inputs in the order of `indices`, one NumPy array.
    """
    inputs_by_index, first, needed = {}, 0, set(map(int, indices))
    for inputs, _ in split:
        here = [i for i in needed if first <= i < first + len(inputs)]
        inputs_by_index |= {i: inputs[i - first].numpy() for i in here}
        first += len(inputs)
        if len(inputs_by_index) == len(needed):
            break
    return np.stack([inputs_by_index[int(i)] for i in indices])
