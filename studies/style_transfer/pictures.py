"""Pictures for style transfer: reading, scaling and writing image files.

Legend: H height, W width; pictures are float32 arrays [H, W, 3] with pixels in [0, 1].
"""

import os
import pathlib

import numpy as np
from PIL import Image, ImageOps
from sklearn.datasets import load_sample_image

from ... import arguments
from ...files import replacing

SMALLEST = 32
"""Least height and width of a picture in pixels."""

SAMPLES = {"content": "china.jpg", "style": "flower.jpg"}
"""The default pictures, which scikit-learn contains."""

# The luminance of ITU-R BT.601, as Pillow converts to grey.
_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)


def read(name, picture, size):
    """Returns a picture scaled so that its longer side has at most `size` pixels.

    Args:
        name: The argument's name for messages, `content` or `style`.
        picture: The path of an image file that Pillow reads, such as PNG or JPEG; an array [H, W, 3] or
            [H, W] of bytes or of numbers in [0, 1]; or None for the picture of scikit-learn in `SAMPLES`.
        size: Largest height or width in pixels. A smaller picture keeps its size.

    Returns:
        The picture, float32 [H, W, 3] in [0, 1].

    Raises:
        ValueError: If the file is missing or not an image, the array is not a picture, or height or width,
            before or after scaling, are below `SMALLEST`.
    """
    if picture is None:
        image = Image.fromarray(load_sample_image(SAMPLES[name]))
    elif isinstance(picture, str | os.PathLike):
        image = _open(name, picture)
    else:
        image = _from_array(name, picture)
    _check_size(name, image.size, "")
    scale = size / max(image.size)
    if scale < 1:
        shape = tuple(max(1, round(scale * side)) for side in image.size)
        _check_size(name, shape, f" after scaling to size={size}")
        image = image.resize(shape, Image.Resampling.LANCZOS)
    return np.asarray(image, np.float32) / 255


def write(path, picture):
    """Writes a picture as an image file, atomically; pixels are clipped to [0, 1].

    Args:
        path: The PNG file to write.
        picture: The picture, [H, W, 3] or [H, W, 1].
    """
    pixels = np.rint(255 * np.clip(picture, 0, 1)).astype(np.uint8)
    pixels = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
    with replacing(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG")


def grey(picture):
    """Returns the luminance of a picture, [H, W, 1]."""
    return (picture @ _LUMINANCE)[..., None]


def _open(name, picture):
    path = pathlib.Path(picture).expanduser()
    if not path.is_file():
        raise ValueError(f"{name} must be an existing image file, got {str(path)!r}")
    try:
        image = Image.open(path)
        image.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(
            f"{name} must be an image file that Pillow reads, such as PNG or JPEG, got {str(path)!r}: {error}"
        ) from None
    image = ImageOps.exif_transpose(image)
    if image.has_transparency_data:
        opaque = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", opaque.size, "white"), opaque)
    return image.convert("RGB")


def _from_array(name, picture):
    array = np.asarray(picture)
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[-1] != 3):
        got = arguments.described(picture) if array.ndim == 0 else f"shape {array.shape}"
        raise ValueError(f"{name} must be a path or a picture [H, W, 3] or [H, W], got {got}")
    if array.dtype != np.uint8:
        array = arguments.finite(name, array)
        arguments.require(name, array, (array >= 0) & (array <= 1), "be in [0, 1], or bytes")
        array = np.rint(255 * array).astype(np.uint8)
    return Image.fromarray(array).convert("RGB")


def _check_size(name, shape, when):
    width, height = shape
    if min(shape) < SMALLEST:
        raise ValueError(
            f"{name} must be at least {SMALLEST} pixels high and wide, got {height} x {width}{when}"
        )
