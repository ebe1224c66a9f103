"""What a trained model says on a whole split, for the end of a run and for `curvezoo evaluate`.

Legend: B batch, N examples, H height, W width, C channels, K classes.
"""

import numpy as np
import tensorflow as tf

from ...losses import calibration


def outputs_and_targets(model, split):
    """Returns a model's outputs and the targets of a whole split, in its order.

    Args:
        model: A `keras.Model`.
        split: A `tf.data.Dataset` of (inputs, targets).

    Returns:
        Two NumPy arrays of N rows.
    """
    step = tf.function(lambda inputs: model(inputs, training=False), reduce_retracing=True)
    pairs = [(step(inputs).numpy(), targets.numpy()) for inputs, targets in split]
    outputs, targets = zip(*pairs, strict=True)
    return np.concatenate(outputs), np.concatenate(targets)


def inputs_at(split, indices):
    """Returns some inputs of a split, holding one batch at a time.

    Args:
        split: A `tf.data.Dataset` of (inputs, targets).
        indices: Places in the split's order.

    Returns:
        The inputs in the order of `indices`, one NumPy array.
    """
    found, first, wanted = {}, 0, set(map(int, indices))
    for inputs, _ in split:
        here = [i for i in wanted if first <= i < first + len(inputs)]
        found |= {i: inputs[i - first].numpy() for i in here}
        first += len(inputs)
        if len(found) == len(wanted):
            break
    return np.stack([found[int(i)] for i in indices])


def check_images(model, spec):
    """Checks that a model takes a data set's images.

    Args:
        model: A `keras.Model` of images `[B, H, W, C]`.
        spec: The data set's `Spec`.

    Raises:
        ValueError: If it does not; the message has both shapes.
    """
    shape = tuple(model.input_shape[1:])
    if shape != tuple(spec.shape):
        raise ValueError(f"the model takes images of shape {shape}, {spec.name} has {tuple(spec.shape)}")


def temperature_scores(model, splits):
    """Fits a classifier's temperature on the validation split, and scores the test split with it.

    Args:
        model: A `keras.Model` from images to logits `[B, K]`.
        splits: The data, a `curvezoo.data.Splits`.

    Returns:
        `temperature`, `scaled_nll`, `scaled_ece` and `scaled_brier`, all `None` where no validation example
        is wrong: then ever colder probabilities are better.
    """
    keys = ("nll", "ece", "brier")
    try:
        temperature = calibration.fit_temperature(*outputs_and_targets(model, splits.validation))
    except ValueError:
        return {"temperature": None, **{f"scaled_{key}": None for key in keys}}
    logits, labels = outputs_and_targets(model, splits.test)
    scaled = calibration.classification_scores(logits / temperature, labels)
    return {"temperature": temperature, **{f"scaled_{key}": scaled[key] for key in keys}}
