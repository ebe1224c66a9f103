"""Curvature of statistical models: Riemann's tensor of the Fisher metric (Sec. 2.3).

A metric is a function from theta to the Fisher matrix F(theta), as in `curvezoo.theory.geometry` and
`curvezoo.theory.families`. With the Christoffel symbols Gamma^k_ij of `geometry.christoffel`,

    R^k_lij = d_i Gamma^k_lj - d_j Gamma^k_li + Gamma^k_mi Gamma^m_lj - Gamma^k_mj Gamma^m_li,
    R_lj = R^k_lkj,    R = F^lj R_lj.

These are the signs of Misner, Thorne and Wheeler: spheres have positive curvature, R = n (n - 1) / r^2 in n
dimensions, and for two parameters R is twice the Gaussian curvature K. The opposite sign is common in the
geometry of thermodynamics (Ruppeiner). The scalar does not depend on the parameters, and has the inverse
units of a squared length, which are those of D_KL: with N examples F is N times as large and R is R / N.

| family | F | R |
|---|---|---|
| normal, (mu, sigma) | diag(1, 2) / sigma^2 | -1 (K = -1/2) |
| normal in D dimensions, (mu, sigma) | diag(1, ..., 1, 2 D) / sigma^2 | -(D + 1) / 2 |
| categorical, K outcomes | a sphere of radius 2 | (K - 1) (K - 2) / 4 |
| one parameter, or independent ones | | 0, or the sum |

For the normal family, substituting mu = sqrt(2) u gives F = 2 (du^2 + dsigma^2) / sigma^2, twice the
hyperbolic plane of curvature -1, hence K = -1/2 and R = -1.

Derivatives are differences of sixth order in coordinates in which F is the unit matrix at theta, so that a
step has a statistical length. Its length is doubled from 1 on while rounding dominates the difference of two
results, as for the metric of many examples, and then halved from 1 on until they agree best, which also finds
the way back into the domain. The error of R is about 1e-9 for metrics in closed form, except near the
boundary of the domain, where derivatives of the metric are large but cancel; an error above 1e-5 is refused.

Legend: P parameters.

References:
    Misner, Thorne and Wheeler, "Gravitation" (1973), chapter 13.
    Amari and Nagaoka, "Methods of Information Geometry" (2000), chapter 2.
    Ruppeiner, "Riemannian geometry in thermodynamic fluctuation theory" (1995), Rev. Mod. Phys. 67, 605-659.
"""

import itertools

import numpy as np

from ..arguments import covariance, described, finite, has_shape

# Steps in statistical length.
_SHORTER, _LONGER = 0.5 ** np.arange(32), 2.0 ** np.arange(24)
_OFFSETS = np.array([-3, -2, -1, 1, 2, 3])
_FIRST = np.array([-1, 9, -45, 45, -9, 1]) / 60
_SECOND, _AT_CENTER = np.array([2, -27, 270, 270, -27, 2]) / 180, -490 / 180
# Largest accepted change between two steps, relative to the tensor, to 1, or to the derivatives of the metric
# if these are small. Those below `_FLAT`, the rounding errors of a constant metric, count as zero.
_TOLERANCE, _FLAT = 1e-5, 1e-12
# Rounding error of the metric in units of its size, over the squared step.
_ROUNDING = 16 * np.finfo(float).eps


def riemann_tensor(metric, theta):
    """Returns Riemann's tensor R_klij = F_km R^m_lij at a point.

    It is antisymmetric in k, l and in i, j, symmetric under the exchange of both pairs, and zero for one
    parameter.

    Args:
        metric: Function from theta, [P], to a positive definite F, [P, P].
        theta: The point, [P].

    Returns:
        The tensor, [P, P, P, P], in the order k, l, i, j.

    Raises:
        ValueError: If the metric is not positive definite at theta or not smooth near it.
    """
    tensor, to_unit = _in_unit_coordinates(metric, theta)
    return np.einsum("abcd,ak,bl,ci,dj->klij", tensor, *[to_unit] * 4)


def ricci_tensor(metric, theta):
    """Returns Ricci's tensor R_lj = R^k_lkj at a point, [P, P].

    Args:
        metric: As in `riemann_tensor`.
        theta: As in `riemann_tensor`.

    Raises:
        ValueError: As in `riemann_tensor`.
    """
    tensor, to_unit = _in_unit_coordinates(metric, theta)
    return to_unit.T @ np.einsum("klkj->lj", tensor) @ to_unit


def scalar_curvature(metric, theta):
    """Returns the scalar curvature R = F^lj R_lj at a point, in the convention at the top of this module.

    Args:
        metric: As in `riemann_tensor`.
        theta: As in `riemann_tensor`.

    Raises:
        ValueError: As in `riemann_tensor`.

    Example:
        >>> from curvezoo.theory import families
        >>> print(round(scalar_curvature(families.gaussian, [0.0, 1.0]), 6))
        -1.0
    """
    return float(np.einsum("klkl->", _in_unit_coordinates(metric, theta)[0]))


def _in_unit_coordinates(metric, theta):
    """Returns R_klij in coordinates u with F = 1 at theta, and the matrix du / dtheta."""
    theta = finite("theta", theta, 1)
    name = f"metric(theta={described(theta.tolist())})"
    matrix = finite(name, metric(theta))
    has_shape(name, matrix, (theta.size,) * 2)
    to_unit = np.linalg.cholesky(covariance(name, matrix)).T
    from_unit = np.linalg.inv(to_unit)
    if theta.size == 1:
        return np.zeros((1, 1, 1, 1)), to_unit

    def unit_metric(u):
        return from_unit.T @ finite("metric", metric(theta + from_unit @ u)) @ from_unit

    def at(step):
        try:
            with np.errstate(all="ignore"):
                return _tensor(*_derivatives(unit_metric, theta.size, step))
        except ValueError:
            return None  # A long step may leave the domain of the metric.

    candidates = [*_compared(at, _LONGER, growing=True), *_compared(at, _SHORTER, growing=False)]
    error, best = min(candidates, default=(np.inf, None), key=lambda candidate: candidate[0])
    if not error < _TOLERANCE:
        raise ValueError(f"metric must be finite and smooth near theta = {described(theta.tolist())}")
    return best, to_unit


def _compared(at, steps, growing):
    """Yields (relative error, tensor) of each step, from the change since the step before it."""
    last, least = None, np.inf
    for step in steps:
        result = at(step)
        if result is None and growing:
            return
        if result is not None and last is not None:
            (tensor, scale), change = result, np.abs(result[0] - last[0]).max()
            noise = _ROUNDING / step**2
            if growing and not change <= noise:
                return
            error = (change + noise) / (np.abs(tensor).max() + min(1.0, scale) + _FLAT)
            yield error, tensor
            least = min(least, error)
            if not growing and least < _TOLERANCE < error:
                return  # Shorter steps only round more.
        last = result if result is not None else last


def _derivatives(metric, size, step):
    """Returns d_k F_ij at [i, j, k] and d_k d_l F_ij at [i, j, k, l] at the origin."""
    units = step * np.eye(size)
    center = metric(np.zeros(size))
    first, second = np.empty((size,) * 3), np.empty((size,) * 4)
    for k in range(size):
        line = np.stack([metric(offset * units[k]) for offset in _OFFSETS], axis=-1)
        first[..., k] = line @ _FIRST / step
        second[..., k, k] = (line @ _SECOND + _AT_CENTER * center) / step**2
    for k, m in itertools.combinations(range(size), 2):
        mixed = sum(
            _FIRST[a] * _FIRST[b] * metric(_OFFSETS[a] * units[k] + _OFFSETS[b] * units[m])
            for a, b in itertools.product(range(len(_OFFSETS)), repeat=2)
        )
        second[..., k, m] = second[..., m, k] = mixed / step**2
    return first, second


def _tensor(first, second):
    """Returns R_klij where F is the unit matrix, and the size of its terms.

    R_klij = (d_l d_i F_kj + d_k d_j F_li - d_k d_i F_lj - d_l d_j F_ki) / 2
             + sum_m (Gamma_m,li Gamma_m,kj - Gamma_m,lj Gamma_m,ki).
    """
    lowered = (np.swapaxes(first, 1, 2) + first - np.moveaxis(first, 2, 0)) / 2
    linear = (
        np.einsum("kjli->klij", second)
        + np.einsum("likj->klij", second)
        - np.einsum("ljki->klij", second)
        - np.einsum("kilj->klij", second)
    ) / 2
    products = np.einsum("mli,mkj->klij", lowered, lowered)
    quadratic = products - np.swapaxes(products, 2, 3)
    return linear + quadratic, np.abs(second).max() + np.abs(first).max() ** 2
