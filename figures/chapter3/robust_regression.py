"""A line through data with three laws of errors, fitted with four likelihoods (Sec. 3.4.3).

The notes claim that the likelihood of the errors themselves fits best (Eqs. 3.4.15 to 3.4.19). With many
points it reaches the Cramér-Rao bound (Eq. 3.4.14).

Legend: R replicated data sets, N points of each, 2 coefficients: intercept and slope.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from matplotlib.patches import Rectangle
from scipy import stats

from ... import arguments
from ...publishing.page import style
from ..figure import Figure
from .line_fits import LOSSES, fit_lines

NOISES = {"Gaussian": (stats.norm, 1.0), "Laplace": (stats.laplace, 1.0), "Cauchy": (stats.cauchy, 0.5)}
"""Laws of the errors with scale 1, and the Fisher information of their location, by name."""

NO_MEAN = {("Cauchy", "Gaussian"), ("Cauchy", "Huber")}
"""Pairs (errors, likelihood) whose lines have no mean square error for any number of points."""

LINE = np.array([1.0, 2.0])
"""True intercept and slope."""

SCALE = 0.5
"""True scale s of the errors."""

COLORS = {
    "Gaussian": style.VERMILION,
    "Laplace": style.BLUE,
    "Cauchy": style.GREEN,
    "Huber": style.ORANGE,
}

# Points within this distance of the intercept are drawn, the others are counted.
_HALF_HEIGHT = 5.5


@dataclass(frozen=True)
class Cell:
    """Performance of one likelihood for one law of errors, over R data sets.

    The error of a fit is the root mean square distance of its line from the true one over the N points. For
    the pairs in `NO_MEAN`, `rms` and `efficiency` are meaningless, while `median` is valid.

    Args:
        rms: Root mean square of the error over the data sets, in the units of y.
        rms_error: Its standard error.
        efficiency: The Cramér-Rao bound of the mean square error, divided by the measured one.
        efficiency_error: Its standard error.
        median: Median of the error.
        nll: Median over the data sets of the mean negative log-likelihood of N new points, in nats.
        nll_error: Half the distance between the order statistics one standard deviation to either side.
        lead: Number of standard errors by which the squared error of the matching likelihood is smaller, in
            pairs of fits to the same data; 0 for the matching likelihood. Squares above 100 times the bound
            count as 100, so that the mean exists for all errors.
        nll_lead: The same for the fraction of data sets in which the matching likelihood predicts the new
            points better (a sign test).
        change: As in `Fit`.
    """

    rms: float
    rms_error: float
    efficiency: float
    efficiency_error: float
    median: float
    nll: float
    nll_error: float
    lead: float
    nll_lead: float
    change: float


@dataclass(frozen=True)
class Result:
    """The whole comparison.

    Args:
        points: Number N of points of a data set.
        replicates: Number R of data sets.
        bounds: The Cramér-Rao bound of the root mean square error by law of errors.
        cells: A `Cell` by (law of errors, likelihood).
        examples: The first data set by law of errors: x [N], y [N] and fitted coefficients [2] by likelihood.
    """

    points: int
    replicates: int
    bounds: dict[str, float]
    cells: dict[tuple[str, str], Cell]
    examples: dict[str, tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]]


def measure(points: int = 400, replicates: int = 1500, seed: int = 0) -> Result:
    """Fits each likelihood to data with each law of errors and compares the fits with the true line.

    Args:
        points: Number N of points of a data set, evenly spaced in [-1, 1].
        replicates: Number R of data sets for each law of errors.
        seed: Seed of the errors. The three laws share their quantiles.

    Returns:
        A `Result`.

    Raises:
        ValueError: If `points` is below 3 or `replicates` below 2.
    """
    points = arguments.integer("points", points, 3)
    replicates = arguments.integer("replicates", replicates, 2)
    x = np.linspace(-1.0, 1.0, points)
    quantiles = np.random.default_rng(seed).uniform(size=(2, replicates, points))
    laws = [law for law, _ in NOISES.values()]
    y, new = (LINE[0] + LINE[1] * x + SCALE * np.stack([law.ppf(q) for law in laws]) for q in quantiles)
    fits, squares, likelihoods = {}, {}, {}
    for name, make in LOSSES.items():
        loss = make(reduction="sum", dtype="float64")
        fits[name] = fit = fit_lines(loss, x, y.reshape(-1, points))
        offset = (fit.coefficients - LINE) @ np.stack([np.ones_like(x), x])
        squares[name] = np.mean(offset**2, axis=-1).reshape(len(laws), replicates)
        predictions = _predictions(fit.coefficients, fit.scale, x)
        nll = make(scale=None, reduction=None, dtype="float64")(new.reshape(-1, points), predictions)
        likelihoods[name] = np.mean(nll, axis=-1).reshape(len(laws), replicates)
    bounds, cells, examples = {}, {}, {}
    for i, (noise, (_, information)) in enumerate(NOISES.items()):
        # Eq. 3.4.14 for two coefficients: the trace with the mean of (1, x) (1, x)^T over the points.
        bound = 2 * SCALE**2 / (information * points)
        bounds[noise] = float(np.sqrt(bound))
        for name, fit in fits.items():
            matching = (squares[noise][i], likelihoods[noise][i])
            cells[noise, name] = _cell(squares[name][i], likelihoods[name][i], *matching, bound, fit.change)
        lines = {name: fit.coefficients[i * replicates] for name, fit in fits.items()}
        examples[noise] = (x, y[i, 0], lines)
    return Result(points, replicates, bounds, cells, examples)


def table(result: Result) -> tuple[list[str], list[list[str]]]:
    """Returns (header, rows) of a table with one row for each law of errors and likelihood.

    Args:
        result: A `Result`.
    """
    header = [
        "errors",
        "loss",
        "RMS error of the line",
        "efficiency",
        "NLL of new points (nats)",
        "matching loss leads by",
    ]
    rows = []
    for (noise, name), cell in result.cells.items():
        rms, efficiency = f"none (median {cell.median:.2g})", "0"
        if (noise, name) not in NO_MEAN:
            rms = f"{cell.rms:.4f} ± {cell.rms_error:.4f}"
            efficiency = f"{cell.efficiency:.2f} ± {cell.efficiency_error:.2f}"
        nll = f"{cell.nll:.3f} ± {cell.nll_error:.3f}"
        lead = "(matching)" if noise == name else f"{cell.lead:.1f} and {cell.nll_lead:.1f} standard errors"
        rows.append([noise, name, rms, efficiency, nll, lead])
    return header, rows


def plot(result: Result):
    """Draws data and fits of the first data set, the losses, and two heat maps of the performance.

    The cells of the matching likelihood are framed.

    Args:
        result: A `Result`.
    """
    figure, axes = style.canvas(10.5, 7.2, rows=2, columns=3)
    for axis, noise in zip(axes[0], NOISES, strict=True):
        _data(axis, noise, result)
    axes[0, 0].set_ylabel("$y$")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=6, frameon=False, fontsize=9)
    _penalties(axes[1, 0])
    ratios = _grid(lambda noise, name: result.cells[noise, name].rms / result.bounds[noise])
    nlls = _grid(lambda noise, name: result.cells[noise, name].nll)
    excess = nlls - nlls.min(axis=1, keepdims=True)
    _heat_map(axes[1, 1], "RMS error of the line / Cramér-Rao bound", ratios, "{:.2f}")
    _heat_map(axes[1, 2], "NLL of new points above best (nats)", excess, "{:+.3f}")
    for row, column in ((list(NOISES).index(n), list(LOSSES).index(m)) for n, m in sorted(NO_MEAN)):
        axes[1, 1].texts[row * len(LOSSES) + column].set_text("no mean")
    return figure


def draw():
    """Returns the figure and the table of one measurement."""
    result = measure()
    return plot(result), table(result)


def _predictions(coefficients: np.ndarray, scale: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Returns locations and log-scales of all points, [R, N, 2]."""
    location = coefficients[:, :1] + coefficients[:, 1:] * x
    return np.stack([location, np.broadcast_to(np.log(scale)[:, None], location.shape)], axis=-1)


def _cell(squares, likelihoods, matching_squares, matching_likelihoods, bound, change) -> Cell:
    count = len(squares)
    mean, spread = squares.mean(), squares.std(ddof=1) / np.sqrt(count)
    middle = count / 2 + np.array([-0.5, 0.5]) * np.sqrt(count)
    low, high = np.sort(likelihoods)[np.clip(np.rint(middle).astype(int), 0, count - 1)]
    gaps = np.minimum(squares, 100 * bound) - np.minimum(matching_squares, 100 * bound)
    gap_error = gaps.std(ddof=1) / np.sqrt(count)
    signs = np.sign(likelihoods - matching_likelihoods)
    return Cell(
        rms=float(np.sqrt(mean)),
        rms_error=float(spread / (2 * np.sqrt(mean))),
        efficiency=float(bound / mean),
        efficiency_error=float(bound * spread / mean**2),
        median=float(np.median(np.sqrt(squares))),
        nll=float(np.median(likelihoods)),
        nll_error=float((high - low) / 2),
        lead=float(gaps.mean() / gap_error) if gap_error else 0.0,
        nll_lead=float(signs.sum() / np.sqrt(count)),
        change=change,
    )


def _grid(value: Callable) -> np.ndarray:
    return np.array([[value(noise, name) for name in LOSSES] for noise in NOISES])


def _data(axis, noise, result):
    x, y, lines = result.examples[noise]
    inside = np.abs(y - LINE[0]) < _HALF_HEIGHT
    axis.plot(x[inside], y[inside], ".", color=style.MUTED, markersize=3, alpha=0.5)
    axis.plot(x, LINE[0] + LINE[1] * x, color=style.INK, linewidth=4, alpha=0.25, label="true line")
    for name, (intercept, slope) in lines.items():
        axis.plot(x, intercept + slope * x, color=COLORS[name], linewidth=1.6, label=f"{name} fit")
    axis.set(xlabel="$x$", ylim=(LINE[0] - _HALF_HEIGHT, LINE[0] + _HALF_HEIGHT))
    axis.set_title(f"{noise} errors", loc="left", fontsize=11)
    outside = np.count_nonzero(~inside)
    if outside:
        note = f"{outside} of {len(y)} points outside"
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        axis.text(0.98, 0.03, note, transform=axis.transAxes, ha="right", fontsize=9, bbox=box)


def _penalties(axis):
    z = np.linspace(-6.0, 6.0, 241)
    for name, make in LOSSES.items():
        loss = make(reduction=None, dtype="float64")(z, np.zeros_like(z)).numpy()
        axis.plot(z, loss - loss.min(), color=COLORS[name], linewidth=1.8)
    ends = {"Gaussian": (4.4, 8.4), "Huber": (6.2, 7.2), "Laplace": (6.2, 6.0), "Cauchy": (6.2, 3.6)}
    for name, (x, y) in ends.items():
        axis.text(x, y, name, color=COLORS[name], fontsize=9, va="center")
    axis.set(xlabel="residual / scale", ylabel="loss (nats)", xlim=(-6.5, 9.0), ylim=(0, 9))
    axis.set_xticks(range(-6, 7, 3))
    axis.set_title("Loss of one residual", loc="left", fontsize=11)


def _heat_map(axis, title, values, form):
    # Colors are ranks within a row because each row has its own scale.
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


FIGURE = Figure(
    section="3.4",
    name="robust_regression",
    draw=draw,
    caption=(
        "Lines through 400 points with Gaussian, Laplace and Cauchy errors. Four likelihoods are fitted "
        "together with their scales (Eqs. 3.4.15 to 3.4.19), to 1,500 data sets each. The likelihood of the "
        "errors themselves (framed) has the smallest error of the line, close to the Cramér-Rao bound, and "
        "predicts new points best. Under Cauchy errors, least squares and Huber's likelihood with a fitted "
        "scale have no finite mean square error."
    ),
    place=2,
)
