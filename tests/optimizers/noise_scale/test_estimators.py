"""Oracles: gradients of single examples, dense Hessians, and sums over all possible batches."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from curvezoo.optimizers.keras_bridge.compiled_objective import CompiledObjective
from curvezoo.optimizers.layer_rules import per_example
from curvezoo.optimizers.noise_scale import estimators as noise_estimators
from curvezoo.theory import noise_scale


def gradients_of(model, x, y):
    """Per-example gradients [N, P] in double precision."""
    rows = []
    for i in range(len(x)):
        objective = CompiledObjective(model, x[i : i + 1], y[i : i + 1])
        with tf.GradientTape() as tape:
            values = objective.values
            tape.watch(values)
            loss = objective.loss(values)
        rows.append(np.concatenate([np.ravel(g) for g in tape.gradient(loss, values)]))
    return np.array(rows, np.float64)


@pytest.mark.parametrize("regularizer", [None, keras.regularizers.L2(0.1)])
def test_microbatches_of_one_are_single_examples(regularizer, network, labelled):
    model, (x, y) = network(regularizer=regularizer), labelled(0, 16)
    data = tf.constant(x), tf.constant(y)
    single = noise_estimators.squares("per_example", model, data, 8)
    pieces = noise_estimators.squares("microbatches", model, data, 16)
    np.testing.assert_allclose(single, pieces, rtol=2e-5)
    gradients = gradients_of(model, x, y)
    expected = [np.mean(np.sum(gradients**2, axis=1)), np.sum(gradients.mean(axis=0) ** 2), 1, 16]
    np.testing.assert_allclose(single, expected, rtol=2e-5)


def test_all_pieces_of_a_batch_contribute(network, labelled):
    model, (x, y) = network(), labelled(1, 23)
    measured = noise_estimators.squares("microbatches", model, (tf.constant(x), tf.constant(y)), 4)
    # 23 examples make four pieces of five.
    pieces = gradients_of(model, x[:20], y[:20]).reshape(4, 5, -1).mean(axis=1)
    expected = [np.mean(np.sum(pieces**2, axis=1)), np.sum(pieces.mean(axis=0) ** 2), 5, 20]
    np.testing.assert_allclose(measured, expected, rtol=2e-5)


def dense_hessian(model, x, y):
    """Hessian of the mean loss [P, P] by automatic differentiation."""
    objective = CompiledObjective(model, tf.constant(x), tf.constant(y))
    values = objective.values
    with tf.GradientTape(persistent=True) as outer:
        outer.watch(values)
        with tf.GradientTape() as inner:
            inner.watch(values)
            loss = objective.loss(values)
        gradients = tf.concat([tf.reshape(g, [-1]) for g in inner.gradient(loss, values)], 0)
        entries = tf.unstack(gradients)
    rows = [
        np.concatenate([np.ravel(g) for g in outer.gradient(e, values, unconnected_gradients="zero")])
        for e in entries
    ]
    return np.array(rows, np.float64)


@pytest.fixture(scope="module")
def small_network():
    keras.utils.set_random_seed(5)
    model = keras.Sequential([keras.Input((2,)), layers.Dense(2, "tanh"), layers.Dense(1)])
    for variable in model.trainable_variables:
        variable.assign(variable + 0.3)
    model.compile("sgd", "mse")
    return model


def test_gradients_of_each_half_multiply_the_hessian_of_the_other(small_network):
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(12, 2)).astype("float32"), rng.normal(size=(12, 1)).astype("float32")
    measured = noise_estimators.curved(small_network, (tf.constant(x), tf.constant(y)), 6)
    small, big = [], []
    for own, other in ((slice(0, 6), slice(6, 12)), (slice(6, 12), slice(0, 6))):
        pieces = gradients_of(small_network, x[own], y[own]).reshape(3, 2, -1).mean(axis=1)
        hessian = dense_hessian(small_network, x[other], y[other])
        small.append(np.mean(np.einsum("kp,pq,kq->k", pieces, hessian, pieces)))
        big.append(pieces.mean(axis=0) @ hessian @ pieces.mean(axis=0))
    np.testing.assert_allclose(measured, [np.mean(small), np.mean(big), 2, 6], rtol=1e-4)


@pytest.mark.equation("4.5.8")
def test_the_mean_of_curved_estimates_over_all_batches_is_exact(small_network):
    rng = np.random.default_rng(7)
    x, y = rng.normal(size=(3, 2)).astype("float32"), rng.normal(size=(3, 1)).astype("float32")
    estimate = tf.function(lambda *data: noise_estimators.curved(small_network, data, 4))
    estimates = []
    for batch in itertools.product(range(3), repeat=4):
        measured = estimate(tf.constant(x[list(batch)]), tf.constant(y[list(batch)])).numpy().astype(float)
        estimates.append(noise_scale.two_batch_estimates(*measured))
    gradient, covariance = noise_scale.gradient_moments(gradients_of(small_network, x, y))
    hessian = dense_hessian(small_network, x, y)
    curvature, noise = gradient @ hessian @ gradient, np.sum(hessian * covariance)
    mean_curvature, mean_noise = np.mean(estimates, axis=0)
    np.testing.assert_allclose(mean_curvature, curvature, rtol=1e-4)
    np.testing.assert_allclose(mean_noise, noise, rtol=1e-4)
    assert mean_noise / mean_curvature == pytest.approx(noise / curvature, rel=1e-3)


def test_the_method_is_chosen_by_the_layers(network):
    recurrent = keras.Sequential([keras.Input((4, 2)), layers.LSTM(3)])
    assert per_example.unsupported_reason(recurrent) is None
    assert noise_estimators.choose(recurrent) == "microbatches"
    assert noise_estimators.choose(network()) == "per_example"
    assert noise_estimators.choose(network(layers.PReLU())) == "microbatches"
    assert noise_estimators.choose(network(layers.BatchNormalization())) == "microbatches"


def test_each_piece_draws_its_own_dropout_mask(network, labelled):
    # All examples are equal, so that dropout is the only noise.
    model = network(layers.Dropout(0.5))
    x, y = labelled(6, 1)
    data = tf.repeat(x, 64, axis=0), tf.repeat(y, 64)
    single, pieces = (noise_estimators.squares(m, model, data, 64) for m in ("per_example", "microbatches"))
    traces = [noise_scale.two_batch_estimates(*s.numpy().astype(float))[1] for s in (single, pieces)]
    assert traces[0] > 0.01
    assert traces[1] == pytest.approx(traces[0], rel=0.5)
