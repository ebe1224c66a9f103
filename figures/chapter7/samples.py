"""Digits that the zoo's generative models draw, beside real ones (Secs. 7.2 to 7.4).

Legend: N images, H height, W width, C channels.
"""

from dataclasses import dataclass

import numpy as np

from ... import zoo
from ...publishing import measures
from ...publishing.page import images, style
from ..figure import Figure
from .published import listed, published, stored_images

ZOO_MODELS = (
    "pixelcnn_mnist",
    "realnvp_mnist",
    "vae_mnist",
    "beta_vae_mnist",
    "dcgan_mnist",
    "infogan_mnist",
)
"""Names of the models in the order of their sections."""

_ROWS, _COLUMNS, _PANEL_COLUMNS = 4, 10, 2


@dataclass(frozen=True)
class Panel:
    """Samples of a model.

    Args:
        title: The model's name and scores.
        real: Images of the test split with pixels as the model takes them, [N, H, W, C].
        samples: Images that the model draws, [N, H, W, C].
    """

    title: str
    real: np.ndarray
    samples: np.ndarray


def title(card):
    """Returns the name and the scores of a model in a line.

    Args:
        card: The model's card.
    """
    scores = card["metrics"]
    text = f"{card['name']}: {measures.get(card['measure']).brief(scores)}"
    return text if "kid" not in scores or "KID" in text else f"{text}, KID {scores['kid']:.3f}"


def panel(name, count=_ROWS * _COLUMNS, seed=0):
    """Draws samples of a published model.

    Args:
        name: The model's name.
        count: Number of samples.
        seed: Seed of the draws.

    Returns:
        A `Panel`.
    """
    card = published([name])[name]
    return Panel(title(card), stored_images(name), zoo.load(name).sample(count, seed=seed))


def plot(panels):
    """Draws the real images of each panel in a column, and the samples to the right of it.

    Args:
        panels: `Panel`s.
    """
    columns = min(_PANEL_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    figure, axes = style.canvas(
        5.6 * columns, 2.2 * rows, rows, 2 * columns, width_ratios=(1, _COLUMNS) * columns
    )
    pairs = axes.reshape(rows * columns, 2)
    for (left, right), each in zip(pairs, panels, strict=False):
        images.show(left, each.real[:_ROWS], columns=1)
        images.show(right, each.samples, columns=_COLUMNS)
        left.set_title("test", loc="left", fontsize=9, color=style.MUTED)
        right.set_title(each.title, loc="left", fontsize=9)
    for axis in pairs[len(panels) :].flat:
        axis.set_axis_off()
    return figure


def draw():
    """Returns the figure of all published models."""
    return plot([panel(name) for name in published(ZOO_MODELS)])


FIGURE = Figure(
    section="7.4",
    name="samples",
    draw=draw,
    caption=(
        f"Digits that models of the zoo draw: {listed(ZOO_MODELS)}. None is selected: all models have the "
        "same seed. Left of them are digits of the test split with pixels as the model takes them: "
        "binarized, dequantized or gray. Variational autoencoders show the mean of each pixel instead of "
        "drawing it. Titles give scores on the test split: the negative log-likelihood of an image, which "
        "compares models of the same pixels only, and the kernel distance (KID) of samples from "
        "test images in the features of cnn_mnist."
    ),
)
