"""Figures of a style transfer: the pictures side by side, and the losses against evaluations."""

import numpy as np
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from ...publishing.page import style

LABELS = {"lbfgs": "L-BFGS", "adam": "Adam"}
_COLORS = {"lbfgs": style.BLUE, "adam": style.VERMILION}


def draw_pictures(result):
    """Draws content, style and the pictures of all optimizers.

    Args:
        result: A `StyleTransfer`.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    columns = 2
    rows = 1 + (len(result.pictures) + 1) // columns
    height, width = result.content.shape[:2]
    figure, axes = style.canvas(8.5, rows * (0.3 + 4.2 * height / width), rows, columns)
    show_pictures(axes.flat, result)
    return figure


def show_pictures(axes, result):
    """Draws content, style and the pictures of all optimizers into axes, and removes axes that remain.

    Args:
        axes: The axes, an iterable.
        result: A `StyleTransfer`.
    """
    titles = {LABELS[name]: picture for name, picture in result.pictures.items()}
    shown = {"content": result.content, "style": result.style} | titles
    for i, axis in enumerate(axes):
        if i >= len(shown):
            axis.remove()
            continue
        title = list(shown)[i]
        axis.imshow(np.squeeze(shown[title]), cmap="gray", vmin=0, vmax=1)
        axis.set_title(title, loc="left", fontsize=11)
        axis.set(xticks=[], yticks=[])
        axis.grid(False)
        axis.spines[:].set_visible(False)


def draw_losses(losses):
    """Draws the loss of each evaluation.

    Args:
        losses: The losses by optimizer, [S].

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure, [[axis]] = style.canvas(6.5, 3.8)
    show_losses(axis, losses)
    return figure


def show_losses(axis, losses):
    """Draws the loss of each evaluation into given axes.

    Args:
        axis: The axes.
        losses: The losses by optimizer, [S].
    """
    for name, values in losses.items():
        axis.plot(range(1, len(values) + 1), values, color=_COLORS[name], linewidth=1.8, label=LABELS[name])
    if all(values.min() > 0 for values in losses.values()):
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.yaxis.set_minor_formatter(NullFormatter())
    axis.set(xlabel="evaluations of the loss and its gradient", ylabel="loss")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.legend(frameon=False, fontsize=9)
