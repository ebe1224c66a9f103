"""Entropy and divergence of continuous distributions, with a closed form for Gaussians (Sec. 2.1).

A density p in one dimension is a frozen SciPy distribution, a TFP distribution (one without quantiles, such
as a mixture, is assumed to have the real line as its support) or a `Density` made of a log density and its
support.

Quadrature is accurate to about ten digits if the density is smooth between its `points`. Far from zero the
rounding of x itself dominates: for a density of width w at x the error is about 1e-16 |x| / w, or 1e-8 for
`norm(1e8, 1)`. An integral whose estimated error exceeds 1e-5 (1 + |value|) raises an error.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.integrate import tanhsinh

from .. import arguments
from . import information

# The quantiles at these levels give the support of a distribution and locate its mass.
_LEVELS = (0.0, 0.05, 0.5, 0.95, 1.0)
# Where the density times the width is smaller, an undefined logarithm does not affect the integral.
_NEGLIGIBLE = 1e-150
# Points whose relative distance is below this are one.
_SAME = 4 * np.finfo(float).eps


@dataclass(frozen=True)
class Density:
    """A probability density on an interval, given by its logarithm.

    Args:
        log_density: The log density in nats, a function from an array [n] to an array [n].
        support: Ends (low, high) of the interval outside which the density is zero.
        points: Positions of peaks, jumps and kinks. They split the integral; the spread of two or more points
            sets its length scale. They are needed for features that are much narrower than 1, or far from 0
            and from the ends.

    Raises:
        ValueError: If the support is empty, or a point is outside it.
    """

    log_density: Callable
    support: tuple = (-np.inf, np.inf)
    points: tuple = ()

    def __post_init__(self):
        low, high = arguments.interval("support", self.support)
        points = arguments.finite("points", self.points, ndim=1)
        arguments.require("points", points, (points > low) & (points < high), f"be inside {self.support}")


class _LibraryDensity(Density):
    """The density of a SciPy or TFP distribution, whose logarithm may underflow within the support."""


def gaussian_entropy(covariance, base=None):
    """Returns the entropy of a Gaussian, log det(2 pi e C) / 2, which does not depend on the mean.

    Args:
        covariance: Covariance matrix C, [D, D], or a variance.
        base: Base of the logarithm, `None` for nats.

    Returns:
        The entropy, negative for a narrow Gaussian.

    Raises:
        ValueError: If the matrix is not symmetric and positive definite, or `base` is not above 1.
    """
    covariance = arguments.covariance("covariance", covariance)
    log_determinant = np.linalg.slogdet(covariance).logabsdet
    return information.in_base((len(covariance) * np.log(2 * np.pi * np.e) + log_determinant) / 2, base)


def entropy(p, base=None):
    """Returns the differential entropy S = -integral dx p(x) log p(x), Eq. 2.1.5.

    It is not a limit of Eq. 2.1.4 (docs/errata.md): it can be negative, and it increases by log c if the unit
    of x becomes c times smaller.

    Args:
        p: A density in one dimension (see the top of the module), or a multivariate SciPy or TFP distribution
            with an entropy in closed form, which is returned.
        base: Base of the logarithm, `None` for nats.

    Returns:
        The entropy.

    Raises:
        ValueError: If `p` is not a density, does not integrate to one, or the integral does not converge.
    """
    if _event_shape(p):
        return information.in_base(_closed_form("p", p), base)
    p = _density("p", p)
    return information.in_base(_mean("the entropy of p", "p", p, lambda x, log_p: -log_p), base)


def cross_entropy(p, q, base=None):
    """Returns -integral dx p(x) log q(x).

    Args:
        p: The density of the data, in one dimension (see the top of the module).
        q: The density of the model.
        base: Base of the logarithm, `None` for nats.

    Returns:
        The cross-entropy. It is infinite if q(x) = 0 < p(x) somewhere: outside the support of q, or where the
        log density of a `Density` is minus infinity.

    Raises:
        ValueError: If `p` or `q` is not a density or does not integrate to one, the integral does not
            converge, or the log density of a SciPy or TFP distribution q underflows where p has mass.
    """
    p, q = _density("p", p), _density("q", q)
    mean = _mean("the cross-entropy of p and q", "p", p, lambda x, log_p: -_log_model(q, x), q.points)
    return information.in_base(mean, base)


def kl_divergence(p, q, base=None):
    """Returns D_KL(p||q) = integral dx p(x) log(p(x) / q(x)), the integral form of Eq. 2.3.3.

    Args:
        p: The density of the data, in one dimension (see the top of the module).
        q: The density of the model.
        base: Base of the logarithm, `None` for nats.

    Returns:
        The divergence, infinite if q(x) = 0 < p(x) somewhere, as in `cross_entropy`. If it is infinite
        only because of the tails of q, the integral does not converge, which raises an error.

    Raises:
        ValueError: As in `cross_entropy`.
    """
    p, q = _density("p", p), _density("q", q)
    mean = _mean("the divergence of p from q", "p", p, lambda x, log_p: log_p - _log_model(q, x), q.points)
    return information.in_base(np.maximum(mean, 0.0), base)


def jensen_shannon(p, q, base=None):
    """Returns D_KL(p||m) / 2 + D_KL(q||m) / 2 with m = (p + q) / 2, the integral form of Eq. 3.6.2.

    Its square root is a metric. Unlike `kl_divergence`, it is finite for any two densities: where one of them
    vanishes or underflows, the other contributes its mass times log 2.

    Args:
        p: A density in one dimension (see the top of the module).
        q: Another density.
        base: Base of the logarithm, `None` for nats.

    Returns:
        The divergence, between 0 and log 2, with an absolute error of about 1e-10.

    Raises:
        ValueError: If `p` or `q` is not a density or does not integrate to one, or the integral does not
            converge.
    """
    p, q = _density("p", p), _density("q", q)
    total = sum(
        _mean(
            f"the divergence of {name} from the mixture",
            name,
            a,
            partial(_log_ratio_to_mixture, b),
            _edges(b),
        )
        for name, a, b in (("p", p, q), ("q", q, p))
    )
    return information.in_base(np.clip(total / 2, 0.0, np.log(2)), base)


def _log_ratio_to_mixture(other, x, log_p):
    """Returns log(2 p / (p + q)) at x [n]."""
    return np.log(2) - np.logaddexp(0.0, _log("the other density", other, x) - log_p)


def _edges(density):
    """Returns the points of a density and the finite ends of its support."""
    return (*density.points, *filter(np.isfinite, density.support))


def _density(name, p):
    """Returns `p` as a `Density` after checking that it integrates to one."""
    density = _as_density(name, p)
    total = _mean(f"the integral of {name}", name, density, lambda x, log_p: np.ones_like(x))
    if abs(total - 1) > arguments.ROUNDING:
        low, high = density.support
        raise ValueError(
            f"{name} must integrate to 1 over its support ({low:g}, {high:g}), got {total:.9g}; if it is a "
            "density, give the points where it peaks: Density(log_density, support, points)"
        )
    return density


def _event_shape(p):
    """Returns the shape of one sample of a distribution, () if it is a number."""
    return (p.dim,) if hasattr(p, "dim") else tuple(getattr(p, "event_shape", ()))


def _closed_form(name, p):
    """Returns the entropy of one multivariate distribution from its own method."""
    try:
        value = np.asarray(p.entropy(), dtype=np.float64)
    except (AttributeError, NotImplementedError):
        raise ValueError(
            f"{name} must have an entropy in closed form for x of shape {_event_shape(p)}: quadrature is in "
            "one dimension only"
        ) from None
    if value.ndim:
        raise ValueError(f"{name} must be one distribution, got a batch of shape {value.shape}")
    return value[()]


def _as_density(name, p):
    """Returns `p` as a `Density`; the quantiles of a library's distribution become its support and points."""
    if isinstance(p, Density):
        return p
    if _event_shape(p):
        raise ValueError(f"{name} must be a density in one dimension, got x of shape {_event_shape(p)}")
    if hasattr(p, "logpdf") and hasattr(p, "ppf"):
        log_density, quantile = p.logpdf, p.ppf
    elif hasattr(p, "log_prob") and hasattr(p, "quantile"):
        log_density, quantile = p.log_prob, p.quantile
    else:
        raise ValueError(
            f"{name} must be a continuous frozen SciPy distribution, a TFP distribution or a Density, "
            f"got {type(p).__name__}"
        )
    try:
        quantiles = np.array([quantile(level) for level in _LEVELS], dtype=np.float64)
    except NotImplementedError:
        return _LibraryDensity(log_density)
    if quantiles.ndim != 1:
        raise ValueError(f"{name} must be one distribution, got a batch of shape {quantiles.shape[1:]}")
    low, *points, high = quantiles
    # Quantile functions can return nan at the levels 0 and 1, or a value on the wrong side of a pole.
    low, high = low if low <= points[0] else -np.inf, high if high >= points[-1] else np.inf
    return _LibraryDensity(log_density, (low, high), _inside(points, low, high))


def _inside(points, low, high):
    return tuple(x for x in points if low < x < high)


def _log(name, density, x):
    """Returns the log density at x [n], minus infinity outside the open support."""
    low, high = density.support
    inside = (low < x) & (x < high)
    values = np.full(x.shape, -np.inf)
    log_density = np.asarray(density.log_density(x[inside]), dtype=np.float64)
    if log_density.shape != x[inside].shape:
        raise ValueError(
            f"{name} must be one density in one dimension: the log density of {x[inside].size} points has "
            f"shape {log_density.shape}"
        )
    values[inside] = log_density
    return values


def _log_model(q, x):
    """Returns log q at x [n], minus infinity where q is zero, nan where its logarithm underflows."""
    values = _log("q", q, x)
    low, high = q.support
    zero = (x <= low) | (x >= high) if isinstance(q, _LibraryDensity) else np.isneginf(values)
    return np.where(np.isfinite(values) | zero, values, np.nan)


def _reject_nan(name, x, log_p, significant):
    """Raises an error for a nan next to significant mass; far from all mass, inf - inf may give a nan."""
    order = np.argsort(x)
    x, nan, significant = x[order], np.isnan(log_p[order]), significant[order]
    adjacent = np.append(significant[1:], False) | np.append(False, significant[:-1])
    bad = nan & (adjacent | nan.all())
    if bad.any():
        raise ValueError(
            f"{name} must have a log density on all of its support, got nan at x = {x[bad][0]:g}"
        )


def _mean(quantity, name, p, integrand, points=()):
    """Returns the integral of p(x) integrand(x, log p(x)), infinite if the integrand is infinite anywhere."""
    low, high = p.support
    # Split off a piece at each finite end, where the density may be singular and needs many samples.
    own = p.points or (np.clip(0.0, low + 1, high - 1),)
    cuts = np.unique([low, *_inside((*own, *points), low, high), high])
    # Skip pieces between points that differ by rounding errors only: they have no floats to sample.
    wide = np.diff(cuts) > _SAME * np.minimum(np.abs(cuts[:-1]), np.abs(cuts[1:]))
    lows, highs = cuts[:-1][wide], cuts[1:][wide]
    # In units of the spread of the points, the rule samples infinite pieces where the density has its mass.
    scale = np.ptp(p.points) if len(p.points) > 1 else 1.0
    infinite = False

    def weighted(u):
        nonlocal infinite
        x = scale * u.ravel()
        log_p = _log(name, p, x)
        mass = scale * np.exp(log_p)
        # The density may overflow near an end or far out; the normalization reveals any mass lost there.
        inside = (mass > 0) & (mass < np.inf)
        significant = inside & (mass > _NEGLIGIBLE)
        _reject_nan(name, x, log_p, significant)
        terms = np.zeros_like(x)
        terms[inside] = mass[inside] * integrand(x[inside], log_p[inside])
        nan = np.isnan(terms)
        if (nan & significant).any():
            raise ValueError(
                f"{quantity} cannot be computed: the log density of q underflows, or is nan, at x = "
                f"{x[nan & significant][0]:g}, where p has mass; give q as a Density that does not underflow"
            )
        terms[nan] = 0.0
        infinite = infinite or np.isposinf(terms).any()
        return terms.reshape(u.shape)

    with np.errstate(all="ignore"):
        pieces = tanhsinh(weighted, lows / scale, highs / scale, atol=1e-11, rtol=1e-11)
    if infinite:
        return np.inf
    value, error = pieces.integral.sum(), pieces.error.sum()
    if not error <= arguments.ROUNDING * (1 + abs(value)):
        raise ValueError(
            f"{quantity} does not converge: {value:.6g} with an error of {error:.2g}; it may be infinite, or "
            "need the points where a density jumps or peaks"
        )
    return value
