"""Bias and standard deviation of the naive and of the unbiased estimator of the variance.

Legend: N examples, R repetitions, S sizes N.
"""

import numpy as np
from scipy.stats import norm

from ...publishing.page import style
from ...theory import estimators
from ..figure import Figure
from .simulated_estimators import simulate

_SIZES = (2, 3, 4, 6, 9, 14, 22, 35, 60, 100)


def measure(sizes=_SIZES, repeats=20_000, seed=0):
    """Simulates both estimators on standard Gaussian data.

    Args:
        sizes: Numbers N of examples, [S], at least 2.
        repeats: Number R of data sets for each size.
        seed: Seed of the generator.

    Returns:
        `Curve`s by name: `naive` (Eq. 3.3.6) and `unbiased` (Eq. 3.3.8).
    """

    def curve(ddof):
        return simulate(lambda x: np.var(x, axis=1, ddof=ddof), norm(), sizes, repeats, seed, truth=1.0)

    return {"naive": curve(0), "unbiased": curve(1)}


def plot(curves):
    """Draws bias and standard deviation of both estimators against N.

    Args:
        curves: `Curve`s by name, from `measure`.
    """
    figure, axes = style.canvas(8.3, 3.9, columns=2)
    for name, ddof, color, marker in (("naive", 0, style.VERMILION, "o"), ("unbiased", 1, style.BLUE, "s")):
        curve, label = curves[name], f"divided by {'N' if ddof == 0 else 'N − 1'}"
        n = np.arange(min(curve.sizes), max(curve.sizes) + 1)
        deviation = np.sqrt(curve.values("variance"))
        # The relative error of a root is half that of the variance.
        deviation_error = curve.values("variance_error") / (2 * deviation)
        panels = (
            (estimators.variance_bias(1.0, n, ddof), curve.values("bias"), curve.values("mean_error")),
            (np.sqrt(estimators.variance_of_variance(1.0, n, ddof=ddof)), deviation, deviation_error),
        )
        for axis, (line, points, errors) in zip(axes[0], panels, strict=True):
            axis.plot(n, line, color=color, label=label)
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


def draw():
    """Simulates both estimators and draws the results."""
    return plot(measure())


FIGURE = Figure(
    section="3.3",
    name="bessel",
    draw=draw,
    caption=(
        "Bias and standard deviation of the estimated variance of N Gaussian examples, divided by N (Eq. "
        "3.3.6) or by N - 1 (Eq. 3.3.8). Points are simulated, lines are the closed forms of Eqs. 3.3.7 and "
        "3.3.14. Bessel's correction removes the bias at the price of a larger spread."
    ),
    place=1,
)
