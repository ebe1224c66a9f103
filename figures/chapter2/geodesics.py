"""The half-plane of Gaussians under the Fisher metric: geodesics, straight lines and circles."""

from dataclasses import dataclass

import numpy as np

from ...publishing.page import style
from ...theory import families, geometry
from ..figure import Figure

PAIRS = (((-2.6, 0.35), (2.6, 0.35)), ((-1.5, 0.6), (0.7, 1.1)), ((3.0, 0.9), (3.0, 2.7)))
"""Ends (mu, sigma) of the geodesics."""

CENTERS = ((-4.3, 2.3), (-4.3, 1.1), (-4.3, 0.53), (-4.3, 0.25))
"""Centers (mu, sigma) of the circles."""

RADIUS = 0.5
"""Statistical radius of the circles."""


@dataclass(frozen=True)
class Connection:
    """The geodesic and the straight line between two Gaussians.

    Args:
        geodesic: Points (mu, sigma) at equal distances on the shortest path, [T, 2].
        line: Points on the straight line, [T, 2].
        distance: Statistical length of the geodesic.
        line_length: Statistical length of the line.
    """

    geodesic: np.ndarray
    line: np.ndarray
    distance: float
    line_length: float


def measure(pairs=PAIRS, points=201):
    """Computes geodesics and straight lines between pairs of Gaussians, Eq. 2.3.10.

    Args:
        pairs: Pairs of (mu, sigma).
        points: Number T of points on each path.

    Returns:
        A list of `Connection`s.
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
    """Computes the Gaussians at a given distance from a Gaussian, and the ellipse of its Fisher matrix.

    In the coordinates mu / sqrt(2) and sigma, a hyperbolic circle is a Euclidean circle with a higher center.

    Args:
        center: Mean and standard deviation of the center.
        radius: Statistical distance from the center.
        points: Number T of points.

    Returns:
        The circle and the ellipse delta^T F delta = radius^2, [T, 2] each.
    """
    angles = np.linspace(0, 2 * np.pi, points)
    directions = np.stack([np.sqrt(2) * np.cos(angles), np.sin(angles)], axis=1)
    (mean, sigma), arc = center, radius / np.sqrt(2)
    hyperbolic = np.array([mean, sigma * np.cosh(arc)]) + sigma * np.sinh(arc) * directions
    return hyperbolic, np.array(center) + sigma * arc * directions


def draw():
    """Draws the half-plane with geodesics and circles, and the Gaussians along the first two paths."""
    connections = measure()
    figure, _ = style.canvas(9.4, 3.8)
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


def _line(start, end):
    start, end = np.asarray(start, float), np.asarray(end, float)
    return lambda t: start + t * (end - start)


def _half_plane(axes, connections):
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
    middle = connections[0].line[100]
    text = f"{connections[0].line_length:.2f} along the line"
    axes.annotate(text, middle, (-42, 5), textcoords="offset points", color=style.MUTED, fontsize=9)
    for center in CENTERS:
        for curve, look in zip(circle(center, RADIUS), ({}, {"linestyle": ":"}), strict=True):
            axes.plot(*curve.T, color=style.VERMILION, linewidth=1.2, **look)
        axes.plot(*center, ".", color=style.VERMILION, markersize=4)
    axes.set(xlim=(-5.8, 3.9), ylim=(0, 3.5), xlabel=r"mean $\mu$", ylabel=r"standard deviation $\sigma$")
    note = f"solid: distance {RADIUS:g}\ndotted: Fisher ellipse"
    axes.annotate(note, (-2.8, 2.75), color=style.VERMILION, fontsize=9, linespacing=1.3)
    axes.set_aspect("equal")
    axes.set_title("Gaussians as a half-plane", loc="left", fontsize=11)


def _densities(axes, path, color, title):
    x = np.linspace(-5, 5, 1001)
    selected = path[np.linspace(0, len(path) - 1, 7).round().astype(int)]
    for k, (mean, sigma) in enumerate(selected):
        density = np.exp(-(((x - mean) / sigma) ** 2) / 2) / (sigma * np.sqrt(2 * np.pi))
        at_end = k in (0, len(selected) - 1)
        density[density < 2e-3] = np.nan
        axes.plot(x, density, color=color, linewidth=2 if at_end else 1, alpha=1.0 if at_end else 0.6)
    axes.set(xlim=(-5, 5), ylim=(0, 1.25), ylabel="density")
    axes.set_title(title, loc="left", fontsize=10)


FIGURE = Figure(
    section="2.3",
    name="geodesics",
    draw=draw,
    caption=(
        "Under the Fisher metric, Gaussians form a hyperbolic half-plane (Eq. 2.3.10). Geodesics (blue, with "
        "their lengths) are half ellipses that pass through broad densities. Circles of the same statistical "
        "radius (solid) have a size proportional to sigma; the ellipses of the Fisher matrix (dotted) "
        "approximate them locally. Right: widening a narrow Gaussian, moving it and narrowing it again is a "
        "shorter path than shifting it along the straight line."
    ),
    place=3,
)
