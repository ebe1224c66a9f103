"""Decoding of image files into one array.

Legend: N files, H height, W width, C channels.
"""

import numpy as np
import tensorflow as tf


def read(paths, size=None, channels=None):
    """Decodes image files.

    Args:
        paths: Paths of N PNG, JPEG, BMP or GIF files.
        size: Height and width `(H, W)` to which every image is resized; `None` if all have one size.
        channels: 1 for grey, 3 for RGB; `None` for 1 if every image is grey, else 3.

    Returns:
        Images [N, H, W, C], uint8.

    Raises:
        ValueError: If a file cannot be decoded, or has another size than the first; the message names it.
    """
    with tf.device("CPU:0"):
        images = [_decoded(path) for path in paths]
        if size is None:
            _check_sizes(paths, images)
        else:
            images = [_resized(image, size) for image in images]
        if channels is None:
            channels = max(image.shape[-1] for image in images)
        return np.stack([_converted(image, channels) for image in images])


def _decoded(path):
    """Returns the image of a file without its transparency, uint8 [H, W, 1] or [H, W, 3]."""
    try:
        image = tf.io.decode_image(path.read_bytes(), expand_animations=False).numpy()
    except (OSError, tf.errors.OpError) as error:
        raise ValueError(
            f"{str(path)!r} must be an image that can be decoded ({type(error).__name__})"
        ) from error
    # The second channel of two, or the fourth of four, is the transparency.
    return image[..., : image.shape[-1] - 1 + image.shape[-1] % 2]


def _check_sizes(paths, images):
    first = images[0].shape[:2]
    for path, image in zip(paths, images, strict=True):
        if image.shape[:2] != first:
            raise ValueError(
                "images must have one size (height, width) unless size=(H, W) resizes them, got "
                f"{first} in {str(paths[0])!r} and {image.shape[:2]} in {str(path)!r}"
            )


def _resized(image, size):
    if image.shape[:2] == size:
        return image
    resized = tf.image.resize(image, size, antialias=True).numpy()
    return np.clip(np.round(resized), 0, 255).astype("uint8")


def _converted(image, channels):
    if image.shape[-1] == channels:
        return image
    if channels == 3:
        return np.repeat(image, 3, axis=-1)
    return tf.image.rgb_to_grayscale(image).numpy()
