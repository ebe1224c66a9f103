"""Images before and after denoisers that were trained without clean images (Sec. 3.3.4).

Legend: N images, H height, W width, C channels.
"""

import numpy as np

from ... import data
from ...publishing import cards, saved_model
from ...publishing.page.images import compare
from ...training.parts import kinds
from ..figure import Figure

_MODELS = {"Gaussian noise": "denoiser_digits", "replaced pixels": "denoiser_digits_impulse"}
_COLUMNS = 10


def measure():
    """Applies the published denoisers to the first images of the digits' test split.

    Returns:
        Images `[N, H, W, C]` by the label of their row: input and output of each denoiser, then the clean
        images.
    """
    rows = {}
    for label, name in _MODELS.items():
        objective = kinds.from_card(kinds.OBJECTIVES, cards.published(name)["recipe"], "objective")
        noisy, clean = next(objective.prepare(data.load("digits"), seed=0).test.as_numpy_iterator())
        noisy, clean = noisy[:_COLUMNS], clean[:_COLUMNS]
        denoised = np.asarray(saved_model.load(name)(noisy, training=False))
        rows |= {label: noisy, f"{label},\nremoved": denoised}
    return rows | {"clean": clean}


def draw():
    """Applies the published denoisers and draws their inputs and outputs."""
    return compare(measure())


FIGURE = Figure(
    section="3.3",
    name="noise2noise",
    draw=draw,
    caption=(
        "Test digits with two kinds of noise, and the outputs of two networks that were trained on pairs of "
        "noisy images only (Sec. 3.3.4). With Gaussian noise and the squared error, the optimal prediction "
        "is the mean; with randomly replaced pixels and the absolute error, it is the median."
    ),
    place=2,
)
