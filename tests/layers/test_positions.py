"""Positions against their formulas; rotated products depend on differences of positions only."""

import numpy as np
import pytest
import tensorflow as tf

from curvezoo.layers import positions
from curvezoo.layers.positions import LearnedPositions, SinusoidalPositions


@pytest.mark.parametrize("features", [6, 5])
def test_sinusoids_are_sines_and_cosines_of_falling_frequency(features):
    expected = np.zeros((4, features))
    for s in range(4):
        for i in range(features // 2 + 1):
            angle = s / 10000 ** (2 * i / features)
            expected[s, 2 * i : 2 * i + 2] = [np.sin(angle), np.cos(angle)][: features - 2 * i]
    np.testing.assert_allclose(positions.sinusoids(4, features), expected, rtol=1e-12)


def test_rotation_multiplies_pairs_as_complex_numbers_by_phases():
    x = np.random.default_rng(0).normal(size=(2, 3, 5, 6))
    complex_x = x[..., :3] + 1j * x[..., 3:]
    phases = np.exp(1j * (np.arange(5)[:, None] + 7) * 10000 ** (-np.arange(3) / 3))
    expected = complex_x * phases
    rotated = positions.rotate(tf.constant(x), 7)
    np.testing.assert_allclose(rotated, np.concatenate([expected.real, expected.imag], -1), rtol=1e-9)
    # A position that is a tensor gives the same.
    np.testing.assert_array_equal(positions.rotate(tf.constant(x), tf.constant(7)), rotated)


def test_products_of_rotated_vectors_depend_on_the_difference_of_positions_only():
    q, k = np.random.default_rng(0).normal(size=(2, 8))
    rows = [tf.constant(np.tile(v, (1, 1, 6, 1))) for v in (q, k)]
    queries, keys = (positions.rotate(x)[0, 0] for x in rows)
    products = tf.matmul(queries, keys, transpose_b=True).numpy()
    for difference in range(-5, 6):
        diagonal = np.diag(products, difference)
        np.testing.assert_allclose(diagonal, diagonal[0], rtol=1e-10)
    np.testing.assert_allclose(products[0, 0], q @ k, rtol=1e-12)
    assert np.abs(products[0, 1:] - products[1:, 0]).min() > 1e-3
    with pytest.raises(ValueError, match="x must have an even number of features, got 3"):
        positions.rotate(np.zeros((1, 1, 2, 3)))


def added(kind):
    layer = kind(6, dtype="float64")
    layer.build((None, None, 4))
    vectors = layer.vectors.numpy() if kind is LearnedPositions else positions.sinusoids(6, 4)
    return layer, vectors


@pytest.mark.parametrize("kind", [LearnedPositions, SinusoidalPositions])
def test_layers_add_the_vectors_of_the_positions(kind):
    layer, vectors = added(kind)
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    graph = tf.function(layer.call, input_signature=[tf.TensorSpec((None, None, 4), tf.float64)])
    np.testing.assert_allclose(layer(x), x + vectors[:3], rtol=1e-12)
    np.testing.assert_allclose(graph(x), x + vectors[:3], rtol=1e-12)
    spec = [tf.TensorSpec((None, None, 4), tf.float64), tf.TensorSpec((), tf.int32)]
    from_position = tf.function(layer.call, input_signature=spec)
    for call in (layer, from_position):
        np.testing.assert_allclose(call(x, tf.constant(2)), x + vectors[2:5], rtol=1e-12)
    np.testing.assert_allclose(layer(x, position=3), x + vectors[3:], rtol=1e-12)


@pytest.mark.parametrize("kind", [LearnedPositions, SinusoidalPositions])
def test_inputs_past_the_last_position_are_an_error(kind):
    layer, _ = added(kind)
    with pytest.raises(ValueError, match="inputs must have at most 6 positions, got 7"):
        layer(np.zeros((1, 7, 4)))
    with pytest.raises(ValueError, match="inputs must have at most 6 positions, got 8"):
        layer(np.zeros((1, 3, 4)), position=5)
    with pytest.raises(ValueError, match="length must be an integer of at least 1, got 0"):
        kind(0)


def test_learned_positions_have_the_gradient_of_the_positions_used():
    layer, _ = added(LearnedPositions)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(tf.zeros((2, 3, 4), tf.float64), position=tf.constant(1)))
    gradient = tf.convert_to_tensor(tape.gradient(total, layer.vectors.value))
    np.testing.assert_array_equal(gradient, np.repeat([0.0, 2, 2, 2, 0, 0], 4).reshape(6, 4))
