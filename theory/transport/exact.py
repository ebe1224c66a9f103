"""Exact optimal transport (Sec. 3.6).

Legend: N points of a, M points of b, D coordinates.
"""

import math

import numpy as np
from scipy.optimize import linear_sum_assignment, linprog
from scipy.sparse import eye_array, kron, vstack

from ... import arguments
from ...deprecation import changing_default
from .problem import checked, cost_matrix, order_of, result, sample_weights


def optimal_transport(a, b, cost, solver="highs"):
    """Returns the plan of least cost.

    The potentials are the dual solution: f_i + g_j <= C_ij, with equality wherever mass moves, and
    <f, a> + <g, b> is the cost. Equal weights on equally many points are an assignment problem
    (`scipy.optimize.linear_sum_assignment`), which takes milliseconds for hundreds of points. For other
    weights SciPy has linear programs (HiGHS, dual simplex), which take a tenth of a second for one hundred
    points on each side and about ten seconds for three hundred. The network simplex of the package POT, if it
    is installed, is a hundred times as fast.

    Args:
        a: Probabilities, [N].
        b: Probabilities, [M].
        cost: Costs C, [N, M], of any sign; an infinite one forbids the move.
        solver: `highs`, or `pot` for the network simplex of POT (`pip install POT`).

    Returns:
        A `Transport`.

    Raises:
        ValueError: If `a` or `b` is not a distribution, `cost` has the wrong shape or an entry that is
            neither finite nor inf, no plan avoids the forbidden moves, or `solver` is unknown.
        ImportError: If `solver` is `pot` and POT is not installed.
        RuntimeError: If the solver fails.
    """
    solve = _SOLVERS[arguments.one_of("solver", solver, _SOLVERS)]
    a, b, cost = checked(a, b, cost)
    if len(a) == len(b) and np.ptp(a) == 0 and np.ptp(b) == 0:
        return _assignment(a, b, cost)
    # The tolerances of the solvers are absolute, so costs are scaled to order one.
    scale = float(np.abs(cost, where=np.isfinite(cost), out=np.zeros_like(cost)).max()) or 1.0
    plan, f, g, iterations = solve(a, b, cost / scale)
    return result(plan, a, b, cost, (f * scale, g * scale), iterations)


def wasserstein(x, y, order=None, x_weights=None, y_weights=None):
    """Returns the exact W_p between weighted sets of points, by `optimal_transport` with C = |x_i - y_j|^p.

    Args:
        x: Points, [N, D].
        y: Points, [M, D].
        order: Order p, finite and at least 1. Without it the order is 2, with a `FutureWarning`: in the next
            version it will be 1, as in `wasserstein_1d` and `curvezoo.losses.wasserstein`.
        x_weights: Probabilities of `x`, [N]; equal ones by default.
        y_weights: Probabilities of `y`, [M]; equal ones by default.

    Returns:
        The distance, in units of `x`.

    Raises:
        ValueError: As in `cost_matrix` and `optimal_transport`, or if there are no points, or `order` is
            below 1 or infinite.
    """
    order = order_of(changing_default("order", order, 2, 1))
    if math.isinf(order):
        raise ValueError("order must be finite, got inf; on a line, use `wasserstein_1d`")
    distances = cost_matrix(x, y, power=1)
    a, b = sample_weights("x", x_weights, len(x)), sample_weights("y", y_weights, len(y))
    largest = float(distances.max()) or 1.0
    costs = (distances / largest) ** order
    if x_weights is None and y_weights is None and len(x) == len(y):
        cost = costs[linear_sum_assignment(costs)].mean()
    else:
        cost = optimal_transport(a, b, costs).cost
    return float(largest * cost ** (1 / order))


def _assignment(a, b, cost):
    """Solves the problem with equal weights, in which each point of a moves to one point of b."""
    rows, columns = linear_sum_assignment(cost)
    plan = np.zeros_like(cost)
    plan[rows, columns] = a
    # The cost of moving to another column than the assigned one, along each row. The potentials g are the
    # shortest distances with these lengths, which have no negative cycle because the assignment is optimal.
    detour = cost[:, columns] - cost[rows, columns][:, None]
    g = np.zeros(len(b))
    iterations, shorter = 0, detour.min(axis=0)
    while iterations < len(b) and np.any(shorter < g):
        g, iterations = shorter, iterations + 1
        shorter = (detour + g[:, None]).min(axis=0)
    potentials = cost[rows, columns] - g, g[np.argsort(columns)]
    return result(plan, a, b, cost, potentials, iterations)


def _linear_program(a, b, cost):
    """Returns the plan, the potentials and the number of iterations of HiGHS."""
    n, m = cost.shape
    rows = kron(eye_array(n), np.ones((1, m)))
    columns = kron(np.ones((1, n)), eye_array(m))
    mass = max(n, m)
    allowed = np.isfinite(cost)
    solution = linprog(
        cost[allowed],
        A_eq=vstack([rows, columns], format="csc")[:, allowed.ravel()],
        b_eq=np.concatenate([a, b]) * mass,
        method="highs-ds",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    if not solution.success:
        raise RuntimeError(f"the linear program of {n} x {m} points was not solved: {solution.message}")
    plan = np.zeros_like(cost)
    plan[allowed] = np.maximum(solution.x, 0.0) / mass
    return plan, *np.split(solution.eqlin.marginals, [n]), int(solution.nit)


def _network_simplex(a, b, cost):
    """Returns the plan and the potentials of POT, which does not report its iterations."""
    import ot

    # The potentials of points without weight are not determined by the solver.
    inside = np.ix_(a > 0, b > 0)
    # The costs are of order one. A forbidden move costs more than any detour through all points.
    finite = np.where(np.isfinite(cost), cost, 2.0 * (len(a) + len(b)))
    moved, log = ot.emd(a[a > 0], b[b > 0], finite[inside], numItermax=10_000_000, log=True)
    if log["warning"]:
        raise RuntimeError(f"the network simplex of {len(a)} x {len(b)} points failed: {log['warning']}")
    plan = np.zeros_like(cost)
    plan[inside] = moved
    plan[np.isinf(cost)] = 0.0
    g = np.empty(len(b))
    g[b > 0] = log["v"]
    f = (finite[:, b > 0] - log["v"]).min(axis=1)
    g[b == 0] = (finite[:, b == 0] - f[:, None]).min(axis=0)
    return plan, f, g, 0


_SOLVERS = {"highs": _linear_program, "pot": _network_simplex}
