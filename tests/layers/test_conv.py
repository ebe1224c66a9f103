import numpy as np
import pytest
from scipy.signal import correlate2d

from curvezoo import layers


def test_a_convolution_is_scipys_correlation_summed_over_channels():
    rng = np.random.default_rng(0)
    image = rng.normal(size=(1, 7, 6, 3))
    block = layers.ConvBlock(4, kernel_size=3, dtype="float64")
    block.build(image.shape)
    kernel, bias = rng.normal(size=(3, 3, 3, 4)), rng.normal(size=4)
    block.set_weights([kernel, bias])
    for k in range(4):
        maps = [correlate2d(image[0, :, :, c], kernel[:, :, c, k], mode="same") for c in range(3)]
        np.testing.assert_allclose(block(image)[0, :, :, k], np.maximum(0, sum(maps) + bias[k]), atol=1e-12)


def test_a_stride_keeps_every_second_position():
    image = np.random.default_rng(0).normal(size=(2, 9, 9, 3))
    dense, strided = (layers.ConvBlock(4, 3, s, padding="valid", dtype="float64") for s in (1, 2))
    dense.build(image.shape)
    strided.build(image.shape)
    strided.set_weights(dense.get_weights())
    np.testing.assert_allclose(strided(image), dense(image)[:, ::2, ::2], atol=1e-12)
    assert strided.compute_output_shape((None, 9, 9, 3)) == (None, 4, 4, 4)


def test_the_weight_matrix_of_the_notes_example_is_200_by_16():
    block = layers.ConvBlock(16, kernel_size=5)
    block.build((None, 8, 8, 8))
    assert block.affine.kernel.numpy().reshape(-1, 16).shape == (200, 16)


def test_a_shifted_image_gives_the_shifted_output():
    image = np.zeros((1, 12, 12, 2))
    image[0, 4:7, 4:7] = np.random.default_rng(0).normal(size=(3, 3, 2))
    block = layers.ConvBlock(3, dtype="float64")
    shifted = block(np.roll(image, (2, 1), axis=(1, 2)))
    np.testing.assert_allclose(shifted, np.roll(block(image), (2, 1), axis=(1, 2)), atol=1e-14)


def test_batch_norm_runs_over_positions_and_examples():
    image = np.random.default_rng(0).normal(size=(3, 5, 4, 2))
    block = layers.ConvBlock(6, activation=None, normalization="batch", dtype="float64")
    outputs = np.asarray(block(image, training=True))
    np.testing.assert_allclose(outputs.mean(axis=(0, 1, 2)), 0, atol=1e-12)
    np.testing.assert_allclose(outputs.std(axis=(0, 1, 2)), 1, atol=1e-4)


def test_an_error_names_the_wrong_argument():
    with pytest.raises(
        ValueError, match="normalization must be one of None, batch, layer, weight, got 'group'"
    ):
        layers.ConvBlock(4, normalization="group")
