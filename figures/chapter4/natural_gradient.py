"""Figures: the natural gradient in four coordinate systems, and with the empirical Fisher (notes, Sec. 4.6).

`coordinate_paths`, `step_differences` and `regression` compute, `draw_coordinates` and
`draw_empirical_fisher` draw. The second is the experiment of Kunstner et al., computed for data of our own.

References:
    Kunstner, Balles and Hennig, "Limitations of the empirical Fisher approximation for natural gradient
    descent" (2019), arXiv:1905.12558, figure 1.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...publishing.page import style
from ...theory import families, natural_gradient

MEAN, SCALE = 1.0, 0.7
"""Mean and standard deviation of the data that Gaussians are fitted to."""

START = (-1.5, 1.3)


@dataclass(frozen=True)
class Chart:
    """Coordinates of Gaussians.

    Args:
        label: For the plot.
        to_phi: From (mu, sigma) to the coordinates.
        to_theta: From the coordinates to (mu, sigma).
        color: For the plot.
    """

    label: str
    to_phi: Callable
    to_theta: Callable
    color: str


CHARTS = (
    Chart(r"$\mu, \sigma$", np.asarray, np.asarray, style.BLUE),
    Chart(
        r"$\mu, \log\sigma$",
        lambda t: np.array([t[0], np.log(t[1])]),
        lambda phi: np.array([phi[0], np.exp(phi[1])]),
        style.GREEN,
    ),
    Chart(
        r"$\mu, \langle x^2\rangle$",
        lambda t: np.array([t[0], t[0] ** 2 + t[1] ** 2]),
        lambda phi: np.array([phi[0], np.sqrt(phi[1] - phi[0] ** 2)]),
        style.ORANGE,
    ),
    Chart(
        r"$\mu/\sigma^2, 1/\sigma^2$",
        lambda t: np.array([t[0], 1.0]) / t[1] ** 2,
        lambda phi: np.array([phi[0] / phi[1], 1 / np.sqrt(phi[1])]),
        style.VERMILION,
    ),
)

NATURAL, EMPIRICAL, PLAIN = "natural gradient", "empirical Fisher", "gradient descent"
_METHODS = {PLAIN: style.GREEN, NATURAL: style.BLUE, EMPIRICAL: style.VERMILION}


@dataclass(frozen=True)
class Regression:
    """Least squares of a line, y = a x + b, as a Gaussian model of unit variance.

    Args:
        x: Inputs, [N, 2]: x and 1.
        y: Targets, [N].
    """

    x: np.ndarray
    y: np.ndarray

    @property
    def optimum(self):
        """The least-squares parameters (a, b), [2]."""
        return np.linalg.lstsq(self.x, self.y, rcond=None)[0]

    def loss(self, theta):
        """The mean of (a x + b - y)^2 / 2 in nats, [...], for parameters [..., 2]."""
        return np.mean((theta @ self.x.T - self.y) ** 2, axis=-1) / 2

    def direction(self, theta, method):
        """The direction of descent, [2], of a method, for parameters [2]: -g, -F^-1 g or -F~^-1 g.

        F is the Fisher matrix of the model, the mean of x x^T; F~ of Eq. 4.6.18 has the residuals' squares.
        """
        residuals = self.x @ theta - self.y
        gradient = self.x.T @ residuals / len(self.y)
        weights = {PLAIN: None, NATURAL: np.ones_like(residuals), EMPIRICAL: residuals**2}[method]
        if weights is None:
            return -gradient
        return natural_gradient.natural_step(gradient, self.x.T @ (weights[:, None] * self.x) / len(self.y))

    def path(self, start, method, learning_rate, steps):
        """The parameters on the way, [steps + 1, 2]."""
        path = [np.asarray(start, float)]
        for _ in range(steps):
            path.append(path[-1] + learning_rate * self.direction(path[-1], method))
        return np.array(path)


def gaussian_gradient(theta):
    """Returns the gradient in (mu, sigma) of the mean of -log N(x; mu, sigma) over the data."""
    mu, sigma = theta
    square = SCALE**2 + (mu - MEAN) ** 2
    return np.array([(mu - MEAN) / sigma**2, 1 / sigma - square / sigma**3])


def coordinate_paths(natural, learning_rate=0.02, steps=300):
    """Fits a Gaussian by descent in each chart.

    Args:
        natural: Whether by the natural gradient, Eq. 4.6.17, or by gradient descent, Eq. 4.6.2.
        learning_rate: The learning rate epsilon.
        steps: Number N of steps.

    Returns:
        Paths (mu, sigma), [N + 1, 2], in the order of `CHARTS`.
    """
    metric = families.gaussian if natural else None
    return [
        natural_gradient.descent_path(
            gaussian_gradient, chart.to_phi(START), learning_rate, steps, chart.to_theta, metric
        )
        for chart in CHARTS
    ]


def step_differences(learning_rates):
    """Computes how far apart the charts' models are after one step, in units of the step's length.

    Lengths are statistical ones, sqrt(2 KL) to leading order.

    Args:
        learning_rates: Learning rates epsilon, [N].

    Returns:
        The largest distances over the length of a natural step, for gradient descent and for the natural
        gradient, [N] each.
    """
    lengths = np.array(
        [families.gaussian_distance(START, coordinate_paths(True, e, 1)[0][1]) for e in learning_rates]
    )
    differences = []
    for natural in (False, True):
        ends = [[path[1] for path in coordinate_paths(natural, e, 1)] for e in learning_rates]
        apart = [max(families.gaussian_distance(a, b) for a in models for b in models) for models in ends]
        differences.append(np.array(apart) / lengths)
    return tuple(differences)


def regression(examples=200, noise=0.5, seed=0) -> Regression:
    """Makes data on a line with Gaussian noise.

    Args:
        examples: Number of examples.
        noise: Standard deviation of the noise; the model believes 1.
        seed: Of the data.
    """
    rng = np.random.default_rng(seed)
    x = np.stack([rng.normal(1.0, 1.0, examples), np.ones(examples)], axis=1)
    return Regression(x, x @ [2.0, 2.0] + noise * rng.normal(size=examples))


def draw_coordinates() -> Figure:
    """Draws fits of a Gaussian in four charts, and how far apart one step in each leaves the models.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure, axes = style.canvas(12, 4.3, columns=3, width_ratios=(1.25, 1.25, 1))
    plain, natural, order = axes[0]
    flow = natural_gradient.expectation_path(
        CHARTS[2].to_phi(START), (MEAN, MEAN**2 + SCALE**2), np.linspace(1, 0, 301)
    )
    closed = np.array([CHARTS[2].to_theta(eta) for eta in flow])
    for axis, is_natural in ((plain, False), (natural, True)):
        _divergence_map(axis)
        if is_natural:
            axis.plot(*closed.T, color=style.RULE, linewidth=9, solid_capstyle="round")
        for k, (chart, path) in enumerate(zip(CHARTS, coordinate_paths(is_natural), strict=True)):
            # Dashes of all colors share the one line.
            look = (4 * k, (4, 12)) if is_natural else "-"
            axis.plot(*path.T, linestyle=look, color=chart.color, linewidth=2.2, label=chart.label)
            if not is_natural:
                axis.plot(*path[::50].T, "o", color=chart.color, markersize=4)
        axis.plot(*START, "s", color=style.INK, markersize=6)
        axis.plot(MEAN, SCALE, "*", color=style.INK, markersize=12)
    plain.set_title("Gradient descent", loc="left", fontsize=11)
    natural.set_title("Natural gradient", loc="left", fontsize=11)
    natural.set_ylabel("")
    natural.text(-0.45, 1.82, "closed form", color=style.MUTED, fontsize=10)
    plain.legend(frameon=False, fontsize=10, loc="lower left", title="coordinates", alignment="left")
    _orders(order)
    return figure


def draw_empirical_fisher() -> Figure:
    """Draws three fields of descent on one least-squares problem, paths in them, and the loss on the way.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    problem = regression()
    starts = ((-1.0, 5.0), (4.5, 4.5), (0.5, -1.5))
    figure, axes = style.canvas(9.6, 8.2, rows=2, columns=2)
    for axis, (method, color) in zip(axes.flat, _METHODS.items(), strict=False):
        _field(axis, problem, method)
        for start in starts:
            path = problem.path(start, method, 0.3, 60)
            axis.plot(*path.T, "o-", color=color, linewidth=1.6, markersize=3.5)
            axis.plot(*start, "s", color=style.INK, markersize=6)
        axis.plot(*problem.optimum, "*", color=style.INK, markersize=13)
        axis.set_title(method[0].upper() + method[1:], loc="left", fontsize=11, color=color)
    last = axes[1, 1]
    for method, color in _METHODS.items():
        for start, line in zip(starts, ("-", "--", ":"), strict=True):
            path = problem.path(start, method, 0.3, 60)
            excess = problem.loss(path) - problem.loss(problem.optimum)
            last.plot(excess, line, color=color, linewidth=1.8)
    last.set(yscale="log", ylim=(1e-8, 200), xlim=(0, 60), xlabel="steps")
    last.set_ylabel("loss above its minimum, nats")
    last.set_title("Three starts each", loc="left", fontsize=11)
    for method, place in ((PLAIN, (41.5, 3e-3)), (NATURAL, (2, 2e-7)), (EMPIRICAL, (31, 30))):
        last.text(*place, method.replace("natural ", "natural\n"), color=_METHODS[method], fontsize=10)
    return figure


def _divergence_map(axes: Axes) -> None:
    mu, sigma = np.linspace(-2, 2, 161), np.linspace(0.3, 2.3, 161)
    models = np.stack(np.meshgrid(mu, sigma), axis=-1)
    divergence = families.gaussian_kl(np.array([MEAN, SCALE]), models)
    axes.contour(mu, sigma, divergence, levels=np.geomspace(0.01, 30, 12), colors=[style.RULE], linewidths=1)
    axes.grid(visible=False)
    axes.set(xlim=(-2, 1.6), ylim=(0.3, 2.3), xlabel=r"mean $\mu$", ylabel=r"standard deviation $\sigma$")


def _orders(axes: Axes) -> None:
    rates = np.geomspace(0.002, 0.1, 9)
    plain, natural = step_differences(rates)
    axes.plot(rates, plain, "o-", color=style.VERMILION, markersize=5, linewidth=1.6)
    axes.plot(rates, natural, "o-", color=style.BLUE, markersize=5, linewidth=1.6)
    axes.plot(rates, natural[0] * rates / rates[0], "--", color=style.MUTED, linewidth=1)
    axes.set(xscale="log", yscale="log", ylim=(2e-3, 8), xlabel=r"learning rate $\epsilon$")
    axes.set_ylabel("distance of the models / length of the step")
    axes.text(rates[0], 3.3, "gradient descent", color=style.VERMILION, fontsize=10)
    axes.text(rates[3] * 1.3, natural[3] * 0.65, "natural\ngradient", color=style.BLUE, fontsize=10, va="top")
    axes.set_title("One step in all four", loc="left", fontsize=11)


def _field(axes: Axes, problem: Regression, method: str) -> None:
    slope, offset = np.linspace(-1.5, 5.5, 121), np.linspace(-2, 5.8, 121)
    losses = problem.loss(np.stack(np.meshgrid(slope, offset), axis=-1))
    axes.contour(slope, offset, losses, levels=np.geomspace(0.2, 60, 10), colors=[style.RULE], linewidths=1)
    grid = np.stack(np.meshgrid(slope[6::12], offset[6::12]), axis=-1).reshape(-1, 2)
    arrows = np.array([problem.direction(theta, method) for theta in grid])
    arrows /= np.linalg.norm(arrows, axis=1, keepdims=True)
    axes.quiver(*grid.T, *arrows.T, color=style.MUTED, alpha=0.55, scale=24, width=0.004, pivot="mid")
    axes.grid(visible=False)
    axes.set(xlim=slope[[0, -1]], ylim=offset[[0, -1]], xlabel="slope $a$", ylabel="offset $b$")
