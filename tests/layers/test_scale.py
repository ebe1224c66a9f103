"""The oracle is the closed form of the optimal scale."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from curvezoo.layers.scale import GlobalScale
from curvezoo.losses.regression import CauchyNLL, GaussianNLL, LaplaceNLL


def test_appends_the_log_of_the_initial_scale_to_every_row():
    x = np.arange(12.0, dtype="float32").reshape(2, 2, 3)
    layer = GlobalScale(0.5)
    outputs = layer(x)
    np.testing.assert_array_equal(outputs[..., :3], x)
    np.testing.assert_allclose(outputs[..., 3:], np.full((2, 2, 3), np.log(0.5)), rtol=1e-7)
    assert [tuple(w.shape) for w in layer.trainable_weights] == [(3,)]


OPTIMAL_SCALE = {
    GaussianNLL: lambda r: np.sqrt(np.mean(r**2, axis=0)),
    LaplaceNLL: lambda r: np.mean(np.abs(r), axis=0),
}


def test_training_finds_the_optimal_scale_of_each_output():
    rng = np.random.default_rng(0)
    residuals = np.tile(rng.normal(size=(64, 2)) * [0.2, 6.0], (300, 1))
    model = keras.Sequential([keras.Input((2,)), GlobalScale()])
    model.compile(keras.optimizers.Adam(0.05), GaussianNLL(scale=None))
    model.fit(np.zeros_like(residuals), residuals, batch_size=64, shuffle=False, verbose=0)
    scale = np.exp(model.layers[0].log_scale)
    np.testing.assert_allclose(scale, OPTIMAL_SCALE[GaussianNLL](residuals), rtol=1e-2)


@pytest.mark.parametrize("loss", OPTIMAL_SCALE)
def test_the_gradient_vanishes_at_the_optimal_scale_of_each_output(loss):
    residuals = np.random.default_rng(1).normal(size=(50, 2)) * [1e-4, 30.0]
    layer = GlobalScale(dtype="float64")
    zeros = np.zeros_like(residuals)
    layer(zeros)
    for factor, sign in ((0.9, -1), (1.0, 0), (1.1, 1)):
        layer.log_scale.assign(np.log(factor * OPTIMAL_SCALE[loss](residuals)))
        with tf.GradientTape() as tape:
            value = loss(scale=None, dtype="float64")(residuals, layer(zeros))
        (gradient,) = tape.gradient(value, layer.trainable_weights)
        np.testing.assert_array_equal(np.sign(np.round(gradient, 6)), sign)


def test_the_gradient_is_the_sum_over_the_batch():
    y = np.array([[1.0], [-2.0], [0.5]], "float32")
    layer = GlobalScale(2.0)
    with tf.GradientTape() as tape:
        value = GaussianNLL(scale=None, reduction="sum")(y, layer(np.zeros_like(y)))
    (gradient,) = tape.gradient(value, layer.trainable_weights)
    # The derivative of z^2 / 2 + log s with respect to log s.
    np.testing.assert_allclose(gradient, [np.sum(1 - (y / 2.0) ** 2)], rtol=1e-6)


def test_the_mask_is_passed_on_and_the_config_survives_saving(tmp_path):
    inputs = np.ones((2, 3, 1), "float32")
    inputs[1, 1:] = 0.0
    y = np.array([[[1.0], [2.0], [3.0]], [[-1.0], [50.0], [70.0]]], "float32")
    model = keras.Sequential([keras.Input((3, 1)), keras.layers.Masking(), GlobalScale(0.7)])
    model.compile("sgd", CauchyNLL(scale=None))
    exact = np.mean(CauchyNLL(0.7, reduction=None)([1.0, 2.0, 3.0, -1.0], [1.0, 1.0, 1.0, 1.0]))
    assert model.evaluate(inputs, y, verbose=0) == pytest.approx(exact, rel=1e-5)
    model.layers[-1].log_scale.assign([0.3])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.layers[-1].initial_scale == 0.7
    np.testing.assert_array_equal(loaded(inputs), model(inputs))
    assert loaded.output_shape == (None, 3, 2)


def test_the_log_scale_is_exact_under_a_mixed_precision_policy():
    policy = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_bfloat16")
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1), GlobalScale(1e-8)])
    finally:
        keras.config.set_dtype_policy(policy)
    outputs = model(np.ones((4, 2), "float32"))
    assert outputs.dtype == tf.float32
    np.testing.assert_allclose(outputs[:, 1], np.full(4, np.log(1e-8)), rtol=1e-6)


@pytest.mark.parametrize(
    "value", [0.0, -1.0, float("inf"), float("nan"), "a", [1.0, 2.0], np.ones(2), None, 1j, 10**400, True]
)
def test_a_scale_that_is_not_a_positive_number_is_rejected(value):
    with pytest.raises(ValueError, match="initial_scale must be a positive finite number, got"):
        GlobalScale(value)
