"""The mean and median of noise, and the independence and repeatability of noisy pairs."""

import numpy as np
import pytest
import tensorflow as tf

from curvezoo import data
from curvezoo.data.images import corruption

KEY = tf.constant([3, 4], tf.int64)
PIXELS = 200_000
SETTINGS = {"noise": "gaussian", "level": 0.25, "targets": "noisy", "seed": 0}


def flat(value):
    return tf.fill([1, PIXELS, 1, 1], tf.constant(value, tf.float32))


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_gaussian_noise_has_the_clean_pixel_as_its_mean(value):
    noisy = corruption.gaussian(flat(value), 0.25, KEY).numpy().astype("float64")
    assert abs(noisy.mean() - value) < 5 * 0.25 / np.sqrt(PIXELS)
    assert abs(noisy.std() - 0.25) < 5 * 0.25 / np.sqrt(2 * PIXELS)


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_impulse_noise_has_the_clean_pixel_as_its_median_but_not_its_mean(value):
    level = 0.45
    noisy = corruption.impulse(flat(value), level, KEY).numpy().astype("float64")
    assert np.median(noisy) == np.float32(value)
    mean = (1 - level) * value + level / 2
    variance = (1 - level) * value**2 + level / 3 - mean**2
    assert abs(noisy.mean() - mean) < 5 * np.sqrt(variance / PIXELS)
    replaced = np.mean(noisy != np.float32(value))
    assert abs(replaced - level) < 5 * np.sqrt(level * (1 - level) / PIXELS)


def pairs(dataset):
    inputs, targets = zip(*dataset.as_numpy_iterator(), strict=True)
    return np.concatenate(inputs), np.concatenate(targets)


@pytest.fixture(scope="module")
def clean():
    return data.load("digits", 64)


def test_input_and_target_have_independent_noise_on_the_same_image(clean):
    noisy, target = pairs(corruption.noisy_splits(clean, **SETTINGS).epochs(0, 1))
    images, _ = pairs(clean.epochs(0, 1))
    one, other = (noisy - images).ravel(), (target - images).ravel()
    bound = 5 / np.sqrt(one.size)
    assert abs(np.corrcoef(one, other)[0, 1]) < bound
    assert abs(np.corrcoef(one, images.ravel())[0, 1]) < bound
    assert one.std() == pytest.approx(0.25, rel=0.02) == other.std()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"noise": "salt"}, "noise must be one of gaussian, impulse, got 'salt'"),
        ({"targets": "nosiy"}, "targets must be one of noisy, clean, got 'nosiy'; did you mean 'noisy'"),
        ({"level": -1.0}, r"level must be a positive finite number, got -1\.0"),
        (
            {"noise": "impulse", "level": 0.5},
            r"level must be a number in \(0, 0\.5\), got 0\.5",
        ),
    ],
)
def test_an_error_names_the_wrong_noise_setting(clean, settings, message):
    with pytest.raises(ValueError, match=message):
        corruption.noisy_splits(clean, **SETTINGS | settings)


def test_clean_targets_are_the_images(clean):
    noisy, target = pairs(corruption.noisy_splits(clean, **SETTINGS | {"targets": "clean"}).epochs(0, 1))
    np.testing.assert_array_equal(target, pairs(clean.epochs(0, 1))[0])
    assert np.abs(noisy - target).min() > 0


def test_the_noise_of_an_epoch_depends_on_seed_and_epoch_only(clean):
    splits = corruption.noisy_splits(clean, **SETTINGS)
    together, second = pairs(splits.epochs(0, 2))[0], pairs(splits.epochs(1, 2))[0]
    size = len(second)
    np.testing.assert_array_equal(together[size:], second)
    # The clean images are subtracted in each epoch's own order.
    images = pairs(clean.epochs(0, 2))[0]
    noise = (together - images).reshape(2, -1)
    assert abs(np.corrcoef(noise)[0, 1]) < 5 / np.sqrt(noise.shape[1])
    other = pairs(corruption.noisy_splits(clean, **SETTINGS | {"seed": 1}).epochs(0, 1))[0]
    assert abs(np.corrcoef((other - images[:size]).ravel(), noise[0])[0, 1]) < 5 / np.sqrt(noise.shape[1])


def test_the_test_split_is_the_same_for_every_seed_and_has_clean_targets(clean):
    one = pairs(corruption.noisy_splits(clean, **SETTINGS).test)
    other = pairs(corruption.noisy_splits(clean, **SETTINGS | {"seed": 7, "targets": "clean"}).test)
    np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_array_equal(one[1], pairs(clean.test)[0])
    np.testing.assert_array_equal(one[1], other[1])


def test_validation_has_the_kind_of_target_of_training_under_fixed_noise(clean):
    splits = corruption.noisy_splits(clean, **SETTINGS)
    once, again, images = pairs(splits.validation), pairs(splits.validation), pairs(clean.validation)[0]
    np.testing.assert_array_equal(once[0], again[0])
    assert (once[1] - images).std() == pytest.approx(0.25, rel=0.05)
