"""Random pixels: their distribution, their levels, and the repeatability of the splits made of them."""

import numpy as np
import pytest
import tensorflow as tf

from curvezoo import data
from curvezoo.data.images import stochastic

KEY = tf.constant([3, 4], tf.int64)
PIXELS = 200_000


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_a_binarized_pixel_is_one_with_the_probability_of_its_gray_value(value):
    pixels = stochastic.binarized(tf.fill([1, PIXELS, 1, 1], np.float32(value)), KEY).numpy()
    assert set(np.unique(pixels)) <= {0.0, 1.0}
    assert abs(pixels.mean() - value) <= 5 * np.sqrt(value * (1 - value) / PIXELS)


@pytest.mark.parametrize(("levels", "level"), [(256, 0), (256, 255), (17, 8)])
def test_a_dequantized_pixel_is_uniform_on_the_interval_of_its_level(levels, level):
    images = tf.fill([1, PIXELS, 1, 1], np.float32(level / (levels - 1)))
    position = levels * stochastic.dequantized(images, KEY, levels).numpy().astype("float64") - level
    # 8 bits of the mantissa hold the level.
    assert position.min() > -1e-4
    assert position.max() < 1 + 1e-4
    assert abs(position.mean() - 1 / 2) < 5 / np.sqrt(12 * PIXELS)
    assert abs(position.var() - 1 / 12) < 5 / np.sqrt(180 * PIXELS)


@pytest.fixture(scope="module")
def digits():
    return data.load("digits", 64)


def arrays(dataset):
    inputs, targets = zip(*dataset.as_numpy_iterator(), strict=True)
    return np.concatenate(inputs), np.concatenate(targets)


def test_an_epoch_repeats_and_another_epoch_or_seed_has_other_pixels(digits):
    splits = stochastic.stochastic_splits(digits, "binary", 1)
    first, targets = arrays(splits.epochs(3, 4))
    np.testing.assert_array_equal(first, targets)
    np.testing.assert_array_equal(first, arrays(splits.epochs(2, 4))[0][len(first) :])
    gray = arrays(digits.epochs(3, 4))[0]
    assert np.all((first == 0) | (gray > 0))
    other = arrays(stochastic.stochastic_splits(digits, "binary", 2).epochs(3, 4))[0]
    assert np.mean(first != other) > 0.1


def test_test_pixels_are_the_same_for_every_seed_and_validation_pixels_are_not(digits):
    one, two = (stochastic.stochastic_splits(digits, "gray", seed) for seed in (1, 2))
    np.testing.assert_array_equal(arrays(one.test)[0], arrays(two.test)[0])
    assert np.mean(arrays(one.validation)[0] != arrays(two.validation)[0]) > 0.9
    images = np.concatenate([images for images, _ in digits.test.as_numpy_iterator()])
    np.testing.assert_array_equal(np.floor(17 * arrays(one.test)[0]), np.round(16 * images))


def test_conditional_splits_keep_the_labels_and_the_source(digits):
    splits = stochastic.stochastic_splits(digits, "binary", 0, conditional=True)
    [((images, labels), targets)] = splits.epochs(0, 1).take(1)
    np.testing.assert_array_equal(images, targets)
    [(_, expected)] = digits.epochs(0, 1).take(1)
    np.testing.assert_array_equal(labels, expected)
    assert splits.with_batches(batch_size=32).batch_size == 32
    assert splits.source is digits
