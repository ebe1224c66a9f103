"""Oracles: the stationarity of the likelihood, and the data of the drawn artists."""

import numpy as np
import pytest

from curvezoo.figures.chapter3 import calibration
from curvezoo.losses import brier_decomposition, reliability_curve


@pytest.fixture(scope="module")
def free():
    return calibration.train()


@pytest.fixture(scope="module")
def prior():
    return calibration.train(scale=3.0)


@pytest.mark.equation("3.4.20")
@pytest.mark.parametrize("name", ["free", "prior"])
def test_the_mean_probability_of_a_class_is_its_frequency_on_the_training_data(name, request):
    # Their difference is the derivative of the likelihood with respect to a bias, which has no prior.
    predictions = request.getfixturevalue(name)
    frequency = np.bincount(predictions.labels["train"], minlength=10) / 60
    np.testing.assert_allclose(predictions.probabilities("train").mean(axis=0), frequency, atol=1e-3)


@pytest.mark.equation("3.4.20")
def test_maximum_likelihood_is_calibrated_on_its_data_but_overconfident_on_new_data(free):
    train, test = free.scores("train"), free.scores("test")
    assert train["accuracy"] == 1.0
    assert train["ece"] < 0.005
    assert test["examples"] == 1797 - 60 - 300
    # The confidence lies far outside the 95 % interval of the accuracy.
    assert 0.8 < test["accuracy"] < test["accuracy_high"] < test["confidence"] - 0.03
    assert test["ece"] > 0.05


def test_a_temperature_fitted_on_other_digits_restores_the_calibration(free):
    before, after = free.scores("test"), free.scores("test", free.temperature)
    assert 1.4 < free.temperature < 3
    assert after["ece"] < before["ece"] / 2
    assert after["nll"] < before["nll"] - 0.05
    assert after["accuracy"] == before["accuracy"]
    assert after["accuracy_low"] < after["confidence"] < after["accuracy_high"]
    labels = free.labels["test"]
    parts = [brier_decomposition(free.probabilities("test", t), labels, 10) for t in (1.0, free.temperature)]
    # The gain is smaller than that of the confidence, because one number serves ten classes.
    assert parts[1].reliability < 0.8 * parts[0].reliability
    assert parts[1].score < parts[0].score


def test_a_prior_reduces_the_confidence(free, prior):
    test = prior.scores("test")
    assert test["accuracy"] > free.scores("test")["accuracy"] - 0.03
    assert test["ece"] < free.scores("test")["ece"] / 2
    assert abs(test["confidence"] - test["accuracy"]) < 0.04
    assert 0.8 < prior.temperature < 1.2
    # The price is a lower confidence on training digits, all of which are right.
    assert prior.scores("train")["accuracy"] == 1.0
    assert prior.scores("train")["confidence"] < free.scores("train")["confidence"] - 0.01


def test_splits_are_disjoint_and_runs_repeat():
    first, again, other = (calibration.train(examples=20, steps=3, seed=s) for s in (0, 0, 1))
    sizes = {split: len(labels) for split, labels in first.labels.items()}
    assert sizes == {"train": 20, "validation": 300, "test": 1477}
    counts = sum(np.bincount(labels, minlength=10) for labels in first.labels.values())
    np.testing.assert_array_equal(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180])
    np.testing.assert_array_equal(first.logits["test"], again.logits["test"])
    assert not np.allclose(first.logits["test"], other.logits["test"])


def made_predictions(seed):
    """Labels drawn from the softmax of the logits, and twice these logits: overconfident predictions."""
    rng = np.random.default_rng(seed)
    logits = {
        split: rng.normal(size=(n, 10)) for split, n in (("train", 60), ("validation", 300), ("test", 900))
    }
    noise = {split: rng.gumbel(size=values.shape) for split, values in logits.items()}
    labels = {split: np.argmax(values + noise[split], axis=1) for split, values in logits.items()}
    return calibration.Predictions({split: 2 * values for split, values in logits.items()}, labels)


def test_figure_shows_the_bins_before_and_after_temperature_scaling():
    free, prior = made_predictions(0), made_predictions(1)
    left, right = calibration.plot({"no prior": free, "prior": prior}).axes
    for axis, predictions, temperatures in ((left, free, (1.0, free.temperature)), (right, prior, (1.0,))):
        drawn = [container.lines[0].get_xydata() for container in axis.containers]
        assert len(drawn) == 1 + len(temperatures)
        for points, t in zip(drawn[1:], temperatures, strict=True):
            curve = reliability_curve(predictions.probabilities("test", t), predictions.labels["test"], 10)
            filled = curve.count >= 8
            assert 3 <= filled.sum() < 10
            np.testing.assert_allclose(points, np.stack([curve.confidence, curve.accuracy], -1)[filled])
    assert 1.5 < free.temperature < 2.7
    label = left.get_legend().get_texts()[2].get_text()
    assert f"T = {free.temperature:.2f}: {100 * free.scores('test', free.temperature)['ece']:.1f} %" in label
