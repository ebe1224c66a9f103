"""Oracles: published examples, sums by hand and by brute force, and generated data with known calibration."""

from itertools import pairwise

import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import minimize_scalar
from scipy.special import entr, rel_entr, softmax

from curvezoo.losses import brier_decomposition, brier_score, fit_temperature
from curvezoo.losses.calibration import expected_calibration_error, reliability_curve


def test_curve_error_and_score_of_an_example_equal_sums_by_hand():
    # Confidences 0.9 (correct) and 0.8 (wrong) are in the bin (0.5, 1], 0.4 (correct) in (0, 0.5].
    probabilities = np.array([[0.9, 0.1, 0.0], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]])
    labels = np.array([0, 2, 2])
    curve = reliability_curve(probabilities, labels, bins=2)
    np.testing.assert_allclose(curve.confidence, [0.4, 0.85])
    np.testing.assert_allclose(curve.accuracy, [1.0, 0.5])
    np.testing.assert_array_equal(curve.count, [1, 2])
    np.testing.assert_allclose(curve.edges, [0.0, 0.5, 1.0])
    ece = expected_calibration_error(probabilities, labels, bins=2)
    assert ece == pytest.approx(1 / 3 * 0.6 + 2 / 3 * 0.35)
    # (0.1² + 0.1²) + (0.1² + 0.8² + 0.9²) + (0.3² + 0.3² + 0.6²), divided by 3.
    assert brier_score(probabilities, labels) == pytest.approx((0.02 + 1.46 + 0.54) / 3)


def test_the_error_in_one_bin_is_that_of_the_means():
    probabilities, labels = np.array([[0.9, 0.1], [0.4, 0.6], [0.8, 0.2]]), [0, 0, 1]
    error = expected_calibration_error(probabilities, labels, bins=1)
    assert error == pytest.approx(2.3 / 3 - 1 / 3, rel=1e-14)


def test_bins_are_closed_on_the_right():
    probabilities = np.array([[0.5, 0.5], [0.75, 0.25], [0.75 + 1e-9, 0.25 - 1e-9], [1.0, 0.0]])
    curve = reliability_curve(probabilities, np.zeros(4, int), bins=4)
    np.testing.assert_array_equal(curve.count, [0, 1, 1, 2])
    assert np.isnan(curve.accuracy[0])
    assert np.isnan(curve.confidence[0])


def test_certain_and_wrong_predictions_have_the_worst_score():
    probabilities = np.array([[1.0, 0.0], [1.0, 0.0]])
    assert expected_calibration_error(probabilities, [1, 1]) == 1.0
    assert brier_score(probabilities, [1, 1]) == 2.0
    assert expected_calibration_error(probabilities, [0, 0]) == 0.0
    assert brier_score(probabilities, [0, 0]) == 0.0


def test_the_error_of_calibrated_predictions_decreases_with_more_examples(calibrated):
    logits, labels = calibrated
    probabilities = softmax(logits, axis=1)
    few = expected_calibration_error(probabilities[:400], labels[:400])
    many = expected_calibration_error(probabilities, labels)
    assert many < 0.008 < few
    overconfident = expected_calibration_error(softmax(3 * logits, axis=1), labels)
    assert overconfident > 0.1


@pytest.mark.parametrize("bins", [5, 20])
def test_a_calibrated_model_has_a_half_normal_gap_in_each_bin(bins):
    rng = np.random.default_rng(1)
    first = rng.uniform(0.5, 1.0, 4000)
    probabilities = np.column_stack([first, 1 - first])
    draws = rng.random((300, 4000)) > first
    errors = [expected_calibration_error(probabilities, y.astype(int), bins) for y in draws]
    variances = np.bincount(np.ceil(first * bins).astype(int), first * (1 - first))
    expected = np.sum(np.sqrt(2 / np.pi * variances)) / 4000
    # The normal limit of a bin of 200 or more examples has an error of a few parts in a thousand.
    assert np.mean(errors) == pytest.approx(expected, rel=0.005, abs=4 * np.std(errors) / 300**0.5)
    assert np.mean(errors) < 0.4 * np.sqrt(bins / 4000)


def test_rounding_errors_of_a_float32_softmax_are_accepted():
    probabilities = np.array([[1.0 + 2e-7, -1e-9], [0.25, 0.75 - 1e-6]])
    assert expected_calibration_error(probabilities, [0, 1]) == pytest.approx(0.125, abs=1e-6)


def test_the_error_of_an_overconfident_model_is_its_excess_confidence():
    # The confidence is 0.9, the accuracy 0.7.
    probabilities = np.tile([0.9, 0.1], (1000, 1))
    labels = np.repeat([0, 1], [700, 300])
    assert expected_calibration_error(probabilities, labels) == pytest.approx(0.2)


@pytest.mark.equation("3.4.20")
@pytest.mark.parametrize("fraction", [0.05, 0.3, 0.5, 0.99])
def test_the_loss_exceeds_the_entropy_by_the_relative_entropy_to_the_frequency(fraction):
    p = np.array([1e-3, 0.1, 0.5, 0.9, 0.999, fraction])
    loss = -fraction * np.log(p) - (1 - fraction) * np.log(1 - p)
    divergence = rel_entr(fraction, p) + rel_entr(1 - fraction, 1 - p)
    np.testing.assert_allclose(loss, entr(fraction) + entr(1 - fraction) + divergence, rtol=1e-12)
    assert np.all(divergence[:-1] > 0 if fraction != 0.5 else divergence[[0, 1, 3, 4]] > 0)
    # The gradient of the expected loss of a sigmoid, p - f, vanishes only at p = f.
    logit = tf.Variable(np.log(p / (1 - p)))
    with tf.GradientTape() as tape:
        positive, negative = (
            tf.nn.sigmoid_cross_entropy_with_logits(y + 0 * logit, logit) for y in (1.0, 0.0)
        )
        total = fraction * positive + (1 - fraction) * negative
    np.testing.assert_allclose(total, loss, rtol=1e-12)
    np.testing.assert_allclose(tape.gradient(total, logit), p - fraction, atol=1e-15)


@pytest.mark.equation("3.4.20")
@pytest.mark.parametrize("fraction", [0.05, 0.3, 0.5, 0.99])
def test_the_likelihood_is_maximal_if_the_probability_is_the_frequency(fraction):
    fit = minimize_scalar(
        lambda p: -fraction * np.log(p) - (1 - fraction) * np.log1p(-p), bounds=(0, 1), method="bounded"
    )
    assert fit.x == pytest.approx(fraction, abs=1e-4)
    # A fitted temperature finds the same minimum for two classes whose logits have odds of 4 : 1.
    labels = np.repeat([0, 1], [round(1000 * fraction), round(1000 * (1 - fraction))])
    logits = np.tile([np.log(4.0), 0.0], (1000, 1))
    if fraction > 0.5:
        sharpened = softmax(logits / fit_temperature(logits, labels), axis=1)
        assert sharpened[0, 0] == pytest.approx(fraction, abs=1e-6)
    else:
        with pytest.raises(ValueError, match="best temperature is infinite"):
            fit_temperature(logits, labels)


GOOD = np.array([[0.2, 0.8], [0.6, 0.4], [0.5, 0.5]])


@pytest.mark.parametrize(
    "score", [expected_calibration_error, brier_score, brier_decomposition, reliability_curve]
)
@pytest.mark.parametrize(
    ("probabilities", "labels", "message"),
    [
        (GOOD, [0, 1, 2], r"labels\[2\] must be from 0 to 1, got 2"),
        (GOOD, [0, -1, 2], r"labels\[1\] must be from 0 to 1, got -1"),
        (GOOD, [0, 1], r"labels must have shape \(3,\), got \(2,\)"),
        (GOOD, [0.0, 1.0, 0.0], "labels must be integers, got dtype float64"),
        (np.array([[0.5, 0.5], [0.7, 0.5]]), [0, 1], r"probabilities\[1\] must sum to 1, got 1.2"),
        (np.array([[1.5, -0.5]]), [0], r"probabilities\[0, 0\] must be in \[0, 1\], got 1\.5"),
        (np.array([[0.5, 0.5], [np.nan, 1.0]]), [0, 0], r"probabilities\[1, 0\] must be finite, got nan"),
        (np.zeros((0, 3)), np.zeros(0, int), r"B >= 1"),
        (0.5, 1, r"probabilities must have shape \[B, ..., K\] or \[B\]"),
        (GOOD, [[0, 1], [1, 0], [0, 1]], r"labels must have shape \(3,\), got \(3, 2\)"),
        (GOOD[:, 0], [0, 1, 2], r"labels\[2\] must be from 0 to 1, got 2"),
    ],
)
def test_wrong_probabilities_and_labels_are_rejected(score, probabilities, labels, message):
    with pytest.raises(ValueError, match=message):
        score(probabilities, np.asarray(labels))


@pytest.mark.parametrize("bins", [0, -3, 2.5, True])
def test_bins_must_be_a_positive_integer(bins):
    for score in (expected_calibration_error, brier_decomposition):
        with pytest.raises(ValueError, match="bins must be an integer of at least 1"):
            score(GOOD, [0, 1, 1], bins)


# Published examples: TorchMetrics' of two and of three classes, and "Expected Calibration Error (ECE): A
# step-by-step visual explanation" (Pavlovic, 2023).
NINE = np.array([0.22, 0.64, 0.92, 0.42, 0.51, 0.15, 0.70, 0.37, 0.83])


@pytest.mark.parametrize(
    ("probabilities", "labels", "bins", "expected"),
    [
        ([0.25, 0.25, 0.55, 0.75, 0.75], [0, 0, 1, 1, 1], 2, 0.29),
        (
            [[0.25, 0.20, 0.55], [0.55, 0.05, 0.40], [0.10, 0.30, 0.60], [0.90, 0.05, 0.05]],
            [0, 1, 2, 0],
            3,
            0.2,
        ),
        (NINE, [0, 1, 0, 0, 0, 0, 1, 1, 1], 5, 0.10444),
    ],
)
def test_published_examples_are_reproduced(probabilities, labels, bins, expected):
    assert expected_calibration_error(probabilities, labels, bins) == pytest.approx(expected, abs=5e-6)


def brute_force(p, y, weights, bins, quantile):
    """The error of probabilities p of events y, by a loop over the bins; without ties."""
    if quantile:
        order = np.argsort(p)
        reached = np.searchsorted(np.cumsum(weights[order]) / weights.sum(), np.arange(1, bins) / bins)
        edges = [0, *p[order][reached], 1]
    else:
        edges = np.linspace(0, 1, bins + 1)
    total = 0.0
    for low, high in pairwise(edges):
        inside = (low < p) & (p <= high)
        if weights[inside].sum():
            total += abs(weights[inside] @ (y[inside] - p[inside]))
    return total / weights.sum()


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
@pytest.mark.parametrize("bins", [1, 4, 7])
def test_errors_equal_sums_over_the_bins(strategy, bins):
    rng = np.random.default_rng(5)
    p, y, weights = rng.dirichlet(np.ones(3), 60), rng.integers(0, 3, 60), rng.random(60)
    quantile = strategy == "quantile"
    top = brute_force(p.max(axis=1), p.argmax(axis=1) == y, weights, bins, quantile)
    each = [brute_force(p[:, k], y == k, weights, bins, quantile) for k in range(3)]
    options = {"strategy": strategy, "sample_weight": weights}
    assert expected_calibration_error(p, y, bins, **options) == pytest.approx(top, rel=1e-12)
    classwise = expected_calibration_error(p, y, bins, classwise=True, **options)
    assert classwise == pytest.approx(np.mean(each), rel=1e-12)
    curve = reliability_curve(p, y, bins, of_class=1, **options)
    gaps = curve.count @ np.nan_to_num(np.abs(curve.accuracy - curve.confidence))
    assert gaps / weights.sum() == pytest.approx(each[1], rel=1e-12)


def test_quantile_bins_hold_equally_many_examples_unless_they_tie():
    p = np.random.default_rng(6).permutation(np.linspace(0.5, 1, 23))
    curve = reliability_curve(p, np.ones(23, int), 5, strategy="quantile")
    assert sorted(curve.count) == [4, 4, 5, 5, 5]
    np.testing.assert_array_equal(curve.edges[[0, -1]], [0, 1])
    tied = reliability_curve(np.full(23, 0.7), np.ones(23, int), 5, strategy="quantile")
    assert sorted(tied.count) == [0, 0, 0, 0, 23]
    # The order of the examples does not matter, because equal probabilities share a bin.
    p, y = np.repeat([0.6, 0.7, 0.8], [3, 5, 2]), np.array([1, 0, 1, 0, 1, 1, 0, 1, 0, 1])
    error = expected_calibration_error(p, y, 3, strategy="quantile")
    assert expected_calibration_error(p[::-1], y[::-1], 3, strategy="quantile") == pytest.approx(error)


@pytest.mark.parametrize("options", [{}, {"classwise": True}, {"strategy": "quantile"}])
def test_integer_weights_repeat_examples(options):
    rng = np.random.default_rng(7)
    p, y, weights = rng.dirichlet(np.ones(3), 50), rng.integers(0, 3, 50), rng.integers(0, 4, 50)
    repeated = expected_calibration_error(np.repeat(p, weights, axis=0), np.repeat(y, weights), 6, **options)
    ours = expected_calibration_error(p, y, 6, sample_weight=weights, **options)
    assert ours == pytest.approx(repeated, rel=1e-12)


def test_shapes_of_predictions_do_not_change_the_error():
    rng = np.random.default_rng(8)
    p, y, weights = rng.random(24), rng.integers(0, 2, 24), rng.random(24)
    error = expected_calibration_error(p, y, sample_weight=weights)
    pairs = np.stack([1 - p, p], axis=-1)
    assert expected_calibration_error(p[:, None], y, sample_weight=weights) == error
    assert expected_calibration_error(p[:, None], y[:, None], sample_weight=weights) == error
    assert expected_calibration_error(pairs, y, sample_weight=weights) == error
    tall = (array.reshape(4, 6, *array.shape[1:]) for array in (pairs, y, weights))
    positions, labels, each = tall
    assert expected_calibration_error(positions, labels, sample_weight=each) == error
    by_row = expected_calibration_error(positions, labels, sample_weight=weights[:4])
    assert by_row == expected_calibration_error(pairs, y, sample_weight=np.repeat(weights[:4], 6))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sample_weight": [1.0, -1.0, 1.0]}, r"sample_weight\[1\] must not be negative, got -1"),
        ({"sample_weight": [1.0, np.nan, 1.0]}, r"sample_weight\[1\] must be finite, got nan"),
        ({"sample_weight": [0.0, 0.0, 0.0]}, "sample_weight must have a positive entry"),
        ({"sample_weight": [1.0]}, r"sample_weight must have shape \(3,\)"),
        ({"strategy": "mass"}, "strategy must be one of uniform, quantile, got 'mass'"),
        ({"classwise": 1}, "classwise must be True or False, got 1"),
    ],
)
def test_wrong_options_are_rejected(options, message):
    with pytest.raises(ValueError, match=message):
        expected_calibration_error(GOOD, [0, 1, 1], **options)
    with pytest.raises(ValueError, match="of_class must be an integer from 0 to 1, got 2"):
        reliability_curve(GOOD, [0, 1, 1], of_class=2)
