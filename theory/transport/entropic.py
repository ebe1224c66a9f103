"""Entropic regularization of optimal transport (Sec. 3.6).

Sinkhorn's plan minimizes <P, C> + epsilon KL(P | a b). It is unique and has the form

    P_ij = a_i b_j exp((f_i + g_j - C_ij) / epsilon),

so alternately matching the row sums and the column sums converges to it. An infinite cost forbids a move.
The entropy introduces a bias: <P, C> is above the exact cost, the minimum even more so, and neither is zero
between a and itself. This offset is removed by subtracting half the minimum from a to itself and
half that from b to itself (`sinkhorn_divergence`).

Legend: N points of a, M points of b.

References:
    Cuturi, "Sinkhorn Distances" (2013), arXiv:1306.0895.
    Feydy et al., "Interpolating between Optimal Transport and MMD" (2019), arXiv:1810.08278.
    Schmitzer, "Stabilized Sparse Scaling Algorithms" (2019), arXiv:1610.06519.
"""

import math
import warnings
from typing import NamedTuple

import numpy as np

from ... import arguments
from .problem import checked, result

# Iterations before annealing is tried, and the error or the number of iterations that ends one of its stages.
_TRIAL, _STAGE_TOLERANCE, _STAGE = 100, 1e-2, 1000
_HUGE = 1e100  # Scalings up to this size are safe for a kernel that underflows at 1e-308.


def sinkhorn(a, b, cost, regularization, *, tolerance=1e-9, max_iterations=10_000):
    """Returns the plan that minimizes <P, C> + epsilon KL(P | a b), by Sinkhorn iterations.

    An iteration takes two products of a kernel with a vector. Scalings that leave [1e-100, 1e100] are
    absorbed into the potentials by an iteration in the log domain, so that any epsilon is safe. The number of
    iterations grows as 1 / epsilon. A small epsilon is therefore approached by halving the spread of the
    costs (annealing): each stage starts from the potentials of the one before it and stops early. A hundred
    iterations without annealing come first, and continue if those after it do not have a smaller error. The
    regularizer -epsilon H(P) differs by a constant and gives the same plan.

    Args:
        a: Probabilities, [N].
        b: Probabilities, [M].
        cost: Costs C, [N, M]; an infinite one forbids the move.
        regularization: Strength epsilon, in units of the cost.
        tolerance: Stop when the column sums differ from b by at most this total mass; the row sums are exact.
        max_iterations: Maximum number of iterations; a `RuntimeWarning` is issued if it is not enough.

    Returns:
        A `Transport` with the potentials f and g of the module's docstring; at convergence <f, a> + <g, b> is
        the minimum.

    Raises:
        ValueError: As in `optimal_transport`, or if another argument is not positive.
    """
    a, b, cost = checked(a, b, cost)
    epsilon = float(arguments.positive("regularization", regularization, ndim=0))
    tolerance = float(arguments.positive("tolerance", tolerance, ndim=0))
    max_iterations = arguments.integer("max_iterations", max_iterations, low=1)
    rows, columns = a > 1 / _HUGE, b > 1 / _HUGE
    if not (rows.all() and columns.all()):
        settings = {"tolerance": tolerance, "max_iterations": max_iterations}
        return _on_support(rows, columns, a, b, cost, epsilon, **settings)
    last, iterations = _solve(a, b, cost, epsilon, tolerance, max_iterations)
    plan = last.kernel
    plan *= (a * last.u)[:, None]
    plan *= b * last.v
    solution = result(plan, a, b, cost, (last.f, last.g), iterations)
    if last.error > tolerance:
        warnings.warn(
            f"the marginals are off by {solution.marginal_error:.2g} after {iterations} iterations, more "
            f"than tolerance={tolerance:.2g}: increase max_iterations or regularization",
            RuntimeWarning,
            stacklevel=2,
        )
    return solution


def sinkhorn_divergence(a, b, cost, cost_a, cost_b, regularization, **settings):
    """Returns S(a, b) = T(a, b) - T(a, a) / 2 - T(b, b) / 2 with T = min <P, C> + epsilon KL(P | a b).

    Unlike T, it vanishes for equal distributions. It tends to the exact cost as epsilon -> 0, and is never
    negative if exp(-C / epsilon) is a positive definite kernel, as for |x - y| and |x - y|^2.

    Args:
        a: Probabilities, [N].
        b: Probabilities, [M].
        cost: Costs between the points of a and of b, [N, M].
        cost_a: Costs among the points of a, [N, N].
        cost_b: Costs among the points of b, [M, M].
        regularization: Strength epsilon, in units of the cost.
        **settings: `tolerance` and `max_iterations` of `sinkhorn`.

    Returns:
        The divergence, in units of the cost.

    Raises:
        ValueError: As in `sinkhorn`.
    """

    def total(p, q, costs):
        potentials = sinkhorn(p, q, costs, regularization, **settings).potentials
        return sum(w[w > 0] @ f[w > 0] for w, f in zip(map(np.asarray, (p, q)), potentials, strict=True))

    return float(total(a, b, cost) - (total(a, a, cost_a) + total(b, b, cost_b)) / 2)


class _Iterate(NamedTuple):
    """Potentials, the last kernel with its scalings, and the error of the column sums."""

    f: np.ndarray
    g: np.ndarray
    kernel: np.ndarray
    u: np.ndarray
    v: np.ndarray
    iterations: int
    error: float


def _solve(a, b, cost, epsilon, tolerance, max_iterations):
    """Returns the last `_Iterate` and the number of all iterations."""
    # Start such that the largest entry of each row and of each column of the kernel is one.
    f = cost.min(axis=1)
    g = (cost - f[:, None]).min(axis=0)
    best = _match(f, g, a, b, cost, epsilon, tolerance, min(_TRIAL, max_iterations))
    used = best.iterations
    for strength in _stages(cost, epsilon) if best.error > tolerance else ():
        stage = strength > epsilon
        budget = min((max_iterations - used) // 2, _STAGE) if stage else min(max_iterations - used, _TRIAL)
        goal = _STAGE_TOLERANCE if stage else tolerance
        annealed = _match(f, g, a, b, cost, strength, goal, budget)
        f, g, used = annealed.f, annealed.g, used + annealed.iterations
        best = annealed if not stage and annealed.error < best.error else best
    if best.error > tolerance and used < max_iterations:
        best = _match(best.f, best.g, a, b, cost, epsilon, tolerance, max_iterations - used)
        used += best.iterations
    return best, used


def _stages(cost, epsilon):
    """Returns epsilon times powers of two below the spread of the costs, down to epsilon itself."""
    costs = cost[np.isfinite(cost)]
    halvings = math.ceil(math.log2(max(np.ptp(costs), epsilon) / epsilon))
    return [epsilon * 2.0**k for k in range(halvings - 1, -1, -1)] if halvings > 1 else []


def _match(f, g, a, b, cost, epsilon, tolerance, budget):
    """Returns the `_Iterate` at which the column sums are within the tolerance, or the budget is spent."""
    iterations = 0
    while True:
        kernel = _kernel(f, g, cost, epsilon)
        u, v, used, error = _scale(kernel, a, b, tolerance, budget - iterations)
        iterations += used
        f, g = f + epsilon * np.log(u), g + epsilon * np.log(v)
        if error <= tolerance or iterations >= budget:
            return _Iterate(f, g, kernel, u, v, iterations, error)
        f = _soft_minimum(cost - g, b, epsilon)
        g = _soft_minimum(cost.T - f, a, epsilon)


def _on_support(rows, columns, a, b, cost, epsilon, **settings):
    """Solves the problem without the points of zero weight, and extends the potentials to them."""
    inside = np.ix_(rows, columns)
    solution = sinkhorn(a[rows], b[columns], cost[inside], epsilon, **settings)
    plan = np.zeros_like(cost)
    plan[inside] = solution.plan
    f = _soft_minimum(cost[:, columns] - solution.potentials[1], b[columns], epsilon)
    g = _soft_minimum(cost[rows].T - f[rows], a[rows], epsilon)
    return result(plan, a, b, cost, (f, g), solution.iterations)


def _kernel(f, g, cost, epsilon):
    kernel = f[:, None] + g
    kernel -= cost
    kernel /= epsilon
    with np.errstate(over="ignore"):
        return np.exp(kernel, out=kernel)


def _scale(kernel, a, b, tolerance, budget):
    """Scales rows and columns alternately and returns (u, v, iterations, error of the column sums)."""
    u, v, error = np.ones(len(a)), np.ones(len(b)), np.inf
    for iteration in range(1, budget + 1):
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            rows = kernel @ (b * v)
            next_u = 1 / rows
            columns = (a * next_u) @ kernel
        if not (_is_safe(rows) and _is_safe(columns)):
            return u, v, iteration, np.inf
        u = next_u
        # The next iteration needs this product anyway, so computing the error costs nothing.
        error = b @ np.abs(v * columns - 1)
        if error <= tolerance:
            return u, v, iteration, error
        if iteration < budget:
            v = 1 / columns
    return u, v, budget, error


def _is_safe(values):
    return values.min() > 1 / _HUGE and values.max() < _HUGE


def _soft_minimum(values, weights, epsilon):
    """Returns -epsilon log sum_j w_j exp(-values_ij / epsilon) for each row."""
    least = values.min(axis=1)
    # A point without any allowed move has weight zero and an infinite potential.
    shift = np.where(np.isinf(least), 0.0, least)
    with np.errstate(divide="ignore"):
        return shift - epsilon * np.log(np.exp((shift[:, None] - values) / epsilon) @ weights)
