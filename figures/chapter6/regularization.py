"""Loss curves of a network that overfits, and four ways to prevent it (chapter 6).

Legend: T measurements.
"""

from dataclasses import dataclass

import keras
import numpy as np

from ... import zoo
from ...publishing.page import style
from ...training.weights import penalize
from ..figure import Figure
from . import training_curves

NONE = "none"
_EXAMPLES, _RANDOM_LABELS, _WIDTHS = 300, 0.4, (256, 256)


@dataclass(frozen=True)
class Method:
    """A way to regularize.

    Args:
        label: Label in the figure.
        color: Color of the curve.
        l1: Factor of the sum of absolute weights.
        l2: Factor of the sum of squared weights.
        dropout: Dropout rate after each hidden layer.
    """

    label: str
    color: str
    l1: float = 0.0
    l2: float = 0.0
    dropout: float = 0.0


METHODS = {
    NONE: Method("no regularization", style.VERMILION),
    "l1": Method(r"$L^1$ penalty", style.ORANGE, l1=3e-3),
    "l2": Method(r"$L^2$ penalty", style.BLUE, l2=1e-2),
    "dropout": Method("dropout, rate 0.7", style.GREEN, dropout=0.7),
}


def measure(method, steps=1200, points=36, seed=0):
    """Trains a network of two hidden layers on 300 digits, 40 % of them with random labels.

    Args:
        method: A `Method`.
        steps: Steps of Adam with 50 images each.
        points: Number of measurements, evenly spaced in the logarithm.
        seed: Seed of the weights, of the random labels and of the batches.

    Returns:
        A `training_curves.Curves`.
    """
    keras.utils.set_random_seed(seed)
    model = zoo.build("mlp_digits", widths=_WIDTHS, dropout=method.dropout)
    penalize(model, method.l1, method.l2)
    train, test = training_curves.digits(_EXAMPLES, _RANDOM_LABELS, seed)
    measured = np.unique(np.geomspace(1, steps, points).round().astype(int))
    optimizer = keras.optimizers.Adam(2e-3)
    return training_curves.train(model, train, test, optimizer, measured, batch_size=50, seed=seed)


def table(curves):
    """Returns the header and the rows of the table: test loss and accuracy at the end and with stopping.

    Args:
        curves: `training_curves.Curves` by the names of `METHODS`.
    """
    header = ("regularization", "test loss", "test accuracy", "training accuracy")
    rows = []
    for name, each in curves.items():
        rows.append((_plain(METHODS[name].label), *_row(each, -1)))
        if name == NONE:
            rows.append((f"early stopping, {each.steps[each.best]} steps", *_row(each, each.best)))
    return header, rows


def plot(curves):
    """Draws the losses of the network without regularization (left), and the test loss of all (right).

    Args:
        curves: `training_curves.Curves` by the names of `METHODS`.
    """
    figure, axes = style.canvas(9.6, 4.3, columns=2)
    left, right = axes[0]
    free = curves[NONE]
    left.plot(free.steps, free.train_loss, "--", color=style.MUTED, linewidth=1.8, label="training loss")
    left.plot(free.steps, free.test_loss, color=style.VERMILION, linewidth=1.8, label="test loss")
    for name, each in curves.items():
        method = METHODS[name]
        right.plot(each.steps, each.test_loss, color=method.color, linewidth=1.8, label=method.label)
    for axis in (left, right):
        lowest = free.steps[free.best], free.test_loss[free.best]
        axis.plot(*lowest, "*", color=style.INK, markersize=11, zorder=5, label="early stopping")
        axis.set(
            xscale="log", xlabel="steps", ylim=(0, 1.1 * max(c.test_loss.max() for c in curves.values()))
        )
    left.set_ylabel("negative log-likelihood, nats")
    left.set_title("No regularization", loc="left", fontsize=11)
    right.set_title("Test loss", loc="left", fontsize=11)
    left.legend(frameon=False, fontsize=9)
    right.legend(frameon=False, fontsize=9)
    return figure


def draw():
    """Trains a network with each method, draws the losses, and returns the table, too."""
    curves = {name: measure(method) for name, method in METHODS.items()}
    return plot(curves), table(curves)


def _row(curves, index):
    return (
        f"{curves.test_loss[index]:.2f}",
        f"{100 * curves.test_accuracy[index]:.1f} %",
        f"{100 * curves.train_accuracy[index]:.1f} %",
    )


def _plain(label):
    return label.replace("$L^1$", "L1").replace("$L^2$", "L2")


FIGURE = Figure(
    section="6",
    name="regularization",
    draw=draw,
    caption=(
        "A network of two hidden layers of 256 units on 300 digits, 40 % of them with random labels. "
        "Left: without regularization the training loss falls to zero, and the test loss, on correct labels, "
        "rises after its minimum (star). Right: penalties and dropout keep it low without stopping early."
    ),
    place=4,
)
