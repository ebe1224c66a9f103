"""Figures: what a batch size buys, in one step and in a whole training (Sec. 4.5).

`measure_steps` simulates batches at one point of a quadratic loss, `measure_trainings` whole trainings by SGD
with a rate tuned for each batch size; `draw_noise_scale` and `draw_trade_off` set them beside the closed
forms of `curvezoo.theory.noise_scale`.

Legend: M batch sizes, R repeats, P parameters.
"""

from dataclasses import dataclass

import numpy as np

from ...publishing.page import style
from ...theory import noise_scale, trade_off

# The trainings' quadratic loss: eigenvalues over two decades, unit noise, equal parts in the first loss.
_EIGENVALUES = np.geomspace(0.01, 1.0, 12)
_START = 1 / np.sqrt(_EIGENVALUES)
_TARGET = 0.05
_SIZES = tuple(2 * 4 ** np.arange(6))


@dataclass(frozen=True)
class Steps:
    """The best steps and gains of simulated batches, in units of the noiseless ones.

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


@dataclass(frozen=True)
class Trainings:
    """Simulated trainings to one loss, the mean over repeats, at several batch sizes.

    Args:
        sizes: Batch sizes B, [M].
        rates: Learning rates tuned for each, [M].
        expected_steps: Steps by the exact recursion of the expected loss, [M].
        steps: Steps at which the mean loss of R simulated trainings passed the target, [M].
        errors: Standard errors of log `steps`, [M].
        mean_noise_scale: B_noise averaged over the steps of the noiseless training.
    """

    sizes: np.ndarray
    rates: np.ndarray
    expected_steps: np.ndarray
    steps: np.ndarray
    errors: np.ndarray
    mean_noise_scale: float


def measure_steps(ratios=None, repeats=4_000, seed=0):
    """Draws batches from a finite set of examples and finds the step that lowers the mean loss most.

    Args:
        ratios: Wanted B / B_noise, [M]; batch sizes are rounded to integers.
        repeats: Number R of batches for each.
        seed: Seed of problem and batches.

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
        slopes, bends = batches @ mean, np.sum(batches @ model.hessian * batches, axis=1)
        step, gain = slopes.mean() / bends.mean(), slopes.mean() ** 2 / bends.mean() / 2
        # The delta method: relative errors of the two means, correlated as they are.
        slope_noise, bend_noise = slopes / slopes.mean(), bends / bends.mean()
        errors = [np.std(k * slope_noise - bend_noise, ddof=1) / np.sqrt(repeats) for k in (1, 2)]
        step, gain = step / model.largest_step, gain / model.largest_gain
        rows.append((step, step * errors[0], gain, gain * errors[1]))
    return Steps(sizes / model.noise_scale, *np.transpose(rows))


def expected_loss(steps, rate, batch_size):
    """Returns the expected loss of a training in units of its first value, by its exact recursion.

    Along an eigenvector of H with eigenvalue h, unit noise and rate e, a step takes the mean square x^2 to
    (1 - e h)^2 x^2 + e^2 / B.

    Args:
        steps: Numbers of steps, real, [...].
        rate: Learning rates, [...].
        batch_size: Batch sizes B, [...].

    Returns:
        Losses, [...].
    """
    steps, rate, batch_size = (np.asarray(value, float)[..., None] for value in (steps, rate, batch_size))
    shrink = (1 - rate * _EIGENVALUES) ** 2
    floor = rate**2 / batch_size / (1 - shrink)
    return (floor + (_START**2 - floor) * shrink**steps) @ _EIGENVALUES / len(_EIGENVALUES)


def expected_steps(rate, batch_size):
    """Returns the steps after which the expected loss is at the target, a real number.

    Args:
        rate: Learning rates below 2, [...].
        batch_size: Batch sizes B, [...].

    Returns:
        Steps, [...]; infinite where the loss stays above the target.
    """
    rate, batch_size = np.broadcast_arrays(rate, batch_size)
    low, high = np.full(rate.shape, -3.0), np.full(rate.shape, 20.0)
    for _ in range(50):
        middle = (low + high) / 2
        done = expected_loss(np.exp(middle), rate, batch_size) <= _TARGET
        low, high = np.where(done, low, middle), np.where(done, middle, high)
    return np.where(expected_loss(np.inf, rate, batch_size) < _TARGET, np.exp(high), np.inf)


def measure_trainings(sizes=_SIZES, repeats=600, seed=0):
    """Trains a quadratic loss by SGD at several batch sizes, each at its best constant learning rate.

    The rate is tuned by the exact expectation, on a grid of steps of 1 %; the trainings are simulated.

    Args:
        sizes: Batch sizes B, [M].
        repeats: Number R of trainings for each.
        seed: Seed of the noise.

    Returns:
        A `Trainings`.
    """
    sizes = np.asarray(sizes)
    grid = np.geomspace(1e-4, 1.99, 1000)
    table = expected_steps(grid, sizes[:, None])
    best = table.argmin(axis=1)
    rates, expected = grid[best], table.min(axis=1)
    rng = np.random.default_rng(seed)
    found = [
        _simulated_passage(rate, size, int(4 * steps) + 10, repeats, rng)
        for rate, size, steps in zip(rates, sizes, expected, strict=True)
    ]
    steps, errors = np.transpose(found)
    noiseless = expected_steps(grid, 1e12)
    mean = _mean_noise_scale(grid[noiseless.argmin()], int(np.ceil(noiseless.min())))
    return Trainings(sizes, rates, expected, steps, errors, mean)


def draw_noise_scale(found=None):
    """Draws the best step and the best gain against B / B_noise, simulated and by Eqs. 4.5.6 and 4.5.7.

    Args:
        found: As from `measure_steps`; measured now if None.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    found = measure_steps() if found is None else found
    figure, axes = style.canvas(8.3, 3.9, columns=2)
    x = np.geomspace(found.ratios.min() / 1.4, found.ratios.max() * 1.4, 200)
    panels = (
        (found.steps, found.step_errors, r"$\epsilon_{opt}(B)\,/\,\epsilon_{max}$", "Best step", style.BLUE),
        (
            found.gains,
            found.gain_errors,
            r"$\Delta L_{opt}(B)\,/\,\Delta L_{max}$",
            "Best gain",
            style.VERMILION,
        ),
    )
    for axis, (values, errors, label, title, color) in zip(axes[0], panels, strict=True):
        axis.plot(x, np.minimum(x, 1), color=style.MUTED, linewidth=1, linestyle=":")
        axis.axvline(1, color=style.MUTED, linewidth=0.8)
        axis.plot(x, 1 / (1 + 1 / x), color=color, label=r"$1\,/\,(1 + B_{noise}/B)$")
        axis.errorbar(
            found.ratios, values, errors, fmt="o", color=color, markersize=4, label="simulated batches"
        )
        axis.plot(1, 0.5, "o", color="white", markeredgecolor=style.INK, markersize=6, zorder=4)
        axis.annotate("turnover: half", (1.15, 0.42), color=style.INK, fontsize=9, va="top")
        axis.set(xscale="log", yscale="log", xlabel=r"batch size $B\,/\,B_{noise}$", ylabel=label)
        axis.set_title(title, loc="left", fontsize=11)
        axis.legend(frameon=False, fontsize=9, loc="lower right", handlelength=1.2)
    return figure


def draw_trade_off(found=None):
    """Draws steps against examples of trainings at several batch sizes, with the hyperbola fitted to them.

    Args:
        found: As from `measure_trainings`; measured now if None.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    found = measure_trainings() if found is None else found
    fit = trade_off.fit_trade_off(found.sizes, found.steps)
    figure, axes = style.canvas(8.3, 4.1, columns=2)
    _plane(axes[0, 0], found, fit)
    _deviations(axes[0, 1], found, fit)
    return figure


def _plane(axis, found, fit):
    b = np.geomspace(found.sizes.min() / 1.5, found.sizes.max() * 1.5, 200)
    axis.plot(fit.examples(b), fit.steps(b), color=style.BLUE, label="hyperbola, fitted")
    axis.plot(found.sizes * found.steps, found.steps, "o", color=style.VERMILION, markersize=5, label="SGD")
    for size, steps in zip(found.sizes, found.steps, strict=True):
        axis.annotate(f"{size}", (size * steps, steps), (6, 4), textcoords="offset points", fontsize=9)
    axis.axhline(fit.least_steps, color=style.MUTED, linestyle=":", linewidth=1)
    axis.axvline(fit.least_examples, color=style.MUTED, linestyle=":", linewidth=1)
    critical = fit.critical_batch_size
    axis.plot(fit.examples(critical), fit.steps(critical), "D", color=style.INK, markersize=5, zorder=4)
    axis.annotate(
        rf"$B_{{crit}}$ = {critical:.0f} ± {fit.critical_batch_size_error:.0f}",
        (fit.examples(critical), fit.steps(critical)),
        (10, 8),
        textcoords="offset points",
        fontsize=9,
    )
    axis.set(xscale="log", yscale="log", xlabel="examples E to the target", ylabel="steps S to the target")
    axis.set(ylim=(0.8 * fit.least_steps, 1.6 * found.steps.max()), xlim=(0.7 * fit.least_examples, None))
    axis.set_yticks([tick for tick in (30, 50, 100, 200, 400, 800) if tick < 1.6 * found.steps.max()])
    axis.yaxis.set_major_formatter("{x:g}")
    axis.yaxis.minorticks_off()
    axis.set_title("A tuned training at each batch size", loc="left", fontsize=11)
    axis.legend(frameon=False, fontsize=9, loc="upper right")


def _deviations(axis, found, fit):
    axis.axhline(1, color=style.BLUE, label="hyperbola, fitted")
    ratio = found.expected_steps / fit.steps(found.sizes)
    axis.plot(found.sizes, ratio, color=style.GREEN, linewidth=1, label="expected loss, exact")
    axis.errorbar(
        found.sizes,
        np.exp(fit.residuals),
        found.errors * np.exp(fit.residuals),
        fmt="o",
        color=style.VERMILION,
        markersize=5,
        label="SGD",
    )
    for place, label, side in (
        (fit.critical_batch_size, "$B_{crit}$", "right"),
        (found.mean_noise_scale, "mean $B_{noise}$", "left"),
    ):
        axis.axvline(place, color=style.MUTED, linewidth=0.9, linestyle="--")
        shift = -4 if side == "right" else 4
        bottom = (place, 0.02)
        axis.annotate(
            label,
            bottom,
            (shift, 0),
            xycoords=axis.get_xaxis_transform(),
            textcoords="offset points",
            ha=side,
            fontsize=9,
        )
    axis.set(xscale="log", ylim=(0.86, 1.2), xlabel="batch size B", ylabel="steps S / hyperbola")
    axis.set_title("How well the hyperbola holds", loc="left", fontsize=11)
    axis.legend(frameon=False, fontsize=9, loc="upper right")


def _simulated_passage(rate, size, limit, repeats, rng):
    """Returns the step at which the mean loss of R trainings passes the target, and its relative error."""
    x = np.tile(_START, (repeats, 1))
    before = 0.0
    for step in range(1, limit + 1):
        x -= rate * (_EIGENVALUES * x + rng.normal(size=x.shape) / np.sqrt(size))
        losses = x**2 @ _EIGENVALUES / len(_EIGENVALUES)
        now = np.log(losses.mean())
        if now <= np.log(_TARGET):
            passage = step - (np.log(_TARGET) - now) / (before - now)
            near = np.log(expected_loss(passage + np.array([-0.5, 0.5]), rate, size))
            error = losses.std(ddof=1) / losses.mean() / np.sqrt(repeats) / (near[0] - near[1])
            return passage, error / passage
        before = now
    raise RuntimeError(f"the loss did not reach its target in {limit} steps at batch size {size}")


def _mean_noise_scale(rate, steps):
    """B_noise averaged over the steps of a noiseless training."""
    x = _START * (1 - rate * _EIGENVALUES) ** np.arange(steps)[:, None]
    scales = [
        noise_scale.LocalModel(_EIGENVALUES * at, np.diag(_EIGENVALUES), np.eye(len(at))).noise_scale
        for at in x
    ]
    return trade_off.trade_off_of_path(scales).critical_batch_size
