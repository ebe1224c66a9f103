"""Figure: one line through data with three laws of errors, fitted by four likelihoods (Sec. 3.4.3).

Above, the data of the first replicate and its fits. Below, the loss of a residual under each likelihood, the
error of the fitted line over all replicates, and the loss of new points. The matching likelihood is framed.
"""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ...publishing.page import style
from .robust_regression_measurement import LINE, LOSSES, NO_MEAN, NOISES, Result, measure

COLORS = {
    "Gaussian": style.VERMILION,
    "Laplace": style.BLUE,
    "Cauchy": style.GREEN,
    "Huber": style.ORANGE,
}

# Points within this distance of the intercept are drawn, the others counted.
_HALF_HEIGHT = 5.5


def draw(result: Result | None = None) -> Figure:
    """Draws the comparison.

    Args:
        result: As from `experiments.robust_regression.measure`; the default measures it.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    result = measure() if result is None else result
    figure, axes = style.canvas(10.5, 7.2, rows=2, columns=3)
    for axis, noise in zip(axes[0], NOISES, strict=True):
        _data(axis, noise, result)
    axes[0, 0].set_ylabel("$y$")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=6, frameon=False, fontsize=9)
    _penalties(axes[1, 0])
    _heat_map(axes[1, 1], "RMS error of the line / Cramér-Rao bound", error_over_bound(result), "{:.2f}")
    _heat_map(axes[1, 2], "NLL of new points over the best (nats)", excess(result), "{:+.3f}")
    for row, column in ((list(NOISES).index(n), list(LOSSES).index(m)) for n, m in sorted(NO_MEAN)):
        axes[1, 1].texts[row * len(LOSSES) + column].set_text("no mean")
    return figure


def error_over_bound(result: Result) -> np.ndarray:
    """Returns the root mean square error of each pair over the Cramer-Rao bound, [errors, likelihoods]."""
    return _grid(lambda noise, name: result.cells[noise, name].rms / result.bounds[noise])


def excess(result: Result) -> np.ndarray:
    """Returns the loss of new points minus the least in its row, [errors, likelihoods], in nats."""
    losses = _grid(lambda noise, name: result.cells[noise, name].nll)
    return losses - losses.min(axis=1, keepdims=True)


def _grid(value: Callable) -> np.ndarray:
    return np.array([[value(noise, name) for name in LOSSES] for noise in NOISES])


def _data(axis: Axes, noise: str, result: Result) -> None:
    x, y, lines = result.examples[noise]
    inside = np.abs(y - LINE[0]) < _HALF_HEIGHT
    axis.plot(x[inside], y[inside], ".", color=style.MUTED, markersize=3, alpha=0.5)
    axis.plot(x, LINE[0] + LINE[1] * x, color=style.INK, linewidth=4, alpha=0.25, label="truth")
    for name, (intercept, slope) in lines.items():
        axis.plot(x, intercept + slope * x, color=COLORS[name], linewidth=1.6, label=f"{name} fit")
    axis.set(xlabel="$x$", ylim=(LINE[0] - _HALF_HEIGHT, LINE[0] + _HALF_HEIGHT))
    axis.set_title(f"{noise} errors", loc="left", fontsize=11)
    outside = np.count_nonzero(~inside)
    if outside:
        note = f"{outside} of {len(y)} points outside"
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        axis.text(0.98, 0.03, note, transform=axis.transAxes, ha="right", fontsize=9, bbox=box)


def _penalties(axis: Axes) -> None:
    z = np.linspace(-6.0, 6.0, 241)
    for name, make in LOSSES.items():
        loss = make(reduction=None, dtype="float64")(z, np.zeros_like(z)).numpy()
        axis.plot(z, loss - loss.min(), color=COLORS[name], linewidth=1.8)
    ends = {"Gaussian": (4.4, 8.4), "Huber": (6.2, 7.2), "Laplace": (6.2, 6.0), "Cauchy": (6.2, 3.6)}
    for name, (x, y) in ends.items():
        axis.text(x, y, name, color=COLORS[name], fontsize=9, va="center")
    axis.set(xlabel="residual / scale", ylabel="loss (nats)", xlim=(-6.5, 9.0), ylim=(0, 9))
    axis.set_xticks(range(-6, 7, 3))
    axis.set_title("loss of one residual", loc="left", fontsize=11)


def _heat_map(axis: Axes, title: str, values: np.ndarray, form: str) -> None:
    # Ranks within a row, because rows have scales of their own.
    ranks = np.argsort(np.argsort(values, axis=1), axis=1)
    axis.imshow(ranks, cmap="Blues", vmin=-0.5, vmax=6, aspect="auto")
    axis.grid(False)
    axis.set_xticks(range(len(LOSSES)), list(LOSSES))
    axis.set_yticks(range(len(NOISES)), list(NOISES), rotation=90, va="center")
    axis.set(xlabel="likelihood of the fit", ylabel="errors of the data")
    axis.set_title(title, loc="left", fontsize=11)
    for (row, column), value in np.ndenumerate(values):
        matching = row == column
        weight = "bold" if matching else "normal"
        axis.text(column, row, form.format(value), ha="center", va="center", fontsize=10, weight=weight)
        if matching:
            frame = Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=style.INK, linewidth=2)
            axis.add_patch(frame)
