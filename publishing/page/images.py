"""Images for display: scaling to [0, 1], and figures with rows of images.

Legend: N images, H height, W width, C channels.
"""

import math

import numpy as np

from . import style


def displayable(images):
    """Scales images to [0, 1].

    Bytes are divided by 255. Floats within [0, 1] stay as they are. Other values, such as standardized
    pixels, are mapped linearly from the range of all images.

    Args:
        images: Images, [N, H, W] or [N, H, W, C].

    Returns:
        Images in [0, 1]: [N, H, W, 3] if C is 3, else [N, H, W], the mean over the channels.

    Raises:
        ValueError: If the shape is not one of these, or a pixel is not finite.
    """
    images = np.asarray(images)
    if images.ndim not in (3, 4):
        raise ValueError(f"images must have shape [N, H, W] or [N, H, W, C], got {images.shape}")
    if images.dtype == np.uint8:
        images = images / 255.0
    images = images.astype(np.float64)
    if images.ndim == 4:
        images = _gray_or_color(images)
        images = images if images.shape[-1] == 3 else images[..., 0]
    if not np.isfinite(images).all():
        raise ValueError("images must be finite, got NaN or infinite pixels")
    low, high = images.min(), images.max()
    if low >= 0.0 and high <= 1.0:
        return images
    return (images - low) / max(high - low, 1e-12)


def _gray_or_color(images):
    """Returns images [..., C] as they are shown: 3 channels in color, others by their mean, [..., 1]."""
    return images if images.shape[-1] == 3 else images.mean(axis=-1, keepdims=True)


def compare(rows):
    """Draws labeled rows of images for comparison, on a scale from 0 (black) to 1 (white).

    Args:
        rows: Dictionary from the label of each row to its images, `[N, H, W, C]`: color if C is 3, else the
            mean over the channels. Values outside [0, 1] are clipped.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    count = len(next(iter(rows.values())))
    figure, axes = style.canvas(1.5 + 0.8 * count, 0.85 * len(rows), len(rows), count)
    for (label, images), row in zip(rows.items(), axes, strict=True):
        for image, axis in zip(_gray_or_color(np.clip(images, 0, 1)), row, strict=True):
            axis.grid(False)
            axis.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
        row[0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=10)
    return figure


def tiled(images, columns=None):
    """Returns images side by side as one array, in rows, with a dark pixel between them.

    Args:
        images: Images [N, H, W, C] in [0, 1].
        columns: Number of images in a row; `None` for a square.

    Returns:
        An array [rows (H + 1) - 1, columns (W + 1) - 1, 3] if C is 3, else [..., 1], the mean over channels.
    """
    images = _gray_or_color(np.clip(np.asarray(images, np.float64), 0, 1))
    count, height, width, channels = images.shape
    columns = min(count, columns or math.ceil(count**0.5))
    rows = -(-count // columns)
    empty = np.zeros((rows * columns - count, height, width, channels))
    padded = np.pad(np.concatenate([images, empty]), ((0, 0), (0, 1), (0, 1), (0, 0)), constant_values=0.3)
    cells = padded.reshape(rows, columns, height + 1, width + 1, channels).swapaxes(1, 2)
    return cells.reshape(rows * (height + 1), columns * (width + 1), channels)[:-1, :-1]


def grid(images, columns=None):
    """Draws images in a grid, on a scale from 0 (black) to 1 (white).

    Args:
        images: Images [N, H, W, C], shown as by `compare`. Values outside [0, 1] are clipped.
        columns: Number of images in a row; `None` for a square.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    height, width = tiled(images, columns).shape[:2]
    scale = 6.4 / max(width, height)
    figure, axes = style.canvas(scale * width, scale * height, 1, 1)
    show(axes[0, 0], images, columns)
    return figure


def show(axis, images, columns=None):
    """Draws images in a grid on given axes, which lose their spines and ticks.

    Args:
        axis: The axes.
        images: As for `grid`.
        columns: As for `grid`.
    """
    axis.grid(False)
    axis.imshow(tiled(images, columns), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)
