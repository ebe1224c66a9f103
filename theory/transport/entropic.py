"""Entropic regularization of optimal transport (Sec. 3.6).

Sinkhorn's plan minimizes <P, C> + epsilon KL(P | a b). It is unique and has the form

    P_ij = a_i b_j exp((f_i + g_j - C_ij) / epsilon),

so alternately matching the row sums and the column sums converges to it. The entropy introduces a bias:
<P, C> is above the exact cost, the minimum even more so, and neither is zero between a and itself. This
offset is removed by subtracting half the minimum from a to itself and half that from b to itself
(`sinkhorn_divergence`).

Legend: N points of a, M points of b.

References:
    Cuturi, "Sinkhorn Distances" (2013), arXiv:1306.0895.
    Feydy et al., "Interpolating between Optimal Transport and MMD" (2019), arXiv:1810.08278.
    Schmitzer, "Stabilized Sparse Scaling Algorithms" (2019), arXiv:1610.06519.
"""

import warnings

import numpy as np

from ... import arguments
from .problem import checked, result

_HUGE = 1e100  # Scalings up to this size are safe for a kernel that underflows at 1e-308.


def sinkhorn(a, b, cost, regularization, *, tolerance=1e-9, max_iterations=10_000):
    """Returns the plan that minimizes <P, C> + epsilon KL(P | a b), by Sinkhorn iterations.

    An iteration takes two products of a kernel with a vector. Scalings that leave [1e-100, 1e100] are
    absorbed into the potentials by an iteration in the log domain, so that any epsilon is safe. The number of
    iterations grows at least as 1 / epsilon. The regularizer -epsilon H(P) differs by a constant and gives
    the same plan.

    Args:
        a: Probabilities, [N].
        b: Probabilities, [M].
        cost: Costs C, [N, M].
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
    # Start such that the largest entry of each row and of each column of the kernel is one.
    f = cost.min(axis=1)
    g = (cost - f[:, None]).min(axis=0)
    iterations = 0
    while True:
        kernel = _kernel(f, g, cost, epsilon)
        u, v, used, converged = _scale(kernel, a, b, tolerance, max_iterations - iterations)
        iterations += used
        f, g = f + epsilon * np.log(u), g + epsilon * np.log(v)
        if converged or iterations >= max_iterations:
            break
        f = _soft_minimum(cost - g, b, epsilon)
        g = _soft_minimum(cost.T - f, a, epsilon)
    kernel *= (a * u)[:, None]
    kernel *= b * v
    solution = result(kernel, a, b, cost, (f, g), iterations)
    if not converged:
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
        f, g = sinkhorn(p, q, costs, regularization, **settings).potentials
        return np.dot(p, f) + np.dot(q, g)

    return float(total(a, b, cost) - (total(a, a, cost_a) + total(b, b, cost_b)) / 2)


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
    return np.exp(kernel, out=kernel)


def _scale(kernel, a, b, tolerance, budget):
    """Scales rows and columns alternately and returns (u, v, iterations, converged)."""
    u, v = np.ones(len(a)), np.ones(len(b))
    for iteration in range(1, budget + 1):
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            rows = kernel @ (b * v)
            next_u = 1 / rows
            columns = (a * next_u) @ kernel
        if not (_is_safe(rows) and _is_safe(columns)):
            return u, v, iteration, False
        u = next_u
        # The next iteration needs this product anyway, so computing the error costs nothing.
        if b @ np.abs(v * columns - 1) <= tolerance:
            return u, v, iteration, True
        if iteration < budget:
            v = 1 / columns
    return u, v, budget, False


def _is_safe(values):
    return values.min() > 1 / _HUGE and values.max() < _HUGE


def _soft_minimum(values, weights, epsilon):
    """Returns -epsilon log sum_j w_j exp(-values_ij / epsilon) for each row."""
    least = values.min(axis=1)
    return least - epsilon * np.log(np.exp((least[:, None] - values) / epsilon) @ weights)
