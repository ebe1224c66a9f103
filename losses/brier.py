"""The Brier score of predicted probabilities, and its decomposition.

Legend: B batch, ... further axes, N all examples, K classes, M bins. All sums are in float64.
"""

from dataclasses import dataclass

import numpy as np

from .calibration import bin_index
from .predictions import validate_predictions


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


def brier_score(probabilities, labels, sample_weight=None):
    """Returns the mean squared distance between the probabilities and the one-hot label.

        BS = (1 / N) sum_n sum_k (p_nk - y_nk)^2

    This is Brier's original sum over all K classes, in [0, 2]; for K = 2 some libraries halve it.

    Args:
        probabilities: Predicted probabilities, [B, ..., K]; or those of class 1 of two, [B] or [B, ..., 1].
        labels: Integers in 0 ... K-1, [B, ...].
        sample_weight: Weights of the examples, [B, ...] or [B]; `None` for equal ones.

    Returns:
        The score, from 0 (best) to 2.

    Raises:
        ValueError: As `reliability_curve`.

    References:
        Brier, "Verification of forecasts expressed in terms of probability" (1950).
    """
    p, y, weights = validate_predictions(probabilities, labels, sample_weight)
    truth = p[np.arange(len(y)), y]
    if weights is None:
        return float(np.vdot(p, p) / len(y) - 2.0 * truth.mean() + 1.0)
    squares = np.einsum("nk,nk->n", p, p)
    return float(np.average(squares - 2.0 * truth + 1.0, weights=weights))


def brier_decomposition(probabilities, labels, bins=15, sample_weight=None):
    """Decomposes the Brier score exactly into reliability, resolution and uncertainty.

    The probabilities of each class are binned separately, as in `reliability_curve`. With p_m and f_m the
    mean probability and the frequency of the class in bin m, and f its overall frequency, the sums over
    classes of

        reliability = sum_m (n_m / N) (p_m - f_m)^2,    resolution = sum_m (n_m / N) (f_m - f)^2,
        uncertainty = f (1 - f),
        within_bins = (1 / N) sum_n (p_n - p_m(n))^2 - 2 (y_n - f_m(n)) (p_n - p_m(n))

    add up to the score. Murphy's three terms alone are exact if the forecasts within every bin are equal.

    Args:
        probabilities: Predicted probabilities, [B, ..., K]; or those of class 1 of two, [B] or [B, ..., 1].
        labels: Integers in 0 ... K-1, [B, ...].
        bins: Number M of bins of equal width.
        sample_weight: Weights of the examples, [B, ...] or [B]; `None` for equal ones.

    Returns:
        A `BrierDecomposition`.

    Raises:
        ValueError: As `reliability_curve`.

    References:
        Murphy, "A new vector partition of the probability score" (1973).
        Stephenson, Coelho and Jolliffe, "Two extra components in the Brier score decomposition" (2008).
    """
    p, labels, weights = validate_predictions(probabilities, labels, sample_weight)
    weights = np.full(len(p), 1 / len(p)) if weights is None else weights / weights.sum()
    index = bin_index(p, bins)
    terms = np.zeros(4)
    for k, (column, p_k) in enumerate(zip(index.T, p.T, strict=True)):
        y = (labels == k).astype(np.float64)
        mass = np.bincount(column, weights, bins)
        mass[mass == 0] = 1.0
        p_mean = (np.bincount(column, weights * p_k, bins) / mass)[column]
        frequency = (np.bincount(column, weights * y, bins) / mass)[column]
        overall = weights @ y
        terms += (
            weights @ (p_mean - frequency) ** 2,
            weights @ (frequency - overall) ** 2,
            overall * (1 - overall),
            weights @ ((p_k - p_mean) ** 2 - 2 * (y - frequency) * (p_k - p_mean)),
        )
    return BrierDecomposition(*map(float, terms))
