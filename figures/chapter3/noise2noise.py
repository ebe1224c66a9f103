"""Images before and after a denoiser that never saw a clean one (section 3.3.4).

Legend: N images, H height, W width, C channels.
"""

import numpy as np

from ... import data
from ...publishing import cards
from ...publishing import measures as tasks
from ...publishing import saved_model as publishing
from ...publishing.page.images import compare

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


def draw():
    """Runs the published denoisers and draws what they take off.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    return compare(measure())
