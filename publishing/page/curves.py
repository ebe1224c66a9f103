"""Curves of a run: losses, metrics and learning rate against the epoch, or another unit of training."""

import math

import numpy as np
from matplotlib.ticker import MaxNLocator

from . import style

_COLUMNS = 2
_MAX_POINTS_WITH_MARKERS = 30


def loss_curves(history, unit="epoch"):
    """Draws all quantities of a run against the epoch, with training and validation in one panel.

    The quantities `x` and `val_x` share a panel. Positive quantities that span more than a factor of 20 have
    a logarithmic axis. A ring marks the epoch with the lowest validation loss.

    Args:
        history: Lists of equal length with one number per epoch, such as `loss`, `val_loss`, `accuracy`,
            `val_accuracy`, `learning_rate`, and optionally `epoch` (1, 2, ... by default). `None` stands for
            a value that was not measured.
        unit: Name of the unit of training, the label of the horizontal axes.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: If there is nothing to draw, or the lists differ in length.
    """
    epochs, values = _read(history)
    panels = list(dict.fromkeys(name.removeprefix("val_") for name in values))
    columns = min(len(panels), _COLUMNS)
    rows = math.ceil(len(panels) / columns)
    figure, axes = style.canvas(2.0 + 3.0 * columns, 2.9 * rows, rows, columns)
    for axis, name in zip(axes.flat, panels, strict=False):
        _draw_panel(axis, epochs, name, values.get(name), values.get(f"val_{name}"), unit)
    for axis in axes.flat[len(panels) :]:
        axis.remove()
    return figure


def _read(history):
    """Returns (epochs [E], values [E] by name), with NaN in place of `None`."""
    columns = {name: np.array(column, dtype=np.float64) for name, column in history.items()}
    epochs = columns.pop("epoch", None)
    if not columns:
        raise ValueError("history must hold at least one quantity besides 'epoch', got none")
    if epochs is None:
        epochs = np.arange(1.0, len(next(iter(columns.values()))) + 1.0)
    if len(epochs) == 0:
        raise ValueError("history must hold at least one epoch, got none")
    for name, column in columns.items():
        if column.shape != epochs.shape:
            raise ValueError(f"history[{name!r}] must have {len(epochs)} numbers, got shape {column.shape}")
    return epochs, columns


def _draw_panel(axis, epochs, name, train, validation, unit):
    """Draws one quantity on the training data and, if it was measured, on the validation data."""
    marker = "o" if len(epochs) <= _MAX_POINTS_WITH_MARKERS else ""
    curves = [(train, style.BLUE, "training"), (validation, style.VERMILION, "validation")]
    curves = [curve for curve in curves if curve[0] is not None]
    for curve, color, label in curves:
        measured = np.isfinite(curve)
        axis.plot(epochs[measured], curve[measured], color=color, marker=marker, markersize=3.5, label=label)
    if name == "loss" and validation is not None and np.isfinite(validation).any():
        best = int(np.nanargmin(validation))
        axis.plot(
            epochs[best],
            validation[best],
            "o",
            markersize=10,
            markerfacecolor="none",
            markeredgecolor=style.VERMILION,
            label=f"lowest, {unit} {epochs[best]:g}",
        )
    drawn = np.concatenate([curve[np.isfinite(curve)] for curve, _, _ in curves])
    if drawn.size and drawn.min() > 0 and drawn.max() > 20 * drawn.min():
        axis.set_yscale("log")
    axis.set_title(name.replace("_", " "), loc="left", fontsize=11, parse_math=False)
    axis.set_xlabel(unit)
    axis.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    if validation is not None:
        axis.legend(frameon=False, fontsize=9)
