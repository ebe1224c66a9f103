"""Rows of images under each other.

Legend: N images, H height, W width, C channels.
"""

import numpy as np

from . import style


def compare(rows):
    """Draws rows of images of one shape under each other, all on the scale from 0 (black) to 1 (white).

    Args:
        rows: Images `[N, H, W, C]` with C of 1 or 3, by the label of their row; values outside [0, 1] are
            shown as the nearer end.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    count = len(next(iter(rows.values())))
    figure, axes = style.canvas(1.5 + 0.8 * count, 0.85 * len(rows), len(rows), count)
    for (label, images), line in zip(rows.items(), axes, strict=True):
        for image, axis in zip(images, line, strict=True):
            axis.grid(False)
            axis.imshow(
                np.clip(np.squeeze(image), 0, 1), cmap="gray", vmin=0, vmax=1, interpolation="nearest"
            )
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
        line[0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=10)
    return figure
