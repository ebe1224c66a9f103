"""A network memorizes random labels (chapter 6).

Legend: T measurements.

References:
    Zhang, Bengio, Hardt, Recht and Vinyals, "Understanding deep learning requires rethinking generalization"
    (2016), arXiv:1611.03530.
"""

import keras
import numpy as np
from matplotlib.ticker import PercentFormatter

from ... import zoo
from ...publishing.page import style
from ..figure import Figure
from . import training_curves

FRACTIONS = (0.0, 0.5, 1.0)
"""Fractions of random labels."""

_WIDTHS = (256, 256)
_COLORS = dict(zip(FRACTIONS, (style.BLUE, style.ORANGE, style.VERMILION), strict=True))


def measure(random_labels, examples=None, steps=3000, points=40, seed=0):
    """Trains a network of two hidden layers on the digits with random labels.

    Args:
        random_labels: Fraction of the labels replaced by uniform draws.
        examples: Number of training images; `None` for all 1,257.
        steps: Steps of Adam with 64 images each.
        points: Number of measurements, evenly spaced in the logarithm.
        seed: Seed of the weights, of the random labels and of the batches.

    Returns:
        A `training_curves.Curves`.
    """
    keras.utils.set_random_seed(seed)
    model = zoo.build("mlp_digits", widths=_WIDTHS, dropout=0.0)
    train, test = training_curves.digits(examples, random_labels, seed)
    measured = np.unique(np.geomspace(1, steps, points).round().astype(int))
    optimizer = keras.optimizers.Adam(1e-3)
    return training_curves.train(model, train, test, optimizer, measured, batch_size=64, seed=seed)


def memorized(curves):
    """Returns the first measured number of steps with all training labels right; `None` if there is none.

    Args:
        curves: A `training_curves.Curves`.
    """
    steps = curves.steps[curves.train_accuracy == 1.0]
    return int(steps[0]) if len(steps) else None


def table(curves):
    """Returns the header and the rows of the table: accuracies at the end, and steps to memorize.

    Args:
        curves: `training_curves.Curves` by fraction of random labels.
    """
    header = ("random labels", "training accuracy", "test accuracy", "steps to 100 % in training")
    rows = [
        (
            f"{100 * fraction:.0f} %",
            f"{100 * each.train_accuracy[-1]:.1f} %",
            f"{100 * each.test_accuracy[-1]:.1f} %",
            str(memorized(each) or "not reached"),
        )
        for fraction, each in curves.items()
    ]
    return header, rows


def plot(curves):
    """Draws the accuracies on training labels (left) and on test images (right) against steps.

    Args:
        curves: `training_curves.Curves` by fraction of random labels.
    """
    figure, axes = style.canvas(9.6, 4.0, columns=2, sharey=True)
    left, right = axes[0]
    for fraction, each in curves.items():
        look = {
            "color": _COLORS[fraction],
            "linewidth": 1.8,
            "label": f"{100 * fraction:.0f} % random labels",
        }
        left.plot(each.steps, each.train_accuracy, **look)
        right.plot(each.steps, each.test_accuracy, **look)
    for axis, title in ((left, "Training accuracy"), (right, "Test accuracy")):
        axis.axhline(0.1, color=style.MUTED, linewidth=1, linestyle=":", label="chance")
        axis.set(xscale="log", xlabel="steps", ylim=(0, 1.03))
        axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axis.set_title(title, loc="left", fontsize=11)
    style.legend_below(figure)
    return figure


def draw():
    """Trains a network for each fraction, draws the accuracies, and returns the table, too."""
    curves = {fraction: measure(fraction) for fraction in FRACTIONS}
    return plot(curves), table(curves)


FIGURE = Figure(
    section="6",
    name="random_labels",
    draw=draw,
    caption=(
        "A network of two hidden layers of 256 units memorizes the labels of 1,257 digits even if all of "
        "them are random, which takes more steps than correct labels. It then classifies new digits no "
        "better than chance."
    ),
    place=5,
)
