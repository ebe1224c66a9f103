"""Oracles: Pillow, and scikit-learn's sample pictures."""

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from curvezoo.studies.style_transfer import pictures

PIXELS = np.random.default_rng(0).integers(256, size=(40, 60, 3), dtype=np.uint8)


def test_a_png_is_read_back_as_it_was_written(tmp_path):
    path = tmp_path / "picture.png"
    pictures.write(path, PIXELS / 255)
    np.testing.assert_array_equal(np.asarray(Image.open(path)), PIXELS)
    found = pictures.read("content", path, 60)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, PIXELS / 255, rtol=1e-6)


def test_the_longer_side_gets_the_size_and_small_pictures_stay():
    assert pictures.read("content", PIXELS, 48).shape == (32, 48, 3)
    assert pictures.read("content", PIXELS.transpose(1, 0, 2), 48).shape == (48, 32, 3)
    assert pictures.read("content", PIXELS, 1000).shape == PIXELS.shape


def test_the_default_pictures_are_those_of_scikit_learn():
    for name, file in (("content", "china.jpg"), ("style", "flower.jpg")):
        expected = load_sample_image(file) / 255
        np.testing.assert_allclose(pictures.read(name, None, 640), expected, rtol=1e-6)


def test_transparent_pixels_are_white_and_rotated_pictures_are_upright(tmp_path):
    clear = np.concatenate([PIXELS, np.zeros((40, 60, 1), np.uint8)], axis=-1)
    Image.fromarray(clear).save(tmp_path / "clear.png")
    np.testing.assert_array_equal(pictures.read("style", tmp_path / "clear.png", 60), 1)
    turned, exif = Image.fromarray(PIXELS), Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.png", exif=exif)
    expected = np.rot90(PIXELS, -1) / 255
    np.testing.assert_allclose(pictures.read("style", tmp_path / "turned.png", 60), expected, rtol=1e-6)


def test_grey_is_the_luminance():
    expected = np.asarray(Image.fromarray(PIXELS).convert("L")) / 255
    found = pictures.grey(PIXELS.astype(np.float32) / 255)[..., 0]
    np.testing.assert_allclose(found, expected, atol=0.6 / 255)
    grey = pictures.read("content", PIXELS[..., 0], 60)
    np.testing.assert_allclose(grey, np.repeat(PIXELS[..., :1], 3, axis=-1) / 255, rtol=1e-6)


def test_pictures_that_cannot_be_read_are_errors(tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    Image.fromarray(PIXELS).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:500])
    bad = {
        tmp_path / "none.png": "style must be an existing image file, got '.*none.png'",
        tmp_path: "style must be an existing image file",
        tmp_path / "text.png": "style must be an image file that Pillow reads, .* got '.*text.png'",
        tmp_path / "cut.png": "style must be an image file that Pillow reads, .* got '.*cut.png'",
    }
    for path, message in bad.items():
        with pytest.raises(ValueError, match=message):
            pictures.read("style", path, 64)


def test_arrays_that_are_not_pictures_are_errors():
    bad = [
        (PIXELS[:20], "style must be at least 32 pixels high and wide, got 20 x 60$"),
        (PIXELS.repeat(3, axis=1), "got 9 x 40 after scaling to size=40"),
        (PIXELS[..., :2], r"style must be a path or a picture .* got shape \(40, 60, 2\)"),
        (3, "style must be a path or a picture .* got 3"),
        (PIXELS / 100.0, r"style\[0, 0, 1\] must be in \[0, 1\], or bytes"),
        (np.full((40, 60), np.nan), r"style\[0, 0\] must be finite"),
    ]
    for picture, message in bad:
        with pytest.raises(ValueError, match=message):
            pictures.read("style", picture, 40)
