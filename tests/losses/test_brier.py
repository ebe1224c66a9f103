"""Oracles: Murphy's terms by hand, scikit-learn's score, and generated data with known calibration."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import brier_score_loss

from curvezoo.losses.brier import brier_decomposition, brier_score


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


def test_the_score_of_one_probability_is_twice_scikit_learns_of_two_classes():
    rng = np.random.default_rng(2)
    p, labels, weights = rng.random(50), rng.integers(0, 2, 50), rng.random(50)
    expected = 2 * brier_score_loss(labels, p, sample_weight=weights, scale_by_half=True)
    assert brier_score(p, labels, weights) == pytest.approx(expected, rel=1e-12)
    assert brier_score(p[:, None], labels, weights) == pytest.approx(expected, rel=1e-12)


def test_integer_weights_repeat_examples():
    rng = np.random.default_rng(3)
    p, labels, weights = rng.dirichlet(np.ones(3), 40), rng.integers(0, 3, 40), rng.integers(0, 4, 40)
    repeated = np.repeat(p, weights, axis=0), np.repeat(labels, weights)
    assert brier_score(p, labels, weights) == pytest.approx(brier_score(*repeated), rel=1e-12)
    ours, theirs = brier_decomposition(p, labels, 5, weights), brier_decomposition(*repeated, 5)
    for term in ("reliability", "resolution", "uncertainty", "within_bins"):
        assert getattr(ours, term) == pytest.approx(getattr(theirs, term), rel=1e-12)
    assert ours.score == pytest.approx(brier_score(p, labels, weights), rel=1e-12)
