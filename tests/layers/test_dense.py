import keras
import numpy as np
import pytest
import scipy.special

from curvezoo import layers


def rows(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def with_weights(layer, x):
    layer.build(x.shape)
    layer.set_weights([rows(*w.shape, seed=i) for i, w in enumerate(layer.weights)])
    return layer


@pytest.mark.equation("1.1.1")
@pytest.mark.equation("5.1.3")
@pytest.mark.equation("5.1.6")
def test_a_dense_block_is_the_relu_of_an_affine_map():
    x = rows(5, 7)
    block = with_weights(layers.DenseBlock(4, dtype="float64"), x)
    w, b = block.get_weights()
    np.testing.assert_allclose(block(x), np.maximum(0, x @ w + b), rtol=1e-13, atol=1e-14)


@pytest.mark.equation("5.1.1")
def test_softmax_is_stable_where_the_printed_form_overflows():
    logits = np.array([[1000.0, 999.0, -1000.0], [0.3, -2.0, 1.0]])
    block = layers.DenseBlock(3, "softmax", kernel_initializer="identity", dtype="float64")
    with np.errstate(over="ignore", invalid="ignore"):
        naive = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(block(logits), scipy.special.softmax(logits, axis=1), rtol=1e-13)
    np.testing.assert_allclose(block(logits)[1], naive[1], rtol=1e-13)
    assert np.isnan(naive[0, 0])


@pytest.mark.equation("5.1.1")
def test_the_sigmoid_is_the_softmax_over_a_logit_and_zero():
    x = np.linspace(-30, 30, 13)
    pairs = keras.ops.softmax(np.stack([x, 0 * x], axis=1))
    np.testing.assert_allclose(pairs[:, 0], scipy.special.expit(x), rtol=1e-13)


@pytest.mark.parametrize("q", [0.0, 0.1, 0.7])
def test_the_leaky_form_of_the_notes_is_keras_leaky_relu(q):
    x = rows(5, 7)
    leaky = keras.layers.LeakyReLU(negative_slope=q)
    block = with_weights(layers.DenseBlock(4, leaky, dtype="float64"), x)
    w, b = block.get_weights()
    h = x @ w + b
    np.testing.assert_allclose(block(x), q * h + (1 - q) * np.maximum(0, h), rtol=1e-6)


@pytest.mark.parametrize("training", [False, True])
def test_batch_norm_is_between_the_affine_map_and_the_activation(training):
    x = rows(6, 3)
    block = layers.DenseBlock(4, "tanh", normalization="batch", dtype="float64")
    block.build(x.shape)
    block.set_weights([np.abs(rows(*w.shape, seed=i)) + 0.1 for i, w in enumerate(block.weights)])
    kernel, gamma, beta, mean, variance = block.get_weights()
    h = x @ kernel
    if training:
        mean, variance = h.mean(axis=0), h.var(axis=0)
    expected = np.tanh(gamma * (h - mean) / np.sqrt(variance + 1e-5) + beta)
    np.testing.assert_allclose(block(x, training=training), expected, rtol=1e-10)


@pytest.mark.parametrize("normalization, weights", [(None, 2), ("batch", 5), ("layer", 4), ("weight", 3)])
def test_only_batch_norm_replaces_the_bias(normalization, weights):
    block = layers.DenseBlock(4, normalization=normalization)
    block.build((None, 3))
    assert len(block.weights) == weights
    assert any(w.path.endswith("affine/bias") for w in block.weights) == (normalization != "batch")


def test_dropout_zeroes_a_fraction_and_keeps_the_mean_in_training_only():
    block = layers.DenseBlock(1000, None, dropout=0.25, kernel_initializer="ones")
    x = np.ones((20, 1))
    np.testing.assert_array_equal(block(x), 1)
    values, counts = np.unique(np.asarray(block(x, training=True)), return_counts=True)
    np.testing.assert_allclose(values, [0, 4 / 3], rtol=1e-6)
    assert counts[0] / 20_000 == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / 20_000))


def test_activations_after_training_need_the_factor_of_the_kept_share_and_not_the_dropped():
    p, x = 0.2, np.ones((20, 1))
    block = layers.DenseBlock(1000, None, dropout=p, kernel_initializer="ones")
    # The layer divides by 1 - p; without this, the activations in training are zero or as they were.
    plain = np.asarray(block(x, training=True)) * (1 - p)
    np.testing.assert_allclose(np.unique(plain), [0, 1], rtol=1e-6)
    error = np.sqrt(p * (1 - p) / plain.size)
    assert plain.mean() == pytest.approx((1 - p) * np.mean(block(x)), abs=4 * error)
    assert abs(plain.mean() - p * np.mean(block(x))) > 0.5


def test_default_weights_are_fan_in():
    block = layers.DenseBlock(900)
    block.build((None, 400))
    assert np.var(block.affine.kernel.numpy()) == pytest.approx(2 / 400, rel=0.02)


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"normalization": "group"}, "normalization must be one of None, batch, layer, weight, got 'group'"),
        ({"dropout": 1.5}, "rate=1.5"),
        ({"activation": "relux"}, "relux"),
    ],
)
def test_an_error_names_the_wrong_argument(arguments, words):
    with pytest.raises(ValueError, match=words):
        layers.DenseBlock(4, **arguments)
