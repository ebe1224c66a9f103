"""RMSProp, which descends a quadratic bowl as SGD descends |theta| (Sec. 4.4).

Legend: D parameters, N steps.

Each gradient is divided by the root of the running mean of its square, so that neither the scale of the loss
nor its curvature along the axis of a parameter matters. Counting from g^(0) and V^(0) = 0, the bias in
Eq. 4.4.2 is 1 - beta^(n+1), Eq. 4.4.3 is a mean with weights that sum to one, and the update of Eq. 4.4.4
divides g^(n) by the root of Vhat^(n+1), which includes g^(n) (docs/errata.md).
"""

import numpy as np

from .. import arguments


def second_moments(gradients, beta, correct=True):
    """Returns the running means of squared gradients, Eqs. 4.4.1 to 4.4.3.

    Starting from V^(0) = 0, the weights of V^(n+1) sum to 1 - beta^(n+1), so V^(n+1) is divided by this sum.
    (With the printed power n, the divisor is zero for the first gradient.) Eq. 4.4.3 is then a mean of old
    and new,

        Vhat^(n+1) = w (g^(n))^2 + (1 - w) Vhat^(n),    w = 1 / sum_{k=0}^{n} beta^k,

    with w between 1 and 1.6 times max(1/(n+1), 1 - beta).

    Args:
        gradients: Gradients g^(0), ..., g^(N-1), [N, ...].
        beta: Decay, 0 <= beta < 1.
        correct: Whether to divide by 1 - beta^(n+1).

    Returns:
        Vhat^(1), ..., Vhat^(N), or V without correction, [N, ...].

    Raises:
        ValueError: If beta is out of range, a gradient is not finite, or there is no axis of steps.
    """
    gradients, beta = arguments.finite("gradients", gradients), _decay(beta)
    arguments.boolean("correct", correct)
    if gradients.ndim == 0:
        raise ValueError("gradients must have an axis of steps, got a number")
    moments, moment = np.empty_like(gradients), np.zeros(gradients.shape[1:])
    for n, gradient in enumerate(gradients):
        weight = _weight(n, beta, correct)
        moment = moment + weight * (gradient**2 - moment)
        moments[n] = moment
    return moments


def rmsprop_path(gradient, start, learning_rate, beta, steps, correct=True):
    """Returns the path of RMSProp, Eq. 4.4.4 with Vhat^(n+1), which includes g^(n).

    The curvature of a diagonal quadratic drops out exactly, from the first step on. Far from the minimum the
    steps are epsilon / (1 + beta epsilon / ((1 - beta) |theta|)) to first order, because the mean square
    includes earlier, larger gradients. At the minimum, for beta > 0, theta ends up alternating between
    +epsilon/2 and -epsilon/2, but only after the mean square has forgotten the descent. If |theta| / epsilon
    is below 1 / (1 - beta) at the start, theta first falls exponentially, far below epsilon, and the analogy
    with |theta| fails. No step exceeds epsilon / sqrt(1 - beta). The denominator contains no constant; a
    gradient of exactly zero gives no step.

    Args:
        gradient: Function from parameters, [D], to the gradient, [D].
        start: Initial parameters, [D].
        learning_rate: Learning rate epsilon, in units of theta (Eq. 4.4.5).
        beta: Decay, 0 <= beta < 1.
        steps: Number N of steps.
        correct: Whether to correct the bias, Eq. 4.4.2. Without the correction, the first step is
            epsilon / sqrt(1 - beta).

    Returns:
        The parameters, [N + 1, D], beginning with `start`.

    Raises:
        ValueError: If an argument is out of range or a gradient is not finite.
    """
    epsilon, beta = arguments.positive("learning_rate", learning_rate, 0), _decay(beta)
    theta, steps = arguments.finite("start", start, 1), arguments.integer("steps", steps, 0)
    arguments.boolean("correct", correct)
    path, root = np.empty((steps + 1, theta.size)), np.zeros_like(theta)
    path[0] = theta
    for n in range(steps):
        g = arguments.finite("gradient(theta)", gradient(path[n]), 1)
        # The root of the mean of squares that may overflow or vanish themselves.
        weight = _weight(n, beta, correct)
        root = np.hypot(np.sqrt(1 - weight) * root, np.sqrt(weight) * g)
        path[n + 1] = path[n] - epsilon * np.divide(g, root, out=np.zeros_like(g), where=root > 0)
    return path


def _weight(n, beta, correct):
    """Returns the weight of the newest of n + 1 squares, Eq. 4.4.3, or 1 - beta without correction."""
    return (1 - beta) / (1 - beta ** (n + 1)) if correct else 1 - beta


def _decay(beta):
    beta = float(arguments.nonnegative("beta", beta, 0))
    if beta >= 1:
        raise ValueError(f"beta must be below 1, got {beta:.9g}")
    return beta
