"""A transport problem and its solution: costs, weights and plans.

Legend: N points of a, M points of b, D coordinates.
"""

import math
import numbers
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order, maximum_flow
from scipy.spatial.distance import cdist

from ... import arguments


@dataclass(frozen=True)
class Transport:
    """A transport plan between N and M points.

    Args:
        plan: Mass P_ij moved from i to j, [N, M].
        cost: <P, C>, the cost of the plan without the entropy term.
        potentials: Dual variables f, [N], and g, [M], in units of the cost.
        iterations: Number of iterations of the solver; zero if it does not report them.
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


def result(plan, a, b, cost, potentials, iterations):
    """Returns the `Transport` of a plan, with its cost and the error of its marginals.

    Args:
        plan: Mass moved from i to j, [N, M].
        a: Probabilities, [N].
        b: Probabilities, [M].
        cost: Costs, [N, M]; where they are infinite, the plan must be zero.
        potentials: As in `Transport`.
        iterations: As in `Transport`.
    """
    error = np.abs(plan.sum(axis=1) - a).sum() + np.abs(plan.sum(axis=0) - b).sum()
    total = np.vdot(plan, np.where(np.isinf(cost), 0.0, cost))
    return Transport(plan, float(total), potentials, iterations, float(error))


def checked(a, b, cost):
    """Returns normalized weights and the costs as arrays after checking them and that a plan exists.

    Args:
        a: Probabilities, [N].
        b: Probabilities, [M].
        cost: Costs, [N, M]; an infinite one forbids the move.

    Raises:
        ValueError: If weights or costs are not valid, or no plan avoids the forbidden moves.
    """
    a, b, cost = (
        weights_of("a", a),
        weights_of("b", b),
        arguments.finite_or((math.inf,), "cost", cost, ndim=2),
    )
    if cost.shape != (len(a), len(b)):
        raise ValueError(f"cost must have shape ({len(a)}, {len(b)}) for these a and b, got {cost.shape}")
    allowed = np.isfinite(cost)
    if not allowed.all():
        _check_feasible(a, b, allowed)
    return a, b, cost


def _check_feasible(a, b, allowed):
    """Raises an error that names points of a which hold more mass than they can move.

    They are the side of a minimum cut with the source (Hall's theorem). Masses are multiples of 2^-29.
    """
    n, m = allowed.shape
    source, sink, unit = n + m, n + m + 1, 2.0**29
    leaving, arriving = np.floor(a * unit).astype(int), np.ceil(b * unit).astype(int)
    rows, columns = np.nonzero(allowed)
    tails = np.concatenate([np.full(n, source), rows, n + np.arange(m)])
    heads = np.concatenate([np.arange(n), n + columns, np.full(m, sink)])
    widths = np.concatenate([leaving, np.full(len(rows), int(unit)), arriving]).astype(np.int32)
    network = coo_array((widths, (tails, heads)), shape=(n + m + 2,) * 2).tocsr()
    flow = maximum_flow(network, source, sink)
    if flow.flow_value >= leaving.sum():
        return
    residual = network - flow.flow
    residual.eliminate_zeros()
    reached = np.zeros(n + m + 2, bool)
    reached[breadth_first_order(residual, source, return_predecessors=False)] = True
    stuck, targets = np.flatnonzero(reached[:n]), np.flatnonzero(reached[n : n + m])
    raise ValueError(
        f"cost must allow a plan: the points {arguments.described(stuck.tolist())} of a hold the mass "
        f"{a[stuck].sum():.9g}, but finite costs lead only to the mass {b[targets].sum():.9g} of b"
    )


def order_of(order):
    """Returns the order p of a distance as a float after checking that it is at least 1."""
    if not isinstance(order, numbers.Real) or not order >= 1:
        raise ValueError(f"order must be a number of at least 1, got {order!r}")
    return float(order)


def sample_weights(name, weights, size):
    """Returns the normalized weights of a sample's points, [N].

    Args:
        name: The name of the sample's argument, for the message.
        weights: Probabilities, [N]; `None` for equal ones.
        size: Number N of points.

    Raises:
        ValueError: If there are no points, or the weights are not a distribution over them.
    """
    if not size:
        raise ValueError(f"{name} must contain at least one point, got none")
    return weights_of(f"{name}_weights", np.full(size, 1 / size) if weights is None else weights, size)


def weights_of(name, value, size=None):
    """Returns probabilities as an array [N] that sums to one.

    Args:
        name: The argument's name, for the message.
        value: Probabilities, [N].
        size: The required N; `None` for any.

    Raises:
        ValueError: If they are not a distribution, or have another shape.
    """
    weights = arguments.distributions(name, value)
    if weights.ndim != 1 or (size is not None and len(weights) != size):
        expected = "one axis" if size is None else f"shape ({size},)"
        raise ValueError(f"{name} must have {expected}, got shape {weights.shape}")
    # Both sides must carry the same mass to the last digit.
    return weights / weights.sum()
