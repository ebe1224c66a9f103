"""Oracles: NumPy's least squares, the normal equations, the interpolation threshold, Keras's Adam."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from curvezoo.figures.chapter6 import double_descent


@pytest.mark.parametrize("shape", [(30, 12), (12, 30), (12, 12)])
def test_least_squares_are_the_shortest_and_the_penalized_ones_solve_the_normal_equations(shape):
    rng = np.random.default_rng(0)
    features, targets = rng.normal(size=shape), rng.normal(size=(shape[0], 3))
    shortest, penalized = double_descent.least_squares(features, targets, [0.1, 2.0])
    np.testing.assert_allclose(shortest, np.linalg.lstsq(features, targets, rcond=None)[0], atol=1e-10)
    for gamma, found in zip((0.1, 2.0), penalized, strict=True):
        matrix = features.T @ features + gamma * np.eye(shape[1])
        np.testing.assert_allclose(found, np.linalg.solve(matrix, features.T @ targets), atol=1e-10)


def test_random_features_peak_at_the_threshold_and_a_penalty_removes_the_peak():
    result = double_descent.random_features((10, 20, 50, 100, 200, 1000), examples=100, seeds=3)
    test = np.median(result.test, axis=0)
    assert np.argmax(test) == 3 and result.sizes[3] == result.threshold
    assert test[3] > 10 * test[[1, 5]].max()
    # The second descent ends below the first minimum.
    assert test[5] < 0.95 * test[:3].min()
    assert np.all(result.train[:, 3:] < 1e-12) and np.all(result.train[:, :3] > 0.01)
    assert np.median(result.regularized, axis=0)[3] < 1.1 * test[5]


def test_networks_train_by_the_gradients_of_tensorflow_and_the_adam_of_keras():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 5, 3)), rng.normal(size=(2, 5, 2))
    networks = double_descent.Networks(2, 3, 4, 2, seed=0, dtype=np.float64)
    weights = [tf.Variable(w) for w in networks.weights]

    def errors():
        hidden = tf.nn.relu(x @ weights[0] + weights[1])
        return tf.reduce_mean(tf.reduce_sum((hidden @ weights[2] + weights[3] - y) ** 2, axis=2), axis=1)

    def gradients():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(errors())
        return tape.gradient(loss, weights)

    exact = np.concatenate([np.reshape(g, (2, -1)) for g in gradients()], axis=1)
    np.testing.assert_allclose(networks.gradient(x, y), exact, rtol=1e-12, atol=1e-14)
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.01, 6))
    optimizer.build(weights)
    for _ in range(6):
        optimizer.apply(gradients(), weights)
    networks.train(x, y, 6)
    for ours, theirs in zip(networks.weights, weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(networks.error(x, y), errors(), rtol=1e-5)


def test_the_training_error_of_wide_two_layer_networks_vanishes():
    result = double_descent.two_layers((2, 60), examples=60, seeds=2, steps=600)
    assert result.threshold == pytest.approx(590 / 75)
    assert np.all(result.train[:, 0] > 0.1) and np.all(result.train[:, 1] < 0.01)
    assert not np.allclose(result.test[0], result.test[1])


def test_figure_shows_medians_and_thresholds():
    made = double_descent.Descent(
        np.array([1, 2, 4]), 2, *np.random.default_rng(0).uniform(1, 2, size=(3, 3, 3))
    )
    network = double_descent.Descent(np.array([3, 5]), 4.5, *np.random.default_rng(1).uniform(size=(2, 3, 2)))
    left, right = double_descent.plot(made, network).axes
    for axis, descent, kinds in (
        (left, made, (made.test, made.train, made.regularized)),
        (right, network, (network.test, network.train)),
    ):
        for line, errors in zip(axis.lines, kinds, strict=False):
            np.testing.assert_array_equal(line.get_ydata(), np.median(errors, axis=0))
        assert axis.lines[len(kinds)].get_xdata()[0] == descent.threshold
