"""What a deep autoencoder keeps of digits, and what lies between their codes (Sec. 7.1).

Legend: N images, H height, W width, C channels, Z numbers of the code, P pairs of images, S steps.
"""

import numpy as np

from ... import zoo
from ...publishing import measures
from ...publishing.page import images, style
from ..figure import Figure
from .published import published, stored_images

ZOO_MODELS = ("autoencoder_mnist",)
STEPS = 9


def blends(first, second, steps=STEPS):
    """Returns the images on the straight line between two images in pixel space, [S, H, W, C].

    Args:
        first: The first image [H, W, C].
        second: The last one.
        steps: Number of images, the ends included.
    """
    share = np.linspace(0, 1, steps)[:, None, None, None]
    return (1 - share) * first + share * second


def plot(model, real, heading):
    """Draws digits with their reconstructions, and the lines between two of them in pixels and in codes.

    Args:
        model: An `Autoencoder`.
        real: At least two images, [N, H, W, C].
        heading: Title of the reconstructions.
    """
    ends = real[:-1:2], real[1::2]
    pairs = list(zip(*ends, strict=True))
    pixels = np.concatenate([blends(*pair) for pair in pairs])
    codes = np.concatenate([model.interpolate(*pair, STEPS) for pair in pairs])
    ratios = (len(real), STEPS, STEPS)
    figure, axes = style.canvas(12, 1.55, 1, 3, width_ratios=ratios)
    left, middle, right = axes[0]
    images.show(left, np.concatenate([real, model.reconstruct(real)]), columns=len(real))
    images.show(middle, pixels, columns=STEPS)
    images.show(right, codes, columns=STEPS)
    titles = (heading, "lines in pixel space", f"lines in the space of {model.latent_size} numbers")
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, loc="left", fontsize=9)
    return figure


def draw():
    """Returns the figure of the published model."""
    name = ZOO_MODELS[0]
    card = published([name])[name]
    heading = measures.get(card["measure"]).brief(card["metrics"])
    return plot(zoo.load(name), stored_images(name), heading)


FIGURE = Figure(
    section="7.1",
    name="autoencoder",
    draw=draw,
    caption=(
        "The deep autoencoder autoencoder_mnist (Eq. 7.1.1). Left: digits of the test split, and below them "
        "what the model makes of their codes; the title gives the squared error on the whole test split, and "
        "that of as many principal components. Middle and right: straight lines between two of the digits, "
        "in the space of pixels, where one fades into the other, and in the space of codes."
    ),
    place=-1,
)
