"""Entropy and divergence of continuous distributions, of Gaussians in closed form (Sec. 2.1).

A density p in one dimension is a frozen SciPy distribution, a TFP distribution (without quantiles, as a
mixture, it is taken to live on the whole line) or a `Density` made of a log density and its support.

Quadrature is exact to about ten digits where the density is smooth between its `points`. Far from zero the
rounding of x itself costs more: of width w at x the error is about 1e-16 |x| / w, 1e-8 for `norm(1e8, 1)`. An
integral whose error cannot be brought below 1e-5 of 1 + |its value| is an exception, never a number.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.integrate import tanhsinh

from .. import arguments
from . import information

# Their quantiles are the support of a distribution and where its mass is.
_LEVELS = (0.0, 0.05, 0.5, 0.95, 1.0)
# In units of the density's width: so far out what a logarithm lost counts for nothing.
_NEGLIGIBLE = 1e-150


@dataclass(frozen=True)
class Density:
    """A probability density on an interval, by its logarithm.

    Args:
        log_density: The log density in nats, of an array [n] to an array [n].
        support: Ends (low, high) of the interval outside of which the density is zero.
        points: Where the density peaks, jumps or has a kink. They split the integral, and the spread of two
            or more sets its scale: needed for features much narrower than 1, or far from 0 and the ends.

    Raises:
        ValueError: If the support is empty, or a point is not inside.
    """

    log_density: Callable
    support: tuple = (-np.inf, np.inf)
    points: tuple = ()

    def __post_init__(self):
        low, high = arguments.interval("support", self.support)
        points = arguments.finite("points", self.points, ndim=1)
        outside = (points <= low) | (points >= high)
        if outside.any():
            index = arguments.first_index(outside)
            raise ValueError(f"points{index} must be inside {self.support}, got {points[outside][0]}")


class _Law(Density):
    """The density of a library's distribution: its logarithm may underflow inside of the support."""


def gaussian_entropy(covariance, base=None):
    """Returns the entropy of a Gaussian, log det(2 pi e C) / 2, whatever its mean.

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

    It is not a limit of Eq. 2.1.4 (docs/errata.md): it can be negative, and in units of x that are c times
    smaller it is larger by log c.

    Args:
        p: A density in one dimension (see the top of the module), or a distribution of SciPy or TFP in more
            that has a closed form, which is returned.
        base: Base of the logarithm, `None` for nats.

    Returns:
        The entropy.

    Raises:
        ValueError: If `p` is no density, does not integrate to one, or the integral does not converge.
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
        The cross-entropy, infinite where q(x) = 0 < p(x): outside of the support of q, or where a `Density`
        has minus infinity.

    Raises:
        ValueError: If `p` or `q` is no density, does not integrate to one, or the integral does not converge;
            if the log density of a distribution q underflows where p has mass.
    """
    p, q = _density("p", p), _density("q", q)
    mean = _mean("the cross-entropy of p and q", "p", p, lambda x, log_p: -_log_model(q, x), q.points)
    return information.in_base(mean, base)


def kl_divergence(p, q, base=None):
    """Returns D_KL(p||q) = integral dx p(x) log(p(x) / q(x)), Eq. 2.3.3 with an integral.

    Args:
        p: The density of the data, in one dimension (see the top of the module).
        q: The density of the model.
        base: Base of the logarithm, `None` for nats.

    Returns:
        The divergence, infinite where q(x) = 0 < p(x) as in `cross_entropy`. Where the tails of q alone make
        it infinite the integral does not converge, which is an error.

    Raises:
        ValueError: As `cross_entropy`.
    """
    p, q = _density("p", p), _density("q", q)
    mean = _mean("the divergence of p from q", "p", p, lambda x, log_p: log_p - _log_model(q, x), q.points)
    return information.in_base(np.maximum(mean, 0.0), base)


def _density(name, p):
    """Returns `p` as a `Density` after checking that it integrates to one."""
    density = _as_density(name, p)
    total = _mean(f"the integral of {name}", name, density, lambda x, log_p: np.ones_like(x))
    if abs(total - 1) > arguments.ROUNDING:
        low, high = density.support
        raise ValueError(
            f"{name} must integrate to 1 over its support ({low:g}, {high:g}), got {total:.9g}; if it is a "
            "density, name the points where it peaks: Density(log_density, support, points)"
        )
    return density


def _event_shape(p):
    """Returns the shape of one x of a distribution, () for a number."""
    return (p.dim,) if hasattr(p, "dim") else tuple(getattr(p, "event_shape", ()))


def _closed_form(name, p):
    try:
        value = np.asarray(p.entropy(), dtype=np.float64)
    except (AttributeError, NotImplementedError):
        raise ValueError(
            f"{name} must have an entropy in closed form where x has shape {_event_shape(p)}: the quadrature "
            "is in one dimension"
        ) from None
    if value.ndim:
        raise ValueError(f"{name} must be one distribution, got a batch of shape {value.shape}")
    return value[()]


def _as_density(name, p):
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
        return _Law(log_density)
    if quantiles.ndim != 1:
        raise ValueError(f"{name} must be one distribution, got a batch of shape {quantiles.shape[1:]}")
    low, *points, high = quantiles
    # Quantiles of 0 and 1 by inverse functions can be no number, or on the wrong side of a pole.
    low, high = low if low <= points[0] else -np.inf, high if high >= points[-1] else np.inf
    return _Law(log_density, (low, high), _inside(points, low, high))


def _inside(points, low, high):
    return tuple(x for x in points if low < x < high)


def _log(name, density, x):
    """Returns the log density at x [n], minus infinity outside of its support and at its ends."""
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
    """Returns log q at x [n], minus infinity where q is zero, no number where its logarithm is lost."""
    values = _log("q", q, x)
    low, high = q.support
    zero = (x <= low) | (x >= high) if isinstance(q, _Law) else np.isneginf(values)
    return np.where(np.isfinite(values) | zero, values, np.nan)


def _refuse_nan(name, x, log_p, counts):
    """Refuses a log density that is no number beside one that counts; among zeros it is inf - inf."""
    order = np.argsort(x)
    x, nan, counts = x[order], np.isnan(log_p[order]), counts[order]
    beside = np.append(counts[1:], False) | np.append(False, counts[:-1])
    bad = nan & (beside | nan.all())
    if bad.any():
        raise ValueError(
            f"{name} must have a log density on all of its support, got nan at x = {x[bad][0]:g}"
        )


def _mean(what, name, p, integrand, points=()):
    """Returns the integral of p(x) integrand(x, log p(x)), infinite if that is anywhere."""
    low, high = p.support
    # A piece from a finite end to infinity has few floats beside the end, where the density may be singular.
    own = p.points or (np.clip(0.0, low + 1, high - 1),)
    cuts = np.unique([low, *_inside((*own, *points), low, high), high])
    # In units of the spread of the points an infinite piece is sampled where the density is.
    scale = np.ptp(p.points) if len(p.points) > 1 else 1.0
    infinite = False

    def weighted(u):
        nonlocal infinite
        x = scale * u.ravel()
        log_p = _log(name, p, x)
        mass = scale * np.exp(log_p)
        # Far out and beside an end it may overflow; mass lost there would be missed when p is normalized.
        inside = (mass > 0) & (mass < np.inf)
        counts = inside & (mass > _NEGLIGIBLE)
        _refuse_nan(name, x, log_p, counts)
        terms = np.zeros_like(x)
        terms[inside] = mass[inside] * integrand(x[inside], log_p[inside])
        lost = np.isnan(terms)
        if (lost & counts).any():
            raise ValueError(
                f"{what} cannot be computed: the log density of q underflows, or is no number, at x = "
                f"{x[lost & counts][0]:g}, where p has mass; a Density may have one that does not"
            )
        terms[lost] = 0.0
        infinite = infinite or np.isposinf(terms).any()
        return terms.reshape(u.shape)

    with np.errstate(all="ignore"):
        pieces = tanhsinh(weighted, cuts[:-1] / scale, cuts[1:] / scale, atol=1e-11, rtol=1e-11)
    if infinite:
        return np.inf
    value, error = pieces.integral.sum(), pieces.error.sum()
    if not error <= arguments.ROUNDING * (1 + abs(value)):
        raise ValueError(
            f"{what} does not converge: {value:.6g} with an error of {error:.2g}; it may be infinite, or "
            "need the points where a density jumps or peaks"
        )
    return value
