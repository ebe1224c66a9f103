"""Figures: bias and spread of the estimated variance, and how close estimators come to the Cramer-Rao bound.

`measure_variances` and `measure_locations` simulate; `draw_bessel` and `draw_cramer_rao` draw the results as
points and the closed forms of `curvezoo.theory.estimators` as lines.

Legend: N examples, R repeats, S sizes N.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import cauchy, laplace, norm

from ...publishing.page import style
from ...theory import estimators

_SIZES = (2, 3, 4, 6, 9, 14, 22, 35, 60, 100)
_ODD_SIZES = (7, 11, 19, 31, 55, 101, 201)
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


@dataclass(frozen=True)
class Curve:
    """Simulations of one estimator at several sizes.

    Args:
        sizes: Numbers N of examples, [S].
        simulations: A `theory.estimators.Simulation` for each, [S].
    """

    sizes: tuple
    simulations: tuple

    def values(self, name):
        """Returns one field of all simulations, [S]."""
        return np.array([getattr(s, name) for s in self.simulations])


def measure_variances(sizes=_SIZES, repeats=20_000, seed=0):
    """Simulates the naive and the unbiased variance of standard Gaussian data.

    Args:
        sizes: Numbers N of examples, [S], at least 2.
        repeats: Number R of simulated data sets for each.
        seed: Seed of the generator.

    Returns:
        A `Curve` by name: `naive` (Eq. 3.3.6) and `unbiased` (Eq. 3.3.8).
    """

    def curve(ddof):
        def estimate(x):
            return np.var(x, axis=1, ddof=ddof)

        return _simulate(estimate, norm(), sizes, repeats, seed, truth=1.0)

    return {"naive": curve(0), "unbiased": curve(1)}


def measure_locations(law, sizes=_ODD_SIZES, repeats=6_000, seed=0):
    """Simulates estimators of the location of data from a symmetric law.

    Args:
        law: `Gaussian`, `Laplace` or `Cauchy`, of location zero and scale one.
        sizes: Numbers N of examples, [S], odd; from 5 on the median of Cauchy data has a variance.
        repeats: Number R of simulated data sets for each.
        seed: Seed of the generator.

    Returns:
        A `Curve` by name: `median` and `mean`, which has no variance for Cauchy data, or then `mle`, the
        maximum of the likelihood; a Gaussian's is the mean, a Laplace's the median.

    Raises:
        ValueError: If `law` is another.
    """
    if law not in _LAWS:
        raise ValueError(f"law must be one of {tuple(_LAWS)}, got {law!r}")
    chosen = {"median": lambda x: np.median(x, axis=1)}
    if law == "Cauchy":
        chosen["mle"] = cauchy_location
    else:
        chosen["mean"] = lambda x: x.mean(axis=1)
    return {name: _simulate(f, _LAWS[law], sizes, repeats, seed, truth=0.0) for name, f in chosen.items()}


def cauchy_location(x, steps=20):
    """Returns the likelihood's maximum near the median for Cauchy data of scale one.

    Args:
        x: Data, [R, N].
        steps: Fixed-point steps, each to the mean weighted by 1 / (1 + r^2). This is expectation maximization
            for the Cauchy law as a mixture of Gaussians: none lowers the likelihood.

    Returns:
        Locations, [R].
    """
    location = np.median(x, axis=1)
    for _ in range(steps):
        weights = 1 / (1 + (x - location[:, None]) ** 2)
        location = np.sum(weights * x, axis=1) / np.sum(weights, axis=1)
    return location


def draw_bessel(curves=None):
    """Draws bias and standard deviation of the naive and the unbiased variance against N.

    Args:
        curves: As from `measure_variances`; measured now if None.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    curves = measure_variances() if curves is None else curves
    figure, axes = style.canvas(8.3, 3.9, columns=2)
    for name, ddof, color, marker in (("naive", 0, style.VERMILION, "o"), ("unbiased", 1, style.BLUE, "s")):
        curve = curves[name]
        n = np.arange(min(curve.sizes), max(curve.sizes) + 1)
        spread, variance = (
            np.sqrt(estimators.variance_of_variance(1.0, n, ddof=ddof)),
            curve.values("variance"),
        )
        # The error of a root: half the relative error of the variance.
        root_error = curve.values("variance_error") / (2 * np.sqrt(variance))
        for axis, line, points, errors in (
            (
                axes[0, 0],
                estimators.variance_bias(1.0, n, ddof),
                curve.values("bias"),
                curve.values("mean_error"),
            ),
            (axes[0, 1], spread, np.sqrt(variance), root_error),
        ):
            axis.plot(n, line, color=color, label=f"divided by {'N' if ddof == 0 else 'N − 1'}")
            axis.errorbar(curve.sizes, points, errors, fmt=marker, color=color, markersize=4)
    for axis, title in zip(axes[0], ("Bias", "Standard deviation"), strict=True):
        axis.set_title(f"{title} of the estimated variance", loc="left", fontsize=11)
        axis.set(xscale="log", xlabel="examples N", xticks=[2, 5, 10, 20, 50, 100])
        axis.xaxis.set_major_formatter("{x:g}")
        axis.minorticks_off()
        axis.set_ylabel(r"in units of $\sigma^2$")
    axes[0, 1].set(yscale="log", yticks=[0.1, 0.2, 0.5, 1.0])
    axes[0, 1].yaxis.set_major_formatter("{x:g}")
    axes[0, 1].minorticks_off()
    axes[0, 0].legend(frameon=False, fontsize=9, loc="lower right")
    return figure


def draw_cramer_rao(curves=None):
    """Draws N times the variance of estimators of a location against N, beside their lower bound.

    Args:
        curves: As from `measure_locations`, by law; measured now if None.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    curves = {law: measure_locations(law) for law in _LAWS} if curves is None else curves
    figure, axes = style.canvas(8.3, 3.9, columns=len(curves), sharey=True)
    for axis, (law, found) in zip(axes[0], curves.items(), strict=True):
        _locations_panel(axis, law, found)
    axes[0, 0].set_ylabel("N × variance of the estimate")
    axes[0, 0].set(yscale="log", ylim=(0.85, 6), yticks=[1, 2, 3, 4, 5])
    axes[0, 0].yaxis.set_major_formatter("{x:g}")
    axes[0, 0].minorticks_off()
    pairs = [pair for axis in axes.flat for pair in zip(*axis.get_legend_handles_labels(), strict=True)]
    handles = {label: handle for handle, label in pairs}
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return figure


def _locations_panel(axis, law, found):
    bound = estimators.cramer_rao_bound(1.0, _FISHER[law])
    axis.axhline(bound, color=style.INK, linewidth=1.2, linestyle="--", label="Cramér-Rao bound")
    for name, curve in found.items():
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


def _simulate(estimator, law, sizes, repeats, seed, truth):
    def sample(rng, shape):
        return law.rvs(size=shape, random_state=rng)

    rng = np.random.default_rng(seed)
    found = (estimators.simulate(estimator, sample, truth, int(n), repeats, rng) for n in sizes)
    return Curve(tuple(sizes), tuple(found))
