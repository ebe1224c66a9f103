"""Oracles: double loops over atoms, quantiles of samples, and values computed by hand, in float64."""

import numpy as np
import pytest
import scipy.optimize
import scipy.special
import tensorflow as tf

from curvezoo.losses import bellman


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def projected(probabilities, rewards, terminated, discount, support):
    """Splits the probability of each return between its two neighbors, one by one."""
    spacing = support[1] - support[0]
    result = np.zeros_like(probabilities)
    for row, (reward, end) in enumerate(zip(rewards, terminated, strict=True)):
        for atom, probability in zip(support, probabilities[row], strict=True):
            value = reward + (0 if end else discount * atom)
            place = (np.clip(value, support[0], support[-1]) - support[0]) / spacing
            lower = min(int(np.floor(place)), len(support) - 1)
            upper = min(lower + 1, len(support) - 1)
            result[row, lower] += probability * (1 - (place - lower))
            result[row, upper] += probability * (place - lower)
    return result


def test_targets_are_the_reward_alone_only_in_terminal_states():
    values = np.array([10.0, 20.0])
    targets = bellman.td_targets(np.array([1.0, 2.0]), tf.constant(values), np.array([0.0, 1.0]), 0.9)
    assert np.allclose(targets, [1 + 0.9 * 10, 2], rtol=1e-15)
    rows = tf.constant(np.stack([values, -values], axis=1))
    targets = bellman.td_targets(np.array([1.0, 2.0]), rows, np.array([0.0, 1.0]), 0.9)
    assert np.allclose(targets, [[10, -8], [2, 2]], rtol=1e-15)


def test_double_values_choose_with_one_network_and_value_with_the_other():
    online = tf.constant([[1.0, 3.0, 2.0], [0.0, -1.0, -2.0]], tf.float64)
    target = tf.constant([[7.0, 5.0, 9.0], [-4.0, 8.0, 6.0]], tf.float64)
    assert np.array_equal(bellman.double_values(online, target), [5.0, -4.0])
    assert np.array_equal(bellman.double_values(target, target), [9.0, 8.0])


def test_double_values_of_independent_noise_have_no_bias_and_the_maximum_has():
    noise = random(2, 20_000, 5)
    double = bellman.double_values(tf.constant(noise[0]), tf.constant(noise[1])).numpy()
    assert abs(double.mean()) < 0.04
    # The mean of the largest of five standard normal numbers is 1.163.
    assert abs(noise[0].max(axis=1).mean() - 1.163) < 0.04


def test_huber_is_that_of_scipy():
    errors = 3 * random(50)
    for threshold in (0.3, 1.0, 2.0):
        expected = scipy.special.huber(threshold, errors)
        assert np.allclose(bellman.huber(tf.constant(errors), threshold), expected, rtol=1e-14)


def test_the_projection_is_that_of_a_double_loop():
    support = np.linspace(-2.0, 3.0, 11)
    probabilities = scipy.special.softmax(2 * random(40, 11), axis=1)
    rewards, terminated = 3 * random(40, seed=1), (np.arange(40) % 4 == 0).astype("float64")
    result = bellman.categorical_projection(probabilities, rewards, terminated, 0.7, support).numpy()
    assert np.allclose(result, projected(probabilities, rewards, terminated, 0.7, support), atol=1e-14)
    assert np.allclose(result.sum(axis=1), 1, rtol=1e-14)


def test_the_projection_keeps_the_mean_of_returns_within_the_support():
    support = np.linspace(-10.0, 10.0, 21)
    probabilities = scipy.special.softmax(random(30, 21), axis=1)
    rewards = random(30, seed=1) / 3
    result = bellman.categorical_projection(probabilities, rewards, np.zeros(30), 0.8, support).numpy()
    assert np.allclose(result @ support, rewards + 0.8 * probabilities @ support, rtol=1e-12, atol=1e-13)


def test_returns_on_atoms_and_beyond_the_support_keep_all_probability():
    support = np.array([0.0, 1.0, 2.0])
    probabilities = np.array([[0.2, 0.3, 0.5]] * 4)
    result = bellman.categorical_projection(
        probabilities, np.array([0.0, 1.0, 1.0, -9.0]), np.array([0.0, 0.0, 1.0, 1.0]), 1.0, support
    )
    assert np.allclose(result, [[0.2, 0.3, 0.5], [0, 0.2, 0.8], [0, 1, 0], [1, 0, 0]], atol=1e-15)


def test_the_projection_in_single_precision_leaves_no_probability_out():
    support = np.linspace(0, 100, 51).astype("float32")
    probabilities = scipy.special.softmax(random(200, 51), axis=1).astype("float32")
    rewards = np.ones(200, "float32")
    result = bellman.categorical_projection(probabilities, rewards, np.zeros(200, "float32"), 0.99, support)
    assert np.allclose(result.numpy().sum(axis=1), 1, atol=1e-6)


def test_the_categorical_loss_is_the_entropy_plus_the_divergence():
    logits, targets = random(6, 9), scipy.special.softmax(random(6, 9, seed=1), axis=1)
    losses = bellman.categorical_loss(tf.constant(logits), tf.constant(targets)).numpy()
    entropy = scipy.special.entr(targets).sum(axis=1)
    divergence = scipy.special.rel_entr(targets, scipy.special.softmax(logits, axis=1)).sum(axis=1)
    assert np.allclose(losses, entropy + divergence, rtol=1e-13)


@pytest.mark.parametrize("kappa", [0, 0.5, 1.0])
def test_the_quantile_loss_is_the_sum_of_its_definition(kappa):
    quantiles, targets = random(3, 4), random(3, 6, seed=1)
    expected = np.zeros(3)
    for row in range(3):
        for index in range(4):
            for target in targets[row]:
                error = target - quantiles[row, index]
                size = scipy.special.huber(kappa, error) / kappa if kappa else abs(error)
                expected[row] += abs((index + 0.5) / 4 - (error < 0)) * size / 6
    losses = bellman.quantile_huber_loss(tf.constant(quantiles), tf.constant(targets), kappa)
    assert np.allclose(losses, expected, rtol=1e-13)


def test_the_minimizers_of_the_quantile_loss_are_quantiles_of_the_samples():
    samples = np.exp(random(1, 31))

    def objective(quantile, index):
        quantiles = np.zeros((1, 5))
        quantiles[0, index] = quantile
        return float(bellman.quantile_huber_loss(tf.constant(quantiles), tf.constant(samples), 0)[0])

    for index, level in enumerate((0.1, 0.3, 0.5, 0.7, 0.9)):
        best = scipy.optimize.minimize_scalar(
            objective, bounds=(samples.min(), samples.max()), args=(index,), method="bounded"
        ).x
        assert np.isclose(best, np.quantile(samples, level, method="inverted_cdf"), atol=1e-3)


def test_no_gradient_flows_through_targets():
    outputs, support = tf.constant(random(4, 5)), tf.constant(np.linspace(-1.0, 1.0, 5))
    ones, zeros = np.ones(4), np.zeros(4)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(outputs)
        values = bellman.td_targets(ones, outputs, zeros, 0.9)
        probabilities = bellman.categorical_projection(tf.nn.softmax(outputs), ones, zeros, 0.9, support)
        quantile = bellman.quantile_huber_loss(tf.zeros_like(outputs), outputs)
    assert all(tape.gradient(each, outputs) is None for each in (values, probabilities, quantile))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0, 1j, True, "1"])
def test_settings_that_are_not_numbers_in_range_are_named(bad):
    ones = tf.ones((2, 3))
    with pytest.raises(ValueError, match="threshold must be a nonnegative finite number, got"):
        bellman.huber(ones, bad)
    with pytest.raises(ValueError, match="kappa must be a nonnegative finite number, got"):
        bellman.quantile_huber_loss(ones, ones, bad)
    if not isinstance(bad, str):
        with pytest.raises(ValueError, match=r"discount must be a number in \[0, 1\], got"):
            bellman.td_targets(ones[:, 0], ones[:, 0], ones[:, 0], bad)


def test_the_projection_takes_a_support_in_double_precision_and_checks_its_length():
    probabilities = np.full((2, 3), 1 / 3, "float32")
    result = bellman.categorical_projection(probabilities, [0.0, 1.0], [0, 1], 0.5, np.linspace(0, 2, 3))
    np.testing.assert_allclose(result, [[0.5, 0.5, 0], [0, 1, 0]], atol=1e-6)
    with pytest.raises(ValueError, match=r"support must have shape \(3,\), got \(2,\)"):
        bellman.categorical_projection(probabilities, [0.0, 1.0], [0, 1], 0.5, np.linspace(0, 2, 2))
