"""Calibration of predicted probabilities: reliability curves and the expected calibration error.

A classifier is calibrated if a fraction p of the predictions that it makes with probability p are correct.
The expected loss -f log p - (1 - f) log(1 - p) of Eq. 3.4.20 has its minimum at p = f, so maximum likelihood
favors calibration; these functions measure how close a model comes to it.

Probabilities are sorted into bins by the `strategy`: `"uniform"` bins have equal widths, `"quantile"` bins
hold equally many examples (equal weights), as far as ties allow, since equal probabilities share a bin. Bins
are closed on the right.

Legend: B batch, ... further axes, K classes, M bins. All sums are in float64.

References:
    Guo et al., "On Calibration of Modern Neural Networks" (2017), arXiv:1706.04599.
    Nixon et al., "Measuring Calibration in Deep Learning" (2019), arXiv:1904.01685.
"""

from dataclasses import dataclass

import numpy as np

from .. import arguments
from .predictions import validate_predictions

STRATEGIES = ("uniform", "quantile")


@dataclass(frozen=True)
class ReliabilityCurve:
    """Frequency of correct predictions against confidence in M bins.

    Args:
        confidence: Mean probability in each bin, [M]; NaN where the bin is empty.
        accuracy: Fraction of correct predictions in each bin, [M]; NaN where the bin is empty.
        count: Examples in each bin, or the sum of their weights, [M].
        edges: The edges of the bins, [M + 1], from 0 to 1.
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray
    edges: np.ndarray


def reliability_curve(
    probabilities, labels, bins=15, *, strategy="uniform", of_class=None, sample_weight=None
):
    """Bins the predictions by confidence, the probability of the predicted class.

    Args:
        probabilities: Predicted probabilities, [B, ..., K]; or those of class 1 of two, [B] or [B, ..., 1].
        labels: Integers in 0 ... K-1, [B, ...].
        bins: Number M of bins.
        strategy: `"uniform"` for bins of equal width, `"quantile"` for bins of equal weight.
        of_class: A class k, to bin all examples by its probability p_k and compare it with the frequency of
            the label k; `None` for the predicted class of each example.
        sample_weight: Weights of the examples, [B, ...] or [B]; `None` for equal ones.

    Returns:
        A `ReliabilityCurve`.

    Raises:
        ValueError: If the probabilities are not distributions, or a label, a weight, `bins`, `strategy` or
            `of_class` is not valid.
    """
    p, y, weights = validate_predictions(probabilities, labels, sample_weight)
    if of_class is None:
        confidence, correct = _predicted(p, y)
    else:
        k = arguments.integer("of_class", of_class, 0, p.shape[1] - 1)
        confidence, correct = p[:, k], y == k
    return _curve(confidence, correct, weights, bins, strategy)


def expected_calibration_error(
    probabilities, labels, bins=15, *, strategy="uniform", classwise=False, sample_weight=None
):
    """Returns the mean distance between accuracy and confidence, weighted by the examples in each bin.

        ECE = sum_m (n_m / N) |accuracy_m - confidence_m|

    By default it is that of the predicted classes. With `classwise`, it is the mean over the classes k of the
    error of p_k as a forecast of the label k: the static calibration error of Nixon et al., and their
    adaptive one with `strategy="quantile"`.

    The estimate is biased upwards. For a calibrated model the gap in a bin of n examples is approximately
    half normal with mean sqrt(2 p (1 - p) / (pi n)), so that it scores up to 0.4 sqrt(M / N), not zero.

    Args:
        probabilities: Predicted probabilities, [B, ..., K]; or those of class 1 of two, [B] or [B, ..., 1],
            which give the same result as the pairs (1 - p, p).
        labels: Integers in 0 ... K-1, [B, ...].
        bins: Number M of bins.
        strategy: `"uniform"` for bins of equal width, `"quantile"` for bins of equal weight.
        classwise: Whether to average over all classes instead of taking the predicted one.
        sample_weight: Weights of the examples, [B, ...] or [B]; `None` for equal ones.

    Returns:
        The error in [0, 1].

    Raises:
        ValueError: As `reliability_curve`.

    Example:
        >>> round(expected_calibration_error([0.25, 0.25, 0.55, 0.75, 0.75], [0, 0, 1, 1, 1], bins=2), 12)
        0.29
    """
    p, y, weights = validate_predictions(probabilities, labels, sample_weight)
    if not arguments.boolean("classwise", classwise):
        return _error(_curve(*_predicted(p, y), weights, bins, strategy))
    columns = enumerate(p.T)
    return float(np.mean([_error(_curve(column, y == k, weights, bins, strategy)) for k, column in columns]))


def bin_index(probabilities, bins):
    """Returns the bin of each probability among bins of equal width that are closed on the right.

    Args:
        probabilities: Probabilities, [N].
        bins: Number M of bins.

    Returns:
        Integers in 0 ... M-1, [N].
    """
    return _index(probabilities, uniform_edges(bins))


def uniform_edges(bins):
    """Returns the edges of M bins of equal width over [0, 1], [M + 1]."""
    return np.linspace(0.0, 1.0, arguments.integer("bins", bins, 1) + 1)


def _predicted(p, y):
    """Returns the probability of the predicted class of each example, and whether it is the label."""
    predicted = p.argmax(axis=1)
    return p[np.arange(len(y)), predicted], predicted == y


def _curve(confidence, correct, weights, bins, strategy):
    """Returns the `ReliabilityCurve` of probabilities [N] of events that occurred or not."""
    edges = uniform_edges(bins)
    if arguments.one_of("strategy", strategy, STRATEGIES) == "quantile":
        edges[1:-1] = _quantiles(confidence, weights, bins)
    index = _index(confidence, edges)
    if weights is None:
        count = np.bincount(index, minlength=bins)
        sums = np.bincount(index, confidence, bins), np.bincount(index, correct, bins)
    else:
        count = np.bincount(index, weights, bins)
        sums = np.bincount(index, weights * confidence, bins), np.bincount(index, weights * correct, bins)
    size = np.where(count > 0, count, np.nan)
    return ReliabilityCurve(sums[0] / size, sums[1] / size, count, edges)


def _quantiles(values, weights, bins):
    """Returns the values at the multiples of 1 / M of the cumulative weight, [M - 1]."""
    order = np.argsort(values, kind="stable")
    cumulative = np.arange(1, len(values) + 1) if weights is None else np.cumsum(weights[order])
    levels = np.arange(1, bins) / bins * cumulative[-1]
    # Sums that reach a level up to rounding do reach it.
    return values[order][np.searchsorted(cumulative, levels * (1 - 1e-12))]


def _index(probabilities, edges):
    return np.digitize(probabilities, edges[1:-1], right=True)


def _error(curve):
    gap = np.abs(curve.accuracy - curve.confidence)
    return float(np.nansum(curve.count * gap) / curve.count.sum())
