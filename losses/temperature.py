"""Temperature scaling, which calibrates a trained classifier.

Legend: B batch, ... further axes, N all examples, K classes.
"""

import numpy as np

from .. import arguments
from .predictions import validate_logits


def fit_temperature(logits, labels):
    """Finds the temperature T that minimizes the negative log-likelihood of softmax(logits / T).

    The negative log-likelihood is convex in 1 / T, so its minimum over log T is unique. Fit the temperature
    on validation data: fitted on the data that is scored, it would bias the scores.

    Args:
        logits: Scores before the softmax, [B, ..., K]; -inf excludes a class.
        labels: Integers in 0 ... K-1, [B, ...].

    Returns:
        The temperature T > 0; above 1 if the model was overconfident, below 1 if underconfident.

    Raises:
        ValueError: If a shape, logit or label is not valid; if the logit of a label is -inf (the likelihood
            is zero at any T); if every label has the largest logit (the best T is 0); or if the labels'
            logits are no larger than the average finite logit (the best T is infinite).

    References:
        Guo et al., "On Calibration of Modern Neural Networks" (2017), section 4.2.
    """
    logits, labels = validate_logits(logits, labels)
    own = logits[np.arange(len(labels)), labels]
    arguments.require("logits of the labels", own, np.isfinite(own), "be finite")
    margin = logits - np.take_along_axis(logits, labels[:, None], axis=1)
    # There is a minimum if the slope in 1/T is negative at zero and positive at infinity.
    if margin.max() <= 0.0:
        raise ValueError("logits must misclassify a label; otherwise the likelihood grows until T = 0")
    allowed = np.isfinite(margin)
    means = np.where(allowed, margin, 0.0).sum(axis=1) / allowed.sum(axis=1)
    if means.mean() >= 0.0:
        raise ValueError(
            "logits must favor the labels on average; otherwise the best temperature is infinite"
        )

    return 1 / _zero_slope(margin)


def _zero_slope(margin):
    """Returns the b = 1 / T at which the mean margin under softmax(b margin) vanishes, by Newton's method.

    This mean is the slope of the likelihood in b, which increases with b.
    """
    below_largest = margin - margin.max(axis=1, keepdims=True)
    # An excluded class has no weight at any b.
    margin = np.where(np.isfinite(margin), margin, 0.0)
    low, high, b = 0.0, np.inf, 1 / np.abs(margin).mean()
    for _ in range(200):
        weights = np.exp(b * below_largest)
        weights /= weights.sum(axis=1, keepdims=True)
        weighted = weights * margin
        means = weighted.sum(axis=1)
        slope, curvature = means.mean(), (np.vdot(weighted, margin) - means @ means) / len(margin)
        low, high = (b, high) if slope < 0 else (low, b)
        following = b - slope / curvature if curvature > 0 else np.inf
        if not low < following < high:
            # Without a bracket above, the steps double.
            following = (low + high) / 2 if np.isfinite(high) else 2 * b
        if abs(following - b) <= 1e-10 * b:
            return following
        b = following
    return b
