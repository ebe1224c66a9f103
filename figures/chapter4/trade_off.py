"""The trade-off between steps and examples of SGD at different batch sizes (Sec. 4.5).

The loss is quadratic. Its eigenvalues span two decades; all eigenvectors have unit gradient noise and
contribute equally to the initial loss.

Legend: M batch sizes, R repetitions, P parameters.
"""

from dataclasses import dataclass

import numpy as np

from ...publishing.page import style
from ...theory import noise_scale, trade_off
from ..figure import Figure

_EIGENVALUES = np.geomspace(0.01, 1.0, 12)
_START = 1 / np.sqrt(_EIGENVALUES)
_TARGET = 0.05
_SIZES = tuple(2 * 4 ** np.arange(6))


@dataclass(frozen=True)
class Trainings:
    """Simulated training runs to the same loss at several batch sizes, averaged over repetitions.

    Args:
        sizes: Batch sizes B, [M].
        rates: Learning rates tuned for each batch size, [M].
        expected_steps: Steps by the exact recursion of the expected loss, [M].
        steps: Steps at which the mean loss of R simulated runs reached the target, [M].
        errors: Standard errors of log `steps`, [M].
        mean_noise_scale: B_noise averaged over the steps of the noiseless training.
    """

    sizes: np.ndarray
    rates: np.ndarray
    expected_steps: np.ndarray
    steps: np.ndarray
    errors: np.ndarray
    mean_noise_scale: float


def expected_loss(steps, rate, batch_size):
    """Computes the expected loss of a training run in units of its initial value, by its exact recursion.

    Along an eigenvector of H with eigenvalue h and unit noise, a step with learning rate e takes the mean
    square x^2 to (1 - e h)^2 x^2 + e^2 / B.

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
    """Computes the real number of steps after which the expected loss reaches the target.

    Args:
        rate: Learning rates below 2, [...].
        batch_size: Batch sizes B, [...].

    Returns:
        Steps, [...]; infinite if the loss stays above the target.
    """
    rate, batch_size = np.broadcast_arrays(rate, batch_size)
    low, high = np.full(rate.shape, -3.0), np.full(rate.shape, 20.0)
    for _ in range(50):
        middle = (low + high) / 2
        reached = expected_loss(np.exp(middle), rate, batch_size) <= _TARGET
        low, high = np.where(reached, low, middle), np.where(reached, middle, high)
    return np.where(expected_loss(np.inf, rate, batch_size) < _TARGET, np.exp(high), np.inf)


def measure(sizes=_SIZES, repeats=600, seed=0):
    """Simulates SGD on the quadratic loss at several batch sizes, each at its best constant learning rate.

    The learning rate is tuned with the exact expectation, on a grid with steps of 1 %.

    Args:
        sizes: Batch sizes B, [M].
        repeats: Number R of training runs for each batch size.
        seed: Seed of the noise.

    Returns:
        A `Trainings`.
    """
    sizes = np.asarray(sizes)
    grid = np.geomspace(1e-4, 1.99, 1000)
    steps_on_grid = expected_steps(grid, sizes[:, None])
    rates, expected = grid[steps_on_grid.argmin(axis=1)], steps_on_grid.min(axis=1)
    rng = np.random.default_rng(seed)
    passages = [
        _simulated_passage(rate, size, int(4 * steps) + 10, repeats, rng)
        for rate, size, steps in zip(rates, sizes, expected, strict=True)
    ]
    steps, errors = np.transpose(passages)
    noiseless = expected_steps(grid, 1e12)
    mean = _mean_noise_scale(grid[noiseless.argmin()], int(np.ceil(noiseless.min())))
    return Trainings(sizes, rates, expected, steps, errors, mean)


def plot(result):
    """Draws steps against examples with the fitted hyperbola, and the ratio of the steps to it.

    Args:
        result: A `Trainings`.
    """
    fit = trade_off.fit_trade_off(result.sizes, result.steps)
    figure, axes = style.canvas(8.3, 4.1, columns=2)
    _plane(axes[0, 0], result, fit)
    _deviations(axes[0, 1], result, fit)
    return figure


def draw():
    """Simulates the training runs and draws the results."""
    return plot(measure())


def _simulated_passage(rate, size, limit, repeats, rng):
    """Returns the step at which the mean loss of R runs reaches the target, and its relative error."""
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
    """Returns B_noise averaged over the steps of a noiseless training."""
    x = _START * (1 - rate * _EIGENVALUES) ** np.arange(steps)[:, None]
    scales = [
        noise_scale.LocalModel(_EIGENVALUES * at, np.diag(_EIGENVALUES), np.eye(len(at))).noise_scale
        for at in x
    ]
    return trade_off.trade_off_of_path(scales).critical_batch_size


def _plane(axis, result, fit):
    b = np.geomspace(result.sizes.min() / 1.5, result.sizes.max() * 1.5, 200)
    axis.plot(fit.examples(b), fit.steps(b), color=style.BLUE, label="fitted hyperbola")
    examples = result.sizes * result.steps
    axis.plot(examples, result.steps, "o", color=style.VERMILION, markersize=5, label="SGD")
    for size, x, y, residual in zip(result.sizes, examples, result.steps, fit.residuals, strict=True):
        # Labels are on the side of the curve where their point is.
        side = {"xytext": (6, 4)} if residual > 0 else {"xytext": (-4, -4), "ha": "right", "va": "top"}
        axis.annotate(f"{size}", (x, y), textcoords="offset points", fontsize=9, **side)
    axis.axhline(fit.least_steps, color=style.MUTED, linestyle=":", linewidth=1)
    axis.axvline(fit.least_examples, color=style.MUTED, linestyle=":", linewidth=1)
    critical = fit.critical_batch_size
    turnover = fit.examples(critical), fit.steps(critical)
    axis.plot(*turnover, "D", color=style.INK, markersize=5, zorder=4)
    label = rf"$B_{{crit}}$ = {critical:.0f} ± {fit.critical_batch_size_error:.0f}"
    axis.annotate(label, turnover, (10, 8), textcoords="offset points", fontsize=9)
    axis.set(xscale="log", yscale="log", xlabel="examples E to the target", ylabel="steps S to the target")
    axis.set(ylim=(0.8 * fit.least_steps, 1.6 * result.steps.max()), xlim=(0.7 * fit.least_examples, None))
    axis.set_yticks([tick for tick in (30, 50, 100, 200, 400, 800) if tick < 1.6 * result.steps.max()])
    axis.yaxis.set_major_formatter("{x:g}")
    axis.yaxis.minorticks_off()
    axis.set_title("A tuned training at each batch size", loc="left", fontsize=11)
    axis.legend(frameon=False, fontsize=9, loc="upper right")


def _deviations(axis, result, fit):
    axis.axhline(1, color=style.BLUE, label="fitted hyperbola")
    expected = result.expected_steps / fit.steps(result.sizes)
    axis.plot(result.sizes, expected, color=style.GREEN, linewidth=1, label="expected loss, exact")
    ratios = np.exp(fit.residuals)
    points = {"fmt": "o", "color": style.VERMILION, "markersize": 5, "label": "SGD"}
    axis.errorbar(result.sizes, ratios, result.errors * ratios, **points)
    for place, label, side, shift in (
        (fit.critical_batch_size, "$B_{crit}$", "right", -4),
        (result.mean_noise_scale, "mean $B_{noise}$", "left", 4),
    ):
        axis.axvline(place, color=style.MUTED, linewidth=0.9, linestyle="--")
        bottom = {"xycoords": axis.get_xaxis_transform(), "textcoords": "offset points", "ha": side}
        axis.annotate(label, (place, 0.02), (shift, 0), fontsize=9, **bottom)
    axis.set(xscale="log", ylim=(0.86, 1.2), xlabel="batch size B", ylabel="steps S / hyperbola")
    axis.set_title("Deviations from the hyperbola", loc="left", fontsize=11)
    axis.legend(framealpha=1, edgecolor="none", fontsize=9, loc="upper right")


FIGURE = Figure(
    section="4.5",
    name="trade_off",
    draw=draw,
    caption=(
        "Left: steps and examples that SGD needs to reduce the loss of a noisy quadratic to 5 %, at batch "
        "sizes from 2 to 2,048, each with its best constant learning rate. The hyperbola of Eq. 4.5.11 is "
        "fitted on logarithmic scales and gives B_crit (Eq. 4.5.12). Right: the steps divided by the "
        "hyperbola, which is accurate to 10 %. B_crit is within a factor of 2.5 of B_noise averaged over the "
        "noiseless training."
    ),
    place=2,
)
