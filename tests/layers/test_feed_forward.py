"""The position-wise network against the formula in NumPy."""

import numpy as np
import pytest

from curvezoo.layers.feed_forward import FeedForward


@pytest.mark.equation("5.4.11")
def test_each_position_passes_through_two_affine_maps_with_a_relu_between():
    z = np.random.default_rng(0).normal(size=(2, 5, 3))
    layer = FeedForward(7, dtype="float64")
    layer.build(z.shape)
    w = [np.random.default_rng(i + 1).normal(size=v.shape) for i, v in enumerate(layer.weights)]
    layer.set_weights(w)
    outputs = layer(z)
    for b in range(2):
        for s in range(5):
            expected = w[2].T @ np.maximum(w[0].T @ z[b, s] + w[1], 0) + w[3]
            np.testing.assert_allclose(outputs[b, s], expected, rtol=1e-12)


def test_without_biases_and_with_another_activation_it_is_the_product_of_maps():
    z = np.random.default_rng(0).normal(size=(1, 2, 3))
    layer = FeedForward(4, "tanh", use_bias=False, dtype="float64")
    outputs = layer(z)
    first, second = layer.get_weights()
    np.testing.assert_allclose(outputs, np.tanh(z @ first) @ second, rtol=1e-12)


def test_the_output_map_has_an_initializer_of_its_own():
    layer = FeedForward(4, kernel_initializer="ones", output_initializer="zeros")
    layer.build((None, 2, 3))
    assert np.all(layer.hidden.kernel.numpy() == 1) and np.all(layer.output_map.kernel.numpy() == 0)


@pytest.mark.parametrize("units", [0, -1, 2.0, None])
def test_units_must_be_a_positive_integer(units):
    with pytest.raises(ValueError, match=f"units must be an integer of at least 1, got {units}"):
        FeedForward(units)
