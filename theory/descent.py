"""Convergence rates on a quadratic loss: Newton's method, SGD and momentum (Secs. 4.1 to 4.3).

Legend: D parameters.

Along an eigenvector of the Hessian the loss is lambda theta^2 / 2, and a linear update multiplies its state
by a constant matrix. The convergence rate, the factor per step, is the spectral radius of this matrix. For a
spectrum with condition number kappa = lambda_max / lambda_min the best rate is

    (kappa^(1/r) - 1) / (kappa^(1/r) + 1),    r = 1 for SGD, r = 2 for momentum.

`theory.three_stage` shows when r = 3 is possible. RMSProp, in `theory.rmsprop`, is not linear.

Misprints of the notes (docs/errata.md): kappa of Eq. 4.3.14 is inverted. Eq. 4.3.2 has v^(n) where Eq. 4.3.6
correctly has v^(n+1). The eigenvalues of Eq. 4.3.8 are complex, so the condition is |e| < 1, and the bound of
Eq. 4.3.9 is valid for |m| < 1.
"""

from dataclasses import dataclass

import numpy as np

from .. import arguments


@dataclass(frozen=True)
class Optimum:
    """The best constants of a method for a spectrum, and the resulting rate.

    Args:
        learning_rate: The learning rate epsilon, in units of 1 / lambda.
        momentum: The momentum m.
        rate: The factor per step along the slowest direction.
    """

    learning_rate: float
    momentum: float
    rate: float


def newton_step(theta, gradient, hessian, learning_rate=1.0):
    """Returns Newton's update theta - epsilon H^-1 g, Eq. 4.1.2.

    On a quadratic, theta - theta_min is multiplied by 1 - epsilon in every direction for any Hessian (Eq.
    4.1.3): the iteration converges for 0 < epsilon < 2, and in one step for epsilon = 1. Along eigenvectors
    with negative eigenvalues Newton's method increases the loss.

    Args:
        theta: Parameters [D].
        gradient: Gradient g of the loss at theta, [D].
        hessian: Hessian H of the loss at theta, [D, D].
        learning_rate: The dimensionless learning rate epsilon.

    Returns:
        The new parameters [D].

    Raises:
        ValueError: If an argument is not finite, shapes do not match, or the Hessian is singular.
    """
    theta, gradient = arguments.finite("theta", theta, 1), arguments.finite("gradient", gradient, 1)
    arguments.same_shape(theta=theta, gradient=gradient)
    hessian = arguments.finite("hessian", hessian, 2)
    arguments.has_shape("hessian", hessian, (theta.size, theta.size))
    learning_rate = arguments.finite("learning_rate", learning_rate, 0)
    try:
        return theta - learning_rate * np.linalg.solve(hessian, gradient)
    except np.linalg.LinAlgError:
        raise ValueError("hessian must be invertible, got a singular matrix") from None


def steepest_direction(gradient, metric=None):
    """Returns lim (1/epsilon) argmin L(theta + delta) over |delta| <= epsilon, Eq. 4.2.3.

    In a metric M the length is |delta|^2 = delta^T M delta, and the direction is -M^-1 g / sqrt(g^T M^-1 g).
    The notes' -g / |g| is the direction for the Euclidean metric M = 1.

    Args:
        gradient: Gradient g [D].
        metric: The metric M [D, D], positive definite; `None` for the identity matrix.

    Returns:
        The direction [D], of length one in the metric.

    Raises:
        ValueError: If the gradient vanishes, the metric is not positive definite, or sizes differ.
    """
    gradient = arguments.finite("gradient", gradient, 1)
    metric = np.eye(gradient.size) if metric is None else arguments.covariance("metric", metric)
    if metric.shape[0] != gradient.size:
        raise ValueError(
            f"metric must have {gradient.size} rows, one per entry of gradient, got {len(metric)}"
        )
    if not gradient.any():
        raise ValueError("gradient must have an entry that is not zero")
    # The direction does not depend on the size of the gradient, whose square may overflow or vanish.
    gradient = gradient / np.abs(gradient).max()
    downhill = -np.linalg.solve(metric, gradient)
    return downhill / np.sqrt(-gradient @ downhill)


def sgd_factor(learning_rate, curvature):
    """Returns 1 - epsilon lambda, the factor by which a step of SGD multiplies theta, Eq. 4.3.4.

    Args:
        learning_rate: The learning rate epsilon; an array broadcasts.
        curvature: Second derivative lambda; an array broadcasts.

    Raises:
        ValueError: If an argument is not finite or shapes do not broadcast.
    """
    epsilon, curvature = _pair(learning_rate, curvature)
    return 1 - epsilon * curvature


def sgd_phase(learning_rate, curvature):
    """Returns which of its three phases SGD is in, Eqs. 4.3.4 and 4.3.5.

    Args:
        learning_rate: The learning rate epsilon; an array broadcasts.
        curvature: Second derivative lambda; an array broadcasts.

    Returns:
        An array of `same sign` (0 < epsilon lambda <= 1, with convergence in one step at 1), `alternating`
        (1 < epsilon lambda < 2) or `not converging` (otherwise, including 0 and 2).

    Raises:
        ValueError: As in `sgd_factor`.
    """
    factor = sgd_factor(learning_rate, curvature)
    converging = np.where(factor >= 0, "same sign", "alternating")
    return np.where(np.abs(factor) < 1, converging, "not converging")


def best_sgd(low, high):
    """Returns the best learning rate 2 / (low + high) and its convergence rate (kappa - 1) / (kappa + 1).

    Args:
        low: Smallest eigenvalue of the Hessian, positive.
        high: Largest eigenvalue.

    Returns:
        An `Optimum` with momentum zero.

    Raises:
        ValueError: Unless 0 < low <= high.
    """
    low, high = spectrum(low, high)
    return Optimum(2 / (low + high), 0.0, (high - low) / (high + low))


def momentum_matrix(learning_rate, momentum, curvature):
    """Returns the matrix that updates (theta, v) with momentum, Eq. 4.3.7.

    The update is theta^(n+1) = theta^(n) - epsilon v^(n+1), as in Eq. 4.3.6. With v^(n), as in Eq. 4.3.2, the
    gradient is one step old and the stable range shrinks to epsilon < (1 - m) / lambda.

    Args:
        learning_rate: The learning rate epsilon; an array broadcasts.
        momentum: The momentum m; an array broadcasts.
        curvature: Second derivative lambda; an array broadcasts.

    Returns:
        Matrices [..., 2, 2].

    Raises:
        ValueError: If an argument is not finite or shapes do not broadcast.
    """
    epsilon, m, curvature = _triple(learning_rate, momentum, curvature)
    rows = [[1 - curvature * epsilon, -m * epsilon], [curvature, m]]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def momentum_eigenvalues(learning_rate, momentum, curvature):
    """Returns the eigenvalues e+ and e- of `momentum_matrix`, Eq. 4.3.8.

    Args:
        learning_rate: The learning rate epsilon; an array broadcasts.
        momentum: The momentum m; an array broadcasts.
        curvature: Second derivative lambda; an array broadcasts.

    Returns:
        Complex arrays (e+, e-).

    Raises:
        ValueError: As in `momentum_matrix`, or if 1 + m - epsilon lambda has no finite square.
    """
    epsilon, m, curvature = _triple(learning_rate, momentum, curvature)
    with np.errstate(over="ignore"):
        trace = 1 + m - curvature * epsilon
        arguments.require(
            "1 + momentum - learning_rate * curvature", trace, trace**2 < np.inf, "have a finite square"
        )
    half = trace / 2
    root = np.sqrt(half**2 - m + 0j)
    return half + root, half - root


def momentum_rate(learning_rate, momentum, curvature):
    """Returns max(|e+|, |e-|), the factor per step of the slower of the two modes, from Eq. 4.3.8.

    For (1 - sqrt(m))^2 < epsilon lambda < (1 + sqrt(m))^2 the eigenvalues are complex and the rate is sqrt(m)
    for every curvature. This plateau is the benefit of momentum, not the points e+ = e- at its ends.

    Args:
        learning_rate: The learning rate epsilon; an array broadcasts.
        momentum: The momentum m; an array broadcasts.
        curvature: Second derivative lambda; an array broadcasts.

    Raises:
        ValueError: As in `momentum_eigenvalues`.
    """
    return np.maximum(*np.abs(momentum_eigenvalues(learning_rate, momentum, curvature)))


def momentum_limit(momentum, curvature):
    """Returns the learning rate 2 (1 + m) / lambda below which momentum converges, Eq. 4.3.9.

    Args:
        momentum: The momentum, -1 < m < 1. Outside this range no learning rate converges, because e+ e- = m.
        curvature: Second derivative lambda, positive.

    Raises:
        ValueError: Unless |m| < 1 and lambda > 0, or if shapes do not broadcast.
    """
    m, curvature = arguments.finite("momentum", momentum), arguments.positive("curvature", curvature)
    arguments.broadcastable(momentum=m, curvature=curvature)
    arguments.require("momentum", m, np.abs(m) < 1, "be between -1 and 1")
    return 2 * (1 + m) / curvature


def critical_momentum(learning_rate, curvature):
    """Returns m = (1 - sqrt(epsilon lambda))^2, the best momentum for one curvature, Eq. 4.3.10.

    At this momentum e+ = e- = 1 - sqrt(epsilon lambda) (Eq. 4.3.11), negative for epsilon lambda > 1; the
    rate is its modulus sqrt(m). The matrix is defective, so theta decreases as n sqrt(m)^n.

    Args:
        learning_rate: The learning rate epsilon, not negative.
        curvature: Second derivative lambda, not negative; convergence requires 0 < epsilon lambda < 4.

    Raises:
        ValueError: If an argument is negative or shapes do not broadcast.
    """
    epsilon = arguments.nonnegative("learning_rate", learning_rate)
    curvature = arguments.nonnegative("curvature", curvature)
    arguments.broadcastable(learning_rate=epsilon, curvature=curvature)
    return (1 - np.sqrt(epsilon * curvature)) ** 2


def best_momentum(low, high):
    """Returns the best learning rate and momentum for a spectrum, Eqs. 4.3.12 to 4.3.14.

    They give the smallest sqrt(m) for which the spectrum lies on the plateau of `momentum_rate`: the
    discriminant is zero at both ends, and the directions between them have complex eigenvalues and the same
    rate. kappa is high / low.

    Args:
        low: Smallest eigenvalue of the Hessian, positive.
        high: Largest eigenvalue.

    Returns:
        An `Optimum` with the rate (sqrt(kappa) - 1) / (sqrt(kappa) + 1).

    Raises:
        ValueError: Unless 0 < low <= high.
    """
    low, high = np.sqrt(spectrum(low, high))
    rate = float((high - low) / (high + low))
    return Optimum(float((2 / (low + high)) ** 2), rate**2, rate)


def spectrum(low, high):
    """Returns the ends of a Hessian's spectrum as floats after checking 0 < low <= high.

    Args:
        low: Smallest eigenvalue.
        high: Largest eigenvalue.

    Raises:
        ValueError: Unless 0 < low <= high.
    """
    low, high = float(arguments.positive("low", low, 0)), float(arguments.positive("high", high, 0))
    if low > high:
        raise ValueError(f"high must not be below low = {low:.9g}, got {high:.9g}")
    return low, high


def _pair(learning_rate, curvature):
    """Returns both arguments as arrays after checking that they broadcast."""
    epsilon = arguments.finite("learning_rate", learning_rate)
    curvature = arguments.finite("curvature", curvature)
    arguments.broadcastable(learning_rate=epsilon, curvature=curvature)
    return epsilon, curvature


def _triple(learning_rate, momentum, curvature):
    """Returns all three arguments as arrays of the same shape."""
    epsilon, curvature = _pair(learning_rate, curvature)
    m = arguments.finite("momentum", momentum)
    arguments.broadcastable(learning_rate=epsilon, momentum=m, curvature=curvature)
    return np.broadcast_arrays(epsilon, m, curvature)
