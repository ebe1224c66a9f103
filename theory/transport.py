"""Optimal transport: Wasserstein distances on a line, exact plans, and entropic regularization (Sec. 3.6).

The earth mover's distance needs a geometry: the cost C_ij of moving a unit of mass from point i to point j. A
plan P_ij >= 0 with row sums a_i and column sums b_j transports the distribution a to b. The distance is the
minimum of <P, C> = sum_ij P_ij C_ij over plans; for C = d^p, its p-th root W_p is a metric on distributions.

Sinkhorn's plan minimizes <P, C> + epsilon KL(P | a b). It is unique and has the form

    P_ij = a_i b_j exp((f_i + g_j - C_ij) / epsilon),

so alternately matching the row sums and the column sums converges to it. The entropy introduces a bias:
<P, C> is above the exact cost, the minimum even more so, and neither is zero between a and itself. This
offset is removed by subtracting half the minimum from a to itself and half that from b to itself
(`sinkhorn_divergence`).

Legend: N points of a, M points of b, D coordinates.

References:
    Cuturi, "Sinkhorn Distances" (2013), arXiv:1306.0895.
    Feydy et al., "Interpolating between Optimal Transport and MMD" (2019), arXiv:1810.08278.
    Schmitzer, "Stabilized Sparse Scaling Algorithms" (2019), arXiv:1610.06519.
"""

import math
import numbers
import warnings
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import eye_array, kron, vstack
from scipy.spatial.distance import cdist

from .. import arguments

_HUGE = 1e100  # Scalings up to this size are safe for a kernel that underflows at 1e-308.
_ROUNDING = 1e-14  # Smaller differences between cumulative weights are rounding errors.


@dataclass(frozen=True)
class Transport:
    """A transport plan between N and M points.

    Args:
        plan: Mass P_ij moved from i to j, [N, M].
        cost: <P, C>, the cost of the plan without the entropy term.
        potentials: Dual variables f, [N], and g, [M], in units of the cost.
        iterations: Number of iterations of the solver.
        marginal_error: Error of the marginals, sum_i |P_i. - a_i| + sum_j |P_.j - b_j|.
    """

    plan: np.ndarray
    cost: float
    potentials: tuple[np.ndarray, np.ndarray]
    iterations: int
    marginal_error: float


def cost_matrix(x, y, power=2.0):
    """Returns the costs C_ij = |x_i - y_j|^power with the Euclidean norm.

    Args:
        x: Points, [N, D].
        y: Points, [M, D].
        power: Exponent, positive.

    Returns:
        Costs, [N, M].

    Raises:
        ValueError: If the points are not finite or differ in D, or `power` is not positive.
    """
    x, y = arguments.finite("x", x, ndim=2), arguments.finite("y", y, ndim=2)
    power = float(arguments.positive("power", power, ndim=0))
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"x and y must have the same number of coordinates, got {x.shape} and {y.shape}")
    return cdist(x, y, "sqeuclidean") if power == 2 else cdist(x, y) ** power


def wasserstein_1d(x, y, order=1.0, x_weights=None, y_weights=None):
    """Returns W_p between two weighted samples of numbers.

    On a line the optimal plan preserves the order, so with the quantile functions F^-1 and G^-1

        W_p^p = integral_0^1 |F^-1(t) - G^-1(t)|^p dt.

    Args:
        x: Values, [N].
        y: Values, [M].
        order: Order p, at least 1; infinity gives the largest displacement.
        x_weights: Probabilities of `x`, [N]; equal ones by default.
        y_weights: Probabilities of `y`, [M]; equal ones by default.

    Returns:
        The distance, in units of `x`.

    Raises:
        ValueError: If there are no values, a value is not finite, weights are not probabilities, or `order`
            is below 1.
    """
    order = _order(order)
    x, below_x = _sorted_sample("x", x, x_weights)
    y, below_y = _sorted_sample("y", y, y_weights)
    levels = np.sort(np.concatenate([below_x, below_y]))
    widths = np.diff(levels, prepend=0.0)
    # Compute half the displacement, because the full difference may overflow.
    moves = np.abs(x[np.searchsorted(below_x, levels)] / 2 - y[np.searchsorted(below_y, levels)] / 2)
    moves, widths = moves[widths > _ROUNDING], widths[widths > _ROUNDING]
    largest = moves.max()
    if math.isinf(order) or largest == 0:
        return float(2 * largest)
    # In units of the largest displacement, no power overflows.
    return float(2 * largest * (widths @ (moves / largest) ** order) ** (1 / order))


def gaussian_wasserstein(mean_a, covariance_a, mean_b, covariance_b):
    """Returns W_2 between two Gaussians in closed form.

        W_2^2 = |m_a - m_b|^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2)

    In one dimension this is (m_a - m_b)^2 + (sigma_a - sigma_b)^2.

    Args:
        mean_a: Mean m_a, [D].
        covariance_a: Covariance A, [D, D], symmetric and positive semidefinite.
        mean_b: Mean m_b, [D].
        covariance_b: Covariance B, [D, D].

    Returns:
        The distance, in units of the means.

    Raises:
        ValueError: If shapes do not match, or a covariance is not symmetric and positive semidefinite.
    """
    mean_a, mean_b = arguments.finite("mean_a", mean_a, ndim=1), arguments.finite("mean_b", mean_b, ndim=1)
    arguments.same_shape(mean_a=mean_a, mean_b=mean_b)
    root_a = _square_root("covariance_a", covariance_a, len(mean_a))
    root_b = _square_root("covariance_b", covariance_b, len(mean_a))
    # The trace of (A^1/2 B A^1/2)^1/2 is the sum of the singular values of A^1/2 B^1/2.
    spread = (
        np.sum(root_a**2) + np.sum(root_b**2) - 2 * np.linalg.svd(root_a @ root_b, compute_uv=False).sum()
    )
    return float(np.sqrt(np.sum((mean_a - mean_b) ** 2) + max(spread, 0.0)))


def optimal_transport(a, b, cost):
    """Returns the plan of least cost, by linear programming (HiGHS, dual simplex).

    The potentials are the dual solution: f_i + g_j <= C_ij, with equality wherever mass moves, and
    <f, a> + <g, b> is the cost. One hundred points on each side take a tenth of a second. For equal weights
    and N = M, `scipy.optimize.linear_sum_assignment` is much faster.

    Args:
        a: Probabilities, [N].
        b: Probabilities, [M].
        cost: Costs C, [N, M], of any sign.

    Returns:
        A `Transport`.

    Raises:
        ValueError: If `a` or `b` is not a distribution, or `cost` is not finite or has the wrong shape.
        RuntimeError: If the solver fails.
    """
    a, b, cost = _problem(a, b, cost)
    n, m = cost.shape
    rows = kron(eye_array(n), np.ones((1, m)))
    columns = kron(np.ones((1, n)), eye_array(m))
    # The tolerances of HiGHS are absolute, so scale masses and costs to order one.
    mass, scale = max(n, m), float(np.abs(cost).max()) or 1.0
    result = linprog(
        cost.ravel() / scale,
        A_eq=vstack([rows, columns], format="csr"),
        b_eq=np.concatenate([a, b]) * mass,
        method="highs-ds",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    if not result.success:
        raise RuntimeError(f"the linear program of {n} x {m} points was not solved: {result.message}")
    plan = np.maximum(result.x, 0.0).reshape(n, m) / mass
    duals = result.eqlin.marginals * scale
    return _transport(plan, a, b, cost, (duals[:n], duals[n:]), int(result.nit))


def wasserstein(x, y, order=2.0, x_weights=None, y_weights=None):
    """Returns the exact W_p between weighted sets of points, by `optimal_transport` with C = |x_i - y_j|^p.

    Args:
        x: Points, [N, D].
        y: Points, [M, D].
        order: Order p, finite and at least 1.
        x_weights: Probabilities of `x`, [N]; equal ones by default.
        y_weights: Probabilities of `y`, [M]; equal ones by default.

    Returns:
        The distance, in units of `x`.

    Raises:
        ValueError: As in `cost_matrix` and `optimal_transport`, or if there are no points, or `order` is
            below 1 or infinite.
    """
    order = _order(order)
    if math.isinf(order):
        raise ValueError("order must be finite, got inf; on a line, use `wasserstein_1d`")
    distances = cost_matrix(x, y, power=1)
    a, b = _sample_weights("x", x_weights, len(x)), _sample_weights("y", y_weights, len(y))
    largest = float(distances.max()) or 1.0
    return largest * optimal_transport(a, b, (distances / largest) ** order).cost ** (1 / order)


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
    a, b, cost = _problem(a, b, cost)
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
    result = _transport(kernel, a, b, cost, (f, g), iterations)
    if not converged:
        warnings.warn(
            f"the marginals are off by {result.marginal_error:.2g} after {iterations} iterations, more than "
            f"tolerance={tolerance:.2g}: increase max_iterations or regularization",
            RuntimeWarning,
            stacklevel=2,
        )
    return result


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
    result = sinkhorn(a[rows], b[columns], cost[inside], epsilon, **settings)
    plan = np.zeros_like(cost)
    plan[inside] = result.plan
    f = _soft_minimum(cost[:, columns] - result.potentials[1], b[columns], epsilon)
    g = _soft_minimum(cost[rows].T - f[rows], a[rows], epsilon)
    return _transport(plan, a, b, cost, (f, g), result.iterations)


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


def _transport(plan, a, b, cost, potentials, iterations):
    error = np.abs(plan.sum(axis=1) - a).sum() + np.abs(plan.sum(axis=0) - b).sum()
    return Transport(plan, float(np.vdot(plan, cost)), potentials, iterations, float(error))


def _problem(a, b, cost):
    a, b, cost = _weights("a", a), _weights("b", b), arguments.finite("cost", cost, ndim=2)
    if cost.shape != (len(a), len(b)):
        raise ValueError(f"cost must have shape ({len(a)}, {len(b)}) for these a and b, got {cost.shape}")
    return a, b, cost


def _order(order):
    if not isinstance(order, numbers.Real) or not order >= 1:
        raise ValueError(f"order must be a number of at least 1, got {order!r}")
    return float(order)


def _sample_weights(name, weights, size):
    if not size:
        raise ValueError(f"{name} must contain at least one point, got none")
    return _weights(f"{name}_weights", np.full(size, 1 / size) if weights is None else weights, size)


def _weights(name, value, size=None):
    weights = arguments.distributions(name, value)
    if weights.ndim != 1 or (size is not None and len(weights) != size):
        expected = "one axis" if size is None else f"shape ({size},)"
        raise ValueError(f"{name} must have {expected}, got shape {weights.shape}")
    # Both sides must carry the same mass to the last digit.
    return weights / weights.sum()


def _sorted_sample(name, values, weights):
    values = arguments.finite(name, values, ndim=1)
    weights = _sample_weights(name, weights, len(values))
    order = np.argsort(values)
    below = np.cumsum(weights[order])
    below[-1] = 1.0
    return values[order], np.minimum(below, 1.0)


def _square_root(name, covariance, size):
    covariance = arguments.covariance(name, covariance, definite=False)
    if covariance.shape != (size, size):
        raise ValueError(f"{name} must have shape ({size}, {size}), got {covariance.shape}")
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
