"""Images before and after a denoiser that never saw a clean one (section 3.3.4).

Legend: N images, H height, W width, C channels.
"""

import numpy as np

from ... import data
from .. import cards, publishing, tasks
from . import style

_MODELS = {"Gaussian noise": "denoiser_digits", "replaced pixels": "denoiser_digits_impulse"}
_COLUMNS = 10


def measure():
    """Runs the published denoisers on the first images of the digits' test split.

    Returns:
        Images `[N, H, W, C]` by the label of their row: for each denoiser its input and its output, and the
        clean images at last.
    """
    rows = {}
    for label, name in _MODELS.items():
        task = tasks.from_settings(cards.published(name)["recipe"]["task"])
        noisy, clean = next(task.prepare(data.load("digits"), seed=0).test.as_numpy_iterator())
        noisy, clean = noisy[:_COLUMNS], clean[:_COLUMNS]
        cleaned = np.asarray(publishing.load(name)(noisy, training=False))
        rows |= {label: noisy, f"{label},\nremoved": cleaned}
    return rows | {"clean": clean}


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


def draw():
    """Runs the published denoisers and draws what they take off.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    return compare(measure())
