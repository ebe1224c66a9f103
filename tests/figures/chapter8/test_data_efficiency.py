"""Oracles: gradients of the package's losses, and the data of the drawn artists."""

import numpy as np
import pytest
import tensorflow as tf

from curvezoo.figures.chapter8 import data_efficiency
from curvezoo.figures.chapter8.data_efficiency import POLICY, RANDOM, SUPERVISED, Q, Race
from curvezoo.losses import CategoricalNLL, bandit_feedback

METHODS = (SUPERVISED, RANDOM, POLICY, Q)
_EPSILON = {RANDOM: 1.0, POLICY: 0.0, Q: data_efficiency._EPSILON}


def loss(method, logits, labels, actions):
    """The loss of each example, for given actions."""
    rewards = (actions == labels).astype(float)
    if method == Q:
        return bandit_feedback.q_loss(logits, actions, rewards)
    weight = logits.shape[-1] if method == RANDOM else 1.0
    return bandit_feedback.policy_gradient_surrogate(logits, actions, rewards, weight)


@pytest.mark.parametrize("method", METHODS)
def test_the_mean_gradient_over_draws_is_that_of_the_losses_over_all_actions(method):
    rng, labels, draws = np.random.default_rng(0), np.array([0, 2, 1]), 20_000
    logits = rng.normal(size=(3, 3))
    found = data_efficiency.logit_gradient(method, np.tile(logits, (draws, 1, 1)), labels, rng)
    variable = tf.Variable(logits)
    with tf.GradientTape() as tape:
        if method == SUPERVISED:
            value = tf.reduce_sum(CategoricalNLL(reduction=None, dtype="float64")(labels, variable))
        else:
            behavior = np.asarray(bandit_feedback.behavior(logits, _EPSILON[method], greedy=method == Q))
            actions = [np.full(3, action) for action in range(3)]
            value = sum(tf.reduce_sum(behavior[:, a[0]] * loss(method, variable, labels, a)) for a in actions)
    exact = tape.gradient(value, variable).numpy()
    error = found.std(axis=0) / np.sqrt(draws)
    assert np.all(np.abs(found.mean(axis=0) - exact) <= 5 * error + 1e-12)


def test_all_methods_reach_the_target_and_supervised_learning_is_first():
    races = {method: data_efficiency.measure(method, 8, seeds=6) for method in METHODS}
    medians = {method: np.median(race.reached) for method, race in races.items()}
    for method in METHODS:
        race = races[method]
        assert race.accuracy.shape == (len(race.examples), 6)
        for seed, count in enumerate(race.reached):
            if np.isfinite(count):
                first = np.argmax(race.accuracy[:, seed] >= data_efficiency.TARGET)
                assert race.examples[first] == count
        # The penalties are above three in measurements with many seeds.
        assert np.isfinite(medians[method]) and medians[method] >= 1.5 * medians[SUPERVISED] * (
            method != SUPERVISED
        )


def test_a_limit_ends_a_training_that_fails():
    race = data_efficiency.measure(POLICY, 8, seeds=2, rates=(1e-6,), limit=20)
    assert np.all(np.isinf(race.reached)) and race.examples[-1] <= 20


def made(power, scale):
    """Races that need scale K^power examples."""
    counts = np.array([1, 2, 3])
    return {
        k: Race(
            0.1, counts * k**3, np.linspace(0, 1, 6).reshape(3, 2), scale * k**power * np.array([0.5, 1.5])
        )
        for k in (4, 8, 16)
    }


def test_the_exponent_of_an_exact_power_law_is_found_and_drawn():
    races = {SUPERVISED: made(1, 5.0), RANDOM: made(2, 4.0), POLICY: made(2.5, 1.0), Q: made(3, 0.1)}
    assert data_efficiency.exponent(races, RANDOM) == pytest.approx(1)
    assert data_efficiency.exponent(races, Q) == pytest.approx(2)
    np.testing.assert_allclose(data_efficiency.penalties(races, RANDOM), 0.8 * np.array([4, 8, 16]))
    left, right = data_efficiency.plot(races, shown=8).axes
    assert [text.get_text() for text in right.texts] == ["$c$ = 1.00", "$c$ = 1.50", "$c$ = 2.00"]
    np.testing.assert_allclose(right.lines[-1].get_ydata(), 5.0 * np.array([4, 8, 16]) ** 2)
    np.testing.assert_allclose(left.lines[0].get_ydata(), np.median(races[SUPERVISED][8].accuracy, axis=1))
    header, rows = data_efficiency.table(races)
    assert rows[1][:3] == ("policy gradient, random labels", "1.00", "64 (3.2×)")
    assert {len(row) for row in rows} == {len(header)}
