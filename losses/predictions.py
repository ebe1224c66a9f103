"""Checks of a classifier's predictions and of the labels and weights that belong to them.

Predicted probabilities have the classes on the last axis, [B, ..., K]. For two classes the probability of
class 1 suffices, as a vector [B] or with a last axis of length one, [B, ..., 1].

Legend: B batch, ... further axes, N all examples of these axes in a row, K classes.
"""

import numpy as np

from .. import arguments

# The tolerance is wide enough for a softmax computed in half precision.
_TOLERANCE = 1e-3


def validate_labels(labels, shape, classes, name="labels"):
    """Returns `labels` as an int64 array after checking every entry.

    Args:
        labels: Integers in 0 ... K-1.
        shape: The required shape, or its length if it has one axis.
        classes: Number K of classes.
        name: The argument's name, for the message.

    Raises:
        ValueError: If the shape or dtype is wrong, or a label is out of range; the message has its index.
    """
    labels = np.asarray(labels)
    shape = shape if isinstance(shape, tuple) else (shape,)
    if labels.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {labels.shape}")
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"{name} must be integers, got dtype {labels.dtype}")
    arguments.require(name, labels, (labels >= 0) & (labels < classes), f"be from 0 to {classes - 1}")
    return labels.astype(np.int64)


def validate_probabilities(probabilities, labels):
    """Returns (probabilities [N, K] in float64, labels [N] in int64) after checking every entry.

    Args:
        probabilities: Predicted probabilities, [B, ..., K], each row with the sum one within 0.001; or those
            of class 1 of two, [B] or [B, ..., 1].
        labels: Integers in 0 ... K-1, [B, ...], or also [B, ..., 1] with probabilities of this shape.

    Raises:
        ValueError: If a row is not a distribution over the classes, or as `validate_labels`.
    """
    p = arguments.finite("probabilities", probabilities)
    if not p.size or not p.ndim:
        raise ValueError(f"probabilities must have shape [B, ..., K] or [B] with B >= 1, got {p.shape}")
    p = p[:, None] if p.ndim == 1 else p
    binary = p.shape[-1] == 1
    labels = _without_classes(labels, p.shape) if binary else labels
    if p.min() < 0.0 or p.max() > 1.0:
        inside = (p >= -_TOLERANCE) & (p <= 1 + _TOLERANCE)
        arguments.require("probabilities", p, inside, "be in [0, 1]")
        p = p.clip(0.0, 1.0)
    if binary:
        p = np.concatenate([1 - p, p], axis=-1)
    else:
        # A matrix product is several times as fast as a sum over a short axis.
        totals = p @ np.ones(p.shape[-1])
        arguments.require("probabilities", totals, np.abs(totals - 1.0) <= _TOLERANCE, "sum to 1")
    labels = validate_labels(labels, p.shape[:-1], p.shape[-1])
    return p.reshape(-1, p.shape[-1]), labels.ravel()


def validate_logits(logits, labels):
    """Returns (logits [N, K] in float64, labels [N] in int64) after checking every entry.

    Args:
        logits: Scores before the softmax, [B, ..., K]; -inf excludes a class.
        labels: Integers in 0 ... K-1, [B, ...].

    Raises:
        ValueError: If a logit is NaN or infinite, all logits of an example are -inf, or as `validate_labels`.
    """
    logits = arguments.finite_or((-np.inf,), "logits", logits)
    if logits.ndim < 2 or not logits.size or logits.shape[-1] < 2:
        raise ValueError(
            f"logits must have shape [B, ..., K] with B >= 1 and K >= 2, got shape {logits.shape}"
        )
    largest = logits.max(axis=-1)
    arguments.require("logits", largest, np.isfinite(largest), "have a finite entry for each example")
    labels = validate_labels(labels, logits.shape[:-1], logits.shape[-1])
    return logits.reshape(-1, logits.shape[-1]), labels.ravel()


def validate_predictions(probabilities, labels, sample_weight):
    """Returns (probabilities [N, K], labels [N], weights [N] or `None`) after checking every entry.

    Args:
        probabilities: As in `validate_probabilities`.
        labels: As in `validate_probabilities`.
        sample_weight: Nonnegative weights, [B, ...] or [B]; `None` for equal ones.

    Raises:
        ValueError: As `validate_probabilities`, or if the shape of the weights is wrong, a weight is negative
            or not finite, or all are zero.
    """
    p, y = validate_probabilities(probabilities, labels)
    if sample_weight is None:
        return p, y, None
    shape = np.shape(probabilities)
    shape = shape[:1] if len(shape) == 1 else shape[:-1]
    weights = arguments.nonnegative("sample_weight", sample_weight)
    if weights.shape not in (shape, shape[:1]):
        raise ValueError(f"sample_weight must have shape {shape} or {shape[:1]}, got {weights.shape}")
    if not weights.any():
        raise ValueError("sample_weight must have a positive entry, got only zeros")
    weights = weights.reshape(weights.shape + (1,) * (len(shape) - weights.ndim))
    return p, y, np.broadcast_to(weights, shape).ravel()


def _without_classes(labels, shape):
    """Returns labels [B, ..., 1] as [B, ...]."""
    labels = np.asarray(labels)
    return labels[..., 0] if labels.shape == shape else labels
