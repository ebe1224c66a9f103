"""The best step and the best loss decrease of one SGD step against the batch size (Sec. 4.5).

Legend: M batch sizes, R repetitions.
"""

from dataclasses import dataclass

import numpy as np

from ...publishing.page import style
from ...theory import noise_scale
from ..figure import Figure


@dataclass(frozen=True)
class Steps:
    """Best steps and loss decreases of simulated batches, in units of the noiseless ones.

    Args:
        ratios: B / B_noise, [M].
        steps: eps_opt(B) / eps_max, [M].
        step_errors: Standard errors of `steps`, [M].
        gains: Delta L_opt(B) / Delta L_max, [M].
        gain_errors: Standard errors of `gains`, [M].
    """

    ratios: np.ndarray
    steps: np.ndarray
    step_errors: np.ndarray
    gains: np.ndarray
    gain_errors: np.ndarray


def measure(ratios=None, repeats=4_000, seed=0):
    """Draws batches from a finite set of examples and finds the step with the largest mean loss decrease.

    Args:
        ratios: Target values of B / B_noise, [M]; batch sizes are rounded to integers.
        repeats: Number R of batches of each size.
        seed: Seed of the problem and of the batches.

    Returns:
        A `Steps`.
    """
    ratios = np.geomspace(0.02, 50, 13) if ratios is None else np.asarray(ratios)
    rng = np.random.default_rng(seed)
    n, p = 64, 10
    root = rng.normal(size=(p, p))
    examples = rng.normal(size=(n, p))
    examples += 0.1 - examples.mean(axis=0)
    mean, covariance = noise_scale.gradient_moments(examples)
    model = noise_scale.LocalModel(mean, root @ root.T / p, covariance)
    sizes = np.maximum(np.round(ratios * model.noise_scale), 1).astype(int)
    rows = []
    for size in sizes:
        batches = rng.multinomial(size, np.full(n, 1 / n), size=repeats) @ examples / size
        slopes, curvatures = batches @ mean, np.sum(batches @ model.hessian * batches, axis=1)
        step, gain = slopes.mean() / curvatures.mean(), slopes.mean() ** 2 / curvatures.mean() / 2
        # The delta method, with the correlated relative errors of both means.
        slope_noise, curvature_noise = slopes / slopes.mean(), curvatures / curvatures.mean()
        errors = [np.std(k * slope_noise - curvature_noise, ddof=1) / np.sqrt(repeats) for k in (1, 2)]
        step, gain = step / model.largest_step, gain / model.largest_gain
        rows.append((step, step * errors[0], gain, gain * errors[1]))
    return Steps(sizes / model.noise_scale, *np.transpose(rows))


def plot(result):
    """Draws the best step and the best loss decrease against B / B_noise, with Eqs. 4.5.6 and 4.5.7.

    Args:
        result: A `Steps`.
    """
    figure, axes = style.canvas(8.3, 3.9, columns=2)
    x = np.geomspace(result.ratios.min() / 1.4, result.ratios.max() * 1.4, 200)
    step, gain = r"$\epsilon_{opt}(B)\,/\,\epsilon_{max}$", r"$\Delta L_{opt}(B)\,/\,\Delta L_{max}$"
    panels = (
        (result.steps, result.step_errors, step, "Best step", style.BLUE),
        (result.gains, result.gain_errors, gain, "Best loss decrease", style.VERMILION),
    )
    for axis, (values, errors, label, title, color) in zip(axes[0], panels, strict=True):
        axis.plot(x, np.minimum(x, 1), color=style.MUTED, linewidth=1, linestyle=":")
        axis.axvline(1, color=style.MUTED, linewidth=0.8)
        axis.plot(x, 1 / (1 + 1 / x), color=color, label=r"$1\,/\,(1 + B_{noise}/B)$")
        points = {"fmt": "o", "color": color, "markersize": 4, "label": "simulated batches"}
        axis.errorbar(result.ratios, values, errors, **points)
        axis.plot(1, 0.5, "o", color="white", markeredgecolor=style.INK, markersize=6, zorder=4)
        axis.annotate("turnover: half", (1.15, 0.42), color=style.INK, fontsize=9, va="top")
        axis.set(xscale="log", yscale="log", xlabel=r"batch size $B\,/\,B_{noise}$", ylabel=label)
        axis.set_title(title, loc="left", fontsize=11)
        axis.legend(frameon=False, fontsize=9, loc="lower right", handlelength=1.2)
    return figure


def draw():
    """Simulates the batches and draws the results."""
    return plot(measure())


FIGURE = Figure(
    section="4.5",
    name="noise_scale",
    draw=draw,
    caption=(
        "The best step (left) and the best loss decrease (right) of one SGD step against the batch size, in "
        "units of the noiseless ones (Eqs. 4.5.6 and 4.5.7). Each point averages 4,000 simulated batches at "
        "one point of a quadratic loss. The dotted lines are the two regimes; they meet at B = B_noise (Eq. "
        "4.5.8), where half of the maximum is reached."
    ),
    place=1,
)
