"""Integrals of a density over the line, whose place and width nobody gave, and its Fourier transform.

Legend: P panels, L coefficients of a panel.

The mass is looked for at all scales; about its highest point panels double in width, and each is halved until
a Legendre series resolves the function there. Each series is integrated, and Fourier transformed, exactly:

    int_-1^1 P_n(t) exp(-izt) dt = 2 (-i)^n j_n(z),

so that the error of the transform of a density is at most the area between it and its series at every wave
number, however fast the wave. A density of which more than 1e-6 is missed does not integrate to one and is
refused.

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

# Distances from the highest point, and finer and nearer ones to search for it.
_REACH = 2.0 ** np.arange(-100, 101)
_SEARCH = np.exp2(np.linspace(-40, 40, 80 * 2048 + 1))

# Of the function's area; and of a position, the rounding of a panel's nodes and the narrowest panel.
_RESOLVED = 1e-12
_ROUNDING = 8 * np.finfo(float).eps
_NARROWEST = 128 * np.finfo(float).eps
_MOST_PANELS = 100_000


class Piecewise(NamedTuple):
    """A function as a Legendre series on each of many panels, from left to right.

    Args:
        middles: Middles of the panels, [P].
        halves: Half their widths, [P].
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
            # Of a wave so fast that its phase overflows nothing is left, whatever the phase.
            phases, angles = np.nan_to_num(wave * self.middles), wave * self.halves
        panels = np.sum(self.coefficients * (-1j) ** n * spherical_jn(n, angles[:, None]), axis=1)
        return 2 * np.sum(self.halves * np.exp(-1j * phases) * panels)


def fit(name, function, edges):
    """Returns a function as Legendre series on panels, halved until they resolve it.

    Args:
        name: What the integral is called in the message.
        function: Function of an array of points.
        edges: Edges of the first panels, increasing.

    Returns:
        A `Piecewise`.

    Raises:
        ValueError: If the function is not finite, or has more than 1e-9 of its area beyond 1e29.
    """
    fitted = _series(name, function, edges[:-1], edges[1:])
    while True:
        middles, halves, series = fitted
        heights = np.abs(series).max(axis=1)
        area = np.sum(halves * heights)
        # What a panel misses between its last node and its edge shows as a jump to its neighbor.
        jumps = np.abs(series[:-1].sum(axis=1) - series[1:] @ _AT_LEFT)
        error = np.abs(series[:, -4:]).sum(axis=1) + np.append(jumps, 0.0) + np.append(0.0, jumps)
        # No series follows a function more closely than the rounding of its argument lets it.
        floor = np.maximum(_RESOLVED * area, _ROUNDING * np.abs(middles) * heights)
        coarse = (halves * error > floor) & (halves > _NARROWEST * np.abs(middles))
        if not coarse.any():
            break
        if len(halves) > _MOST_PANELS:
            raise ValueError(f"{name} does not converge: {_MOST_PANELS} panels are too few")
        low, middle, high = (middles[coarse] + side * halves[coarse] for side in (-1, 0, 1))
        finer = _series(name, function, np.append(low, middle), np.append(middle, high))
        order = np.argsort(np.append(middles[~coarse], finer.middles))
        both = zip(fitted, finer, strict=True)
        fitted = Piecewise(*(np.concatenate([old[~coarse], new])[order] for old, new in both))
    if np.sum((halves * heights)[np.abs(middles) > _REACH[-2]]) > 1e-9 * area:
        raise ValueError(f"{name} does not converge within {_REACH[-1]:.2g} of zero")
    return fitted


def normalized(density, support):
    """Returns a density as Legendre series on panels, `fit`, after checking that it is one.

    Args:
        density: Function of an array of points, such as the `pdf` of a SciPy distribution.
        support: Ends of the interval outside of which it is zero.

    Returns:
        A `Piecewise`.

    Raises:
        ValueError: As `fit`, or if the ends of the support do not increase, or the density is negative
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
    """Returns edges of panels that surround the highest point of a density at all scales."""
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
    bad = ~np.isfinite(values)
    if bad.any():
        raise ValueError(f"{name} does not converge: got {values[bad][0]} at {x[bad][0]:.9g}")
    return Piecewise(middles, halves, values @ _PROJECTION)
