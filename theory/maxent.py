"""Maximum-entropy distributions under moment constraints, and Boltzmann factors (Sec. 2.4).

Legend: N states, M constraints.

Among all distributions with <f_j> = t_j for j = 1 ... M, the one of maximum entropy is

    p_i = w_i exp(-sum_j lambda_j f_ij) / Z(lambda),

with one multiplier per constraint. The measure w of the entropy is 1 for states and the width of each cell
for a density on a grid. The multipliers minimize the convex dual log Z(lambda) + lambda . t, which has the
gradient t - <f> and the covariance of the features as its Hessian. The sign is that of Eq. 2.4.3, where f is
the energy and lambda is beta; in Eq. 2.4.8, lambda_1 and lambda_2 are minus the multipliers of x and x^2.

Targets outside the convex hull of the rows of `features` are infeasible and raise an error. On the boundary
the multipliers diverge and the distribution is the limit: it is supported on the states of the face that
contains the targets (`support`), and has maximum entropy there. With several constraints, a linear program
decides whether the targets are inside, on the boundary or outside, and targets within about 1e-9 of the
features' spread of the boundary count as on it. With one constraint there is no such tolerance.

Eqs. 2.4.6 and 2.4.7 have misprints (docs/errata.md): the constants belong outside the integral, the second
moment is sigma^2 + mu^2, and the variation of -p log p is -log p - 1.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp, rel_entr, softmax

from ..arguments import distributions, finite, positive, same_shape
from .feasibility import ON_BOUNDARY, infeasible, supporting_plane
from .tilting import tilt

# Tolerances relative to the spread of the features.
_REDUNDANT = 1e-10
_CONVERGED = 1e-8


@dataclass(frozen=True)
class MaximumEntropy:
    """The distribution of maximum entropy under moment constraints.

    Args:
        probabilities: Probabilities p_i, [N], with sum one.
        density: Probabilities divided by the weights, [N].
        multipliers: The lambda_j of p_i = w_i exp(-sum_j lambda_j f_ij) / Z, [M]. For redundant constraints
            they have minimum norm in scaled features; on the boundary they give p on `support`.
        entropy: -sum_i p_i log(p_i / w_i) in nats: the differential entropy if the weights are cell widths.
        residual: Largest |<f_j> - t_j|, in the units of the features.
        support: Mask of the states that may have a positive probability, [N]; all of them if the targets are
            inside the hull.
    """

    probabilities: np.ndarray
    density: np.ndarray
    multipliers: np.ndarray
    entropy: float
    residual: float
    support: np.ndarray

    @property
    def beta(self):
        """The multiplier of a single constraint, beta of p_i = w_i exp(-beta E_i) / Z, Eq. 2.4.3.

        Raises:
            ValueError: If there are several constraints.
        """
        if len(self.multipliers) != 1:
            raise ValueError(f"beta needs a single constraint, got {len(self.multipliers)}: see multipliers")
        return float(self.multipliers[0])


@dataclass(frozen=True)
class Reweighting:
    """A distribution reweighted by Boltzmann factors.

    Args:
        probabilities: q = p exp(-energies), [..., N].
        energies: beta times the energies, with the zero point of Eq. 2.4.4, [..., N].
        divergence: D_KL(p || q) = <energies>_p in nats, [...].
    """

    probabilities: np.ndarray
    energies: np.ndarray
    divergence: np.ndarray


def maximum_entropy(features, targets, weights=None):
    """Returns the distribution of maximum entropy with given expectation values.

    A trust-region Newton method minimizes the dual, in scaled and decorrelated features, from lambda = 0. A
    single multiplier is the root of a monotonic function (`theory.tilting`). Redundant but consistent
    constraints are harmless.

    Args:
        features: Value f_ij of the feature of constraint j in state i, [N, M].
        targets: Required expectation values t_j, [M].
        weights: Measure w of the states, [N], positive; `None` for ones.

    Returns:
        A `MaximumEntropy`.

    Raises:
        ValueError: If an argument is not finite or has the wrong shape, a weight is not positive, or no
            distribution meets the targets. In the last case, the message names the first target that is
            infeasible given those before it, and its feasible interval.

    References:
        Jaynes, "Information theory and statistical mechanics" (1957).
        Boyd and Vandenberghe, "Convex Optimization" (2004), section 7.2.

    Example:
        >>> die = maximum_entropy([[1], [2], [3], [4], [5], [6]], [4.5])
        >>> die.probabilities.round(3).tolist()
        [0.054, 0.079, 0.114, 0.165, 0.24, 0.347]
    """
    features, targets, weights = _check(features, targets, weights)
    if features.shape[1] == 1:
        return _one_constraint(features[:, 0], float(targets[0]), weights)
    support = np.ones(len(features), dtype=bool)
    scale = np.abs(features - targets).max(axis=0)
    scale[scale == 0] = 1.0
    # Features far from zero carry the rounding errors of their large values.
    rounding = 10 * np.finfo(float).eps * (np.abs(features).max(axis=0) / scale).max()
    axes, back = _whiten((features - targets) / scale, max(_REDUNDANT, rounding))
    while True:
        normal, lowest = supporting_plane(axes)
        if lowest > ON_BOUNDARY:
            raise ValueError(infeasible(features, targets))
        if lowest < -ON_BOUNDARY:
            break
        heights = axes @ normal
        face = heights <= 2 * ON_BOUNDARY
        support[support] = face
        # Remove the normal: the states of the face lie on the plane only up to rounding errors.
        axes, rotation = _whiten((axes - np.outer(heights, normal) / (normal @ normal))[face], _REDUNDANT)
        back = back @ rotation
    coordinates = _minimize_dual(axes, np.log(weights[support]))
    exponents = np.full(len(features), -np.inf)
    exponents[support] = -axes @ coordinates
    return _result(exponents, back @ coordinates / scale, features - targets, weights)


def boltzmann(energies, mean_energy):
    """Returns the Boltzmann distribution exp(-beta E) / Z with a given mean energy, Eqs. 2.4.1 to 2.4.3.

    The only multiplier is beta. It is negative if the mean is above that for equal probabilities, infinite
    only if the mean is exactly the lowest or highest energy, and zero if all energies are equal. The other
    multiplier in the notes is nu = 1 - log Z = 1 - entropy + beta <E>.

    Args:
        energies: Energies E_i of the states, [N].
        mean_energy: Mean energy <E>, in units of the energies.

    Returns:
        A `MaximumEntropy` with `beta`, in inverse units of the energies, as the only one of `multipliers`.

    Raises:
        ValueError: If an argument is not finite, or the mean is not between the lowest and highest energies.
    """
    energies, mean_energy = finite("energies", energies, 1), float(finite("mean_energy", mean_energy, 0))
    if not energies.size:
        raise ValueError("energies must contain at least one state, got none")
    low, high = energies.min(), energies.max()
    if not low <= mean_energy <= high:
        raise ValueError(
            f"mean_energy must be between the lowest energy {low:.10g} and the highest {high:.10g}, "
            f"got {mean_energy:.10g}"
        )
    result = maximum_entropy(energies[:, None], [mean_energy])
    if result.support.all():
        return result
    at_bottom = mean_energy - low < high - mean_energy
    return replace(result, multipliers=np.array([np.inf if at_bottom else -np.inf]))


def gaussian(grid, mean, variance):
    """Returns the density of maximum entropy with a given mean and variance, Eqs. 2.4.6 to 2.4.8 corrected.

    The constraints are <x> = mu and <x^2> = sigma^2 + mu^2. On a grid that is wide and fine compared with
    sigma, the result is the Gaussian, with lambda_1 = mu / sigma^2 and lambda_2 = -1 / (2 sigma^2) in the
    notes. On a narrower grid it is exp(lambda_1 x + lambda_2 x^2) truncated to the grid, with the same
    moments.

    Args:
        grid: Increasing points x, [N].
        mean: Mean mu.
        variance: Variance sigma^2.

    Returns:
        A `MaximumEntropy` with the multipliers of x and x^2 and the weights `cell_widths(grid)`.

    Raises:
        ValueError: If the grid does not increase, the variance is not positive, or no density on the grid has
            this mean and variance without vanishing at some of the points.
    """
    widths = cell_widths(grid)
    x, mean = np.asarray(grid, dtype=np.float64), float(finite("mean", mean, 0))
    variance = float(positive("variance", variance, 0))
    deviations = x - mean
    try:
        # Powers of the deviations stay linearly independent no matter how far the mean is from zero.
        result = maximum_entropy(np.stack([deviations, deviations**2], axis=1), [0.0, variance], widths)
    except ValueError as error:
        raise ValueError(
            f"no density on the grid has mean {mean:.10g} and variance {variance:.10g}: "
            f"of targets[0] = <x - mean> and targets[1] = <(x - mean)^2>, {error}"
        ) from None
    if not result.support.all():
        raise ValueError(
            f"grid must allow a positive density at all of its {len(x)} points, but mean {mean:.10g} and "
            f"variance {variance:.10g} leave only {result.support.sum()}"
        )
    linear, quadratic = result.multipliers
    return replace(result, multipliers=np.array([linear - 2 * quadratic * mean, quadratic]))


def cell_widths(grid):
    """Returns the weights of the trapezoidal rule: half the distance between the neighbors of each point.

    Args:
        grid: Increasing points, [N], at least two.

    Returns:
        An array [N]; its sum is the length of the grid.

    Raises:
        ValueError: If there are fewer than two points or they do not increase.
    """
    grid = finite("grid", grid, 1)
    if len(grid) < 2:
        raise ValueError(f"grid must have at least 2 points, got {len(grid)}")
    steps = np.diff(grid)
    if (steps <= 0).any():
        i = int(np.argmax(steps <= 0)) + 1
        raise ValueError(f"grid must increase, got grid[{i}] = {grid[i]:.9g} after {grid[i - 1]:.9g}")
    return (np.append(steps, 0.0) + np.append(0.0, steps)) / 2


def reweight(p, energies, beta=1.0):
    """Reweights a distribution by Boltzmann factors: q = p exp(-E'), Eqs. 2.4.4 and 2.4.5.

    The zero point of the energies is shifted such that q sums to one, E' = beta E + log <exp(-beta E)>_p.
    Then D_KL(p || q) = <E'>_p. Since a divergence is not negative, <beta E>_p >= -log <exp(-beta E)>_p.

    Args:
        p: Probabilities, [..., N]; for a density on a grid, the density times the widths of the cells.
        energies: Energies E, [..., N].
        beta: Inverse temperature, in inverse units of the energies.

    Returns:
        A `Reweighting`.

    Raises:
        ValueError: If `p` does not contain distributions, or an argument is not finite or has the wrong
            shape.
    """
    p, beta = distributions("p", p), float(finite("beta", beta, 0))
    energies = finite("energies", energies)
    same_shape(p=p, energies=energies)
    with np.errstate(over="ignore"):
        scaled = finite("beta * energies", beta * energies)
        zero = logsumexp(-scaled, axis=-1, b=p, keepdims=True)
        shifted = finite("beta * energies from their zero point", scaled + zero)
    # The Boltzmann factor may overflow where p vanishes.
    log_p = np.log(p, where=p > 0, out=np.full_like(p, -np.inf))
    return Reweighting(
        probabilities=np.exp(log_p - shifted),
        energies=shifted,
        divergence=np.maximum(np.sum(p * shifted, axis=-1), 0.0),
    )


def _one_constraint(feature, target, weights):
    """Returns the distribution for a single constraint, which needs no linear program and no tolerances."""
    low, high = feature.min(), feature.max()
    if not low <= target <= high:
        raise ValueError(f"targets[0] must be between {low:.10g} and {high:.10g}, got {target:.10g}")
    deviations, multiplier = feature - target, tilt(feature, target, weights)
    if math.isinf(multiplier):
        exponents, multiplier = np.where(deviations == 0, 0.0, -np.inf), 0.0
    else:
        exponents = -multiplier * deviations
    return _result(exponents, np.array([multiplier]), deviations[:, None], weights)


def _result(exponents, multipliers, deviations, weights):
    """Returns the distribution w exp(exponents) / Z; states with the exponent minus infinity are excluded."""
    probabilities = softmax(exponents + np.log(weights))
    return MaximumEntropy(
        probabilities=probabilities,
        density=probabilities / weights,
        multipliers=multipliers,
        entropy=-float(rel_entr(probabilities, weights).sum()),
        residual=float(np.abs(probabilities @ deviations).max()),
        support=exponents > -np.inf,
    )


def _check(features, targets, weights):
    features, targets = finite("features", features, 2), finite("targets", targets, 1)
    states, constraints = features.shape
    if not features.size:
        raise ValueError(
            f"features must have at least one state and one constraint, got shape {features.shape}"
        )
    if len(targets) != constraints:
        raise ValueError(
            f"targets must have one entry for each of {constraints} columns of features, got {len(targets)}"
        )
    weights = np.ones(states) if weights is None else positive("weights", weights, 1)
    if len(weights) != states:
        raise ValueError(
            f"weights must have one entry for each of {states} rows of features, got {len(weights)}"
        )
    return features, targets, weights


def _whiten(deviations, tolerance):
    """Returns orthogonal axes [n, r] of mean square 1 that span deviations [n, M], and the inverse map."""
    left, singular, right = np.linalg.svd(deviations, full_matrices=False)
    root = np.sqrt(len(deviations))
    significant = singular > tolerance * root
    return left[:, significant] * root, right[significant].T * root / singular[significant]


def _minimize_dual(axes, log_weights):
    """Returns the minimizer of log sum_i w_i exp(-axes_i . x), with the targets at the origin of the axes."""

    def value(x):
        return logsumexp(log_weights - axes @ x)

    def gradient(x):
        return -softmax(log_weights - axes @ x) @ axes

    def hessian(x):
        p = softmax(log_weights - axes @ x)
        centered = axes - p @ axes
        return centered.T @ (p[:, None] * centered)

    x = np.zeros(axes.shape[1])
    if not len(x):
        return x
    options = {"gtol": _CONVERGED, "maxiter": 1000, "max_trust_radius": 1e9}
    x = minimize(value, x, jac=gradient, hess=hessian, method="trust-exact", options=options).x
    # Within 1e-8 of the minimum, rounding errors dominate the value, but the gradient is still accurate.
    for _ in range(20):
        step = np.linalg.lstsq(hessian(x), gradient(x))[0]
        if np.abs(gradient(x - step)).max() >= np.abs(gradient(x)).max():
            break
        x = x - step
    error = np.abs(gradient(x)).max()
    if error > _CONVERGED:
        raise ValueError(f"targets are too close to infeasible ones: scaled moments differ by {error:.2g}")
    return x
