"""Curves of a training run: loss, metrics and learning rate against the epoch."""

import math

import numpy as np
from matplotlib.ticker import MaxNLocator

from . import style

_COLUMNS = 2
_MARKERS_UP_TO = 30


def loss_curves(history, unit="epoch"):
    """Draws every quantity of a run against the epoch, training and validation together.

    A quantity `x` and its `val_x` share a panel. A positive quantity that spans more than a factor of 20 gets
    a logarithmic axis. A ring marks the epoch with the least validation loss.

    Args:
        history: Lists of equal length, one number an epoch, such as `loss`, `val_loss`, `accuracy`,
            `val_accuracy`, `learning_rate`; optionally `epoch` (else 1, 2, ...). `None` stands for a value
            that was not measured.
        unit: What is counted, the label of the horizontal axes.

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
    """Returns (epochs [E], values {name: [E]}) with `None` turned into NaN."""
    columns = {name: np.array(column, dtype=np.float64) for name, column in history.items()}
    epochs = columns.pop("epoch", None)
    if not columns:
        raise ValueError("history must hold at least one quantity beside 'epoch', got none")
    if epochs is None:
        epochs = np.arange(1.0, len(next(iter(columns.values()))) + 1.0)
    if len(epochs) == 0:
        raise ValueError("history must hold at least one epoch, got none")
    for name, column in columns.items():
        if column.shape != epochs.shape:
            raise ValueError(f"history[{name!r}] must have {len(epochs)} numbers, got shape {column.shape}")
    return epochs, columns


def _draw_panel(axis, epochs, name, train, validation, unit):
    """Draws one quantity and, where there is one, its validation twin."""
    marker = "o" if len(epochs) <= _MARKERS_UP_TO else ""
    curves = [(train, style.BLUE, "training"), (validation, style.VERMILION, "validation")]
    curves = [curve for curve in curves if curve[0] is not None]
    for curve, colour, label in curves:
        known = np.isfinite(curve)
        axis.plot(epochs[known], curve[known], color=colour, marker=marker, markersize=3.5, label=label)
    if name == "loss" and validation is not None and np.isfinite(validation).any():
        best = int(np.nanargmin(validation))
        axis.plot(
            epochs[best],
            validation[best],
            "o",
            markersize=10,
            markerfacecolor="none",
            markeredgecolor=style.VERMILION,
            label=f"least, {unit} {epochs[best]:g}",
        )
    drawn = np.concatenate([curve[np.isfinite(curve)] for curve, _, _ in curves])
    if drawn.size and drawn.min() > 0 and drawn.max() > 20 * drawn.min():
        axis.set_yscale("log")
    axis.set_title(name.replace("_", " "), loc="left", fontsize=11, parse_math=False)
    axis.set_xlabel(unit)
    axis.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    if validation is not None:
        axis.legend(frameon=False, fontsize=9)
