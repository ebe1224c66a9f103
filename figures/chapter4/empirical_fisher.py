"""Least squares with gradient descent, the natural gradient and the empirical Fisher matrix (Sec. 4.6).

The experiment is that of Kunstner et al., with data of our own.

References:
    Kunstner, Balles and Hennig, "Limitations of the empirical Fisher approximation for natural gradient
    descent" (2019), arXiv:1905.12558, figure 1.
"""

from dataclasses import dataclass

import numpy as np

from ...publishing.page import style
from ...theory import natural_gradient
from ..figure import Figure

NATURAL, EMPIRICAL, PLAIN = "natural gradient", "empirical Fisher", "gradient descent"
_METHODS = {PLAIN: style.GREEN, NATURAL: style.BLUE, EMPIRICAL: style.VERMILION}
_STARTS = ((-1.0, 5.0), (4.5, 4.5), (0.5, -1.5))


@dataclass(frozen=True)
class Regression:
    """Least squares of a line, y = a x + b, as a Gaussian model of unit variance.

    Args:
        x: Inputs x and 1, [N, 2].
        y: Targets, [N].
    """

    x: np.ndarray
    y: np.ndarray

    @property
    def optimum(self):
        """The least-squares parameters (a, b), [2]."""
        return np.linalg.lstsq(self.x, self.y, rcond=None)[0]

    def loss(self, theta):
        """Returns the mean of (a x + b - y)^2 / 2 in nats, [...], for parameters [..., 2]."""
        return np.mean((theta @ self.x.T - self.y) ** 2, axis=-1) / 2

    def direction(self, theta, method):
        """Returns the update direction of a method, [2], for parameters [2]: -g, -F^-1 g or -F~^-1 g.

        F is the Fisher matrix of the model, the mean of x x^T. F~ of Eq. 4.6.18 weights it with the squared
        residuals.
        """
        residuals = self.x @ theta - self.y
        gradient = self.x.T @ residuals / len(self.y)
        weights = {PLAIN: None, NATURAL: np.ones_like(residuals), EMPIRICAL: residuals**2}[method]
        if weights is None:
            return -gradient
        return natural_gradient.natural_step(gradient, self.x.T @ (weights[:, None] * self.x) / len(self.y))

    def path(self, start, method, learning_rate, steps):
        """Returns the parameters before each step and at the end, [steps + 1, 2]."""
        path = [np.asarray(start, float)]
        for _ in range(steps):
            path.append(path[-1] + learning_rate * self.direction(path[-1], method))
        return np.array(path)


def regression(examples=200, noise=0.5, seed=0):
    """Generates data on a line with Gaussian noise.

    Args:
        examples: Number of examples.
        noise: Standard deviation of the noise; the model assumes 1.
        seed: Seed of the data.

    Returns:
        A `Regression`.
    """
    rng = np.random.default_rng(seed)
    x = np.stack([rng.normal(1.0, 1.0, examples), np.ones(examples)], axis=1)
    return Regression(x, x @ [2.0, 2.0] + noise * rng.normal(size=examples))


def draw():
    """Draws the update directions of three methods, paths from three starts, and the loss on the paths."""
    problem = regression()
    figure, axes = style.canvas(9.6, 8.2, rows=2, columns=2)
    losses = axes[1, 1]
    for axis, (method, color) in zip(axes.flat, _METHODS.items(), strict=False):
        _field(axis, problem, method)
        for start, line in zip(_STARTS, ("-", "--", ":"), strict=True):
            path = problem.path(start, method, 0.3, 60)
            axis.plot(*path.T, "o-", color=color, linewidth=1.6, markersize=3.5)
            axis.plot(*start, "s", color=style.INK, markersize=6)
            excess = problem.loss(path) - problem.loss(problem.optimum)
            losses.plot(excess, line, color=color, linewidth=1.8)
        axis.plot(*problem.optimum, "*", color=style.INK, markersize=13)
        axis.set_title(method[0].upper() + method[1:], loc="left", fontsize=11, color=color)
    losses.set(yscale="log", ylim=(1e-8, 200), xlim=(0, 60), xlabel="steps")
    losses.set_ylabel("loss above its minimum, nats")
    losses.set_title("Three starts each", loc="left", fontsize=11)
    for method, place in ((PLAIN, (41.5, 3e-3)), (NATURAL, (2, 2e-7)), (EMPIRICAL, (31, 30))):
        label = method.replace("natural ", "natural\n")
        losses.text(*place, label, color=_METHODS[method], fontsize=10)
    return figure


def _field(axes, problem, method):
    slope, offset = np.linspace(-1.5, 5.5, 121), np.linspace(-2, 5.8, 121)
    losses = problem.loss(np.stack(np.meshgrid(slope, offset), axis=-1))
    axes.contour(slope, offset, losses, levels=np.geomspace(0.2, 60, 10), colors=[style.RULE], linewidths=1)
    grid = np.stack(np.meshgrid(slope[6::12], offset[6::12]), axis=-1).reshape(-1, 2)
    arrows = np.array([problem.direction(theta, method) for theta in grid])
    arrows /= np.linalg.norm(arrows, axis=1, keepdims=True)
    axes.quiver(*grid.T, *arrows.T, color=style.MUTED, alpha=0.55, scale=24, width=0.004, pivot="mid")
    axes.grid(visible=False)
    axes.set(xlim=slope[[0, -1]], ylim=offset[[0, -1]], xlabel="slope $a$", ylabel="offset $b$")


FIGURE = Figure(
    section="4.6",
    name="empirical_fisher",
    draw=draw,
    caption=(
        "Least squares of a line as in Kunstner et al. (2019): 60 steps of ε = 0.3 from three starts. The "
        "natural gradient goes straight to the minimum. The empirical Fisher (Eq. 4.6.18) is not a Fisher "
        "matrix. Its steps are small where the loss is high and four times too long at the minimum (the "
        "noise has a variance of 1/4, the model assumes 1), and its directions (arrows) are wrong."
    ),
    place=2,
)
