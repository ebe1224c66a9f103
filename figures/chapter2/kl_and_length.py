"""KL divergences of many small steps along a path, and of one large step, compared with its length."""

from dataclasses import dataclass

import numpy as np

from ...publishing.page import style
from ...theory import families, geometry
from ..figure import Figure

PATH = ((-1.0, 0.5), (1.5, 1.5))
"""Ends (mu, sigma) of the path."""


@dataclass(frozen=True)
class Steps:
    """KL divergences along a geodesic divided into steps, and of changes of sigma alone.

    Args:
        numbers: Numbers n of steps, [N].
        sums: Sums of the n divergences, [N].
        roots: Sums of sqrt(2 D) over the n steps, [N].
        length: Length L of the path.
        ratios: Ratios sigma / sigma_0, [M].
        forward: D(sigma_0 || sigma), [M].
        backward: D(sigma || sigma_0), [M].
        half_squares: L^2 / 2 for the distance from sigma_0 to sigma, [M].
    """

    numbers: np.ndarray
    sums: np.ndarray
    roots: np.ndarray
    length: float
    ratios: np.ndarray
    forward: np.ndarray
    backward: np.ndarray
    half_squares: np.ndarray


def measure(path=PATH, numbers=None):
    """Computes the KL divergences of many small steps, Eqs. 2.3.9 and 2.3.10, and of one large step.

    Args:
        path: Both ends, (mu, sigma) each.
        numbers: Numbers of steps; powers of 2 up to 1,024 by default.

    Returns:
        A `Steps`.
    """
    numbers = 2 ** np.arange(11) if numbers is None else np.asarray(numbers)
    geodesic = families.gaussian_geodesic(*path)
    steps = [geometry.step_divergences(families.gaussian_kl, geodesic, int(n)) for n in numbers]
    ratios = np.logspace(-0.6, 0.6, 121)
    first, second = np.array([0.0, 1.0]), np.stack([np.zeros_like(ratios), ratios], axis=1)
    return Steps(
        numbers,
        np.array([d.sum() for d in steps]),
        np.array([np.sqrt(2 * d).sum() for d in steps]),
        families.gaussian_distance(*path),
        ratios,
        families.gaussian_kl(first, second),
        families.gaussian_kl(second, first),
        np.array([families.gaussian_distance(first, s) ** 2 / 2 for s in second]),
    )


def draw():
    """Draws sums over small steps against their number, and the KL divergences of one step with L^2 / 2."""
    steps = measure()
    figure, axes = style.canvas(9, 4.0, columns=2)
    left, right = axes[0]
    n = steps.numbers
    left.plot(n, steps.length**2 / (2 * n), color=style.VERMILION, linewidth=1)
    left.plot(n, steps.sums, "o", color=style.VERMILION, markersize=5)
    left.axhline(steps.length, color=style.BLUE, linewidth=1)
    left.plot(n, steps.roots, "s", color=style.BLUE, markersize=5)
    left.set(
        xscale="log", yscale="log", xlabel="number of steps $n$", ylabel="sum over the steps, nats or length"
    )
    left.set_title("Many small steps", loc="left", fontsize=11)
    left.text(12, steps.length * 1.3, r"$\sum\sqrt{2 D_{KL}} \to L$", color=style.BLUE)
    left.text(40, steps.length**2 / 30, r"$\sum D_{KL} \to L^2 / 2n$", color=style.VERMILION)
    left.set_ylim(top=20)
    curves = (
        (steps.forward, style.VERMILION, "-", r"$D_{KL}(1\,\|\,\sigma)$"),
        (steps.backward, style.ORANGE, "-", r"$D_{KL}(\sigma\,\|\,1)$"),
        (steps.half_squares, style.BLUE, "--", r"$L^2 / 2$"),
    )
    for values, color, line, label in curves:
        right.plot(steps.ratios, values, line, color=color, linewidth=1.6, label=label)
    right.set(xscale="log", ylim=(0, 3.2), xlabel=r"$\sigma$ of the second Gaussian", ylabel="nats")
    right.set_xticks([0.25, 0.5, 1, 2, 4], ["1/4", "1/2", "1", "2", "4"])
    right.minorticks_off()
    right.set_title("One large step", loc="left", fontsize=11)
    right.legend(frameon=False, fontsize=10, loc="upper center")
    return figure


FIGURE = Figure(
    section="2.3",
    name="kl_and_length",
    draw=draw,
    caption=(
        "Left: the KL divergences of n small steps along a geodesic sum to L^2 / (2n), which vanishes (Eq. "
        "2.3.9); their roots sqrt(2 D) sum to the length L (Eq. 2.3.10). Points are measured, lines are the "
        "limits. Right: for one large step (Eq. 2.3.13), both divergences agree with L^2 / 2 to second order "
        "only."
    ),
    place=4,
)
