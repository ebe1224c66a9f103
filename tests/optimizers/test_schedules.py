"""Schedules against their formulas."""

import json

import keras
import numpy as np
import pytest

from curvezoo.optimizers import learning_rate_schedule


def rates(schedule, steps):
    return np.array([float(schedule(t)) if callable(schedule) else schedule for t in range(steps)])


def test_cosine_with_warmup_follows_its_formula():
    t, w, n, peak = np.arange(100), 10, 100, 0.3
    expected = np.where(t < w, peak * t / w, peak * (1 + np.cos(np.pi * (t - w) / (n - w))) / 2)
    np.testing.assert_allclose(
        rates(learning_rate_schedule("cosine", peak, n, w), 100), expected, rtol=1e-5, atol=1e-7
    )


def test_steps_fall_tenfold_at_one_half_and_three_quarters():
    actual = rates(learning_rate_schedule("step", 1.0, 100), 100)
    np.testing.assert_allclose(actual[[0, 50, 51, 75, 76, 99]], [1, 1, 0.1, 0.1, 0.01, 0.01], rtol=1e-6)


def test_steps_fall_at_one_half_and_three_quarters_of_the_time_after_the_warmup():
    actual = rates(learning_rate_schedule("step", 1.0, 100, 20), 100)
    np.testing.assert_allclose(actual[:22], np.minimum(np.arange(22) / 20, 1), rtol=1e-6)
    np.testing.assert_allclose(actual[[60, 61, 80, 81]], [1, 0.1, 0.1, 0.01], rtol=1e-6)


def test_constant_rises_linearly_through_the_warmup():
    actual = rates(learning_rate_schedule("constant", 2.0, 100, 4), 10)
    np.testing.assert_allclose(actual, [0, 0.5, 1, 1.5, 2, 2, 2, 2, 2, 2], rtol=1e-6)
    assert learning_rate_schedule("constant", 2.0, 100) == 2.0


@pytest.mark.parametrize("kind", ["cosine", "step", "constant"])
def test_schedules_survive_an_optimizers_config(kind):
    schedule = learning_rate_schedule(kind, 0.1, 50, 5)
    optimizer = keras.optimizers.SGD(schedule)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    np.testing.assert_array_equal(rates(schedule, 50), rates(again._learning_rate, 50))


@pytest.mark.parametrize("kind", ["constant", "step"])
def test_the_config_of_a_warmup_is_plain_data_with_the_same_rates(kind):
    schedule = learning_rate_schedule(kind, 0.5, 40, 10)
    config = json.loads(json.dumps(schedule.get_config()))
    restored = type(schedule).from_config(config)
    for step in (0, 5, 12, 30, 39):
        assert float(restored(step)) == float(schedule(step))


def test_invalid_arguments_are_named():
    with pytest.raises(ValueError, match="kind must be one of constant, cosine, step, got 'linear'"):
        learning_rate_schedule("linear", 0.1, 10)
    with pytest.raises(ValueError, match=r"warmup_steps must be in \[0, 10\), the number of steps, got 10"):
        learning_rate_schedule("cosine", 0.1, 10, 10)
