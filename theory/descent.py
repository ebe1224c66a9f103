"""How fast first-order methods descend a quadratic bowl: Newton, SGD, momentum (Secs. 4.1 to 4.3).

Legend: D parameters.

Along an eigenvector of the Hessian the loss is lambda theta^2 / 2 and a linear update multiplies its state by
a constant matrix; the convergence rate is the modulus of that matrix's largest eigenvalue, the factor a step.
A spectrum of condition number kappa = lambda_max / lambda_min is left by the best rate

    (kappa^(1/r) - 1) / (kappa^(1/r) + 1),    r = 1 for SGD, r = 2 for momentum,

and `theory.three_stage` says when r = 3 can be had. RMSProp, in `theory.rmsprop`, is not linear.

Misprints of the notes (docs/errata.md): kappa of Eq. 4.3.14 is printed upside down; Eq. 4.3.2 has v^(n) where
Eq. 4.3.6 has, rightly, v^(n+1); eigenvalues of Eq. 4.3.8 are complex, so the condition is |e| < 1 and the
bound of Eq. 4.3.9 holds for |m| < 1.
"""

from dataclasses import dataclass

import numpy as np

from .. import arguments


@dataclass(frozen=True)
class Optimum:
    """The best constants of a method for a spectrum, and what they achieve.

    Args:
        learning_rate: The learning rate epsilon, in units of 1 / lambda.
        momentum: The momentum m.
        rate: The factor a step of the slowest direction.
    """

    learning_rate: float
    momentum: float
    rate: float


def newton_step(theta, gradient, hessian, learning_rate=1.0):
    """Returns Newton's update theta - epsilon H^-1 g, Eq. 4.1.2.

    On a quadratic theta - theta_min is multiplied by 1 - epsilon in every direction (Eq. 4.1.3), whatever the
    Hessian: it converges for 0 < epsilon < 2, in one step for epsilon = 1. A Hessian with negative
    eigenvalues makes Newton's method climb along them.

    Args:
        theta: Parameters [D].
        gradient: Gradient g of the loss there, [D].
        hessian: Hessian H of the loss there, [D, D].
        learning_rate: The dimensionless learning rate epsilon.

    Returns:
        The new parameters [D].

    Raises:
        ValueError: If an argument is not finite, shapes do not fit, or the Hessian is singular.
    """
    theta, gradient = arguments.finite("theta", theta, 1), arguments.finite("gradient", gradient, 1)
    arguments.same_shape(theta=theta, gradient=gradient)
    hessian = arguments.finite("hessian", hessian, 2)
    if hessian.shape != (theta.size, theta.size):
        raise ValueError(f"hessian must have shape {(theta.size, theta.size)}, got {hessian.shape}")
    try:
        return theta - arguments.finite("learning_rate", learning_rate, 0) * np.linalg.solve(
            hessian, gradient
        )
    except np.linalg.LinAlgError:
        raise ValueError("hessian must be invertible, got a singular matrix") from None


def steepest_direction(gradient, metric=None):
    """Returns lim (1/epsilon) argmin L(theta + delta) over |delta| <= epsilon, Eq. 4.2.3.

    In a metric M the length is |delta|^2 = delta^T M delta and the direction -M^-1 g / sqrt(g^T M^-1 g): the
    notes' Euclidean one, -g / |g|, is the choice M = 1.

    Args:
        gradient: Gradient g [D].
        metric: The metric M [D, D], positive definite; `None` for the unit matrix.

    Returns:
        The direction [D], of length one in the metric.

    Raises:
        ValueError: If the gradient vanishes, the metric is not positive definite, or sizes differ.
    """
    gradient = arguments.finite("gradient", gradient, 1)
    metric = np.eye(gradient.size) if metric is None else arguments.covariance("metric", metric)
    if metric.shape[0] != gradient.size:
        raise ValueError(f"metric must have {gradient.size} rows as gradient has, got {metric.shape[0]}")
    if not gradient.any():
        raise ValueError("gradient must have an entry that is not zero")
    downhill = -np.linalg.solve(metric, gradient)
    return downhill / np.sqrt(-gradient @ downhill)


def sgd_factor(learning_rate, curvature):
    """Returns 1 - epsilon lambda, the factor of theta in a step of SGD, Eq. 4.3.4.

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
        An array of `same sign` (0 < epsilon lambda <= 1, in one step at 1), `alternating` (1 < epsilon lambda
        < 2) or `not converging` (elsewhere, both ends included).

    Raises:
        ValueError: As `sgd_factor`.
    """
    factor = sgd_factor(learning_rate, curvature)
    converging = np.where(factor >= 0, "same sign", "alternating")
    return np.where(np.abs(factor) < 1, converging, "not converging")


def best_sgd(low, high):
    """Returns the best learning rate 2 / (low + high), and its rate (kappa - 1) / (kappa + 1).

    Args:
        low: Smallest eigenvalue of the Hessian, positive.
        high: Largest eigenvalue.

    Returns:
        An `Optimum` of momentum zero.

    Raises:
        ValueError: If 0 < low <= high fails.
    """
    low, high = spectrum(low, high)
    return Optimum(2 / (low + high), 0.0, (high - low) / (high + low))


def momentum_matrix(learning_rate, momentum, curvature):
    """Returns the matrix that updates (theta, v) with momentum, Eq. 4.3.7.

    It has theta^(n+1) = theta^(n) - epsilon v^(n+1), as Eq. 4.3.6; with the v^(n) of Eq. 4.3.2 the gradient
    would come a step late and the stable range shrink to epsilon < (1 - m) / lambda.

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
    """Returns the eigenvalues e+ and e- of `momentum_matrix`, Eq. 4.3.8, a conjugate pair where complex.

    Args:
        learning_rate: The learning rate epsilon; an array broadcasts.
        momentum: The momentum m; an array broadcasts.
        curvature: Second derivative lambda; an array broadcasts.

    Returns:
        Complex arrays (e+, e-).

    Raises:
        ValueError: As `momentum_matrix`.
    """
    epsilon, m, curvature = _triple(learning_rate, momentum, curvature)
    half = (1 + m - curvature * epsilon) / 2
    root = np.sqrt(half**2 - m + 0j)
    return half + root, half - root


def momentum_rate(learning_rate, momentum, curvature):
    """Returns max(|e+|, |e-|), the factor a step of the slower of both modes, by Eq. 4.3.8.

    Where the eigenvalues are complex, (1 - sqrt(m))^2 < epsilon lambda < (1 + sqrt(m))^2, it is sqrt(m)
    whatever the curvature: this plateau, not the points e+ = e- at its ends, is what momentum gains.

    Args:
        learning_rate: The learning rate epsilon; an array broadcasts.
        momentum: The momentum m; an array broadcasts.
        curvature: Second derivative lambda; an array broadcasts.

    Raises:
        ValueError: As `momentum_matrix`.
    """
    return np.maximum(*np.abs(momentum_eigenvalues(learning_rate, momentum, curvature)))


def momentum_limit(momentum, curvature):
    """Returns the learning rate 2 (1 + m) / lambda below which momentum converges, Eq. 4.3.9.

    Args:
        momentum: The momentum, -1 < m < 1: outside, no learning rate converges as e+ e- = m.
        curvature: Second derivative lambda, positive.

    Raises:
        ValueError: If |m| < 1 or lambda > 0 fails, or shapes do not broadcast.
    """
    m, curvature = arguments.finite("momentum", momentum), arguments.positive("curvature", curvature)
    arguments.broadcastable(momentum=m, curvature=curvature)
    outside = np.abs(m) >= 1
    if outside.any():
        where = arguments.first_index(outside)
        raise ValueError(f"momentum{where} must lie between -1 and 1, got {m[outside][0]:.9g}")
    return 2 * (1 + m) / curvature


def critical_momentum(learning_rate, curvature):
    """Returns m = (1 - sqrt(epsilon lambda))^2, the best momentum for one curvature, Eq. 4.3.10.

    There e+ = e- = 1 - sqrt(epsilon lambda) (Eq. 4.3.11), negative above epsilon lambda = 1: the rate is its
    modulus sqrt(m). The matrix is defective, so theta falls as n sqrt(m)^n.

    Args:
        learning_rate: The learning rate epsilon, not negative.
        curvature: Second derivative lambda, not negative; convergence needs 0 < epsilon lambda < 4.

    Raises:
        ValueError: If an argument is negative or shapes do not broadcast.
    """
    epsilon = arguments.nonnegative("learning_rate", learning_rate)
    curvature = arguments.nonnegative("curvature", curvature)
    arguments.broadcastable(learning_rate=epsilon, curvature=curvature)
    return (1 - np.sqrt(epsilon * curvature)) ** 2


def best_momentum(low, high):
    """Returns the best learning rate and momentum for a spectrum, Eqs. 4.3.12 to 4.3.14.

    It is the smallest plateau sqrt(m) that holds the spectrum, both ends at a zero of the discriminant; the
    directions between have complex eigenvalues and the same rate. kappa is high / low.

    Args:
        low: Smallest eigenvalue of the Hessian, positive.
        high: Largest eigenvalue.

    Returns:
        An `Optimum` with the rate (sqrt(kappa) - 1) / (sqrt(kappa) + 1).

    Raises:
        ValueError: If 0 < low <= high fails.
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
        ValueError: If they are not.
    """
    low, high = float(arguments.positive("low", low, 0)), float(arguments.positive("high", high, 0))
    if low > high:
        raise ValueError(f"high must not be below low = {low:.9g}, got {high:.9g}")
    return low, high


def _pair(learning_rate, curvature):
    epsilon = arguments.finite("learning_rate", learning_rate)
    curvature = arguments.finite("curvature", curvature)
    arguments.broadcastable(learning_rate=epsilon, curvature=curvature)
    return epsilon, curvature


def _triple(learning_rate, momentum, curvature):
    epsilon, curvature = _pair(learning_rate, curvature)
    m = arguments.finite("momentum", momentum)
    arguments.broadcastable(learning_rate=epsilon, momentum=m, curvature=curvature)
    return np.broadcast_arrays(epsilon, m, curvature)
