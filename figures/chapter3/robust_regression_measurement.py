"""Robust regression: a line fitted by each likelihood to data with each law of errors (Sec. 3.4.3).

The model is y = intercept + slope x + s e, with e Gaussian, Laplace or Cauchy, and s fitted with the line.
The notes claim that the loss that is the errors' own likelihood fits best (Eqs. 3.4.15-3.4.19); with many
points it reaches the Cramer-Rao bound (Eq. 3.4.14). Many data sets are fitted at once.

Huber's loss resists outliers at a given scale. Its likelihood's own scale, fitted here, is as sensitive to
them as the mean of |y - mu|, and under Cauchy errors it drags the threshold along.

Legend: R replicated data sets, N points of each, 2 coefficients: intercept and slope.
"""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from scipy import stats

from ... import arguments
from ...losses.regression import CauchyNLL, GaussianNLL, Huber, LaplaceNLL

LOSSES = {"Gaussian": GaussianNLL, "Laplace": LaplaceNLL, "Cauchy": CauchyNLL, "Huber": Huber}
"""Likelihoods to fit with, by name."""

NOISES = {"Gaussian": (stats.norm, 1.0), "Laplace": (stats.laplace, 1.0), "Cauchy": (stats.cauchy, 0.5)}
"""Laws of the errors at s = 1, by the name of their likelihood, with the Fisher information of a location."""

NO_MEAN = {("Cauchy", "Gaussian"), ("Cauchy", "Huber")}
"""Pairs of errors and likelihood whose lines have no mean square error, whatever the number of points."""

LINE = np.array([1.0, 2.0])
"""True intercept and slope."""

SCALE = 0.5
"""True scale s of the errors."""

# A residual below this part of the scale would get a weight that hides all other points.
_CLOSEST = 1e-9


@dataclass(frozen=True)
class Fit:
    """Fits of R data sets.

    Args:
        coefficients: Intercept and slope, [R, 2].
        scale: Scale of the errors, [R].
        change: The largest last change of a line, in units of its scale: how far the iteration converged.
        iterations: Their number.
    """

    coefficients: np.ndarray
    scale: np.ndarray
    change: float
    iterations: int


@dataclass(frozen=True)
class Cell:
    """How one likelihood does under one law of errors, over R data sets.

    The error of a fit is the root mean square distance of its line from the true one over the N points. For
    the pairs in `NO_MEAN` its `rms` and `efficiency` estimate nothing; the median is sound.

    Args:
        rms: Root mean square of the error over the data sets, in the units of y.
        rms_error: Its standard error.
        efficiency: The Cramer-Rao bound of the mean square error over the measured one.
        efficiency_error: Its standard error.
        median: Median of the error.
        nll: Median over the data sets of the mean negative log-likelihood of N new points, in nats.
        nll_error: Half the distance between the two order statistics one standard deviation to either side.
        lead: By how many standard errors the matching likelihood's squared error is smaller, in pairs of fits
            to the same data; 0 for the matching one. Squares above 100 bounds count as 100, so that the mean
            exists under all errors.
        nll_lead: The same for the share of data sets where its new points are likelier (a sign test).
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
        points: Points N of a data set.
        replicates: Data sets R.
        bounds: The Cramer-Rao bound of the root mean square error by law of errors.
        cells: A `Cell` by (law of errors, likelihood).
        examples: By law of errors x [N], y [N] and a dict of fitted coefficients [2] by likelihood, for the
            first data set.
    """

    points: int
    replicates: int
    bounds: dict[str, float]
    cells: dict[tuple[str, str], Cell]
    examples: dict[str, tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]]


def measure(points: int = 400, replicates: int = 1500, seed: int = 0) -> Result:
    """Fits every likelihood to data with every law of errors and compares the fits with the truth.

    Args:
        points: Points N of a data set, at equal distances in [-1, 1].
        replicates: Data sets R for each law of errors.
        seed: Seed of the errors. The three laws share their quantiles: the same data, other errors.

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
        # Eq. 3.4.14 for two coefficients, traced with the mean of (1, x) (1, x)^T over the points.
        bound = 2 * SCALE**2 / (information * points)
        bounds[noise] = float(np.sqrt(bound))
        for name, fit in fits.items():
            own = (squares[noise][i], likelihoods[noise][i])
            cells[noise, name] = _cell(squares[name][i], likelihoods[name][i], *own, bound, fit.change)
        lines = {name: fit.coefficients[i * replicates] for name, fit in fits.items()}
        examples[noise] = (x, y[i, 0], lines)
    return Result(points, replicates, bounds, cells, examples)


def fit_lines(
    loss: keras.losses.Loss, x: np.ndarray, y: np.ndarray, tolerance: float = 1e-5, iterations: int = 100
) -> Fit:
    """Fits a line and the scale of its errors to every data set by iteratively reweighted least squares.

    The gradient of the loss rho(z) at z = (y - mu) / s gives each point a weight w = rho'(z) / z, with which
    least squares has the same gradient. The scale then follows from s^2 = <w (y - mu)^2>: at its best the
    gradient 1 - z rho'(z) at log s vanishes on average. The likelihood rises in every step if rho is concave
    as a function of z^2, as here.

    A smooth loss converges in 10 to 30 steps. The absolute error is slow where its minimum lies on a data
    point; after 100 steps its lines are within a twentieth of their standard error (root mean square).

    Args:
        loss: A loss of `losses.regression` with `scale=1.0` and `reduction="sum"`.
        x: Abscissas, [N].
        y: Ordinates, [R, N].
        tolerance: Change of the lines (root mean square over the data sets, in units of their scales) below
            which the iteration stops.
        iterations: At most so many.

    Returns:
        A `Fit`.

    References:
        Dempster, Laird and Rubin, "Iteratively Reweighted Least Squares for Linear Regression When Errors Are
        Normal/Independent Distributed" (1980).
    """
    step = _reweighting(loss, tf.constant(x, tf.float64), tf.constant(y, tf.float64))
    center = np.median(y, axis=-1, keepdims=True)
    lines = tf.constant(np.concatenate([center, np.zeros_like(center)], axis=-1))
    scale = tf.constant(np.median(np.abs(y - center), axis=-1, keepdims=True))
    change, count = np.inf, 0
    while change > tolerance and count < iterations:
        lines, scale, change = step(lines, scale)
        count += 1
    return Fit(lines.numpy(), scale.numpy()[:, 0], float(change), count)


def table(result: Result) -> tuple[list[str], list[list[str]]]:
    """Returns (header, rows) of a printed table, one row for each law of errors and likelihood.

    Args:
        result: As from `measure`.
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


def _predictions(coefficients: np.ndarray, scale: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Locations and log-scales of all points, [R, N, 2]."""
    location = coefficients[:, :1] + coefficients[:, 1:] * x
    return np.stack([location, np.broadcast_to(np.log(scale)[:, None], location.shape)], axis=-1)


def _reweighting(loss: keras.losses.Loss, x: tf.Tensor, y: tf.Tensor) -> Callable:
    """Compiles one step: lines [R, 2] and scales [R, 1] to the next ones and the change of the lines."""

    # Compiled by XLA it makes one pass over the data and no arrays between.
    @tf.function(jit_compile=True)
    def step(lines, scale):
        z = (y - lines[:, :1] - lines[:, 1:] * x) / scale
        with tf.GradientTape() as tape:
            tape.watch(z)
            value = loss(z, tf.zeros_like(z))
        w = tf.abs(tape.gradient(value, z)) / tf.maximum(tf.abs(z), _CLOSEST)
        # Centered sums: weights can span nine decades.
        total = tf.reduce_sum(w, axis=-1, keepdims=True)
        center_x = tf.reduce_sum(w * x, axis=-1, keepdims=True) / total
        center_y = tf.reduce_sum(w * y, axis=-1, keepdims=True) / total
        dx = x - center_x
        slope = tf.reduce_sum(w * dx * (y - center_y), -1, True) / tf.reduce_sum(w * dx**2, -1, True)
        intercept = center_y - slope * center_x
        residuals = y - intercept - slope * x
        new_scale = tf.sqrt(tf.reduce_mean(w * residuals**2, axis=-1, keepdims=True))
        new_lines = tf.concat([intercept, slope], axis=-1)
        return new_lines, new_scale, tf.sqrt(tf.reduce_mean(((new_lines - lines) / scale) ** 2))

    return step


def _cell(squares, likelihoods, own_squares, own_likelihoods, bound, change) -> Cell:
    count = len(squares)
    mean, spread = squares.mean(), squares.std(ddof=1) / np.sqrt(count)
    middle = count / 2 + np.array([-0.5, 0.5]) * np.sqrt(count)
    low, high = np.sort(likelihoods)[np.clip(np.rint(middle).astype(int), 0, count - 1)]
    gaps = np.minimum(squares, 100 * bound) - np.minimum(own_squares, 100 * bound)
    gap_error = gaps.std(ddof=1) / np.sqrt(count)
    signs = np.sign(likelihoods - own_likelihoods)
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
