"""Plots of a noise-scale study: steps against examples, and the noise scale during training."""

import numpy as np
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from ...publishing.page import style


def draw_trade_off(tuned, fit):
    """Draws steps against examples to the target with the fitted hyperbola, and the tuned rates.

    Args:
        tuned: A `batch_size_sweep.Tuned` for each batch size.
        fit: The `theory.trade_off.TradeOffFit` of their steps.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure, axes = style.canvas(8.3, 4.3, columns=2, width_ratios=(1.45, 1))
    _plane(axes[0, 0], tuned, fit)
    _rates(axes[0, 1], tuned, fit)
    return figure


def draw_run(run, critical=None):
    """Draws the noise scales and the loss during training.

    Args:
        run: A `measurement.NoisyRun`.
        critical: B_crit of the sweep, drawn as a horizontal line; `None` to draw no line.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure, axes = style.canvas(8.3, 5.2, rows=2, sharex=True, height_ratios=(2.4, 1))
    top, bottom = axes[:, 0]
    steps = np.array([point.step for point in run.points])
    _series(top, steps, [point.simple for point in run.points], "o-", style.BLUE, "$B_{simple}$")
    curved = [(point.step, point.curved) for point in run.points if point.curved]
    if curved:
        _series(top, *zip(*curved, strict=True), "D", style.VERMILION, "$B_{noise}$")
    if critical is not None:
        top.axhline(critical, color=style.INK, linewidth=1, linestyle="--", label="$B_{crit}$ of the sweep")
    top.axhline(run.batch_size, color=style.MUTED, linewidth=1, linestyle=":", label="batch size of this run")
    top.set(yscale="log", ylabel="noise scale (examples)")
    top.set_title(f"One run: batch size {run.batch_size}, rate {run.rate:.3g}", loc="left", fontsize=11)
    style.legend_below(figure)
    bottom.plot(steps, [point.loss for point in run.points], color=style.GREEN)
    bottom.xaxis.set_major_locator(MaxNLocator(integer=True))
    bottom.set(xlabel="step", ylabel="training loss", xlim=(-0.02 * steps[-1], 1.02 * steps[-1]))
    return figure


def _series(axis, steps, estimates, form, color, label):
    """Draws positive estimates with their standard errors; others are omitted."""
    scales = np.array([each.noise_scale for each in estimates])
    errors = np.array([each.standard_error for each in estimates])
    positive = np.isfinite(scales) & (scales > 0)
    # On a logarithmic axis, error bars must end above zero.
    low = np.minimum(errors, 0.9 * scales, where=positive, out=np.zeros_like(scales))
    axis.errorbar(
        np.asarray(steps)[positive],
        scales[positive],
        [low[positive], errors[positive]],
        fmt=form,
        color=color,
        markersize=4,
        linewidth=1,
        elinewidth=1,
        label=label,
    )


def _plane(axis, tuned, fit):
    sizes = np.array([each.batch_size for each in tuned])
    steps = np.array([each.mean_steps for each in tuned])
    errors = np.nan_to_num([each.relative_error for each in tuned]) * steps
    line = np.geomspace(sizes.min() / 2, sizes.max() * 2, 200)
    levels = np.array([0.75 * min(fit.least_steps, steps.min()), 1.6 * steps.max()])
    for size in sizes:
        axis.plot(size * levels, levels, color=style.RULE, linewidth=1, zorder=1)
    axis.plot(fit.examples(line), fit.steps(line), color=style.BLUE, label="fitted hyperbola")
    axis.errorbar(
        sizes * steps, steps, errors, fmt="o", color=style.VERMILION, markersize=5, label="tuned runs"
    )
    for size, at in zip(sizes, steps, strict=True):
        axis.annotate(f"{size}", (size * at, at), (6, 4), textcoords="offset points", fontsize=9)
    axis.axhline(fit.least_steps, color=style.MUTED, linestyle=":", linewidth=1)
    axis.axvline(fit.least_examples, color=style.MUTED, linestyle=":", linewidth=1)
    critical = fit.critical_batch_size
    label = f"$B_{{crit}}$ = {critical:.3g} ± {fit.critical_batch_size_error:.2g}"
    at = fit.examples(critical), fit.steps(critical)
    axis.plot(*at, "D", color=style.INK, markersize=6, zorder=4, label=label)
    costs = sizes * steps
    axis.set(
        xscale="log",
        yscale="log",
        xlabel="examples E to the target",
        ylabel="steps S to the target",
        xlim=(0.7 * min(fit.least_examples, costs.min()), 1.8 * costs.max()),
        ylim=levels,
    )
    _decades(axis.xaxis)
    _decades(axis.yaxis)
    axis.set_title("Steps against examples", loc="left", fontsize=11)
    axis.legend(frameon=False, fontsize=9, loc="upper right")


def _rates(axis, tuned, fit):
    """Draws the tuned rates, and Eq. 4.5.6 fitted to them with the B_crit of the sweep."""
    sizes = np.array([each.batch_size for each in tuned])
    rates = np.array([each.rate for each in tuned])
    shape = 1 / (1 + fit.critical_batch_size / sizes)
    largest = np.exp(np.mean(np.log(rates / shape)))
    line = np.geomspace(sizes.min() / 1.3, sizes.max() * 1.3, 100)
    law = largest / (1 + fit.critical_batch_size / line)
    axis.plot(line, law, color=style.BLUE, label=r"$\propto 1\,/\,(1 + B_{crit}/B)$")
    axis.plot(sizes, rates, "o", color=style.VERMILION, markersize=5, label="tuned")
    axis.set(xscale="log", yscale="log", xlabel="batch size B", ylabel="learning rate")
    _decades(axis.xaxis)
    _decades(axis.yaxis)
    axis.set_title("Best rate", loc="left", fontsize=11)
    axis.legend(frameon=False, fontsize=9, loc="lower right")


def _decades(axis):
    """Labels a logarithmic axis in plain numbers, at 2 and 5, too, if it spans less than two decades."""
    low, high = axis.get_view_interval()
    subs = (1.0, 2.0, 5.0) if high / low < 100 else (1.0,)
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(StrMethodFormatter("{x:,g}"))
    axis.set_minor_formatter(NullFormatter())
