"""Quasi-Newton updates: Hessians learned from gradients (Sec. 4.7.3).

Legend: D parameters, m pairs of differences.

With d = theta_{k+1} - theta_k and y = grad L(theta_{k+1}) - grad L(theta_k) (Eq. 4.7.17), a new estimate of
the Hessian must satisfy the secant equation H_{k+1} d = y (Eq. 4.7.15). The notes write B and H for one
matrix (docs/errata.md); here it is H, the estimate of the Hessian, and H^-1.
"""

import numpy as np

from .. import arguments


def secant_coefficients(hessian, step, change):
    """Returns alpha and beta of Eq. 4.7.18, Eqs. 4.7.19 and 4.7.20.

    delta H = alpha y y^T + beta (H d)(H d)^T satisfies the secant equation if alpha (y.d) = 1 and
    beta (d^T H d) = -1, and where y and H d are not parallel only then.

    Args:
        hessian: H_k [D, D], positive definite.
        step: d_k [D].
        change: y_k [D], with d_k.y_k > 0.

    Returns:
        The pair (alpha, beta).

    Raises:
        ValueError: If the matrix is not positive definite, sizes differ or d.y is not positive.
    """
    hessian, step, change = _pair("hessian", hessian, step, change)
    return 1 / (change @ step), -1 / (step @ hessian @ step)


def hessian_update(hessian, step, change):
    """Returns the estimate H_{k+1} of the Hessian, Eqs. 4.7.16 and 4.7.21.

        H_{k+1} = H_k + y y^T / (y.d) - (H_k d)(H_k d)^T / (d^T H_k d)

    It is positive definite if H_k is and d.y > 0.

    Args:
        hessian: H_k [D, D], positive definite.
        step: d_k [D].
        change: y_k [D], with d_k.y_k > 0.

    Returns:
        H_{k+1} [D, D].

    Raises:
        ValueError: As `secant_coefficients`.
    """
    alpha, beta = secant_coefficients(hessian, step, change)
    moved = np.asarray(hessian, float) @ step
    return hessian + alpha * np.outer(change, change) + beta * np.outer(moved, moved)


def inverse_update(inverse, step, change):
    """Returns the estimate H_{k+1}^-1 of the inverse Hessian, Eq. 4.7.22.

    Multiplied out it takes one product of the matrix and a vector, and no product of matrices:

        H_{k+1}^-1 = H_k^-1 - (d w^T + w d^T) / (d.y) + (1 + y.w / (d.y)) d d^T / (d.y),    w = H_k^-1 y

    Args:
        inverse: H_k^-1 [D, D], positive definite.
        step: d_k [D].
        change: y_k [D], with d_k.y_k > 0.

    Returns:
        H_{k+1}^-1 [D, D].

    Raises:
        ValueError: As `secant_coefficients`.
    """
    inverse, step, change = _pair("inverse", inverse, step, change)
    product, moved = step @ change, inverse @ change
    mixed = np.outer(step, moved)
    return (
        inverse
        - (mixed + mixed.T) / product
        + (1 + change @ moved / product) / product * np.outer(step, step)
    )


def two_loop_product(vector, steps, changes, scale=1.0):
    """Returns H^-1 v for the H^-1 that Eq. 4.7.22 makes of scale times 1 with m pairs, without a matrix.

    The two loops of L-BFGS take 4 m D multiplications. With no pairs the result is scale times v, which makes
    the method gradient descent.

    Args:
        vector: v [D].
        steps: d, oldest first, [m, D].
        changes: y likewise, [m, D], each with d.y > 0.
        scale: The first estimate of the inverse curvature, positive.

    Returns:
        The product [D].

    Raises:
        ValueError: If sizes differ, a product d.y is not positive, or the scale is not.
    """
    rest = arguments.finite("vector", vector, 1)
    steps, changes = (
        arguments.finite(n, v).reshape(-1, rest.size) for n, v in _named(steps, changes, rest.size)
    )
    arguments.same_shape(steps=steps, changes=changes)
    products = arguments.positive("d.y", np.einsum("md,md->m", steps, changes))
    shares = np.zeros(len(steps))
    for k in reversed(range(len(steps))):
        shares[k] = steps[k] @ rest / products[k]
        rest = rest - shares[k] * changes[k]
    rest = float(arguments.positive("scale", scale, 0)) * rest
    for k in range(len(steps)):
        rest = rest + (shares[k] - changes[k] @ rest / products[k]) * steps[k]
    return rest


def quadratic_bfgs(hessian, gradient, start=None, steps=None):
    """Runs BFGS with exact line searches on g.theta + theta^T H theta / 2 from theta = 0.

    From the unit matrix its points are those of conjugate gradients; after D steps it is at the minimum and
    has learned the Hessian: H_k d_i = y_i holds for all i < k, not the last pair alone.

    Args:
        hessian: H [D, D], positive definite.
        gradient: g at theta = 0, [D].
        start: The first estimate of the Hessian [D, D]; `None` for the unit matrix.
        steps: Most steps; `None` for D.

    Returns:
        The points [K + 1, D] and the estimates of the Hessian [K + 1, D, D].

    Raises:
        ValueError: If a matrix is not positive definite or sizes differ.
    """
    hessian, gradient = arguments.covariance("hessian", hessian), arguments.finite("gradient", gradient, 1)
    estimate = np.eye(gradient.size) if start is None else arguments.covariance("start", start)
    for name, matrix in (("hessian", hessian), ("start", estimate)):
        if len(matrix) != gradient.size:
            raise ValueError(f"{name} must have {gradient.size} rows as gradient has, got {len(matrix)}")
    steps = gradient.size if steps is None else arguments.integer("steps", steps, 0)
    points, estimates = [np.zeros_like(gradient)], [estimate]
    for _ in range(steps):
        slope = gradient + hessian @ points[-1]
        if np.linalg.norm(slope) <= 1e-12 * np.linalg.norm(gradient):
            break
        direction = -np.linalg.solve(estimates[-1], slope)
        step = -(direction @ slope) / (direction @ hessian @ direction) * direction
        points.append(points[-1] + step)
        estimates.append(hessian_update(estimates[-1], step, hessian @ step))
    return np.array(points), np.array(estimates)


def _pair(name, matrix, step, change):
    matrix = arguments.covariance(name, matrix)
    step, change = arguments.finite("step", step, 1), arguments.finite("change", change, 1)
    arguments.same_shape(step=step, change=change)
    if len(matrix) != step.size:
        raise ValueError(f"{name} must have {step.size} rows as step has entries, got {len(matrix)}")
    if not step @ change > 0:
        raise ValueError(f"step and change must have a positive product, got {step @ change:.9g}")
    return matrix, step, change


def _named(steps, changes, dimension):
    for name, value in (("steps", steps), ("changes", changes)):
        shape = np.shape(value)
        if np.size(value) and (len(shape) != 2 or shape[1] != dimension):
            raise ValueError(f"{name} must have shape (m, {dimension}), got {shape}")
        yield name, value
