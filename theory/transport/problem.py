"""A transport problem and its solution: costs, weights and plans.

Legend: N points of a, M points of b, D coordinates.
"""

import numbers
from dataclasses import dataclass

import numpy as np
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
    """Returns the `Transport` of a plan, with its cost and the error of its marginals."""
    error = np.abs(plan.sum(axis=1) - a).sum() + np.abs(plan.sum(axis=0) - b).sum()
    return Transport(plan, float(np.vdot(plan, cost)), potentials, iterations, float(error))


def checked(a, b, cost):
    """Returns normalized weights and the costs as arrays after checking them."""
    a, b, cost = weights_of("a", a), weights_of("b", b), arguments.finite("cost", cost, ndim=2)
    if cost.shape != (len(a), len(b)):
        raise ValueError(f"cost must have shape ({len(a)}, {len(b)}) for these a and b, got {cost.shape}")
    return a, b, cost


def order_of(order):
    """Returns the order p of a distance as a float after checking that it is at least 1."""
    if not isinstance(order, numbers.Real) or not order >= 1:
        raise ValueError(f"order must be a number of at least 1, got {order!r}")
    return float(order)


def sample_weights(name, weights, size):
    """Returns the normalized weights of a sample of `size` points; equal ones if `weights` is `None`."""
    if not size:
        raise ValueError(f"{name} must contain at least one point, got none")
    return weights_of(f"{name}_weights", np.full(size, 1 / size) if weights is None else weights, size)


def weights_of(name, value, size=None):
    """Returns probabilities as an array [N] that sums to one."""
    weights = arguments.distributions(name, value)
    if weights.ndim != 1 or (size is not None and len(weights) != size):
        expected = "one axis" if size is None else f"shape ({size},)"
        raise ValueError(f"{name} must have {expected}, got shape {weights.shape}")
    # Both sides must carry the same mass to the last digit.
    return weights / weights.sum()
