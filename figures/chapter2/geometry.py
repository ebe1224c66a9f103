"""Figures: Gaussians as a half-plane, and what small KL divergences add up to (notes, section 2.3).

`geodesics` and `small_steps` compute, `draw_geodesics` and `draw_kl_and_length` draw.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...publishing.page import style
from ...theory import families, geometry

PAIRS = (((-2.6, 0.35), (2.6, 0.35)), ((-1.5, 0.6), (0.7, 1.1)), ((3.0, 0.9), (3.0, 2.7)))
CENTERS = ((-4.3, 2.3), (-4.3, 1.1), (-4.3, 0.53), (-4.3, 0.25))
RADIUS = 0.5
PATH = ((-1.0, 0.5), (1.5, 1.5))
"""Ends of the path of `small_steps`: mean and standard deviation."""


@dataclass(frozen=True)
class Connection:
    """Two ways between two Gaussians.

    Args:
        geodesic: Points (mu, sigma) on the shortest path at equal distances, [T, 2].
        line: Points on the straight line, [T, 2].
        distance: Statistical length of the geodesic.
        line_length: That of the line.
    """

    geodesic: np.ndarray
    line: np.ndarray
    distance: float
    line_length: float


@dataclass(frozen=True)
class Steps:
    """KL divergences of small steps on the geodesic between the ends of `PATH`.

    Args:
        numbers: Numbers n of steps, [N].
        sums: Sums of the n divergences, [N].
        roots: Sums of sqrt(2 D) over the n steps, [N].
        length: The length L of the path.
        ratios: Ratios sigma / sigma_0, [M].
        forward: D(sigma_0 || sigma), [M].
        backward: D(sigma || sigma_0), [M].
        half_squares: L^2 / 2 of the distance from sigma_0 to sigma, [M].
    """

    numbers: np.ndarray
    sums: np.ndarray
    roots: np.ndarray
    length: float
    ratios: np.ndarray
    forward: np.ndarray
    backward: np.ndarray
    half_squares: np.ndarray


def geodesics(pairs=PAIRS, points=201) -> list[Connection]:
    """Computes geodesics and straight lines between pairs of Gaussians, Eq. 2.3.10.

    Args:
        pairs: Pairs of (mu, sigma).
        points: Number T of points on each path.
    """
    times = np.linspace(0, 1, points)
    connections = []
    for start, end in pairs:
        line = _line(start, end)
        connections.append(
            Connection(
                families.gaussian_geodesic(start, end)(times),
                np.array([line(t) for t in times]),
                families.gaussian_distance(start, end),
                geometry.length(families.gaussian, line),
            )
        )
    return connections


def circle(center, radius, points=181):
    """Returns the Gaussians at one distance from a Gaussian, and the ellipse of its Fisher matrix.

    In mu / sqrt(2) and sigma a hyperbolic circle is a Euclidean one about a higher center.

    Args:
        center: Mean and standard deviation.
        radius: The statistical distance.
        points: Number T of points.

    Returns:
        The circle and the ellipse delta^T F delta = radius^2, [T, 2] each.
    """
    angles = np.linspace(0, 2 * np.pi, points)
    directions = np.stack([np.sqrt(2) * np.cos(angles), np.sin(angles)], axis=1)
    (mean, sigma), arc = center, radius / np.sqrt(2)
    round_ = np.array([mean, sigma * np.cosh(arc)]) + sigma * np.sinh(arc) * directions
    return round_, np.array(center) + sigma * arc * directions


def small_steps(path=PATH, numbers=None) -> Steps:
    """Computes what the divergences of small steps add up to, Eq. 2.3.9 and 2.3.10, and of one big step.

    Args:
        path: Both ends, (mu, sigma) each.
        numbers: Numbers of steps; by default powers of 2 to 1,024.
    """
    numbers = 2 ** np.arange(11) if numbers is None else np.asarray(numbers)
    way = families.gaussian_geodesic(*path)
    steps = [geometry.step_divergences(families.gaussian_kl, way, int(n)) for n in numbers]
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


def draw_geodesics() -> Figure:
    """Draws the half-plane of Gaussians with geodesics and circles, and the Gaussians on one of the paths.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    connections = geodesics()
    figure, _ = style.canvas(9.4, 4.2)
    figure.clear()
    grid = figure.add_gridspec(2, 2, width_ratios=(2.5, 1))
    plane, upper, lower = (figure.add_subplot(g) for g in (grid[:, 0], grid[0, 1], grid[1, 1]))
    for axes in (plane, upper, lower):
        style.clean(axes)
    _half_plane(plane, connections)
    _densities(upper, connections[0].geodesic, style.BLUE, "along the geodesic")
    _densities(lower, connections[0].line, style.MUTED, "along the straight line")
    lower.set_xlabel("$x$")
    return figure


def draw_kl_and_length() -> Figure:
    """Draws sums over small steps against their number, and KL divergences beside half the squared distance.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    steps = small_steps()
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
    right.set_title("One big step", loc="left", fontsize=11)
    right.legend(frameon=False, fontsize=10, loc="upper center")
    return figure


def _line(start, end):
    start, end = np.asarray(start, float), np.asarray(end, float)
    return lambda t: start + t * (end - start)


def _half_plane(axes: Axes, connections: list[Connection]) -> None:
    for c, offset in zip(connections, ((-12, 7), (-14, 6), (7, 0)), strict=True):
        axes.plot(*c.line.T, "--", color=style.MUTED, linewidth=1.2)
        axes.plot(*c.geodesic.T, color=style.BLUE, linewidth=2)
        axes.plot(*c.geodesic[[0, -1]].T, "o", color=style.BLUE, markersize=5)
        axes.annotate(
            f"{c.distance:.2f}",
            c.geodesic[len(c.geodesic) // 2],
            offset,
            textcoords="offset points",
            color=style.BLUE,
            fontsize=10,
        )
    below = connections[0].line[100]
    text = f"{connections[0].line_length:.2f} along the line"
    axes.annotate(text, below, (-42, -13), textcoords="offset points", color=style.MUTED, fontsize=9)
    for center in CENTERS:
        for curve, look in zip(circle(center, RADIUS), ({}, {"linestyle": ":"}), strict=True):
            axes.plot(*curve.T, color=style.VERMILION, linewidth=1.2, **look)
        axes.plot(*center, ".", color=style.VERMILION, markersize=4)
    axes.set(xlim=(-5.8, 3.9), ylim=(0, 3.5), xlabel=r"mean $\mu$", ylabel=r"standard deviation $\sigma$")
    note = f"solid: distance {RADIUS:g}\ndotted: Fisher ellipse"
    axes.annotate(note, (-2.8, 2.75), color=style.VERMILION, fontsize=9, linespacing=1.3)
    axes.set_aspect("equal")
    axes.set_title("Gaussians as a half-plane", loc="left", fontsize=11)


def _densities(axes: Axes, path: np.ndarray, color: str, title: str) -> None:
    x = np.linspace(-5, 5, 1001)
    chosen = path[np.linspace(0, len(path) - 1, 7).round().astype(int)]
    for k, (mean, sigma) in enumerate(chosen):
        density = np.exp(-(((x - mean) / sigma) ** 2) / 2) / (sigma * np.sqrt(2 * np.pi))
        end = k in (0, len(chosen) - 1)
        density[density < 2e-3] = np.nan
        axes.plot(x, density, color=color, linewidth=2 if end else 1, alpha=1.0 if end else 0.6)
    axes.set(xlim=(-5, 5), ylim=(0, 1.25), ylabel="density")
    axes.set_title(title, loc="left", fontsize=10)
