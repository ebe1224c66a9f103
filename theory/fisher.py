"""The Fisher matrix: the covariance of the score and the curvature of the KL divergence (notes, section 2.3).

For a density q_theta(x) with parameters theta, the score s_mu = d log q_theta(x) / d theta_mu has mean zero
(Eq. 2.3.6), and at theta = theta_0

    F_{mu nu} = <s_mu s_nu> = d_mu d_nu D_KL(q_{theta_0} || q_theta)      (Eq. 2.3.7).

Both require a support that does not depend on theta. Contrary to the notes, F is positive semidefinite and
not always positive definite. The score S of Eq. 2.3.8 lacks the gradient that Eq. 3.4.9 includes
(docs/errata.md).

`by_quadrature`, `by_sum` and `monte_carlo` take any log density; `curvezoo.theory.families` has closed forms.
Derivatives are computed in one of two ways:

- Central differences at steps h and 2h are extrapolated to an error of order h^4. The step starts at u^(1/5)
  max(1, |theta_i|), u = 2^-53, and shrinks by factors of 4 until the two quotients agree to 1e-5 in the root
  mean square. The extrapolated derivative then has a relative error of about 1e-10 plus a rounding error of
  up to 8 u |f| / h for values f, which is 1e-12 |f| / max(1, |theta_i|) if the step did not shrink.
- The complex step Im f(theta + i h) / h, with `analytic=True`, is exact to rounding. The log density must
  accept complex theta and be analytic in it, without `abs` and comparisons.

Legend: P parameters, N points or samples, D dimensions of x, K categories. Logarithms are natural.

References:
    Amari, "Information Geometry and Its Applications" (2016), Springer, chapter 2.
    Lehmann and Casella, "Theory of Point Estimation" (1998), Springer, section 2.5.
    Squire and Trapp, "Using complex variables to estimate derivatives of real functions" (1998), SIAM Review
    40, 110-112.
"""

import itertools
import numbers
from typing import NamedTuple

import numpy as np
from scipy.special import expit

from ..arguments import boolean, described, finite, first_index, integer, interval
from .differentiation import UNIT_ROUNDOFF

_SHRINKS = 4.0 ** -np.arange(11)
# Relative tolerances of the change between two steps of a difference and between two levels of a quadrature.
_DIFFERENCE_TOLERANCE, _QUADRATURE_TOLERANCE = 1e-5, 1e-8
# Tolerance on the total probability.
_TOTAL_TOLERANCE = 1e-7


def reparameterize(fisher, jacobian):
    """Returns J^T F J, the Fisher matrix in other parameters phi.

    Args:
        fisher: The matrix F in theta, [P, P].
        jacobian: Derivatives J = d theta / d phi, [P, Q].

    Raises:
        ValueError: If the shapes do not match.
    """
    fisher, jacobian = finite("fisher", fisher, 2), finite("jacobian", jacobian, 2)
    if fisher.shape != (len(jacobian),) * 2:
        raise ValueError(
            f"jacobian must have {len(fisher)} rows for fisher of shape {fisher.shape}, got {len(jacobian)}"
        )
    return jacobian.T @ fisher @ jacobian


def score(log_density, x, theta, analytic=False):
    """Computes the score d log q_theta(x) / d theta, with the gradient that Eq. 2.3.8 omits (Eq. 3.4.9).

    Args:
        log_density: Function (x, theta) -> log q_theta(x), [N].
        x: Points, [N] or [N, D].
        theta: Parameters, [P].
        analytic: Whether `log_density` accepts complex theta and is analytic in it.

    Returns:
        The scores, [N, P].

    Raises:
        ValueError: If `log_density` is not finite near theta, not smooth in it, or so large that the rounding
            error of the slopes exceeds 1e-5 of both the largest slope and one nat per max(1, |theta_i|).
    """
    x = _entries("x", x)
    return jacobian(lambda t: _logs(log_density, x, t), theta, analytic, "log_density", unit=1.0)


def by_quadrature(log_density, theta, support=(-np.inf, np.inf), points=(), analytic=False):
    """Computes the Fisher matrix of a density in one dimension, Eq. 2.3.7, by double-exponential quadrature.

    The step of the rule is halved, which squares the error, until the matrix changes by at most
    1e-8 sqrt(F_ii F_jj). For a density with a kink, give its position in `points` and use `analytic=True`,
    because differences across a kink do not converge.

    Args:
        log_density: Function (x, theta) -> log q_theta(x), from [N] and [P] to [N].
        theta: Parameters, [P].
        support: Lower and upper end of the support.
        points: Positions of kinks, and of the peaks of densities that are narrow or far from zero.
        analytic: As in `score`.

    Returns:
        The matrix, [P, P].

    Raises:
        ValueError: If the density does not integrate to one, or the mean score is not zero (Eq. 2.3.6), for
            example because the support depends on theta.
    """
    previous = np.inf
    for x, weights in _grids(support, points):
        total, mean, matrix = _moments(log_density, x, weights, theta, analytic)
        size = np.sqrt(np.outer(np.diag(matrix), np.diag(matrix)))
        normalized = abs(total - 1) <= _TOTAL_TOLERANCE
        if normalized and np.all(np.abs(matrix - previous) <= _QUADRATURE_TOLERANCE * size):
            _check_moments("support", total, mean)
            return matrix
        previous = matrix
    _check_moments("support", total, mean)
    raise ValueError("log_density must be smooth between `points`: the quadrature does not converge")


def by_sum(log_probability, theta, outcomes, analytic=False):
    """Computes the Fisher matrix of a discrete distribution by a sum over its outcomes, Eq. 2.3.7.

    Args:
        log_probability: Function (x, theta) -> log q_theta(x), [N].
        theta: Parameters, [P].
        outcomes: All outcomes, or enough for a total probability of 1 - 1e-7, [N] or [N, D].
        analytic: As in `score`.

    Returns:
        The matrix, [P, P].

    Raises:
        ValueError: As in `by_quadrature`.
    """
    outcomes = _entries("outcomes", outcomes)
    total, mean, matrix = _moments(log_probability, outcomes, np.ones(len(outcomes)), theta, analytic)
    _check_moments("outcomes", total, mean)
    return matrix


class FisherEstimate(NamedTuple):
    """A Fisher matrix estimated from samples.

    Args:
        matrix: Mean of the products of scores, [P, P].
        standard_error: Standard error of each entry, [P, P].
    """

    matrix: np.ndarray
    standard_error: np.ndarray


def monte_carlo(log_density, sample, theta, n, rng, analytic=False):
    """Estimates the Fisher matrix without bias by the mean of s s^T over samples, Eq. 2.3.7.

    Args:
        log_density: Function (x, theta) -> log q_theta(x), [N].
        sample: Function (theta, n, rng) -> n samples of q_theta, [N] or [N, D].
        theta: Parameters, [P].
        n: Number of samples, at least 2.
        rng: A `numpy.random.Generator`.
        analytic: As in `score`.

    Returns:
        A `FisherEstimate`; its standard errors decrease as n^(-1/2).

    Raises:
        ValueError: If `sample` does not return n samples, or as for `score`.
    """
    n = integer("n", n, 2)
    x = finite("sample(theta, n, rng)", sample(_entries("theta", theta, 1), n, rng))
    if x.shape[:1] != (n,):
        raise ValueError(f"sample must return n = {n} samples, got shape {x.shape}")
    s = score(log_density, x, theta, analytic)
    matrix, fourth = s.T @ s / n, (s**2).T @ s**2 / n
    return FisherEstimate(matrix, np.sqrt(np.maximum(fourth - matrix**2, 0) / (n - 1)))


def kl_by_quadrature(log_density, theta_0, theta, support=(-np.inf, np.inf), points=()):
    """Computes D_KL(q_{theta_0} || q_theta) in one dimension, Eq. 2.3.5, in nats.

    The integrand is q_0 (r - 1 - log r) with r = q / q_0. It is never negative, and its integral equals that
    of q_0 log(q_0 / q) if both densities integrate to one.

    Args:
        log_density: Function (x, theta) -> log q_theta(x), [N].
        theta_0: Parameters of the true density, [P].
        theta: Parameters of the model, [P].
        support: Lower and upper end of the support of both densities.
        points: Where to split the integral, as in `by_quadrature`.

    Raises:
        ValueError: If the model's density vanishes where the true one does not, so that the divergence is
            infinite.
    """
    theta_0, theta = _entries("theta_0", theta_0, 1), _entries("theta", theta, 1)
    previous = np.inf
    for x, weights in _grids(support, points):
        logs_0, logs = (_logs(log_density, x, t) for t in (theta_0, theta))
        density_0, density = np.exp(logs_0), np.exp(logs)
        occupied = density_0 > 0
        bad = occupied & ~np.isfinite(logs)
        if bad.any():
            raise ValueError(
                f"log_density must be finite where the true density is positive, got {logs[bad][0]} "
                f"at x = {x[bad][0]:.6g}: the divergence is infinite"
            )
        log_ratio = np.where(occupied, logs, 0.0) - np.where(occupied, logs_0, 0.0)
        # If r is near one, log r cancels against r - 1, and expm1 keeps the digits.
        near = density_0 * (np.expm1(np.clip(log_ratio, -1, 1)) - log_ratio)
        far = density - density_0 - density_0 * log_ratio
        terms = np.where(occupied, np.where(np.abs(log_ratio) < 1, near, far), density)
        divergence, totals = float(weights @ terms), (weights @ density_0, weights @ density)
        settled = abs(divergence - previous) <= _QUADRATURE_TOLERANCE * divergence
        if settled and np.allclose(totals, 1, rtol=0, atol=_TOTAL_TOLERANCE):
            return divergence
        previous = divergence
    raise ValueError(
        f"support must carry all probability of both densities, got {totals[0]:.9g} and {totals[1]:.9g}"
    )


def kl_hessian(divergence, theta):
    """Computes the Hessian of D(theta_0, theta) in theta at theta = theta_0, Eq. 2.3.7: the Fisher matrix.

    It uses differences of the corners +-h_i e_i +-h_j e_j, extrapolated from steps h and 2h. The step h
    starts at u^(1/6) / 2 max(1, |theta_i|) and shrinks by factors of 4 until the two estimates agree. If the
    divergence is exact to rounding, the error is about 1e-9 of the largest entry in units of
    max(1, |theta_i|).

    Args:
        divergence: Function (theta_0, theta) -> number with a minimum at theta = theta_0, such as
            `curvezoo.theory.families.gaussian_kl` or `kl_by_quadrature` of a density.
        theta: The point theta_0, [P].

    Returns:
        The matrix, [P, P].

    Raises:
        ValueError: If the divergence is not smooth at theta_0.
    """
    theta = _entries("theta", theta, 1)
    rows, columns = np.triu_indices(theta.size)
    sizes, start = np.maximum(1.0, np.abs(theta)), UNIT_ROUNDOFF ** (1 / 6) / 2

    def quotients(shrink):
        steps = (theta + start * shrink * sizes) - theta  # Rounded, so that theta + step is exact.
        pairs = zip(np.diag(steps)[rows], np.diag(steps)[columns], strict=True)
        values = [
            divergence(theta, theta + a + b)
            + divergence(theta, theta - a - b)
            - divergence(theta, theta + a - b)
            - divergence(theta, theta - a + b)
            for a, b in pairs
        ]
        units = steps / sizes
        return (values / (4 * units[rows] * units[columns]))[:, None]

    # The tolerances apply in units of `sizes`, which may differ much between parameters.
    rounding = 16 * UNIT_ROUNDOFF / start**2
    second = _settled(quotients, lambda shrink: rounding / shrink**2, "divergence")[:, 0]
    matrix = np.empty((theta.size, theta.size))
    matrix[rows, columns] = matrix[columns, rows] = second
    return matrix / np.outer(sizes, sizes)


def jacobian(function, theta, analytic=False, name="function", unit=np.inf):
    """Computes the derivatives of an array with respect to theta, as described at the top of this module.

    Args:
        function: Function from theta, [P], to an array of any shape.
        theta: The point, [P].
        analytic: Whether `function` accepts complex theta and is analytic in it.
        name: The name of the function in messages.
        unit: Change of the function over max(1, |theta_i|) that counts as significant. An error is raised if
            the rounding error of the slopes exceeds 1e-5 of both this change and the largest slope. By
            default there is no limit.

    Returns:
        The derivatives, with the shape of the array and a last axis [P].

    Raises:
        ValueError: If the function is not finite near theta, not smooth in it, or too large for `unit`.
    """
    theta = _entries("theta", theta, 1)
    units = np.eye(theta.size)
    if not isinstance(unit, numbers.Real) or not unit > 0:
        raise ValueError(f"unit must be a positive number or inf, got {described(unit)}")
    if boolean("analytic", analytic):
        tiny = 1e-20
        values = [np.asarray(function(theta + 1j * tiny * unit)) for unit in units]
        if not all(map(np.iscomplexobj, values)):
            raise ValueError(f"{name} must be complex-analytic, got real values for a complex theta")
        return finite(f"the derivative of {name}", np.stack([v.imag for v in values], axis=-1) / tiny)
    value = finite(f"{name} at theta", function(theta))
    sizes, start = np.maximum(1.0, np.abs(theta)), UNIT_ROUNDOFF ** (1 / 5)

    def quotients(shrink):
        steps = (theta + start * shrink * sizes) - theta  # Rounded, so that theta + step is exact.
        values = [np.subtract(function(theta + s), function(theta - s)) for s in units * steps]
        return np.stack(values, axis=-1).reshape(-1, theta.size) / (2 * steps / sizes)

    rounding = 8 * UNIT_ROUNDOFF * np.max(np.abs(value), initial=0.0) / start
    slopes = _settled(quotients, lambda shrink: rounding / shrink, name, unit=unit) / sizes
    return slopes.reshape(*value.shape, theta.size)


def _settled(quotient, rounding, name, unit=np.inf):
    """Extrapolates a central difference, [N, P], from the largest steps h and 2h at which it converges."""
    for shrink in _SHRINKS:
        try:
            with np.errstate(all="ignore"):
                fine, coarse = quotient(shrink), quotient(2 * shrink)
                gap, size = (np.sqrt(np.mean(values**2, axis=0)) for values in (fine - coarse, fine))
        except ValueError:
            continue  # A large step may leave the domain of the function.
        if np.all(gap <= _DIFFERENCE_TOLERANCE * size + rounding(shrink)):
            if rounding(shrink) > _DIFFERENCE_TOLERANCE * max(unit, size.max()):
                raise ValueError(f"{name} must not be so large near theta that rounding swamps its slopes")
            return (4 * fine - coarse) / 3
    raise ValueError(f"{name} must be finite and smooth near theta: its differences do not converge")


def _grids(support, points):
    """Yields nodes and weights, [N] each, of the double-exponential rule at successively smaller steps."""
    low, high = interval("support", support)
    edges = [low, *(p for p in np.unique(finite("points", points)) if low < p < high), high]
    for level in range(3, 10):
        step = 2.0**-level
        panels = [_panel(a, b, step) for a, b in itertools.pairwise(edges)]
        x, weights = np.concatenate(panels, axis=1)
        yield x, weights


def _panel(low, high, step):
    """Returns nodes and weights of the double-exponential rule on one interval, [2, N]."""
    t = np.arange(-5, 5 + step / 2, step)
    u, du = np.pi / 2 * np.sinh(t), step * np.pi / 2 * np.cosh(t)
    if np.isfinite(low) and np.isfinite(high):
        x, weights = low + (high - low) * expit(2 * u), 2 * (high - low) * expit(2 * u) * expit(-2 * u) * du
    elif np.isfinite(low):
        x, weights = low + np.exp(u), np.exp(u) * du
    elif np.isfinite(high):
        x, weights = high - np.exp(u), np.exp(u) * du
    else:
        x, weights = np.sinh(u), np.cosh(u) * du
    inside = (low < x) & (x < high)
    return np.stack([x[inside], weights[inside]])


def _entries(name, value, ndim=None):
    """Returns a float64 array with at least one axis and one entry."""
    array = finite(name, value, ndim)
    if array.ndim == 0 or array.size == 0:
        raise ValueError(f"{name} must be a list of at least one entry, got shape {array.shape}")
    return array


def _logs(log_density, x, theta):
    """Returns the log density at the points x, [N]."""
    with np.errstate(all="ignore"):
        logs = np.asarray(log_density(x, theta))
    if logs.shape != x.shape[:1]:
        raise ValueError(
            f"log_density must return one number per point, {x.shape[:1]}, got shape {logs.shape}"
        )
    return logs


def _moments(log_density, x, weights, theta, analytic):
    """Returns the total probability, the mean score over its rms, [P], and its second moments, [P, P]."""
    theta = _entries("theta", theta, 1)
    p = weights * np.exp(_logs(log_density, x, theta))
    occupied = p > 0
    if not occupied.any():
        return 0.0, np.zeros(theta.size), np.zeros((theta.size, theta.size))
    p, s = p[occupied], score(log_density, x[occupied], theta, analytic)
    spread = np.sqrt(p @ s**2)
    mean = np.divide(p @ s, spread, out=np.zeros_like(spread), where=spread > 0)
    return p.sum(), mean, s.T @ (p[:, None] * s)


def _check_moments(name, total, mean):
    """Checks that the total probability is one and the mean score zero."""
    if not abs(total - 1) <= _TOTAL_TOLERANCE:
        raise ValueError(
            f"{name} must carry all probability, got {total:.9g}: more outcomes or `points` may be needed"
        )
    bad = ~(np.abs(mean) <= 10 * _TOTAL_TOLERANCE)
    if bad.any():
        raise ValueError(
            f"log_density must have a score of mean zero (Eq. 2.3.6), got {mean[bad][0]:.3g} of its rms "
            f"for theta{first_index(bad)}: the support must not depend on theta"
        )
