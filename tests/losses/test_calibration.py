"""Oracles: sums by hand, scikit-learn's metrics, and generated data with known calibration."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import minimize_scalar
from scipy.special import entr, log_softmax, rel_entr, softmax
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss

from curvezoo.losses.calibration import (
    brier_decomposition,
    brier_score,
    classification_scores,
    expected_calibration_error,
    fit_temperature,
    reliability_curve,
    wilson_interval,
)


def draw_labels(rng, probabilities):
    """Draws each label from its row of probabilities."""
    return (rng.random((len(probabilities), 1)) > probabilities.cumsum(axis=1)[:, :-1]).sum(axis=1)


@pytest.fixture(scope="module")
def calibrated():
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=2.0, size=(40_000, 5))
    return logits, draw_labels(rng, softmax(logits, axis=1))


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


@pytest.mark.parametrize("temperature", [0.2, 1.0, 3.0, 1e4])
def test_a_known_temperature_is_recovered(calibrated, temperature):
    logits, labels = calibrated
    assert fit_temperature(temperature * logits, labels) == pytest.approx(temperature, rel=0.01)


def test_the_fitted_temperature_is_a_stationary_point_of_the_likelihood(calibrated):
    logits, labels = 2.5 * calibrated[0][:500], calibrated[1][:500]
    fitted = fit_temperature(logits, labels)
    # d NLL / d(1/T) is the mean of E_p[a] - a_y.
    expected = (softmax(logits / fitted, axis=1) * logits).sum(axis=1)
    assert np.mean(expected - logits[np.arange(500), labels]) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("temperature", [1e-6, 1.0, 1e6])
def test_few_large_mistakes_do_not_mislead_newtons_method(temperature):
    # One example in 200 is wrong, by margins over six decades.
    margins = np.geomspace(1e-3, 1e3, 200)
    logits = temperature * np.stack([margins, np.zeros(200)], axis=1)
    labels = (np.arange(200) % 200 == 150).astype(int)
    fitted = fit_temperature(logits, labels)
    expected = (softmax(logits / fitted, axis=1) * logits).sum(axis=1)
    slope = np.mean(expected - logits[np.arange(200), labels]) / temperature
    assert slope == pytest.approx(0.0, abs=1e-8)


def test_a_temperature_for_predictions_without_error_is_rejected():
    with pytest.raises(ValueError, match="logits must misclassify a label"):
        fit_temperature(np.eye(3), [0, 1, 2])


@pytest.mark.equation("1.8.2")
def test_scores_equal_scikit_learns(calibrated):
    logits, labels = calibrated[0][:3000], calibrated[1][:3000]
    probabilities = softmax(logits, axis=1)
    scores = classification_scores(logits, labels)
    assert set(scores) == {
        "accuracy", "accuracy_low", "accuracy_high", "nll", "ece", "brier", "errors", "examples",
    }  # fmt: skip
    assert scores["accuracy"] == pytest.approx(accuracy_score(labels, logits.argmax(axis=1)), rel=1e-12)
    assert scores["nll"] == pytest.approx(log_loss(labels, probabilities), rel=1e-9)
    assert scores["brier"] == pytest.approx(brier_score_loss(labels, probabilities), rel=1e-9)
    assert scores["ece"] == pytest.approx(expected_calibration_error(probabilities, labels), rel=1e-9)
    assert scores["errors"] == np.sum(labels != logits.argmax(axis=1))
    assert scores["examples"] == 3000


def test_huge_logits_have_a_finite_likelihood():
    scores = classification_scores(np.array([[1e4, 0.0], [0.0, 1e4]]), [0, 0])
    assert scores["nll"] == pytest.approx(5e3)
    assert scores["errors"] == 1


@pytest.mark.parametrize(
    ("successes", "trials", "confidence"), [(990, 1000, 0.95), (10, 10, 0.95), (3, 20, 0.5)]
)
def test_the_interval_solves_wilsons_quadratic(successes, trials, confidence):
    from scipy.stats import norm

    z = norm.ppf(0.5 + confidence / 2)
    low, high = wilson_interval(successes, trials, confidence)
    # At each end the observation is z standard deviations away.
    for end in (low, high):
        assert (successes / trials - end) ** 2 == pytest.approx(z**2 * end * (1 - end) / trials, abs=1e-12)
    assert 0.0 <= low < high <= 1.0


@pytest.mark.parametrize(
    ("successes", "trials", "message"),
    [
        (0.7, 1, "successes must be an integer of at least 0, got 0.7"),
        (-1, 1, "successes must be an integer of at least 0, got -1"),
        (3, 2, "successes must be from 0 to the 2 trials, got 3"),
        (1, 2.5, "trials must be an integer of at least 1, got 2.5"),
        (0, 0, "trials must be an integer of at least 1, got 0"),
        (0, np.nan, "trials must be finite, got nan"),
    ],
)
def test_counts_that_are_not_whole_numbers_have_no_interval(successes, trials, message):
    with pytest.raises(ValueError, match=message):
        wilson_interval(successes, trials)


def test_the_interval_widens_with_confidence(calibrated):
    logits, labels = calibrated[0][:200], calibrated[1][:200]
    wide, narrow = classification_scores(logits, labels, 0.99), classification_scores(logits, labels, 0.5)
    assert wide["accuracy_low"] < narrow["accuracy_low"] < narrow["accuracy"]
    assert wide["accuracy_high"] > narrow["accuracy_high"] > narrow["accuracy"]


@pytest.mark.parametrize("bins", [1, 4, 15])
def test_the_terms_of_the_brier_score_add_up_to_it(calibrated, bins):
    logits, labels = 2 * calibrated[0][:3000], calibrated[1][:3000]
    probabilities = softmax(logits, axis=1)
    terms = brier_decomposition(probabilities, labels, bins)
    assert terms.score == pytest.approx(brier_score(probabilities, labels), rel=1e-12)
    frequencies = np.bincount(labels) / 3000
    assert terms.uncertainty == pytest.approx(np.sum(frequencies * (1 - frequencies)), rel=1e-12)
    constant = brier_score(np.tile(frequencies, (3000, 1)), labels)
    assert terms.uncertainty == pytest.approx(constant, rel=1e-12)
    if bins == 1:
        assert terms.resolution == pytest.approx(0.0, abs=1e-15)


def test_the_brier_terms_of_an_example_equal_murphys_by_hand():
    # The first class is forecast with 0.9 (correct 3 times of 4) and 0.2 (1 of 2); its frequency is 4/6.
    first = np.array([0.9, 0.9, 0.9, 0.9, 0.2, 0.2])
    labels = np.array([0, 0, 0, 1, 0, 1])
    terms = brier_decomposition(np.column_stack([first, 1 - first]), labels, bins=10)
    # Both classes have the same terms.
    assert terms.reliability == pytest.approx(2 * (4 / 6 * 0.15**2 + 2 / 6 * 0.3**2))
    assert terms.resolution == pytest.approx(
        2 * (4 / 6 * (3 / 4 - 4 / 6) ** 2 + 2 / 6 * (1 / 2 - 4 / 6) ** 2)
    )
    assert terms.uncertainty == pytest.approx(2 * 4 / 6 * 2 / 6)
    assert terms.within_bins == pytest.approx(0.0, abs=1e-15)


def test_sharpening_a_calibrated_model_costs_reliability(calibrated):
    logits, labels = calibrated
    good, sharp = (brier_decomposition(softmax(t * logits, axis=1), labels, 15) for t in (1, 3))
    # With 15 bins and 5 classes; the frequency in a bin of n forecasts varies by at most 1 / (2 sqrt(n)).
    assert good.reliability < 2 * 15 * 5 / (4 * len(labels))
    assert sharp.reliability > 0.02
    assert sharp.uncertainty == good.uncertainty
    assert sharp.score > good.score


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
        (GOOD[:, :1], [0, 0, 0], r"K >= 2, got \(3, 1\)"),
        (np.zeros((0, 3)), np.zeros(0, int), r"N >= 1"),
        (GOOD[0], [0, 0], r"\[N, K\]"),
    ],
)
def test_wrong_probabilities_and_labels_are_rejected(score, probabilities, labels, message):
    with pytest.raises(ValueError, match=message):
        score(probabilities, np.asarray(labels))


@pytest.mark.parametrize("score", [classification_scores, fit_temperature])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_are_rejected(score, bad):
    logits = log_softmax(GOOD, axis=1)
    logits[1, 0] = bad
    with pytest.raises(ValueError, match=r"logits\[1, 0\] must be finite"):
        score(logits, [0, 1, 1])


@pytest.mark.parametrize("bins", [0, -3, 2.5, True])
def test_bins_must_be_a_positive_integer(bins):
    for score in (expected_calibration_error, brier_decomposition):
        with pytest.raises(ValueError, match="bins must be an integer of at least 1"):
            score(GOOD, [0, 1, 1], bins)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95])
def test_confidence_must_be_a_fraction(confidence):
    with pytest.raises(ValueError, match=r"confidence must be a number in \(0, 1\), got"):
        classification_scores(GOOD, [0, 1, 1], confidence)
