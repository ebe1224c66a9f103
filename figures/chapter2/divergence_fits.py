"""One Gaussian fitted to a density with two bumps by either relative entropy (Sec. 2.3).

D(p || q), forward, is infinite where q excludes what p allows: its minimum covers both bumps, and is exactly
the Gaussian with the mean and variance of p. D(q || p), reverse, is infinite where q allows what p excludes:
it has a minimum at each bump, and the start decides. For bumps far apart the reverse fit is the bump itself
and its divergence -log of the bump's weight.

Legend: X points of the grid on which integrals are sums, A means and B standard deviations.
"""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from scipy.optimize import minimize

tfd = tfp.distributions

WEIGHTS, MEANS, SCALES = np.array([0.65, 0.35]), np.array([-1.5, 2.0]), np.array([0.8, 0.5])
"""The two bumps."""

GRID = np.linspace(-12.0, 12.0, 1201)
"""Points of the sums, [X]: the integrands are smooth and vanish at the ends, so that sums are exact."""


@dataclass(frozen=True)
class GaussianFit:
    """A Gaussian where a relative entropy is least.

    Args:
        mean: Its mean.
        scale: Its standard deviation.
        divergence: The relative entropy there, in nats.
    """

    mean: float
    scale: float
    divergence: float


def bumps():
    """Returns the density p with two bumps, a mixture of Gaussians in float64."""
    return tfd.MixtureSameFamily(tfd.Categorical(probs=WEIGHTS), tfd.Normal(MEANS, SCALES))


def moments():
    """Returns mean and standard deviation of p in closed form."""
    mean = WEIGHTS @ MEANS
    return float(mean), float(np.sqrt(WEIGHTS @ (SCALES**2 + MEANS**2) - mean**2))


def divergence(direction, mean, scale):
    """Returns the relative entropy between p and Gaussians q as a sum over the grid.

    Args:
        direction: `forward` for D(p || q), `reverse` for D(q || p).
        mean: Mean of q, a number or an array of any shape.
        scale: Standard deviation of q, likewise.

    Returns:
        The divergence in nats, a tensor of that shape.

    Raises:
        ValueError: If `direction` is another.
    """
    if direction not in ("forward", "reverse"):
        raise ValueError(f"direction must be 'forward' or 'reverse', got {direction!r}")
    mean, scale = (tf.convert_to_tensor(x, tf.float64) for x in (mean, scale))
    log_p = bumps().log_prob(GRID)
    log_q = tfd.Normal(mean[..., None], scale[..., None]).log_prob(GRID)
    first, second = (log_p, log_q) if direction == "forward" else (log_q, log_p)
    return tf.reduce_sum(tf.exp(first) * (first - second), -1) * (GRID[1] - GRID[0])


def fit(direction, mean, scale=1.0):
    """Descends from a first Gaussian to the nearest minimum of a relative entropy.

    Args:
        direction: `forward` or `reverse`.
        mean: Mean of the first Gaussian.
        scale: Its standard deviation.

    Returns:
        A `GaussianFit`.

    Raises:
        ValueError: As `divergence`.
    """

    def value_and_slope(parameters):
        parameters = tf.constant(parameters)
        with tf.GradientTape() as tape:
            tape.watch(parameters)
            value = divergence(direction, parameters[0], tf.exp(parameters[1]))
        return value.numpy(), tape.gradient(value, parameters).numpy()

    found = minimize(value_and_slope, [mean, np.log(scale)], jac=True, method="BFGS", options={"gtol": 1e-8})
    return GaussianFit(float(found.x[0]), float(np.exp(found.x[1])), float(found.fun))


def fits():
    """Returns the fits by name: `forward`, and `reverse` from the left and from the right."""
    return {
        "forward": fit("forward", 0.0),
        "reverse, left": fit("reverse", -2.0),
        "reverse, right": fit("reverse", 2.5),
    }


def landscape(direction, mean, scale):
    """Returns the relative entropy of Gaussians with every pair of mean and standard deviation.

    Args:
        direction: `forward` or `reverse`.
        mean: Means, [A].
        scale: Standard deviations, [B].

    Returns:
        The divergences in nats, an array [B, A].
    """
    return np.stack([divergence(direction, mean, np.full(len(mean), s)) for s in scale])
