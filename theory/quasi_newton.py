"""Quasi-Newton updates: estimates of the Hessian from gradients (Sec. 4.7.3).

Legend: D parameters, m pairs of differences.

With d = theta_{k+1} - theta_k and y = grad L(theta_{k+1}) - grad L(theta_k) (Eq. 4.7.17), the new estimate of
the Hessian must satisfy the secant equation H_{k+1} d = y (Eq. 4.7.15). The notes write both B and H for this
matrix (docs/errata.md). Here H is the estimate of the Hessian, and H^-1 its inverse.
"""

import numpy as np

from .. import arguments


def secant_coefficients(hessian, step, change):
    """Returns alpha and beta of Eq. 4.7.18, given by Eqs. 4.7.19 and 4.7.20.

    delta H = alpha y y^T + beta (H d)(H d)^T satisfies the secant equation if alpha (y.d) = 1 and
    beta (d^T H d) = -1; unless y and H d are parallel, there is no other solution.

    Args:
        hessian: H_k, [D, D], positive definite.
        step: d_k, [D].
        change: y_k, [D], with d_k.y_k > 0.

    Returns:
        The pair (alpha, beta).

    Raises:
        ValueError: If the matrix is not positive definite, sizes differ, or d.y is not positive.
    """
    return _coefficients(*_pair("hessian", hessian, step, change))


def hessian_update(hessian, step, change):
    """Returns the estimate H_{k+1} of the Hessian, Eqs. 4.7.16 and 4.7.21.

        H_{k+1} = H_k + y y^T / (y.d) - (H_k d)(H_k d)^T / (d^T H_k d)

    It is positive definite if H_k is positive definite and d.y > 0.

    Args:
        hessian: H_k, [D, D], positive definite.
        step: d_k, [D].
        change: y_k, [D], with d_k.y_k > 0.

    Returns:
        H_{k+1}, [D, D].

    Raises:
        ValueError: As in `secant_coefficients`.
    """
    return _updated_hessian(*_pair("hessian", hessian, step, change))


def inverse_update(inverse, step, change):
    """Returns the estimate H_{k+1}^-1 of the inverse Hessian, Eq. 4.7.22.

    The expanded form takes one matrix-vector product and no matrix-matrix product:

        H_{k+1}^-1 = H_k^-1 - (d w^T + w d^T) / (d.y) + (1 + y.w / (d.y)) d d^T / (d.y),    w = H_k^-1 y

    Args:
        inverse: H_k^-1, [D, D], positive definite.
        step: d_k, [D].
        change: y_k, [D], with d_k.y_k > 0.

    Returns:
        H_{k+1}^-1, [D, D].

    Raises:
        ValueError: As in `secant_coefficients`.
    """
    return _updated_inverse(*_pair("inverse", inverse, step, change))


def two_loop_product(vector, steps, changes, scale=1.0):
    """Returns H^-1 v without forming H^-1, the matrix after m updates of Eq. 4.7.22.

    The updates start from scale times the unit matrix, so without pairs the result is scale times v, as in
    gradient descent. The two loops of L-BFGS take 4 m D multiplications.

    Args:
        vector: v, [D].
        steps: The steps d, oldest first, [m, D].
        changes: The changes y in the same order, [m, D], each with d.y > 0.
        scale: Initial estimate of the inverse curvature, positive.

    Returns:
        The product, [D].

    Raises:
        ValueError: If sizes differ, or a product d.y or the scale is not positive.
    """
    product = arguments.finite("vector", vector, 1)
    size = product.size
    steps, changes = (arguments.finite(n, v).reshape(-1, size) for n, v in _checked(steps, changes, size))
    arguments.same_shape(steps=steps, changes=changes)
    curvatures = arguments.positive("d.y", np.einsum("md,md->m", steps, changes))
    coefficients = np.zeros(len(steps))
    for k in reversed(range(len(steps))):
        coefficients[k] = steps[k] @ product / curvatures[k]
        product = product - coefficients[k] * changes[k]
    product = float(arguments.positive("scale", scale, 0)) * product
    for k in range(len(steps)):
        product = product + (coefficients[k] - changes[k] @ product / curvatures[k]) * steps[k]
    return product


def quadratic_bfgs(hessian, gradient, start=None, steps=None):
    """Runs BFGS with exact line searches on g.theta + theta^T H theta / 2 from theta = 0.

    Starting from the unit matrix, it visits the same points as conjugate gradients. After D steps it has
    reached the minimum and its estimate equals the Hessian, because H_k d_i = y_i holds for all i < k, not
    only for the last pair.

    Args:
        hessian: H, [D, D], positive definite.
        gradient: g at theta = 0, [D].
        start: Initial estimate of the Hessian, [D, D]; `None` for the unit matrix.
        steps: Maximum number of steps; `None` for D.

    Returns:
        The points, [K + 1, D], and the estimates of the Hessian, [K + 1, D, D].

    Raises:
        ValueError: If a matrix is not positive definite, or sizes differ.
    """
    hessian, gradient = arguments.covariance("hessian", hessian), arguments.finite("gradient", gradient, 1)
    estimate = np.eye(gradient.size) if start is None else arguments.covariance("start", start)
    for name, matrix in (("hessian", hessian), ("start", estimate)):
        if len(matrix) != gradient.size:
            raise ValueError(f"{name} must have {gradient.size} rows, as many as gradient, got {len(matrix)}")
    steps = gradient.size if steps is None else arguments.integer("steps", steps, 0)
    # The points are proportional to the gradient, whose square may overflow or vanish.
    size = np.abs(gradient).max(initial=0.0) or 1.0
    gradient = gradient / size
    points, estimates, inverse = [np.zeros_like(gradient)], [estimate], np.linalg.inv(estimate)
    taken = np.zeros((gradient.size, 0))
    for _ in range(steps):
        slope = gradient + hessian @ points[-1]
        # The slope is orthogonal to the steps taken. What rounding leaves of it along them would grow if the
        # curvature is far below that of the initial estimate.
        basis = np.linalg.qr(taken)[0]
        slope = slope - basis @ (basis.T @ slope)
        if np.linalg.norm(slope) <= 1e-12 * np.linalg.norm(gradient):
            break
        direction = -inverse @ slope
        step = -(direction @ slope) / (direction @ hessian @ direction) * direction
        change = hessian @ step
        points.append(points[-1] + step)
        estimates.append(_updated_hessian(estimates[-1], step, change))
        inverse = _updated_inverse(inverse, step, change)
        taken = np.column_stack([taken, step])
    return size * np.array(points), np.array(estimates)


def _coefficients(hessian, step, change):
    return 1 / (change @ step), -1 / (step @ (hessian @ step))


def _updated_hessian(hessian, step, change):
    alpha, beta = _coefficients(hessian, step, change)
    predicted = hessian @ step
    return hessian + alpha * np.outer(change, change) + beta * np.outer(predicted, predicted)


def _updated_inverse(inverse, step, change):
    product, w = step @ change, inverse @ change
    mixed = np.outer(step, w)
    return inverse - (mixed + mixed.T) / product + (1 + change @ w / product) / product * np.outer(step, step)


def _pair(name, matrix, step, change):
    matrix = arguments.covariance(name, matrix)
    step, change = arguments.finite("step", step, 1), arguments.finite("change", change, 1)
    arguments.same_shape(step=step, change=change)
    if len(matrix) != step.size:
        raise ValueError(f"{name} must have {step.size} rows, as many as step, got {len(matrix)}")
    if not step @ change > 0:
        raise ValueError(f"step and change must have a positive product, got {step @ change:.9g}")
    return matrix, step, change


def _checked(steps, changes, dimension):
    """Yields each name and value after checking the shape; the arrays may be empty."""
    for name, value in (("steps", steps), ("changes", changes)):
        shape = np.shape(value)
        if np.size(value) and (len(shape) != 2 or shape[1] != dimension):
            raise ValueError(f"{name} must have shape (m, {dimension}), got {shape}")
        yield name, value
