"""Integrals and Fourier transforms of densities on the line whose location and width are not known.

Legend: P panels, L coefficients per panel.

The highest point of the density is searched for at all scales. Panels around it double in width, and each is
halved until a Legendre series resolves the function there. Each series is integrated and Fourier transformed
exactly,

    int_-1^1 P_n(t) exp(-izt) dt = 2 (-i)^n j_n(z),

so the error of the transform is at most the area between the density and its series, at every wave number. If
a mass of more than 1e-6 is missed, the density does not integrate to one, and an error is raised.

References:
    Bakhvalov and Vasil'eva, "Evaluation of the integrals of oscillating functions by interpolation at nodes
    of Gaussian quadratures" (1968).
"""

from typing import NamedTuple

import numpy as np
from numpy.polynomial import legendre
from scipy.special import spherical_jn

from ..arguments import interval

_LENGTH = 16
_NODES, _WEIGHTS = legendre.leggauss(_LENGTH)
_PROJECTION = legendre.legvander(_NODES, _LENGTH - 1) * _WEIGHTS[:, None] * (np.arange(_LENGTH) + 0.5)
_AT_LEFT = (-1.0) ** np.arange(_LENGTH)

_REACH = 2.0 ** np.arange(-100, 101)  # Distances of panel edges from the highest point.
_SEARCH = np.exp2(np.linspace(-40, 40, 80 * 2048 + 1))  # Distances from zero searched for that point.

_RESOLVED = 1e-12  # Tolerance of a panel, relative to the area of the function.
_ROUNDING = 8 * np.finfo(float).eps  # Rounding error of the nodes, relative to their position.
_MIN_WIDTH = 128 * np.finfo(float).eps  # Smallest half-width of a panel, relative to its position.
_MAX_PANELS = 100_000


class Piecewise(NamedTuple):
    """A function as a Legendre series on each of many panels, from left to right.

    Args:
        middles: Centers of the panels, [P].
        halves: Half-widths of the panels, [P].
        coefficients: Coefficients of the Legendre polynomials, [P, L].
    """

    middles: np.ndarray
    halves: np.ndarray
    coefficients: np.ndarray

    def integrals(self):
        """Returns the integral over each panel, [P]."""
        return 2 * self.halves * self.coefficients[:, 0]

    def edges(self):
        """Returns the edges of the panels, [P + 1]."""
        return np.append(self.middles - self.halves, self.middles[-1] + self.halves[-1])

    def transform(self, wave):
        """Returns the Fourier transform int f(x) exp(-ikx) dx at one wave number k."""
        n = np.arange(_LENGTH)
        with np.errstate(over="ignore"):
            # Where the phase overflows, the transform is zero regardless of the phase.
            phases, angles = np.nan_to_num(wave * self.middles), wave * self.halves
        panels = np.sum(self.coefficients * (-1j) ** n * spherical_jn(n, angles[:, None]), axis=1)
        return 2 * np.sum(self.halves * np.exp(-1j * phases) * panels)


def fit(name, function, edges):
    """Expands a function in Legendre series on panels, which are halved until they resolve it.

    Args:
        name: Name of the integral, for the message.
        function: Function of an array of points.
        edges: Edges of the initial panels, increasing.

    Returns:
        A `Piecewise`.

    Raises:
        ValueError: If the function is not finite, is not resolved by 100,000 panels, or has more than 1e-9 of
            its area beyond 1e29.
    """
    fitted = _series(name, function, edges[:-1], edges[1:])
    while True:
        middles, halves, series = fitted
        heights = np.abs(series).max(axis=1)
        area = np.sum(halves * heights)
        # An error between the last node of a panel and its edge shows up as a jump to the next panel.
        jumps = np.abs(series[:-1].sum(axis=1) - series[1:] @ _AT_LEFT)
        error = np.abs(series[:, -4:]).sum(axis=1) + np.append(jumps, 0.0) + np.append(0.0, jumps)
        # Rounding of the argument limits the accuracy of any series.
        floor = np.maximum(_RESOLVED * area, _ROUNDING * np.abs(middles) * heights)
        coarse = (halves * error > floor) & (halves > _MIN_WIDTH * np.abs(middles))
        if not coarse.any():
            break
        if len(halves) > _MAX_PANELS:
            raise ValueError(f"{name} does not converge: {_MAX_PANELS} panels are too few")
        low, middle, high = (middles[coarse] + side * halves[coarse] for side in (-1, 0, 1))
        finer = _series(name, function, np.append(low, middle), np.append(middle, high))
        order = np.argsort(np.append(middles[~coarse], finer.middles))
        pairs = zip(fitted, finer, strict=True)
        fitted = Piecewise(*(np.concatenate([old[~coarse], new])[order] for old, new in pairs))
    if np.sum((halves * heights)[np.abs(middles) > _REACH[-2]]) > 1e-9 * area:
        raise ValueError(f"{name} does not converge within {_REACH[-1]:.2g} of zero")
    return fitted


def normalized(density, support):
    """Expands a density in Legendre series on panels (`fit`) and checks that it is normalized.

    Args:
        density: Function of an array of points, such as the `pdf` of a SciPy distribution.
        support: Ends of the interval outside which the density is zero.

    Returns:
        A `Piecewise`.

    Raises:
        ValueError: As in `fit`, or if the ends of the support do not increase, or the density is negative
            somewhere or does not integrate to 1 within 1e-6.
    """
    fitted = fit("the integral of density", density, _edges(density, support))
    total = fitted.integrals().sum()
    if abs(total - 1) > 1e-6:
        raise ValueError(
            f"density must integrate to 1 over support {tuple(support)}, got {total:.9g}; a peak far "
            "narrower than its distance from zero is found in a narrower support"
        )
    return fitted


def _edges(density, support):
    """Returns panel edges at all scales around the highest point of a density."""
    low, high = interval("support", support)
    x = min(max(0.0, low), high) + np.concatenate([-_SEARCH[::-1], _SEARCH])
    x = x[(low < x) & (x < high)]
    values = np.nan_to_num(np.broadcast_to(density(x), x.shape))
    if (values < 0).any():
        raise ValueError(f"density must not be negative, got {values.min():.9g} at {x[values.argmin()]:.9g}")
    top = x[values.argmax()]
    return np.unique(np.clip(np.concatenate([top - _REACH, [top], top + _REACH]), low, high))


def _series(name, function, low, high):
    middles, halves = (low + high) / 2, (high - low) / 2
    x = middles[:, None] + halves[:, None] * _NODES
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.broadcast_to(function(x), x.shape)
    infinite = ~np.isfinite(values)
    if infinite.any():
        raise ValueError(f"{name} does not converge: got {values[infinite][0]} at {x[infinite][0]:.9g}")
    return Piecewise(middles, halves, values @ _PROJECTION)
