import keras
import numpy as np
import pytest
import tensorflow as tf

from curvezoo import layers

SCALES = {"fan_in": np.sqrt(2 / 6), "fan_out": np.sqrt(2 / 4), "fan_avg": np.sqrt(2 / 10)}
X = np.random.default_rng(0).normal(size=(5, 6))


def equivalent_layers(scheme):
    ours = layers.UnitVarianceDense(4, scheme=scheme, activation="tanh", dtype="float64")
    keras_layer = keras.layers.Dense(4, activation="tanh", dtype="float64")
    ours.build(X.shape)
    keras_layer.build(X.shape)
    ours.bias.assign(np.arange(4.0))
    keras_layer.kernel.assign(SCALES[scheme] * ours.kernel)
    keras_layer.bias.assign(ours.bias)
    return ours, keras_layer


@pytest.mark.parametrize("scheme", SCALES)
def test_outputs_are_those_of_the_rescaled_weights(scheme):
    ours, keras_layer = equivalent_layers(scheme)
    np.testing.assert_allclose(ours(X), keras_layer(X), rtol=1e-12)


def test_a_scale_that_is_a_power_of_two_is_exact():
    x = np.random.default_rng(0).normal(size=(5, 8)).astype("float32")
    ours, keras_layer = layers.UnitVarianceDense(4), keras.layers.Dense(4)
    ours.build(x.shape)
    keras_layer.build(x.shape)
    keras_layer.kernel.assign(0.5 * ours.kernel)
    np.testing.assert_array_equal(ours(x), keras_layer(x))


@pytest.mark.parametrize("scheme", SCALES)
def test_the_gradient_of_unit_weights_is_the_scale_times_that_of_the_weights(scheme):
    ours, keras_layer = equivalent_layers(scheme)
    gradients = []
    for layer in (ours, keras_layer):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(X) ** 3)
        gradients.append(tape.gradient(loss, [layer.kernel.value, layer.bias.value]))
    np.testing.assert_allclose(gradients[0][0], SCALES[scheme] * gradients[1][0], rtol=1e-10)
    np.testing.assert_allclose(gradients[0][1], gradients[1][1], rtol=1e-10)


@pytest.mark.parametrize("scheme", SCALES)
def test_a_step_of_rate_r_on_unit_weights_has_rate_r_times_scale_squared(scheme):
    ours, keras_layer = equivalent_layers(scheme)
    for layer, rate in ((ours, 0.01), (keras_layer, 0.01 * SCALES[scheme] ** 2)):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(X) ** 3)
        layer.kernel.assign_sub(rate * tape.gradient(loss, layer.kernel.value))
    np.testing.assert_allclose(SCALES[scheme] * ours.kernel, keras_layer.kernel, rtol=1e-12)


def test_the_convolution_is_that_of_the_rescaled_weights():
    images = np.random.default_rng(0).normal(size=(2, 6, 6, 3))
    ours = layers.UnitVarianceConv2D(5, 3, strides=2, gain=0.7, dtype="float64")
    keras_layer = keras.layers.Conv2D(5, 3, strides=2, dtype="float64")
    ours.build(images.shape)
    keras_layer.build(images.shape)
    keras_layer.kernel.assign(0.7 * np.sqrt(2 / 27) * ours.kernel)
    np.testing.assert_allclose(ours(images), keras_layer(images), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("layer", [layers.UnitVarianceDense(500), layers.UnitVarianceConv2D(60, 3)])
def test_weights_start_at_unit_variance(layer):
    layer.build((None, 500) if isinstance(layer, keras.layers.Dense) else (None, 8, 8, 400))
    kernel = layer.kernel.numpy()
    assert kernel.var() == pytest.approx(1.0, abs=4 * np.sqrt(2 / kernel.size))
    assert kernel.mean() == pytest.approx(0.0, abs=4 / np.sqrt(kernel.size))


def test_an_error_names_an_unknown_scheme():
    with pytest.raises(ValueError, match="scheme must be one of fan_in, fan_out, fan_avg, got 'fan'"):
        layers.UnitVarianceDense(4, scheme="fan")
