import math

import numpy as np
import pytest
import scipy.ndimage
import tensorflow as tf

from curvezoo.data.images import distortion


def image(height=9, width=12):
    return np.random.default_rng(0).uniform(size=(1, height, width, 1)).astype("float32")


def composed(draws, strength, height, width):
    """Returns the 2x3 map as a product of 3x3 matrices about the center."""
    angle, log_x, log_y, shear, right, down = strength * np.asarray(draws)
    rotation = [[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0], [0, 0, 1]]
    sheared = [[1, shear, 0], [0, 1, 0], [0, 0, 1]]
    scaled = np.diag([math.exp(log_x / 2), math.exp(log_y / 2), 1])
    there, back = np.eye(3), np.eye(3)
    back[:2, 2] = -(width - 1) / 2, -(height - 1) / 2
    there[:2, 2] = (width - 1) / 2 + 0.35 * width * right, (height - 1) / 2 + 0.35 * height * down
    return (there @ rotation @ sheared @ scaled @ back)[:2]


@pytest.mark.parametrize("index", range(6))
def test_each_draw_makes_its_own_affine_map(index):
    draws = np.random.default_rng(index).uniform(-1, 1, (4, 6)).astype("float32")
    draws[:3] *= np.eye(6)[index]
    maps = distortion.matrices(draws, 0.4, 9, 12)
    np.testing.assert_allclose(maps, [composed(row, 0.4, 9, 12) for row in draws], atol=1e-5)


def test_a_warp_interpolates_as_scipy_does():
    original, draws = image(), np.random.default_rng(1).uniform(-1, 1, (5, 6)).astype("float32")
    maps = distortion.matrices(draws, 0.3, 9, 12).numpy()
    warped = distortion.warp(np.repeat(original, 5, axis=0), maps)
    swap = [[0, 1], [1, 0]]
    for result, matrix in zip(warped.numpy(), maps, strict=True):
        # SciPy's coordinates are (row, column).
        linear, offset = swap @ matrix[:, :2] @ swap, matrix[::-1, 2]
        padded = np.pad(original[0, :, :, 0], 1)
        # One zero around the image is what TensorFlow interpolates with.
        shifted = offset + 1 - linear @ [1, 1]
        expected = scipy.ndimage.affine_transform(padded, linear, shifted, padded.shape, order=1)[1:-1, 1:-1]
        np.testing.assert_allclose(result[:, :, 0], expected, atol=1e-5)


def test_no_strength_changes_nothing():
    draws = distortion.draw(1, tf.constant([1, 2]))
    np.testing.assert_allclose(
        distortion.warp(image(), distortion.matrices(draws, 0.0, 9, 12)), image(), atol=1e-6
    )


def test_draws_are_uniform_and_depend_on_the_key():
    draws = distortion.draw(20_000, tf.constant([1, 2])).numpy()
    assert -1 <= draws.min() < -0.999 < 0.999 < draws.max() <= 1
    np.testing.assert_allclose(draws.mean(0), 0, atol=5 / math.sqrt(3 * 20_000))
    np.testing.assert_array_equal(draws, distortion.draw(20_000, tf.constant([1, 2])))
    assert not np.array_equal(draws, distortion.draw(20_000, tf.constant([1, 3])))
