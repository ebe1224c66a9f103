"""Style transfer between scikit-learn's two pictures, with the features of ResNet-20 (section 5.3)."""

from ...publishing.page import style
from ...studies.style_transfer import plots, transfer_style
from ..figure import Figure

# Small pictures and few evaluations, for a figure within a minute.
SIZE, STEPS = 192, 80


def plot(result):
    """Draws content, style and the pictures of both optimizers, and the losses below them.

    Args:
        result: A `studies.style_transfer.StyleTransfer`.
    """
    height, width = result.content.shape[:2]
    above, below = 8.4 * height / width + 0.6, 3.2
    figure, [[axis]] = style.canvas(8.5, above + below)
    axis.remove()
    # Otherwise the labels of the curves would take space beside the pictures.
    top, bottom = figure.subfigures(2, 1, height_ratios=(above, below))
    plots.show_pictures(top.subplots(2, 2).flat, result)
    curves = bottom.subplots()
    style.clean(curves)
    plots.show_losses(curves, result.losses)
    return figure


def draw():
    """Returns the figure of one transfer."""
    return plot(transfer_style(size=SIZE, steps=STEPS, progress=False))


FIGURE = Figure(
    section="5.3",
    name="style_transfer",
    draw=draw,
    caption=(
        "Style transfer after Gatys et al. (2015), with the features of the zoo's ResNet-20, which learned "
        "from images of 32x32 pixels. Top: content and style, two pictures of scikit-learn. Middle: the "
        f"pictures of the lowest loss after {STEPS} evaluations of the loss and its gradient, both from the "
        "content as start. Colors, dark contours and light edges of petals are transferred; whole flowers "
        "are not. Bottom: the loss of each evaluation, with those of line searches."
    ),
)
