"""Distances, geodesics and volumes of statistical models: the Fisher matrix as a metric (notes, section 2.3).

A metric is a function from theta to the Fisher matrix F(theta), such as those in `curvezoo.theory.families`,
which also has geodesics in closed form. A step dtheta has D_KL = dtheta^T F dtheta / 2 to lowest order and
the statistical length sqrt(dtheta^T F dtheta) = sqrt(2 D_KL). The notes' Eqs. 2.3.9 and 2.3.10 omit these
factors of 2 (docs/errata.md). Along a path of n small steps, the KL divergences sum to energy / (2 n), which
vanishes for large n, and the lengths sqrt(2 D_KL) sum to the length of the path.

Legend: P and Q parameters, T times. Lengths are dimensionless.

References:
    Amari, "Information Geometry and Its Applications" (2016), Springer, chapters 1 and 5.
    Jeffreys, "An invariant form for the prior probability in estimation problems" (1946), Proceedings of the
    Royal Society A 186, 453-461.
"""

import itertools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.integrate import IntegrationWarning, nquad, quad, solve_ivp

from ..arguments import covariance, described, finite, integer, interval, same_shape
from .fisher import jacobian, reparameterize
from .shortest_path import shortest_path

_QUADRATURE = {"epsabs": 0.0, "epsrel": 1e-8, "limit": 200}
_ODE = {"method": "DOP853", "rtol": 1e-9}
_ODE_ATOL = 1e-11  # In units of theta, or of the length of F if that is shorter.
_EVALUATIONS = 2000
# An eigenvalue below this counts as zero, in units in which the diagonal of the metric is one.
_ROUNDING = 1e-12


def length(metric, path):
    """Computes the statistical length of a path, the integral of sqrt(v^T F v) dt over [0, 1], Eq. 2.3.10.

    Args:
        metric: Function from theta, [P], to F, [P, P]; it may be singular.
        path: Smooth function from t in [0, 1] to theta, [P]; its velocity v is computed by differences.

    Raises:
        ValueError: If the path leaves the domain of the metric, or F is not positive semidefinite on it.
    """
    return _integral_along(metric, path, np.sqrt)


def energy(metric, path):
    """Computes the integral of v^T F v dt over [0, 1], which is at least length^2.

    It equals length^2 at constant speed. It is the limit of 2 n times the sum of the KL divergences of n
    steps in Eq. 2.3.9.

    Args:
        metric: As in `length`.
        path: As in `length`.

    Raises:
        ValueError: As in `length`.
    """
    return _integral_along(metric, path, lambda square: square)


def step_divergences(divergence, path, steps):
    """Returns the divergences of n small steps along a path, the terms of the sum in Eq. 2.3.9.

    Args:
        divergence: Function (theta_0, theta) -> number, such as `curvezoo.theory.families.gaussian_kl`.
        path: Function from t in [0, 1] to theta, [P].
        steps: Number n of steps, equal in t.

    Returns:
        D(theta(t_{k-1}), theta(t_k)) for t_k = k / n, [n]. For large n their sum approaches energy / (2 n),
        and the sum of sqrt(2 D) approaches the length.
    """
    points = [path(t) for t in np.linspace(0.0, 1.0, integer("steps", steps, 1) + 1)]
    return np.array([float(divergence(a, b)) for a, b in itertools.pairwise(points)])


def christoffel(metric, theta):
    """Computes Gamma^k_ij = F^kl (d_i F_lj + d_j F_li - d_l F_ij) / 2 by differences of the metric.

    Args:
        metric: Function from theta, [P], to a positive definite F, [P, P].
        theta: The point, [P].

    Returns:
        The symbols, [P, P, P] in the order k, i, j, accurate to about 1e-10.

    Raises:
        ValueError: If the metric is not positive definite or not smooth at theta.
    """
    theta = finite("theta", theta, 1)
    matrix = _metric_at(metric, theta, definite=True)
    # d_k F_ij at [i, j, k].
    units = _units(matrix)
    slopes = jacobian(lambda u: metric(units * u), theta / units, name="metric") / units
    lowered = (np.swapaxes(slopes, 1, 2) + slopes - np.moveaxis(slopes, 2, 0)) / 2
    return np.einsum("kl,lij->kij", np.linalg.inv(matrix), lowered)


@dataclass(frozen=True)
class Geodesic:
    """A geodesic of constant speed over t in [0, 1].

    Args:
        length: Its statistical length.
        solution: Function from t to position and velocity, [2 P], or from times [T] to [2 P, T].
    """

    length: float
    solution: Callable

    def __call__(self, t):
        """Returns the position: [P] for a number t, [T, P] for times [T]."""
        return self._state(t)[0]

    def velocity(self, t):
        """Returns d theta / dt: [P] for a number t, [T, P] for times [T]."""
        return self._state(t)[1]

    def _state(self, t):
        return np.split(self.solution(finite("t", t)).T, 2, axis=-1)


def geodesic_from(metric, start, velocity):
    """Follows the geodesic with a given initial velocity for unit time: the exponential map.

    Args:
        metric: Function from theta, [P], to a positive definite F, [P, P].
        start: The point theta at t = 0, [P].
        velocity: The velocity d theta / dt at t = 0, [P]; its length is that of the geodesic.

    Returns:
        A `Geodesic`.

    Raises:
        ValueError: If the metric is not positive definite or not smooth at the start, or the geodesic leaves
            its domain.
    """
    start, velocity = finite("start", start, 1), finite("velocity", velocity, 1)
    same_shape(start=start, velocity=velocity)
    matrix = _metric_at(metric, start, definite=True)
    christoffel(metric, start)  # The solver never returns if the equation is not defined at the start.
    units = _units(matrix)
    result = solve_ivp(
        _flow(metric, _EVALUATIONS),
        (0, 1),
        np.concatenate([start, velocity]),
        dense_output=True,
        atol=_ODE_ATOL * np.tile(units, 2),
        **_ODE,
    )
    if not result.success:
        got, last = described(velocity.tolist()), np.round(result.y[: start.size, -1], 6)
        raise ValueError(
            f"velocity must keep the geodesic in the domain of metric, got {got}: it leaves at "
            f"t = {result.t[-1]:.3g} near theta = {described(last.tolist())}"
        )
    return Geodesic(float(np.sqrt(velocity @ matrix @ velocity)), result.sol)


def geodesic_between(metric, start, end):
    """Computes a geodesic between two points as a path of least energy.

    The path is a piecewise polynomial of degree six. It may span any distance: (mu, sigma) = (0, 1e-10) and
    (5, 1e10) are possible ends for Gaussians. It is a local minimum of the energy, which is the shortest path
    if the curvature is not positive, as for Gaussians, or if the points are close. The minimization starts
    from the straight line in theta.

    Args:
        metric: Function from theta, [P], to a positive definite F, [P, P].
        start: The point at t = 0, [P].
        end: The point at t = 1, [P].

    Returns:
        A `Geodesic`; the relative errors are about 1e-10 for its length and 1e-5 for its velocities.

    Raises:
        ValueError: If the metric is not positive definite at both points, the straight line between them
            leaves its domain, or no geodesic is found.
    """
    start, end = finite("start", start, 1), finite("end", end, 1)
    same_shape(start=start, end=end)
    for point in (start, end):
        _metric_at(metric, point, definite=True)
    try:
        path, total = shortest_path(metric, start, end)
    except ValueError as error:
        raise ValueError(
            "end must be reached by a geodesic in the domain of metric, "
            f"got {described(end.tolist())}: {error}"
        ) from None
    velocity = path.derivative()
    return Geodesic(total, lambda t: np.concatenate([path(t), velocity(t)], axis=-1).T)


def distance(metric, start, end):
    """Returns the length of the geodesic that `geodesic_between` computes.

    Args:
        metric: Function from theta, [P], to a positive definite F, [P, P].
        start: The first point, [P].
        end: The second point, [P].

    Raises:
        ValueError: As in `geodesic_between`.
    """
    return geodesic_between(metric, start, end).length


def volume_element(metric, theta):
    """Returns sqrt(det F), the volume of statistical models per unit volume of parameters, Eq. 2.3.11.

    Args:
        metric: Function from theta, [P], to F, [P, P].
        theta: The point, [P].

    Raises:
        ValueError: If F is not positive semidefinite.
    """
    matrix = _metric_at(metric, finite("theta", theta, 1))
    scale = np.sqrt(np.diagonal(matrix))
    if not scale.all():
        return 0.0
    eigenvalues = np.linalg.eigvalsh(matrix / scale / scale[:, None])
    # Rounding turns the zero eigenvalues of a singular matrix into small ones of either sign.
    return float(np.prod(scale) * np.sqrt(np.prod(np.where(eigenvalues > _ROUNDING, eigenvalues, 0.0))))


def pull_back(metric, coordinates):
    """Returns the metric in other parameters phi, J^T F J, with J = d theta / d phi by differences.

    Args:
        metric: Function from theta, [P], to F, [P, P].
        coordinates: Function from phi, [Q], to theta, [P].

    Returns:
        A function from phi, [Q], to a matrix [Q, Q].
    """
    return lambda phi: reparameterize(
        metric(coordinates(phi)), jacobian(coordinates, phi, name="coordinates")
    )


class JeffreysPrior(NamedTuple):
    """The prior proportional to the volume element.

    Args:
        density: Function from theta, [P], to the density of the prior, zero outside the bounds.
        volume: The volume of the model, the normalization of the density.
    """

    density: Callable
    volume: float


def jeffreys_prior(metric, bounds):
    """Normalizes sqrt(det F) over a domain, Eq. 2.3.12, by nested quadrature, for up to three parameters.

    Args:
        metric: Function from theta, [P], to F, [P, P].
        bounds: For each parameter its lower and upper end, which may be infinite, or a function from the
            preceding parameters to both ends. The ends may be integrable singularities of F.

    Returns:
        A `JeffreysPrior`.

    Raises:
        ValueError: If the bounds are not increasing pairs or leave the domain of `metric`, or the volume is
            zero or infinite, so that the prior does not exist, as for a location parameter on the real line.
    """
    ranges = _ranges(bounds)
    options = [_QUADRATURE] * len(ranges)

    def element(*theta):
        try:
            return volume_element(metric, theta[::-1])
        except ValueError as error:
            raise ValueError(f"bounds must stay in the domain of metric, but {error}") from error

    with warnings.catch_warnings():
        warnings.simplefilter("error", IntegrationWarning)
        try:
            volume, _ = nquad(
                element, [lambda *after, end=end: end(after[::-1]) for end in ranges[::-1]], opts=options
            )
        except IntegrationWarning as warning:
            reason = str(warning).partition("\n")[0]
            raise ValueError(f"bounds must enclose a finite integral of sqrt(det F): {reason}") from None
    if not 0 < volume < np.inf:
        raise ValueError(f"bounds must enclose a positive, finite integral of sqrt(det F), got {volume}")

    def density(theta):
        theta = finite("theta", theta, 1)
        if theta.size != len(ranges):
            raise ValueError(f"theta must have one entry per bound, {len(ranges)}, got {theta.size}")
        for k, ends in enumerate(ranges):
            low, high = ends(theta[:k])
            if not low <= theta[k] <= high:
                return 0.0
        return volume_element(metric, theta) / volume

    return JeffreysPrior(density, volume)


def _ranges(bounds):
    """Returns for each parameter a function from the preceding parameters to its ends."""
    pairs = list(bounds) if np.iterable(bounds) else []
    if not pairs:
        raise ValueError(f"bounds must be a list with the ends of every parameter, got {described(bounds)}")

    def ends(k, bound):
        name = f"bounds[{k}]"
        if callable(bound):
            return lambda before: interval(name, bound(*before))
        pair = interval(name, bound)
        return lambda _: pair

    return [ends(k, bound) for k, bound in enumerate(pairs)]


def _integral_along(metric, path, integrand):
    """Integrates a function of v^T F v along a path."""

    def at(t):
        try:
            matrix = _metric_at(metric, path(t))
        except ValueError as error:
            raise ValueError(f"path must stay in the domain of metric, but at t = {t:.6g} {error}") from error
        velocity = jacobian(lambda s: path(s[0]), [t], name="path")[:, 0]
        return integrand(max(velocity @ matrix @ velocity, 0.0))

    with warnings.catch_warnings():
        warnings.simplefilter("error", IntegrationWarning)
        try:
            return quad(at, 0.0, 1.0, epsabs=1e-14, epsrel=1e-9, limit=200)[0]
        except IntegrationWarning as warning:
            raise ValueError(f"path must be smooth: {str(warning).partition(chr(10))[0]}") from None


def _flow(metric, evaluations):
    """Returns the geodesic equation, which is nan outside the domain, so that the solver rejects the step."""
    calls = itertools.count()

    def flow(_, state):
        theta, velocity = np.split(state, 2)
        # Give up, because near the boundary of the domain the steps would shrink forever.
        if next(calls) >= evaluations:
            return np.full_like(state, np.nan)
        try:
            symbols = christoffel(metric, theta)
        except ValueError:
            return np.full_like(state, np.nan)
        return np.concatenate([velocity, -(symbols @ velocity) @ velocity])

    return flow


def _units(matrix):
    """Returns the lengths of F along each axis, or one if that is shorter: scales on which F may vary."""
    return np.minimum(1.0, 1 / np.sqrt(np.diagonal(matrix)))


def _metric_at(metric, theta, definite=False):
    """Returns the metric at a point after checking its shape and definiteness."""
    name = f"metric(theta={described(np.asarray(theta).tolist())})"
    matrix = finite(name, metric(theta))
    if matrix.shape != (np.size(theta),) * 2:
        raise ValueError(
            f"{name} must be a {np.size(theta)} x {np.size(theta)} matrix, got shape {matrix.shape}"
        )
    return covariance(name, matrix, definite)
