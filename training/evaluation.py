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


def evaluate_classifier(model, splits, *, temperature=False):
    """Measures a classifier on the test split.

    Args:
        model: A `keras.Model` from images `[B, H, W, C]` to logits `[B, K]`.
        splits: The data, a `curvezoo.data.Splits`.
        temperature: Fit a temperature on the validation split, and score the scaled logits as well.

    Returns:
        The scores of `losses.calibration.classification_scores`; with `temperature`, also `temperature`,
        `scaled_nll`, `scaled_ece` and `scaled_brier`.

    Raises:
        ValueError: If the model takes other images, or has other classes, than the data.
    """
    check_fits(model, splits.spec)
    logits, labels = logits_and_labels(model, splits.test)
    scores = calibration.classification_scores(logits, labels)
    if temperature:
        found = calibration.fit_temperature(*logits_and_labels(model, splits.validation))
        scaled = calibration.classification_scores(logits / found, labels)
        scores["temperature"] = found
        scores |= {f"scaled_{key}": scaled[key] for key in ("nll", "ece", "brier")}
    return scores


def check_fits(model, spec):
    """Raises `ValueError` if a model does not take a data set's images or does not have its classes."""
    shape, classes = tuple(model.input_shape[1:]), model.output_shape[-1]
    if shape != tuple(spec.shape):
        raise ValueError(f"the model takes images of shape {shape}, {spec.name} has {tuple(spec.shape)}")
    if classes != spec.classes:
        raise ValueError(f"the model has {classes} classes, {spec.name} has {spec.classes}")
