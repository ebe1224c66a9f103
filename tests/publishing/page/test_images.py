"""Oracles: scales computed by hand, and the data of the drawn artists."""

import numpy as np
import pytest

from curvezoo.publishing.page.images import compare, displayable


def test_images_are_scaled_to_the_unit_interval():
    rng = np.random.default_rng(1)
    as_bytes = rng.integers(0, 256, (2, 32, 32, 3)).astype("uint8")
    np.testing.assert_array_equal(displayable(as_bytes), as_bytes / 255)
    unit = rng.random((2, 28, 28, 1)).astype("float32")
    np.testing.assert_array_equal(displayable(unit), unit[..., 0])
    standardized = np.array([-2.0, 0.0, 6.0, 2.0]).reshape(1, 2, 2)
    np.testing.assert_allclose(displayable(standardized).ravel(), [0, 0.25, 1, 0.5])


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((3, 64)), "images must have shape"),
        (np.full((1, 2, 2), np.nan), "images must be finite"),
    ],
)
def test_invalid_images_are_errors(images, message):
    with pytest.raises(ValueError, match=message):
        displayable(images)


def test_rows_are_drawn_in_order_and_clipped():
    rng = np.random.default_rng(0)
    rows = {name: rng.normal(size=(2, 4, 5, 1)) for name in ("noisy", "clean")}
    axes = compare(rows).axes
    assert [axes[i].get_ylabel() for i in (0, 2)] == ["noisy", "clean"]
    images = np.concatenate(list(rows.values()))[..., 0]
    for axis, image in zip(axes, images, strict=True):
        np.testing.assert_array_equal(axis.images[0].get_array(), np.clip(image, 0, 1))


@pytest.mark.parametrize("channels", [2, 4])
def test_images_without_color_are_shown_by_the_mean_of_their_channels(channels):
    images = np.random.default_rng(2).uniform(size=(2, 1, 5, channels))
    np.testing.assert_allclose(displayable(images), images.mean(-1))
    for axis, image in zip(compare({"row": images}).axes, images, strict=True):
        np.testing.assert_allclose(axis.images[0].get_array(), image.mean(-1))
