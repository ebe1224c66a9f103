"""Gradient descent and the natural gradient in four coordinate systems (Sec. 4.6)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...publishing.page import style
from ...theory import families, natural_gradient
from ..figure import Figure

MEAN, SCALE = 1.0, 0.7
"""Mean and standard deviation of the data."""

START = (-1.5, 1.3)
"""Mean and standard deviation of the initial Gaussian."""


@dataclass(frozen=True)
class Chart:
    """A coordinate system of the Gaussians.

    Args:
        label: Label in the figure.
        to_phi: Map from (mu, sigma) to the coordinates.
        to_theta: Map from the coordinates to (mu, sigma).
        color: Color in the figure.
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


def gradient(theta):
    """Computes the gradient with respect to (mu, sigma) of the mean of -log N(x; mu, sigma) over the data."""
    mu, sigma = theta
    square = SCALE**2 + (mu - MEAN) ** 2
    return np.array([(mu - MEAN) / sigma**2, 1 / sigma - square / sigma**3])


def measure(natural, learning_rate=0.02, steps=300):
    """Fits a Gaussian by descent in each chart.

    Args:
        natural: Whether to use the natural gradient, Eq. 4.6.17, instead of gradient descent, Eq. 4.6.2.
        learning_rate: The learning rate epsilon.
        steps: Number N of steps.

    Returns:
        Paths (mu, sigma), [N + 1, 2], in the order of `CHARTS`.
    """
    metric = families.gaussian if natural else None
    return [
        natural_gradient.descent_path(
            gradient, chart.to_phi(START), learning_rate, steps, chart.to_theta, metric
        )
        for chart in CHARTS
    ]


def step_differences(learning_rates):
    """Computes the distance of the charts' models after one step, in units of the length of the step.

    Distances are statistical, sqrt(2 KL) to leading order.

    Args:
        learning_rates: Learning rates epsilon, [N].

    Returns:
        Largest distance over the length of a natural step, for gradient descent and for the natural gradient,
        [N] each.
    """
    lengths = np.array([families.gaussian_distance(START, measure(True, e, 1)[0][1]) for e in learning_rates])
    differences = []
    for natural in (False, True):
        ends = [[path[1] for path in measure(natural, e, 1)] for e in learning_rates]
        apart = [max(families.gaussian_distance(a, b) for a in models for b in models) for models in ends]
        differences.append(np.array(apart) / lengths)
    return tuple(differences)


def draw():
    """Draws the paths of both methods in four charts, and the differences after one step."""
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
        for k, (chart, path) in enumerate(zip(CHARTS, measure(is_natural), strict=True)):
            # The natural paths coincide; dashes of all colors alternate on the common line.
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


def _divergence_map(axes):
    mu, sigma = np.linspace(-2, 2, 161), np.linspace(0.3, 2.3, 161)
    models = np.stack(np.meshgrid(mu, sigma), axis=-1)
    divergence = families.gaussian_kl(np.array([MEAN, SCALE]), models)
    axes.contour(mu, sigma, divergence, levels=np.geomspace(0.01, 30, 12), colors=[style.RULE], linewidths=1)
    axes.grid(visible=False)
    axes.set(xlim=(-2, 1.6), ylim=(0.3, 2.3), xlabel=r"mean $\mu$", ylabel=r"standard deviation $\sigma$")


def _orders(axes):
    rates = np.geomspace(0.002, 0.1, 9)
    plain, natural = step_differences(rates)
    axes.plot(rates, plain, "o-", color=style.VERMILION, markersize=5, linewidth=1.6)
    axes.plot(rates, natural, "o-", color=style.BLUE, markersize=5, linewidth=1.6)
    axes.plot(rates, natural[0] * rates / rates[0], "--", color=style.MUTED, linewidth=1)
    axes.set(xscale="log", yscale="log", ylim=(2e-3, 8), xlabel=r"learning rate $\epsilon$")
    axes.set_ylabel("distance of the models / length of the step")
    axes.text(rates[0], 3.3, "gradient descent", color=style.VERMILION, fontsize=10)
    axes.text(rates[3] * 1.3, natural[3] * 0.65, "natural\ngradient", color=style.BLUE, fontsize=10, va="top")
    axes.set_title("One step in all four charts", loc="left", fontsize=11)


FIGURE = Figure(
    section="4.6",
    name="natural_gradient",
    draw=draw,
    caption=(
        "A Gaussian fitted by descent in four coordinate systems (square: start, star: maximum likelihood, "
        "contours: KL divergence). Gradient descent takes a different path in each (Eq. 4.6.3; ε = 0.02, "
        "dots every 50 steps). The natural gradient takes the same path in all (Eq. 4.6.17), that of the "
        "closed form. Right: the distance of the models after one step. For gradient descent it is "
        "comparable to the length of the step; for the natural gradient it is a fraction of it proportional "
        "to ε (dashed)."
    ),
    place=1,
)
