"""Steepest descent in a metric, and the natural gradient (Sec. 4.6).

Legend: P parameters theta, Q coordinates phi, N steps, T times.

A gradient g_i = d L / d theta_i is a covector; turning it into a step, a vector, requires an inverse metric.
SGD uses the unit matrix in whatever coordinates it is given. SGD in phi, with theta = f(phi), is therefore a
different rule: to first order in the learning rate, its inverse metric in theta is J J^T with
J = d theta / d phi (Eqs. 4.6.3 and 4.6.4). The natural gradient uses the inverse of the Fisher matrix F,
which becomes J^T F J in phi. The step J (J^T F J)^-1 J^T g = F^-1 g is therefore the same in all coordinates,
again to first order: steps of size epsilon differ by epsilon^2, and paths of N = t / epsilon steps by
epsilon.

The learning rate of Eq. 4.6.17 is dimensionless with respect to theta but has the units of 1 / L. It is a
pure number if the loss is a negative log-likelihood in nats; otherwise it depends on the unit of the loss.
Newton's step and `steepest_step` do not depend on that unit. Damping has the units of F, 1 / theta^2, and
breaks the invariance.

Misprints in the notes (docs/errata.md): M is an inverse metric in Eq. 4.6.5 and a metric from Eq. 4.6.11 on;
the constraints of Eqs. 4.6.10 and 4.6.11 agree if D is a squared length; F is only positive semidefinite, and
it is covariant, not invariant.

References:
    Amari, "Natural gradient works efficiently in learning" (1998), Neural Computation 10, 251-276.
    Martens, "New insights and perspectives on the natural gradient method" (2014), arXiv:1412.1193.
"""

from dataclasses import dataclass

import numpy as np

from .. import arguments
from .fisher import jacobian as derivatives
from .fisher import reparameterize

_ROUNDING = 1e-12  # Eigenvalues of the scaled Fisher matrix up to P times this value count as zero.
_MAX_NULL_FRACTION = 1e-8  # Largest fraction of the gradient's norm allowed along null directions of F.


def reparameterized_step(phi, gradient, jacobian, learning_rate):
    """Returns phi - epsilon J^T g, a step of SGD in other coordinates, Eq. 4.6.2.

    Args:
        phi: Coordinates, [Q].
        gradient: Gradient g of the loss in theta, [P].
        jacobian: J = d theta / d phi at phi, [P, Q].
        learning_rate: The learning rate epsilon, in units of phi^2 / loss.

    Returns:
        The new coordinates, [Q].

    Raises:
        ValueError: If an entry is not finite, or shapes do not match.
    """
    phi, gradient = arguments.finite("phi", phi, 1), arguments.finite("gradient", gradient, 1)
    jacobian = _matrix("jacobian", jacobian, (gradient.size, phi.size))
    return phi - arguments.finite("learning_rate", learning_rate, 0) * jacobian.T @ gradient


def induced_inverse_metric(jacobian, inverse_metric=None):
    """Returns J M^-1 J^T, the inverse metric in theta that a step in phi induces, Eq. 4.6.4.

    Args:
        jacobian: J = d theta / d phi, [P, Q].
        inverse_metric: Inverse metric M^-1 in phi, [Q, Q]; `None` for the unit matrix of SGD.

    Returns:
        The inverse metric, [P, P], singular where phi cannot move theta in all directions.

    Raises:
        ValueError: If an entry is not finite, shapes do not match, or M^-1 is not positive semidefinite.
    """
    jacobian = arguments.finite("jacobian", jacobian, 2)
    if inverse_metric is None:
        return jacobian @ jacobian.T
    inverse = arguments.covariance("inverse_metric", inverse_metric, definite=False)
    return jacobian @ _matrix("inverse_metric", inverse, (jacobian.shape[1],) * 2) @ jacobian.T


def metric_step(theta, gradient, inverse_metric, learning_rate):
    """Returns theta - epsilon M^-1 g, Eq. 4.6.5, where the notes call the inverse metric M.

    M^-1 = 1 gives SGD, H^-1 Newton's method (`theory.descent.newton_step` takes any invertible Hessian), and
    F^-1 the natural gradient.

    Args:
        theta: Parameters, [P].
        gradient: Gradient g of the loss at theta, [P].
        inverse_metric: Inverse metric M^-1, [P, P], positive semidefinite.
        learning_rate: The learning rate epsilon, in units of theta^2 / (M^-1 loss).

    Returns:
        The new parameters, [P].

    Raises:
        ValueError: If an entry is not finite, shapes do not match, or M^-1 is not positive semidefinite.
    """
    theta, gradient = arguments.finite("theta", theta, 1), arguments.finite("gradient", gradient, 1)
    arguments.same_shape(theta=theta, gradient=gradient)
    inverse = arguments.covariance("inverse_metric", inverse_metric, definite=False)
    inverse = _matrix("inverse_metric", inverse, (theta.size,) * 2)
    return theta - arguments.finite("learning_rate", learning_rate, 0) * inverse @ gradient


def parameter_distance(theta, phi):
    """Returns the Euclidean distance between two parameter vectors, Eq. 4.6.9.

    It is a metric on parameters but not on models: vectors that give the same model may be far apart.

    Args:
        theta: Parameters, [..., P].
        phi: Parameters of the other model, [..., P].

    Raises:
        ValueError: If an entry is not finite or the shapes do not broadcast.
    """
    theta, phi = arguments.finite("theta", theta), arguments.finite("phi", phi)
    arguments.broadcastable(theta=theta, phi=phi)
    return np.sqrt(np.sum((theta - phi) ** 2, axis=-1))


@dataclass(frozen=True)
class SteepestStep:
    """The steepest step of a given length, Eqs. 4.6.11 to 4.6.13.

    Args:
        step: The step delta, [P].
        multiplier: Lagrange multiplier lambda of Eq. 4.6.12, positive at the minimum, in units of the loss.
        decrease: g^T delta, the first-order change of the loss, negative.
    """

    step: np.ndarray
    multiplier: float
    decrease: float


def steepest_step(gradient, metric, squared_length):
    """Minimizes g^T delta subject to delta^T M delta = epsilon, Eqs. 4.6.11 to 4.6.13 with the prefactor.

    The Lagrangian is stationary at 2 lambda M delta = -g, and the constraint gives

        delta = -sqrt(epsilon / (g^T M^-1 g)) M^-1 g,    lambda = sqrt(g^T M^-1 g / epsilon) / 2.

    The other sign of lambda gives the maximum. The loss changes by -sqrt(epsilon g^T M^-1 g) to first order.
    The step does not depend on the unit of the loss; if M measures models, epsilon does not depend on the
    unit of theta.

    For the step to be the limit of Eq. 4.6.10 with a distance D, epsilon must equal D if D is a squared
    length, as the notes' equations imply; D^2 if D is a length, as in Eq. 4.6.9; and 2 D if D is the KL
    divergence, as in Eq. 4.6.15.

    Args:
        gradient: Gradient g, [P], not zero.
        metric: Metric M, [P, P], positive definite.
        squared_length: epsilon, positive.

    Returns:
        A `SteepestStep`.

    Raises:
        ValueError: If an argument is out of range, shapes do not match, or the gradient is zero (then all
            steps are equally good).
    """
    gradient = arguments.finite("gradient", gradient, 1)
    metric = _matrix("metric", arguments.covariance("metric", metric), (gradient.size,) * 2)
    squared_length = float(arguments.positive("squared_length", squared_length, 0))
    if not gradient.any():
        raise ValueError("gradient must have an entry that is not zero: otherwise all steps are equally good")
    # The step does not depend on the size of the gradient, whose square may overflow or vanish.
    size = np.abs(gradient).max()
    downhill = -np.linalg.solve(metric, gradient / size)
    slope = np.sqrt(-gradient / size @ downhill)
    length = np.sqrt(squared_length)
    return SteepestStep(
        length / slope * downhill, float(size * (slope / length) / 2), float(-size * (length * slope))
    )


def natural_step(gradient, fisher, learning_rate=1.0, damping=0.0):
    """Returns -epsilon (F + lambda)^-1 g, a step along the natural gradient, Eq. 4.6.17.

    The Fisher matrix is singular if a change of parameters leaves the model unchanged, such as a constant
    added to all logits. A loss that depends only on the model is flat in such a direction as well. Without
    damping, the step then has no component along the null directions, with each parameter in units of
    F_ii^(-1/2).

    Args:
        gradient: Gradient g of the loss, [P].
        fisher: Fisher matrix F, [P, P], positive semidefinite, in units of 1 / theta^2.
        learning_rate: epsilon, in units of 1 / loss: a pure number for a log-likelihood in nats.
        damping: lambda, in units of 1 / theta^2, not negative.

    Returns:
        The step, [P].

    Raises:
        ValueError: If an argument is out of range, shapes do not match, or without damping the gradient has a
            component along a null direction of F: the loss is then not a function of the model.
    """
    gradient = arguments.finite("gradient", gradient, 1)
    fisher = arguments.covariance("fisher", fisher, definite=False)
    fisher = _matrix("fisher", fisher, (gradient.size,) * 2)
    rate = float(arguments.finite("learning_rate", learning_rate, 0))
    damping = float(arguments.nonnegative("damping", damping, 0))
    if damping:
        try:
            return -rate * np.linalg.solve(fisher + damping * np.eye(gradient.size), gradient)
        except np.linalg.LinAlgError:
            raise ValueError(
                f"damping must not be rounded away in fisher + damping, got {damping:.9g}"
            ) from None
    scale = np.sqrt(np.where(np.diagonal(fisher) > 0, np.diagonal(fisher), 1.0))
    values, vectors = np.linalg.eigh(fisher / scale / scale[:, None])
    components = vectors.T @ (gradient / scale)
    flat = values <= _ROUNDING * values.size
    if np.any(np.abs(components[flat]) > _MAX_NULL_FRACTION * np.linalg.norm(components)):
        raise ValueError(
            "gradient must vanish along the null directions of fisher: without damping the step is infinite"
        )
    return -rate * vectors @ np.where(flat, 0.0, components / np.where(flat, 1.0, values)) / scale


def expectation_path(start, target, progress):
    """Returns the path of the natural gradient to the maximum-likelihood point of an exponential family.

    In the expectation parameters eta = <T(x)>, the Fisher matrix is the inverse covariance of the sufficient
    statistics T, and the gradient of the mean negative log-likelihood is F (eta - That), where That is the
    mean of T over the data. The natural gradient is therefore eta - That for every family, and the flow is
    eta(t) = That + exp(-t) (eta(0) - That). n steps of size epsilon lead to the same point as the time
    t = -n log(1 - epsilon); a single step with epsilon = 1 lands on That.

    Args:
        start: Expectation parameters at the start, [P].
        target: Mean That of the sufficient statistics over the data, [P].
        progress: Remaining fraction of the distance, exp(-t) or (1 - epsilon)^n, a number or [T].

    Returns:
        Expectation parameters, [P] or [T, P].

    Raises:
        ValueError: If an entry is not finite or shapes do not match.
    """
    start, target = arguments.finite("start", start, 1), arguments.finite("target", target, 1)
    arguments.same_shape(start=start, target=target)
    return target + arguments.finite("progress", progress)[..., None] * (start - target)


def descent_path(gradient, start, learning_rate, steps, coordinates=None, metric=None):
    """Returns the path of gradient descent, or of the natural gradient, in arbitrary coordinates.

    Args:
        gradient: Function from theta, [P], to the gradient of the loss in theta, [P].
        start: Initial coordinates phi, [Q].
        learning_rate: epsilon of Eq. 4.6.2 or, with a metric, of Eq. 4.6.17.
        steps: Number N of steps.
        coordinates: Function from phi, [Q], to theta, [P]; `None` for theta itself.
        metric: Function from theta to the Fisher matrix in theta, [P, P], such as those in
            `curvezoo.theory.families`; `None` for gradient descent in phi.

    Returns:
        theta along the path, [N + 1, P].

    Raises:
        ValueError: If an argument is out of range, or a step leaves the domain of a function.
    """
    phi, steps = arguments.finite("start", start, 1), arguments.integer("steps", steps, 0)
    rate = arguments.positive("learning_rate", learning_rate, 0)
    path = [_theta(coordinates, phi)]
    for _ in range(steps):
        theta = path[-1]
        g = arguments.finite(f"gradient(theta={theta.tolist()})", gradient(theta), 1)
        slopes = (
            np.eye(phi.size) if coordinates is None else derivatives(coordinates, phi, name="coordinates")
        )
        if metric is None:
            phi = reparameterized_step(phi, g, slopes, rate)
        else:
            phi = phi + natural_step(slopes.T @ g, reparameterize(metric(theta), slopes), rate)
        path.append(_theta(coordinates, phi))
    return np.array(path)


def _theta(coordinates, phi):
    theta = phi if coordinates is None else coordinates(phi)
    return arguments.finite(f"coordinates(phi={phi.tolist()})", theta, 1)


def _matrix(name, value, shape):
    matrix = arguments.finite(name, value, 2)
    if matrix.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {matrix.shape}")
    return matrix
