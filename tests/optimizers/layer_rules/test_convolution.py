"""Patches and factors of convolutions against loops over places, examples and filter entries."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from curvezoo.optimizers.keras_bridge import taps
from curvezoo.optimizers.layer_rules.blocks import blocks_of
from curvezoo.optimizers.layer_rules.convolution import patches

CASES = [
    ((7, 2), (3,), (1,), (1,), "same"),
    ((8, 2), (3,), (2,), (1,), "same"),
    ((8, 2), (2,), (1,), (3,), "causal"),
    ((8, 2), (3,), (2,), (1,), "causal"),
    ((5, 6, 2), (2, 3), (1, 1), (1, 1), "valid"),
    ((5, 6, 2), (3, 2), (2, 3), (1, 1), "same"),
    ((7, 6, 1), (3, 2), (1, 1), (2, 3), "same"),
    ((7, 6, 1), (3, 2), (1, 1), (2, 3), "valid"),
    ((4, 3, 2), (1, 1), (3, 2), (1, 1), "same"),
]


def brute_force(x, sizes, strides, dilations, padding):
    """Patches one by one, with zeros where the filter extends beyond the image."""
    lengths = x.shape[1:-1]
    extents = [(k - 1) * d + 1 for k, d in zip(sizes, dilations, strict=True)]
    if padding == "valid":
        places = [(n - e) // s + 1 for n, e, s in zip(lengths, extents, strides, strict=True)]
        before = [0] * len(sizes)
    else:
        places = [int(np.ceil(n / s)) for n, s in zip(lengths, strides, strict=True)]
        missing = [
            max((p - 1) * s + e - n, 0) for p, s, e, n in zip(places, strides, extents, lengths, strict=True)
        ]
        before = [m // 2 for m in missing] if padding == "same" else [e - 1 for e in extents]
    result = np.zeros((len(x), *places, *sizes, x.shape[-1]))
    for place in itertools.product(*map(range, places)):
        for entry in itertools.product(*map(range, sizes)):
            where = [
                p * s + k * d - b
                for p, s, k, d, b in zip(place, strides, entry, dilations, before, strict=True)
            ]
            if all(0 <= w < n for w, n in zip(where, lengths, strict=True)):
                result[(slice(None), *place, *entry)] = x[(slice(None), *where)]
    return result


@pytest.mark.parametrize("static", [True, False])
@pytest.mark.parametrize("shape, sizes, strides, dilations, padding", CASES)
def test_patches_are_those_of_a_loop(shape, sizes, strides, dilations, padding, static, random_values):
    x = random_values((2, *shape))
    expected = brute_force(x.numpy(), sizes, strides, dilations, padding)
    signature = x.shape if static else (None,) * (len(x.shape) - 1) + (shape[-1],)

    @tf.function(input_signature=[tf.TensorSpec(signature, tf.float64)])
    def compiled(x):
        return patches(x, sizes, strides, dilations, padding)

    result = compiled(x)
    np.testing.assert_array_equal(result, expected.reshape(result.shape))


@pytest.mark.parametrize("shape, sizes, strides, dilations, padding", CASES)
def test_factors_are_those_of_a_loop(shape, sizes, strides, dilations, padding, random_values, record_blocks):
    """A sums over places and averages over examples; G averages over places and sums over examples."""
    kind = {1: layers.Conv1D, 2: layers.Conv2D}[len(sizes)]
    layer = kind(3, sizes, strides=strides, dilation_rate=dilations, padding=padding, activation="tanh")
    x = random_values((2, *shape))
    layer(x)
    blocks = blocks_of(layer)
    [(calls, gradients)], outputs = record_blocks(blocks, lambda: layer(x))
    windows = brute_force(x.numpy(), sizes, strides, dilations, padding)
    count = int(np.prod(outputs.shape[1:-1]))
    windows, g = windows.reshape(2, count, -1), gradients[0].numpy().reshape(2, count, 3)
    expected_a, expected_g = 0, 0
    for b, t in itertools.product(range(2), range(count)):
        a = np.append(windows[b, t], 1)
        expected_a += np.outer(a, a) / 2
        expected_g += np.outer(g[b, t], g[b, t]) / count
    statistics = blocks[0].statistics(calls, gradients)
    np.testing.assert_allclose(statistics["A"], expected_a, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(statistics["G"], expected_g, rtol=1e-10, atol=1e-14)


def test_channels_first_has_the_factors_and_norms_of_channels_last(random_values):
    """The kernel has the same shape in both."""
    x, g = random_values((2, 5, 6, 3)), random_values((2, 4, 4, 2), 1)
    statistics, norms = [], []
    for data_format in ("channels_last", "channels_first"):
        layer = layers.Conv2D(2, (2, 3), data_format=data_format)
        order = (0, 1, 2, 3) if data_format == "channels_last" else (0, 3, 1, 2)
        layer.build(tf.transpose(x, order).shape)
        [block] = blocks_of(layer)
        call = taps.Call(layer, tf.transpose(x, order), tf.transpose(g, order), True)
        statistics.append(block.statistics([call], [call.preactivation]))
        norms.append(block.squared_norms([call], [call.preactivation]))
    for name in "AG":
        np.testing.assert_allclose(statistics[1][name], statistics[0][name], rtol=1e-12)
    np.testing.assert_allclose(*norms, rtol=1e-12)


def test_a_filter_of_one_is_a_dense_layer(random_values, record_blocks):
    convolution, dense, x = layers.Conv2D(3, 1), layers.Dense(3), random_values((2, 4, 5, 6))
    convolution(x), dense(x)
    convolution.set_weights([dense.kernel.numpy()[None, None], dense.bias.numpy()])
    statistics = []
    for layer in (convolution, dense):
        blocks = blocks_of(layer)
        [pair], _ = record_blocks(blocks, lambda layer=layer: layer(x))
        statistics.append(blocks[0].statistics(*pair))
    for name in "AG":
        np.testing.assert_allclose(statistics[0][name], statistics[1][name], rtol=1e-12)
