"""Figure: a classifier is as sure as it should be on the data that it was fitted to (Sec. 3.4.4)."""

import numpy as np
from matplotlib.ticker import PercentFormatter

from ...losses.calibration import reliability_curve, wilson_interval
from ...publishing.page import style
from . import calibration_measurement as calibration

_BINS = 10
_FEWEST = 8  # Of fewer examples the interval is as wide as the axis.


def measure():
    """Trains the classifiers of the figure.

    Returns:
        Their `Outcome`s: `no prior`, and `prior` of standard deviation 3 on the weights.
    """
    return {"no prior": calibration.train(), "prior": calibration.train(scale=3.0)}


def draw():
    """Trains both classifiers and draws how often they are right against how sure they are.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    return draw_outcomes(measure())


def draw_outcomes(outcomes):
    """Draws the reliability of given classifiers, with 95 % Wilson intervals.

    Args:
        outcomes: What `measure` returned.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure, axes = style.canvas(8.3, 4.4, columns=2, sharey=True)
    free, held = outcomes["no prior"], outcomes["prior"]
    left, right = axes[0]
    _curve(left, free, "train", 1.0, "the training digits", style.GREEN, "D")
    _curve(left, free, "test", 1.0, "new digits", style.VERMILION, "o")
    warm = f"new digits, T = {free.temperature:.2f}"
    _curve(left, free, "test", free.temperature, warm, style.BLUE, "s")
    _curve(right, held, "train", 1.0, "the training digits", style.GREEN, "D")
    _curve(right, held, "test", 1.0, "new digits", style.VERMILION, "o")
    left.set_ylabel("accuracy, 95 % interval")
    for axis, title in ((left, "maximum likelihood"), (right, "Gaussian prior on the weights")):
        axis.plot([0, 1], [0, 1], "--", color=style.MUTED, linewidth=1, zorder=1)
        axis.set(xlim=(0.15, 1.03), ylim=(0.0, 1.03), xlabel="confidence")
        axis.set_title(title, loc="left", fontsize=11)
        axis.legend(title="calibration error", frameon=False, fontsize=9, title_fontsize=9, loc="lower right")
        for side in (axis.xaxis, axis.yaxis):
            side.set_major_formatter(PercentFormatter(1.0, decimals=0))
    return figure


def _curve(axis, outcome, split, temperature, label, colour, marker):
    curve = reliability_curve(outcome.probabilities(split, temperature), outcome.labels[split], _BINS)
    kept = curve.count >= _FEWEST
    confidence, accuracy, count = curve.confidence[kept], curve.accuracy[kept], curve.count[kept]
    intervals = [wilson_interval(round(a * n), n) for a, n in zip(accuracy, count, strict=True)]
    low, high = np.transpose(intervals)
    error = outcome.scores(split, temperature)["ece"]
    axis.errorbar(
        confidence,
        accuracy,
        # Rounding can put an end of the interval just inside the point.
        np.maximum([accuracy - low, high - accuracy], 0.0),
        fmt=f"{marker}-",
        color=colour,
        markersize=5,
        linewidth=1,
        elinewidth=0.8,
        capsize=2,
        label=f"{label}: {100 * error:.1f} %",
    )
