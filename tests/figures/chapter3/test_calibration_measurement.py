import numpy as np
import pytest

from curvezoo.figures.chapter3 import calibration_measurement as calibration
from curvezoo.losses.calibration import brier_decomposition


@pytest.fixture(scope="module")
def free():
    return calibration.train()


@pytest.fixture(scope="module")
def held():
    return calibration.train(scale=3.0)


@pytest.mark.equation("3.4.20")
@pytest.mark.parametrize("name", ["free", "held"])
def test_the_mean_probability_of_a_class_is_its_frequency_on_the_training_data(name, request):
    # The slope of the likelihood by an output's bias, which no prior restrains, is their difference.
    outcome = request.getfixturevalue(name)
    frequency = np.bincount(outcome.labels["train"], minlength=10) / 60
    np.testing.assert_allclose(outcome.probabilities("train").mean(axis=0), frequency, atol=1e-3)


@pytest.mark.equation("3.4.20")
def test_maximum_likelihood_is_calibrated_on_its_data_and_too_sure_of_new_digits(free):
    train, test = free.scores("train"), free.scores("test")
    assert train["accuracy"] == 1.0
    assert train["ece"] < 0.005
    assert test["examples"] == 1797 - 60 - 300
    # The confidence lies far outside the accuracy's own 95 % interval.
    assert 0.8 < test["accuracy"] < test["accuracy_high"] < test["confidence"] - 0.03
    assert test["ece"] > 0.05


def test_one_temperature_from_other_digits_repairs_it(free):
    before, after = free.scores("test"), free.scores("test", free.temperature)
    assert 1.4 < free.temperature < 3
    assert after["ece"] < before["ece"] / 2
    assert after["nll"] < before["nll"] - 0.05
    assert after["accuracy"] == before["accuracy"]
    assert after["accuracy_low"] < after["confidence"] < after["accuracy_high"]
    labels = free.labels["test"]
    parts = [brier_decomposition(free.probabilities("test", t), labels, 10) for t in (1.0, free.temperature)]
    # Less than the error of the confidence: one number for ten classes.
    assert parts[1].reliability < 0.8 * parts[0].reliability
    assert parts[1].score < parts[0].score


def test_a_prior_holds_the_certainty_back(free, held):
    test = held.scores("test")
    assert test["accuracy"] > free.scores("test")["accuracy"] - 0.03
    assert test["ece"] < free.scores("test")["ece"] / 2
    assert abs(test["confidence"] - test["accuracy"]) < 0.04
    assert 0.8 < held.temperature < 1.2
    # It is bought with confidence on digits that are all right.
    assert held.scores("train")["accuracy"] == 1.0
    assert held.scores("train")["confidence"] < free.scores("train")["confidence"] - 0.01


def test_splits_are_apart_and_runs_repeat():
    first, again, other = (calibration.train(examples=20, steps=3, seed=s) for s in (0, 0, 1))
    sizes = {split: len(labels) for split, labels in first.labels.items()}
    assert sizes == {"train": 20, "validation": 300, "test": 1477}
    counts = sum(np.bincount(labels, minlength=10) for labels in first.labels.values())
    np.testing.assert_array_equal(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180])
    np.testing.assert_array_equal(first.logits["test"], again.logits["test"])
    assert not np.allclose(first.logits["test"], other.logits["test"])
