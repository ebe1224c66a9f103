"""Oracles: generated data with known temperature, and the stationary point of the likelihood."""

import numpy as np
import pytest
from scipy.special import softmax

from curvezoo.losses.temperature import fit_temperature


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


@pytest.mark.parametrize("temperature", [1.0, 1e3])
def test_newtons_method_does_not_leave_the_positive_temperatures(temperature):
    # One mistake by 1000 among right answers by 1.1: the first Newton step would lead to a negative 1 / T.
    logits = temperature * np.array([[1000.0, 0.0], *[[1.1, 0.0]] * 999])
    fitted = fit_temperature(logits, 1 * (np.arange(1000) == 0))
    right = 1.1 / (1 + np.exp(1.1 * temperature / fitted))
    wrong = 1000 / (1 + np.exp(-1000 * temperature / fitted))
    assert 999 * right == pytest.approx(wrong, rel=1e-8)


def test_a_temperature_for_predictions_without_error_is_rejected():
    with pytest.raises(ValueError, match="logits must misclassify a label"):
        fit_temperature(np.eye(3), [0, 1, 2])


def test_an_excluded_class_does_not_change_the_temperature(calibrated):
    logits, labels = 2.5 * calibrated[0][:500], calibrated[1][:500]
    without = np.insert(logits, 2, -np.inf, axis=1)
    assert fit_temperature(without, labels + (labels >= 2)) == pytest.approx(
        fit_temperature(logits, labels), rel=1e-9
    )


def test_the_temperature_of_each_examples_own_choice_of_classes_is_stationary():
    rng = np.random.default_rng(4)
    logits = rng.normal(scale=3.0, size=(300, 4))
    logits[rng.random(logits.shape) < 0.3] = -np.inf
    logits[:, 0] = rng.normal(scale=3.0, size=300)
    odds = softmax(logits / 2, axis=1).cumsum(axis=1)
    labels = (rng.random((300, 1)) > odds).sum(axis=1)
    fitted = fit_temperature(logits, labels)
    finite = np.where(np.isfinite(logits), logits, 0.0)
    expected = (softmax(logits / fitted, axis=1) * finite).sum(axis=1)
    assert np.mean(expected - finite[np.arange(300), labels]) == pytest.approx(0.0, abs=1e-9)
    with pytest.raises(ValueError, match=r"logits of the labels\[1\] must be finite, got -inf"):
        fit_temperature([[0.0, 1.0], [0.0, -np.inf]], [0, 1])
