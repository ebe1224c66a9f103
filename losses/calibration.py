"""Scores of a trained classifier: accuracy with its interval, likelihood, and calibration.

A classifier is calibrated if a fraction p of the predictions that it makes with probability p are correct.
The expected loss -f log p - (1 - f) log(1 - p) of Eq. 3.4.20 has its minimum at p = f, so maximum likelihood
favors calibration; these functions measure how close a model comes to it.

Legend: N examples, K classes, M bins. All sums are in float64; likelihoods are in nats.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax
from scipy.stats import binomtest

from .. import arguments

# The tolerance is wide enough for a softmax computed in half precision.
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class ReliabilityCurve:
    """Accuracy against confidence in M bins of equal width over [0, 1].

    Args:
        confidence: Mean probability of the predicted class in each bin, [M]; NaN where the bin is empty.
        accuracy: Fraction of correct predictions in each bin, [M]; NaN where the bin is empty.
        count: Examples in each bin, [M].
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray

    @property
    def edges(self):
        """The edges of the bins, [M + 1]."""
        return np.linspace(0.0, 1.0, len(self.count) + 1)


@dataclass(frozen=True)
class BrierDecomposition:
    """The terms of a Brier score: reliability - resolution + uncertainty + within_bins.

    Args:
        reliability: Squared distance between probability and frequency; zero for a calibrated model.
        resolution: Variance of the bins' frequencies around the overall frequency, a measure of the
            information in the predictions.
        uncertainty: Score of the constant forecast of the overall frequencies; a property of the labels.
        within_bins: Variance of the probabilities within the bins minus twice their covariance with the
            labels there; zero if the probabilities within every bin are equal.
    """

    reliability: float
    resolution: float
    uncertainty: float
    within_bins: float

    @property
    def score(self):
        """The sum of the terms, equal to `brier_score`."""
        return self.reliability - self.resolution + self.uncertainty + self.within_bins


def validate_labels(labels, examples, classes, name="labels"):
    """Returns `labels` as an int64 array [N] after checking every entry.

    Args:
        labels: Integers in 0 ... K-1, [N].
        examples: Number N of examples.
        classes: Number K of classes.
        name: The argument's name, for the message.

    Raises:
        ValueError: If the shape or dtype is wrong, or a label is out of range; the message has its index.
    """
    labels = np.asarray(labels)
    if labels.shape != (examples,):
        raise ValueError(f"{name} must have shape ({examples},), got {labels.shape}")
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"{name} must be integers, got dtype {labels.dtype}")
    arguments.require(name, labels, (labels >= 0) & (labels < classes), f"be from 0 to {classes - 1}")
    return labels.astype(np.int64)


def validate_probabilities(probabilities, labels):
    """Returns (probabilities [N, K] in float64, labels [N] in int64) after checking every entry.

    Args:
        probabilities: Predicted probabilities, [N, K]; each row sums to one within 0.001.
        labels: Integers in 0 ... K-1, [N].

    Raises:
        ValueError: If a row is not a distribution over the classes, or as `validate_labels`.
    """
    probabilities = _matrix(probabilities, "probabilities")
    if probabilities.min() < 0.0 or probabilities.max() > 1.0:
        inside = (probabilities >= -_TOLERANCE) & (probabilities <= 1 + _TOLERANCE)
        arguments.require("probabilities", probabilities, inside, "be in [0, 1]")
        probabilities = probabilities.clip(0.0, 1.0)
    # A matrix product is several times as fast as a sum over a short axis.
    totals = probabilities @ np.ones(probabilities.shape[1])
    arguments.require("probabilities", totals, np.abs(totals - 1.0) <= _TOLERANCE, "sum to 1")
    return probabilities, validate_labels(labels, *probabilities.shape)


def reliability_curve(probabilities, labels, bins=15):
    """Bins the predictions by confidence, the probability of the predicted class.

    Bin m of M holds the examples with (m-1)/M < confidence <= m/M.

    Args:
        probabilities: Predicted probabilities, [N, K].
        labels: Integers in 0 ... K-1, [N].
        bins: Number M of bins.

    Returns:
        A `ReliabilityCurve`.

    Raises:
        ValueError: As `validate_probabilities`, or if `bins` is not a positive integer.
    """
    probabilities, labels = validate_probabilities(probabilities, labels)
    predicted = probabilities.argmax(axis=1)
    confidence, correct = probabilities[np.arange(len(labels)), predicted], predicted == labels
    index = _bin_index(confidence, bins)
    count = np.bincount(index, minlength=bins)
    size = np.where(count > 0, count, np.nan)
    return ReliabilityCurve(
        confidence=np.bincount(index, confidence, bins) / size,
        accuracy=np.bincount(index, correct, bins) / size,
        count=count,
    )


def expected_calibration_error(probabilities, labels, bins=15):
    """Returns the mean distance between accuracy and confidence, weighted by the examples in each bin.

        ECE = sum_m (n_m / N) |accuracy_m - confidence_m|

    The estimate is biased upwards. For a calibrated model the gap in a bin of n examples is approximately
    half normal with mean sqrt(2 p (1 - p) / (pi n)), so that it scores up to 0.4 sqrt(M / N), not zero.

    Args:
        probabilities: Predicted probabilities, [N, K].
        labels: Integers in 0 ... K-1, [N].
        bins: Number M of bins.

    Returns:
        The error in [0, 1].

    Raises:
        ValueError: As `reliability_curve`.

    References:
        Guo et al., "On Calibration of Modern Neural Networks" (2017), Eq. 3.
    """
    curve = reliability_curve(probabilities, labels, bins)
    gap = np.abs(curve.accuracy - curve.confidence)
    return float(np.nansum(curve.count * gap) / curve.count.sum())


def brier_score(probabilities, labels):
    """Returns the mean squared distance between the probabilities and the one-hot label.

        BS = (1 / N) sum_n sum_k (p_nk - y_nk)^2

    This is Brier's original sum over all K classes, in [0, 2]; for K = 2 some libraries halve it.

    Args:
        probabilities: Predicted probabilities, [N, K].
        labels: Integers in 0 ... K-1, [N].

    Returns:
        The score, from 0 (best) to 2.

    Raises:
        ValueError: As `validate_probabilities`.

    References:
        Brier, "Verification of forecasts expressed in terms of probability" (1950).
    """
    probabilities, labels = validate_probabilities(probabilities, labels)
    truth = probabilities[np.arange(len(labels)), labels]
    return float(np.vdot(probabilities, probabilities) / len(labels) - 2.0 * truth.mean() + 1.0)


def brier_decomposition(probabilities, labels, bins=15):
    """Decomposes the Brier score exactly into reliability, resolution and uncertainty.

    The probabilities of each class are binned separately, as in `reliability_curve`. With p_m and f_m the
    mean probability and the frequency of the class in bin m, and f its overall frequency, the sums over
    classes of

        reliability = sum_m (n_m / N) (p_m - f_m)^2,    resolution = sum_m (n_m / N) (f_m - f)^2,
        uncertainty = f (1 - f),
        within_bins = (1 / N) sum_n (p_n - p_m(n))^2 - 2 (y_n - f_m(n)) (p_n - p_m(n))

    add up to the score. Murphy's three terms alone are exact if the forecasts within every bin are equal.

    Args:
        probabilities: Predicted probabilities, [N, K].
        labels: Integers in 0 ... K-1, [N].
        bins: Number M of bins.

    Returns:
        A `BrierDecomposition`.

    Raises:
        ValueError: As `reliability_curve`.

    References:
        Murphy, "A new vector partition of the probability score" (1973).
        Stephenson, Coelho and Jolliffe, "Two extra components in the Brier score decomposition" (2008).
    """
    probabilities, labels = validate_probabilities(probabilities, labels)
    index = _bin_index(probabilities, bins)
    terms = np.zeros(4)
    for k, (column, p) in enumerate(zip(index.T, probabilities.T, strict=True)):
        y = (labels == k).astype(np.float64)
        count = np.bincount(column, minlength=bins).clip(1)
        p_mean = (np.bincount(column, p, bins) / count)[column]
        frequency = (np.bincount(column, y, bins) / count)[column]
        terms += (
            np.mean((p_mean - frequency) ** 2),
            np.mean((frequency - y.mean()) ** 2),
            y.mean() * (1 - y.mean()),
            np.mean((p - p_mean) ** 2 - 2 * (y - frequency) * (p - p_mean)),
        )
    return BrierDecomposition(*map(float, terms))


def fit_temperature(logits, labels):
    """Finds the temperature T that minimizes the negative log-likelihood of softmax(logits / T).

    The negative log-likelihood is convex in 1 / T, so its minimum over log T is unique. Fit the temperature
    on validation data: fitted on the data that is scored, it would bias the scores.

    Args:
        logits: Scores before the softmax, [N, K].
        labels: Integers in 0 ... K-1, [N].

    Returns:
        The temperature T > 0; above 1 if the model was overconfident, below 1 if underconfident.

    Raises:
        ValueError: If a shape, logit or label is not valid; if every label has the largest logit (the best T
            is 0); or if the labels' logits are no larger than the average logit (the best T is infinite).

    References:
        Guo et al., "On Calibration of Modern Neural Networks" (2017), section 4.2.
    """
    logits, labels = _validate_logits(logits, labels)
    margin = logits - np.take_along_axis(logits, labels[:, None], axis=1)
    # There is a minimum if the slope in 1/T is negative at zero and positive at infinity.
    if margin.max() <= 0.0:
        raise ValueError("logits must misclassify a label; otherwise the likelihood grows until T = 0")
    if margin.mean() >= 0.0:
        raise ValueError(
            "logits must favor the labels on average; otherwise the best temperature is infinite"
        )

    return 1 / _zero_slope(margin)


def _zero_slope(margin):
    """Returns the b = 1 / T at which the mean margin under softmax(b margin) vanishes, by Newton's method.

    This mean is the slope of the likelihood in b, which increases with b.
    """
    below_largest = margin - margin.max(axis=1, keepdims=True)
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
        logits: Scores before the softmax, [N, K].
        labels: Integers in 0 ... K-1, [N].
        confidence: Coverage of the accuracy's interval (Wilson).

    Returns:
        A dict: `accuracy`, `accuracy_low`, `accuracy_high`; `nll`, the mean of -log p_actual in nats
        (Eq. 1.8.2); `ece` in 15 bins; `brier`; the counts `errors` and `examples`.

    Raises:
        ValueError: If a shape is wrong, a label is out of range, a logit is not finite, or `confidence` is
            not in (0, 1).
    """
    logits, labels = _validate_logits(logits, labels)
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


def _bin_index(probabilities, bins):
    """Returns the bin of each probability, 0 ... M-1; bins are closed on the right."""
    bins = arguments.integer("bins", bins, 1)
    return np.digitize(probabilities, np.linspace(0.0, 1.0, bins + 1)[1:-1], right=True)


def _validate_logits(logits, labels):
    """Returns (logits [N, K] in float64, labels [N] in int64) after checking every entry."""
    logits = _matrix(logits, "logits")
    return logits, validate_labels(labels, *logits.shape)


def _matrix(values, name):
    """Returns `values` as a finite float64 array [N, K] with N >= 1 and K >= 2."""
    values = arguments.finite(name, values)
    if values.ndim != 2 or values.shape[0] < 1 or values.shape[1] < 2:
        raise ValueError(f"{name} must have shape [N, K] with N >= 1 and K >= 2, got {values.shape}")
    return values
