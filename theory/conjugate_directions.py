"""Conjugate directions: one step along each of them minimizes a quadratic exactly (Sec. 4.7.2).

Legend: D parameters, K steps or directions.

The minimum of L = g.theta + theta^T H theta / 2 (Eq. 4.7.1) solves H theta = -g. Eqs. 4.7.2, 4.7.6 and 4.7.7
omit the minus sign; Eq. 4.7.10 includes it, but writes A for H. Each step has the factor alpha of
Eqs. 4.7.12 and 4.7.13, which Eq. 4.7.8 omits (docs/errata.md).
"""

from dataclasses import dataclass

import numpy as np

from .. import arguments


@dataclass(frozen=True)
class Descent:
    """The iterates of the conjugate gradient method.

    Args:
        points: theta_0 = 0, theta_1, ..., theta_K, [K + 1, D].
        directions: delta_0, ..., delta_{K-1}, [K, D], conjugate to each other.
        residuals: r_0, ..., r_K, [K + 1, D], the negative gradients, orthogonal to each other.
        steps: Step sizes alpha_0, ..., alpha_{K-1}, [K].
    """

    points: np.ndarray
    directions: np.ndarray
    residuals: np.ndarray
    steps: np.ndarray


def quadratic_minimum(hessian, gradient):
    """Returns the minimum -H^-1 g of g.theta + theta^T H theta / 2, Eqs. 4.7.1 and 4.7.2.

    Args:
        hessian: H [D, D], positive definite.
        gradient: g at theta = 0, [D].

    Raises:
        ValueError: If the matrix is not positive definite or sizes differ.
    """
    hessian, gradient = _quadratic(hessian, gradient)
    return -np.linalg.solve(hessian, gradient)


def conjugate_coefficients(hessian, gradient, directions):
    """Returns the coefficients alpha of the minimum in conjugate directions, Eqs. 4.7.5 to 4.7.7.

    The minimum is theta = sum_i alpha_i v_i with alpha_i = -v_i.g / v_i^T H v_i. With fewer than D directions
    it is the minimum over their span.

    Args:
        hessian: H [D, D], positive definite.
        gradient: g at theta = 0, [D].
        directions: v [K, D], conjugate to each other: v_i^T H v_j = 0 for i != j.

    Returns:
        alpha [K].

    Raises:
        ValueError: If the matrix is not positive definite, sizes differ, a direction is zero, or the cosine
            of two directions in the metric H exceeds 1e-6.
    """
    hessian, gradient = _quadratic(hessian, gradient)
    directions = arguments.finite("directions", directions, 2)
    if directions.shape[1] != gradient.size:
        raise ValueError(f"directions must have {gradient.size} columns, got shape {directions.shape}")
    metric = directions @ hessian @ directions.T
    squared = arguments.positive("v^T H v of directions", np.diagonal(metric))
    cosines = np.abs(metric) / np.sqrt(squared * squared[:, None]) - np.eye(len(metric))
    if (cosines > 1e-6).any():
        where = arguments.first_index(cosines > 1e-6)
        raise ValueError(f"directions must be conjugate to each other, which fails at {where}")
    return -directions @ gradient / squared


def conjugate_directions(hessian, vectors):
    """Returns the Gram-Schmidt orthogonalization of vectors in the metric H, as in Eq. 4.7.11.

    Args:
        hessian: H [D, D], positive definite.
        vectors: Linearly independent vectors [K, D].

    Returns:
        Directions [K, D], conjugate to each other, not normalized.

    Raises:
        ValueError: If the matrix is not positive definite, sizes differ, or the vectors are dependent.
    """
    hessian = arguments.covariance("hessian", hessian)
    vectors = arguments.finite("vectors", vectors, 2)
    if vectors.shape[1] != len(hessian):
        raise ValueError(f"vectors must have {len(hessian)} columns, got shape {vectors.shape}")
    directions = []
    for index, vector in enumerate(vectors):
        direction = _orthogonalized(vector, directions, hessian)
        if direction @ hessian @ direction <= 1e-20 * (vector @ hessian @ vector):
            raise ValueError(f"vectors must be independent, but vectors[{index}] depends on those before it")
        directions.append(direction)
    return np.array(directions)


def gram_schmidt_descent(hessian, gradient, steps=None, tolerance=1e-12):
    """Minimizes a quadratic by Eqs. 4.7.10 to 4.7.13, orthogonalizing each direction against all before it.

        r_k         = -g - H theta_k
        delta_k     = r_k - sum_{i<k} (delta_i^T H r_k / delta_i^T H delta_i) delta_i
        theta_{k+1} = theta_k + alpha_k delta_k,    alpha_k = delta_k.r_k / delta_k^T H delta_k

    Args:
        hessian: H [D, D], positive definite.
        gradient: g at theta_0 = 0, [D].
        steps: The largest number of steps K; `None` for D, which is sufficient.
        tolerance: Stop when the norm of the residual is at most this fraction of that of g.

    Returns:
        A `Descent`.

    Raises:
        ValueError: If the matrix is not positive definite, sizes differ, or a number is out of range.
    """

    def orthogonalized(residual, directions, residuals, hessian):
        return _orthogonalized(residual, directions, hessian)

    return _descent(hessian, gradient, steps, tolerance, orthogonalized)


def conjugate_gradient_descent(hessian, gradient, steps=None, tolerance=1e-12):
    """Minimizes a quadratic with the short recurrence, which needs only the last term of Eq. 4.7.11.

    H delta_i = (r_i - r_{i+1}) / alpha_i and the residuals are orthogonal to each other. Hence r_k is
    conjugate to every earlier delta_i except the last, and the iterates equal those of
    `gram_schmidt_descent`:

        delta_k = r_k + beta_k delta_{k-1},    beta_k = r_k.r_k / r_{k-1}.r_{k-1}    (Fletcher-Reeves)

    Args:
        hessian: H [D, D], positive definite.
        gradient: g at theta_0 = 0, [D].
        steps: The largest number of steps K; `None` for D, which is sufficient in exact arithmetic.
        tolerance: Stop when the norm of the residual is at most this fraction of that of g.

    Returns:
        A `Descent`.

    Raises:
        ValueError: If the matrix is not positive definite, sizes differ, or a number is out of range.
    """

    def recurrence(residual, directions, residuals, hessian):
        if not directions:
            return residual
        beta = (residual @ residual) / (residuals[-2] @ residuals[-2])
        return residual + beta * directions[-1]

    return _descent(hessian, gradient, steps, tolerance, recurrence)


def error_bound(condition, steps):
    """Returns 2 ((sqrt(kappa) - 1) / (sqrt(kappa) + 1))^k, an upper bound on the error after k steps.

    The error is sqrt((theta - theta_min)^T H (theta - theta_min)), relative to its value at the start.
    Momentum has the same rate (Eq. 4.3.14), but only with well-chosen values of its two constants.

    Args:
        condition: kappa, the largest eigenvalue of H over the smallest, at least 1.
        steps: k, not negative; an array broadcasts.

    Raises:
        ValueError: If kappa is below 1 or a number of steps is negative.
    """
    condition = float(arguments.positive("condition", condition, 0))
    if condition < 1:
        raise ValueError(f"condition must be at least 1, got {condition:g}")
    root = np.sqrt(condition)
    return 2 * ((root - 1) / (root + 1)) ** arguments.nonnegative("steps", steps)


def _descent(hessian, gradient, steps, tolerance, next_direction):
    """Runs the loop of both methods, which differ only in `next_direction`."""
    hessian, gradient = _quadratic(hessian, gradient)
    steps = gradient.size if steps is None else arguments.integer("steps", steps, 0)
    tolerance = float(arguments.nonnegative("tolerance", tolerance, 0))
    # All vectors are proportional to the gradient, whose square may overflow or vanish.
    size = np.abs(gradient).max(initial=0.0) or 1.0
    gradient = gradient / size
    points, residuals, directions, step_sizes = [np.zeros_like(gradient)], [-gradient], [], []
    for _ in range(steps):
        residual = residuals[-1]
        if np.linalg.norm(residual) <= tolerance * np.linalg.norm(gradient):
            break
        direction = next_direction(residual, directions, residuals, hessian)
        step_size = (direction @ residual) / (direction @ hessian @ direction)
        directions.append(direction)
        step_sizes.append(step_size)
        points.append(points[-1] + step_size * direction)
        residuals.append(-gradient - hessian @ points[-1])
    directions = np.reshape(directions, (-1, gradient.size))
    return Descent(
        size * np.array(points), size * directions, size * np.array(residuals), np.array(step_sizes)
    )


def _orthogonalized(vector, directions, hessian):
    """Returns a vector without its components along conjugate directions, in the metric H."""
    remainder = np.array(vector)
    # The second pass removes the rounding errors of the first, which are large for a small remainder.
    for direction in 2 * directions:
        remainder -= (direction @ hessian @ remainder) / (direction @ hessian @ direction) * direction
    return remainder


def _quadratic(hessian, gradient):
    """Returns H and g of a quadratic as arrays of matching sizes."""
    hessian, gradient = arguments.covariance("hessian", hessian), arguments.finite("gradient", gradient, 1)
    if len(hessian) != gradient.size:
        raise ValueError(
            f"gradient must have {len(hessian)} entries, one per row of hessian, got {gradient.size}"
        )
    return hessian, gradient
