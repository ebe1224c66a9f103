"""Variances of estimators of a location, compared with the Cramér-Rao bound.

Legend: N examples, R repetitions, S sizes N.
"""

import numpy as np
from scipy.stats import cauchy, laplace, norm

from ...publishing.page import style
from ...theory import estimators
from ..figure import Figure
from .simulated_estimators import simulate

_SIZES = (7, 11, 19, 31, 55, 101, 201)
_LAWS = {"Gaussian": norm(), "Laplace": laplace(), "Cauchy": cauchy()}
_FISHER = {"Gaussian": 1.0, "Laplace": 1.0, "Cauchy": 0.5}
_NOTES = {
    "Gaussian": "maximum likelihood\nis the mean",
    "Laplace": "maximum likelihood\nis the median",
    "Cauchy": "the mean has\nno variance",
}
_LABELS = {"mean": "mean", "median": "median", "mle": "maximum likelihood"}
_LOOKS = {
    "mean": (style.BLUE, "o"),
    "median": (style.VERMILION, "s"),
    "mle": (style.GREEN, "D"),
}


def measure(law, sizes=_SIZES, repeats=6_000, seed=0):
    """Simulates estimators of the location of data from a symmetric law.

    Args:
        law: `Gaussian`, `Laplace` or `Cauchy`, with location zero and scale one.
        sizes: Numbers N of examples, [S], odd. The median of Cauchy data has a variance for N >= 5.
        repeats: Number R of data sets for each size.
        seed: Seed of the generator.

    Returns:
        `Curve`s by name: `median`, and `mean` or, for Cauchy data, whose mean has no variance, `mle`. The
        maximum likelihood estimate is the mean for Gaussian data and the median for Laplace data.

    Raises:
        ValueError: If `law` is none of these.
    """
    if law not in _LAWS:
        raise ValueError(f"law must be one of {tuple(_LAWS)}, got {law!r}")
    chosen = {"median": lambda x: np.median(x, axis=1)}
    if law == "Cauchy":
        chosen["mle"] = cauchy_location
    else:
        chosen["mean"] = lambda x: x.mean(axis=1)
    return {name: simulate(f, _LAWS[law], sizes, repeats, seed, truth=0.0) for name, f in chosen.items()}


def cauchy_location(x, steps=20):
    """Computes the maximum of the likelihood near the median, for Cauchy data of scale one.

    Args:
        x: Data, [R, N].
        steps: Number of fixed-point steps, each to the mean weighted by 1 / (1 + r^2). This is expectation
            maximization for the Cauchy law as a mixture of Gaussians, so that no step lowers the likelihood.

    Returns:
        Locations, [R].
    """
    location = np.median(x, axis=1)
    for _ in range(steps):
        weights = 1 / (1 + (x - location[:, None]) ** 2)
        location = np.sum(weights * x, axis=1) / np.sum(weights, axis=1)
    return location


def plot(curves):
    """Draws N times the variance of the estimators against N, with the lower bound.

    Args:
        curves: The results of `measure` by law.
    """
    figure, axes = style.canvas(8.3, 3.9, columns=len(curves), sharey=True)
    for axis, (law, by_estimator) in zip(axes[0], curves.items(), strict=True):
        _panel(axis, law, by_estimator)
    axes[0, 0].set_ylabel("N × variance of the estimate")
    axes[0, 0].set(yscale="log", ylim=(0.85, 6), yticks=[1, 2, 3, 4, 5])
    axes[0, 0].yaxis.set_major_formatter("{x:g}")
    axes[0, 0].minorticks_off()
    style.legend_below(figure, columns=4)
    return figure


def draw():
    """Simulates the estimators for all laws and draws the results."""
    return plot({law: measure(law) for law in _LAWS})


def _panel(axis, law, curves):
    bound = estimators.cramer_rao_bound(1.0, _FISHER[law])
    axis.axhline(bound, color=style.INK, linewidth=1.2, linestyle="--", label="Cramér-Rao bound")
    for name, curve in curves.items():
        color, marker = _LOOKS[name]
        n = np.array(curve.sizes)
        y, errors = n * curve.values("variance"), n * curve.values("variance_error")
        axis.errorbar(n, y, errors, fmt=marker, color=color, markersize=4, label=_LABELS[name])
        if name == "mean":
            axis.plot(n, np.full(len(n), _LAWS[law].var()), color=color, linewidth=1)
        elif name == "median":
            exact = [size * estimators.variance_of_median(_LAWS[law], size) for size in curve.sizes]
            axis.plot(n, exact, color=color, linewidth=1)
    axis.text(
        0.97, 0.97, _NOTES[law], transform=axis.transAxes, ha="right", va="top", fontsize=9, color=style.INK
    )
    axis.set_title(f"{law} data", loc="left", fontsize=11)
    axis.set(xscale="log", xlabel="examples N", xticks=[10, 30, 100, 200])
    axis.xaxis.set_major_formatter("{x:g}")
    axis.minorticks_off()


FIGURE = Figure(
    section="3.4",
    name="cramer_rao",
    draw=draw,
    caption=(
        "N times the variance of estimators of a location, simulated (points) and exact (lines), with the "
        "Cramér-Rao bound (Eq. 3.4.13). The mean of Gaussian data attains the bound at every N. Maximum "
        "likelihood approaches it for Laplace and Cauchy data as N grows. The median of Gaussian data stays "
        "above it."
    ),
    place=1,
)
