"""Scores of a trained classifier: accuracy with its interval, likelihood, calibration.

Legend: B batch, ... further axes, K classes. All sums are in float64; likelihoods are in nats.
"""

import numpy as np
from scipy.special import log_softmax
from scipy.stats import binomtest

from .. import arguments
from .brier import brier_score
from .calibration import expected_calibration_error
from .predictions import validate_logits


def wilson_interval(successes, trials, confidence=0.95):
    """Returns Wilson's score interval of a binomial proportion.

    Args:
        successes: Number of successes, from 0 to `trials`.
        trials: Number of trials, at least 1.
        confidence: Coverage of the interval, in (0, 1).

    Returns:
        (low, high), two proportions.

    Raises:
        ValueError: If an argument is out of range.

    References:
        Wilson, "Probable inference, the law of succession, and statistical inference" (1927).
    """
    arguments.number("confidence", confidence, 0, 1, bounds="()")
    trials = int(arguments.integers("trials", arguments.finite("trials", trials, 0), 1))
    successes = int(arguments.integers("successes", arguments.finite("successes", successes, 0), 0))
    if successes > trials:
        raise ValueError(f"successes must be from 0 to the {trials} trials, got {successes}")
    interval = binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def classification_scores(logits, labels, confidence=0.95):
    """Scores a classifier on labeled examples.

    Args:
        logits: Scores before the softmax, [B, ..., K]; -inf excludes a class.
        labels: Integers in 0 ... K-1, [B, ...].
        confidence: Coverage of the accuracy's interval (Wilson).

    Returns:
        A dict: `accuracy`, `accuracy_low`, `accuracy_high`; `nll`, the mean of -log p_actual in nats
        (Eq. 1.8.2), infinite if the class of a label is excluded; `ece` in 15 bins; `brier`; the counts
        `errors` and `examples`.

    Raises:
        ValueError: If a shape is wrong, a label is out of range, a logit is NaN or inf, all logits of an
            example are -inf, or `confidence` is not in (0, 1).
    """
    logits, labels = validate_logits(logits, labels)
    log_probabilities = log_softmax(logits, axis=1)
    probabilities = np.exp(log_probabilities)
    examples = len(labels)
    errors = int(np.sum(logits.argmax(axis=1) != labels))
    low, high = wilson_interval(examples - errors, examples, confidence)
    return {
        "accuracy": (examples - errors) / examples,
        "accuracy_low": low,
        "accuracy_high": high,
        "nll": float(-np.mean(np.take_along_axis(log_probabilities, labels[:, None], axis=1))),
        "ece": expected_calibration_error(probabilities, labels),
        "brier": brier_score(probabilities, labels),
        "errors": errors,
        "examples": examples,
    }
