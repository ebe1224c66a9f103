"""Measuring a classifier on a split, in one place for the end of a run and for `curvezoo evaluate`."""

import numpy as np
import tensorflow as tf

from ..losses import calibration


def logits_and_labels(model, split):
    """Returns a model's logits `[N, K]` and the labels `[N]` of a whole split, in its order.

    Args:
        model: A `keras.Model` from images to logits.
        split: A `tf.data.Dataset` of (images, labels).

    Returns:
        Two NumPy arrays.
    """
    step = tf.function(lambda images: model(images, training=False), reduce_retracing=True)
    pairs = [(step(images).numpy(), labels.numpy()) for images, labels in split]
    logits, labels = zip(*pairs, strict=True)
    return np.concatenate(logits), np.concatenate(labels)


def images_at(split, indices):
    """Returns some images of a split, holding one batch at a time.

    Args:
        split: A `tf.data.Dataset` of (images, labels).
        indices: Places in the split's order.

    Returns:
        The images in the order of `indices`, one NumPy array.
    """
    found, first, wanted = {}, 0, set(map(int, indices))
    for images, _ in split:
        here = [i for i in wanted if first <= i < first + len(images)]
        found |= {i: images[i - first].numpy() for i in here}
        first += len(images)
        if len(found) == len(wanted):
            break
    return np.stack([found[int(i)] for i in indices])


def evaluate_classifier(model, splits, *, temperature=False):
    """Measures a classifier on the test split.

    Args:
        model: A `keras.Model` from images `[B, H, W, C]` to logits `[B, K]`.
        splits: The data, a `curvezoo.data.Splits`.
        temperature: Fit a temperature on the validation split, and score the scaled logits as well.

    Returns:
        The scores of `losses.calibration.classification_scores`; with `temperature`, also `temperature`,
        `scaled_nll`, `scaled_ece` and `scaled_brier`, all `None` where no validation example is wrong.
    """
    logits, labels = logits_and_labels(model, splits.test)
    scores = calibration.classification_scores(logits, labels)
    if temperature:
        scores |= _scaled_scores(logits, labels, *logits_and_labels(model, splits.validation))
    return scores


def _scaled_scores(logits, labels, validation_logits, validation_labels):
    """The scores after temperature scaling; `None` where no temperature is best."""
    keys = ("nll", "ece", "brier")
    try:
        temperature = calibration.fit_temperature(validation_logits, validation_labels)
    except ValueError:
        # A validation split without a mistake asks for ever colder probabilities.
        return {"temperature": None, **{f"scaled_{key}": None for key in keys}}
    scaled = calibration.classification_scores(logits / temperature, labels)
    return {"temperature": temperature, **{f"scaled_{key}": scaled[key] for key in keys}}


def check_fits(model, spec):
    """Checks that a model takes a data set's images and has its classes.

    Args:
        model: A `keras.Model` from images to logits.
        spec: The data set's `Spec`.

    Raises:
        ValueError: If it does not; the message has both shapes, or both counts.
    """
    shape, classes = tuple(model.input_shape[1:]), model.output_shape[-1]
    if shape != tuple(spec.shape):
        raise ValueError(f"the model takes images of shape {shape}, {spec.name} has {tuple(spec.shape)}")
    if classes != spec.classes:
        raise ValueError(f"the model has {classes} classes, {spec.name} has {spec.classes}")
