"""Learning curves of agents with different seeds, with their mean and its confidence band."""

import numpy as np
from scipy import stats

from . import style
from .report import Section

_CONFIDENCE = 0.95


def band(curves, points=100):
    """Returns the mean of curves and its Student confidence interval, on a common grid.

    Args:
        curves: Arrays of (steps, return) [R, 2], one for each agent; undefined returns are left out.
        points: Number of points of the grid.

    Returns:
        The steps, the means, and half the widths of the intervals (0 for a single curve), each [points].
    """
    defined = [curve[np.isfinite(curve[:, 1])] for curve in curves]
    first, last = max(curve[0, 0] for curve in defined), min(curve[-1, 0] for curve in defined)
    steps = np.linspace(first, last, points)
    values = np.stack([np.interp(steps, *curve.T) for curve in defined])
    if len(values) == 1:
        return steps, values[0], np.zeros(points)
    error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    return steps, values.mean(axis=0), stats.t.ppf((1 + _CONFIDENCE) / 2, len(values) - 1) * error


def draw(axes, curves, label=None, color=None):
    """Draws the mean of curves with its band.

    Args:
        axes: A Matplotlib `Axes`.
        curves: As for `band`.
        label: Name in the legend.
        color: The color; `None` for the next one.
    """
    steps, mean, width = band(curves)
    (line,) = axes.plot(steps, mean, label=label, color=color)
    axes.fill_between(steps, mean - width, mean + width, color=line.get_color(), alpha=0.2, linewidth=0)


def section(curves):
    """Returns the section of a run's page with the curves of its agents.

    Args:
        curves: As for `band`.
    """
    figure, grid = style.canvas(5.0, 3.2)
    axes = grid[0, 0]
    drawn = [curve for curve in curves if np.isfinite(curve[:, 1]).any()]
    if len(drawn) > 1:
        draw(axes, drawn, "mean")
    for index, curve in enumerate(drawn):
        axes.plot(*curve.T, linewidth=0.8, alpha=0.7, label=f"agent {index}")
    axes.set(xlabel="steps of experience", ylabel="mean return of the last 100 episodes")
    axes.legend()
    caption = "Returns while learning, exploration included. Band: 95 % confidence interval of the mean."
    return Section("Learning curves", figures=[(figure, caption)])
