import keras
import numpy as np
import pytest
import tensorflow as tf

from curvezoo import layers, zoo
from curvezoo.layers.normalization import fix_statistics

X = np.random.default_rng(0).normal(loc=2.0, scale=3.0, size=(8, 5))


def whiten(x, axis):
    mean = x.mean(axis=axis, keepdims=True)
    return (x - mean) / np.sqrt(((x - mean) ** 2).mean(axis=axis, keepdims=True))


@pytest.mark.equation("5.1.3")
@pytest.mark.equation("5.1.4")
@pytest.mark.equation("5.1.5")
def test_layer_norm_of_a_relu_layer_whitens_each_example():
    h = layers.DenseBlock(200, dtype="float64")(X)
    norm = layers.layer_normalization(epsilon=1e-12, dtype="float64")
    np.testing.assert_allclose(norm(h), whiten(np.asarray(h), axis=1), rtol=1e-9, atol=1e-9)


@pytest.mark.equation("5.1.4")
@pytest.mark.equation("5.1.5")
def test_batch_norm_whitens_each_activation_over_the_batch():
    norm = layers.batch_normalization(epsilon=1e-12, dtype="float64")
    np.testing.assert_allclose(norm(X, training=True), whiten(X, axis=0), rtol=1e-9, atol=1e-9)


def test_the_default_epsilon_keeps_a_dead_layer_finite():
    zeros = np.zeros((3, 4))
    np.testing.assert_array_equal(layers.layer_normalization()(zeros), 0)
    np.testing.assert_array_equal(layers.batch_normalization()(zeros, training=True), 0)


def test_a_trained_batch_norm_normalizes_with_the_accumulated_moments():
    norm = layers.batch_normalization(dtype="float64")
    for _ in range(3):
        norm(X, training=True)
    weight = 1 - 0.9**3
    mean, variance = weight * X.mean(axis=0), weight * X.var(axis=0) + 1 - weight
    expected = (X[:1] - mean) / np.sqrt(variance + 1e-5)
    np.testing.assert_allclose(norm(X[:1], training=False), expected, rtol=1e-6)
    np.testing.assert_allclose(norm(X, training=False)[:1], expected, rtol=1e-6)


def test_layer_norm_does_not_depend_on_the_batch():
    norm = layers.layer_normalization(dtype="float64")
    np.testing.assert_allclose(norm(X)[:1], norm(X[:1]), rtol=1e-13)


def test_an_error_names_an_unknown_kind():
    with pytest.raises(ValueError, match="normalization must be one of None, batch, layer, got 'group'"):
        layers.activation_normalization("group")


def captured_constants(model):
    """Returns the tensors besides variables that a model's graph takes as further inputs."""
    traced = tf.function(model).get_concrete_function(tf.TensorSpec((None, *model.input_shape[1:])))
    variables = {id(v.value.handle) for v in model.variables}
    return [inner for outer, inner in traced.graph.captures if id(outer) not in variables]


def test_the_statistics_of_published_and_new_classifiers_are_constants_of_their_graphs():
    for model in (zoo.load("cnn_digits"), zoo.build("mlp_digits")):
        assert captured_constants(model) == []


def test_fixed_statistics_normalize_as_before_in_every_precision():
    for policy in ("float32", "mixed_bfloat16"):
        layer = keras.layers.Normalization(mean=[0.2, 0.4, 0.1], variance=[2.0, 0.5, 1e-20], dtype=policy)
        images = np.random.default_rng(0).uniform(size=(2, 4, 4, 3)).astype("float32")
        before = np.array(keras.ops.cast(layer(images), "float32"))
        after = np.array(keras.ops.cast(fix_statistics(layer)(images), "float32"))
        np.testing.assert_array_equal(after, before)
