"""Oracles: scikit-learn's metrics, and Wilson's quadratic equation."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss

from curvezoo.losses import expected_calibration_error, fit_temperature
from curvezoo.losses.classifier_scores import classification_scores, wilson_interval


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


@pytest.mark.parametrize("score", [classification_scores, fit_temperature])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_logits_that_are_not_finite_are_rejected(score, bad):
    logits = np.log([[0.2, 0.8], [0.6, 0.4], [0.5, 0.5]])
    logits[1, 0] = bad
    with pytest.raises(ValueError, match=r"logits\[1, 0\] must be finite"):
        score(logits, [0, 1, 1])
    with pytest.raises(ValueError, match=r"logits\[1\] must have a finite entry"):
        score([[0.0, 1.0], [-np.inf, -np.inf]], [0, 1])


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95])
def test_confidence_must_be_a_fraction(confidence):
    with pytest.raises(ValueError, match=r"confidence must be a number in \(0, 1\), got"):
        classification_scores([[0.2, 0.8], [0.6, 0.4], [0.5, 0.5]], [0, 1, 1], confidence)


def test_excluded_classes_do_not_change_the_scores(calibrated):
    logits, labels = calibrated[0][:500], calibrated[1][:500]
    without = np.insert(logits, 2, -np.inf, axis=1)
    scores = classification_scores(without, labels + (labels >= 2))
    for name, expected in classification_scores(logits, labels).items():
        assert scores[name] == pytest.approx(expected, rel=1e-12)
    assert classification_scores([[0.0, -np.inf]], [1])["nll"] == np.inf


def test_the_scores_of_positions_are_those_of_all_examples_in_a_row(calibrated):
    logits, labels = calibrated[0][:60], calibrated[1][:60]
    scores = classification_scores(logits.reshape(3, 20, 5), labels.reshape(3, 20))
    assert scores == classification_scores(logits, labels)
