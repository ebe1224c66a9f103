"""Differentiable sampling: the Gaussian reparameterization and the Gumbel trick (Sec. 3.5).

Adding noise z_i with density g(z) = exp(-z - e^-z) to logits x_i and taking the argmax draws k with
probability p_k = e^(x_k) / sum_j e^(x_j), exactly. Given z_k = z, each other x_j + z_j is below x_k + z with
probability G(x_k - x_j + z), G(z) = exp(-e^-z), so

    P(k) = integral dz g(z) prod_{j != k} G(x_k - x_j + z)
         = integral_0^inf dy exp(-y sum_j e^(x_j - x_k)) = p_k

with y = e^-z (the notes print e^z). `argmax_probabilities` evaluates this integral for any noise.

The softened argmax of Eq. 3.5.7 has a density on the simplex. At finite beta it is not a sample from p: its
mean differs from p (docs/errata.md). Only its argmax is such a sample. In the notes beta multiplies x + z, so
it is the inverse of the temperature of Maddison et al., Jang et al. and TensorFlow Probability: the density
is theirs at the temperature 1 / beta.

Legend: K categories, S samples; ... stands for any leading axes.

References:
    Maddison, Mnih and Teh, "The Concrete Distribution" (2017), arXiv:1611.00712.
    Jang, Gu and Poole, "Categorical Reparameterization with Gumbel-Softmax" (2017), arXiv:1611.01144.
    Yellott, "The relationship between Luce's choice axiom, Thurstone's theory of comparative judgment, and
        the double exponential distribution" (1977), J. Math. Psychology 15, 109-144.
"""

from __future__ import annotations

import numpy as np
from scipy import special, stats
from scipy.integrate import quad_vec

from .. import arguments

_TAILS = 10.0 ** -np.arange(1, 18)  # Noise beyond the last quantile does not change any digit of an integral.


def reparameterized_gaussian(mean: np.ndarray, scale: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Returns mu + sigma z, Eq. 3.5.1: a draw from N(mu, sigma^2) if z is drawn from N(0, 1).

    Args:
        mean: Mean mu.
        scale: Standard deviation sigma, positive.
        noise: Standard normal z.

    Returns:
        The draws, of the broadcast shape.

    Raises:
        ValueError: If an entry is not finite, `scale` is not positive, or the shapes do not broadcast.
    """
    mean, noise = arguments.finite("mean", mean), arguments.finite("noise", noise)
    scale = arguments.positive("scale", scale)
    arguments.broadcastable(mean=mean, scale=scale, noise=noise)
    return mean + scale * noise


def softmax(logits: np.ndarray) -> np.ndarray:
    """Returns p_i = e^(x_i) / sum_j e^(x_j), Eq. 3.5.2.

    Args:
        logits: Logits x, [..., K].

    Returns:
        Probabilities, [..., K].

    Raises:
        ValueError: If a logit is not finite.
    """
    return special.softmax(_logits(logits), axis=-1)


def gumbel_density(z: np.ndarray) -> np.ndarray:
    """Returns g(z) = exp(-z - e^-z), Eq. 3.5.6, for an array of any shape."""
    with np.errstate(over="ignore"):
        return stats.gumbel_r.pdf(arguments.finite("z", z))


def gumbel_cumulative(z: np.ndarray) -> np.ndarray:
    """Returns G(z) = exp(-e^-z), the integral of g (Eq. 3.5.6), for an array of any shape.

    G(z)^n = G(z - log n): the maximum of n draws has the same distribution, shifted by log n.
    """
    with np.errstate(over="ignore"):
        return stats.gumbel_r.cdf(arguments.finite("z", z))


def gumbel_max(logits: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draws categories from softmax(logits) by argmax_i (x_i + z_i), Eq. 3.5.3.

    Args:
        logits: Logits x, [..., K].
        count: Number S of samples.
        rng: A NumPy generator.

    Returns:
        Categories 0, ..., K - 1, [S, ...].

    Raises:
        ValueError: If a logit is not finite, or `count` is not a positive integer.
    """
    logits, count = _logits(logits), arguments.integer("count", count, low=1)
    return np.argmax(logits + rng.gumbel(size=(count, *logits.shape)), axis=-1)


def argmax_probabilities(logits: np.ndarray, noise=stats.gumbel_r) -> np.ndarray:
    """Returns P(k) = P(argmax_i (x_i + z_i) = k) for independent noise, Eq. 3.5.4 by quadrature.

    For Gumbel noise it is the softmax. For K >= 3 no other noise gives the softmax, apart from shifted Gumbel
    noise (Yellott).

    Args:
        logits: Logits x, [K].
        noise: Distribution of each z_i, a continuous SciPy distribution.

    Returns:
        Probabilities, [K], to about 1e-12.

    Raises:
        ValueError: If `logits` is not a finite vector.
    """
    logits = _logits(logits, ndim=1)
    others = ~np.eye(len(logits), dtype=bool)

    def integrand(z):
        below = noise.cdf(z + logits[:, None] - logits)
        return noise.pdf(z) * np.prod(below, axis=1, where=others)

    return _integrate(integrand, noise)


def argmax_derivative(logits: np.ndarray, chosen: int, noise=stats.gumbel_r) -> float:
    """Returns integral dz g(z) prod_{j != k} g(x_k - x_j + z), the right side of Eq. 3.5.5, by quadrature.

    It is (-1)^(K-1) times the mixed derivative of P(k) with respect to all x_j, j != k; both sides of
    Eq. 3.5.5 omit that sign. For Gumbel noise it is (K-1)! prod_j p_j, for any k.

    Args:
        logits: Logits x, [K].
        chosen: The category k.
        noise: Distribution of each z_i, a continuous SciPy distribution.

    Raises:
        ValueError: If `logits` is not a finite vector, or `chosen` is not one of its indices.
    """
    logits = _logits(logits, ndim=1)
    chosen = arguments.integer("chosen", chosen, low=0)
    if chosen >= len(logits):
        raise ValueError(f"chosen must be below the {len(logits)} categories, got {chosen}")
    # The factor with j = k is g(z).
    return float(_integrate(lambda z: np.prod(noise.pdf(z + logits[chosen] - logits)), noise))


def softened_argmax(logits: np.ndarray, noise: np.ndarray, beta: float) -> np.ndarray:
    """Returns f_i = e^(beta (x_i + z_i)) / sum_j e^(beta (x_j + z_j)), Eq. 3.5.7.

    The limit beta -> 0 is 1 / K, and beta -> infinity gives the one-hot argmax.

    Args:
        logits: Logits x, [..., K].
        noise: Gumbel noise z, in a shape that broadcasts with `logits`.
        beta: Inverse temperature, positive.

    Returns:
        Points of the simplex, of the broadcast shape.

    Raises:
        ValueError: If an entry is not finite, `beta` is not positive, or the shapes do not broadcast.
    """
    beta = float(arguments.positive("beta", beta, ndim=0))
    logits, noise = _logits(logits), arguments.finite("noise", noise)
    arguments.broadcastable(logits=logits, noise=noise)
    # Sums of halves cannot overflow. Products below the largest may safely overflow to -infinity.
    halves = logits / 2 + noise / 2
    with np.errstate(over="ignore"):
        return special.softmax(2 * (beta * (halves - halves.max(axis=-1, keepdims=True))), axis=-1)


def concrete_log_density(points: np.ndarray, logits: np.ndarray, beta: float) -> np.ndarray:
    """Returns the log density of the softened argmax f(x; z; beta) of Eq. 3.5.7 over Gumbel z.

        p(f) = (K-1)! lambda^(K-1) prod_i (e^(x_i) f_i^(-lambda-1)) / (sum_i e^(x_i) f_i^-lambda)^K

    with lambda = 1 / beta, with respect to the first K - 1 coordinates.

    Args:
        points: Points f inside the simplex, [..., K].
        logits: Logits x, [..., K].
        beta: Inverse temperature, positive.

    Returns:
        Log densities in nats, [...].

    Raises:
        ValueError: If a row of `points` is not a distribution or lies on the boundary, a logit is not finite,
            `beta` is not positive, or the shapes do not match.
    """
    points = arguments.positive("points", arguments.distributions("points", points))
    logits = _logits(logits)
    temperature = 1 / float(arguments.positive("beta", beta, ndim=0))
    size = points.shape[-1]
    if logits.shape[-1] != size:
        raise ValueError(
            f"points and logits must have the same number of categories, got {size} and {logits.shape[-1]}"
        )
    arguments.broadcastable(points=points, logits=logits)
    weighted = logits - temperature * np.log(points)
    return (
        special.gammaln(size)
        + (size - 1) * np.log(temperature)
        + np.sum(weighted - np.log(points), axis=-1)
        - size * special.logsumexp(weighted, axis=-1)
    )


def _logits(logits, ndim=None):
    logits = arguments.finite("logits", logits, ndim)
    if logits.ndim == 0 or logits.shape[-1] == 0:
        raise ValueError(f"logits must have at least one category, got shape {logits.shape}")
    return logits


def _integrate(function, noise):
    # Without panels between quantiles, a wide interval could hide a peak.
    low, *middle, high = np.concatenate([noise.ppf(_TAILS[::-1]), noise.isf(_TAILS)])
    with np.errstate(over="ignore"):
        value, _ = quad_vec(function, low, high, epsabs=1e-13, epsrel=1e-12, limit=1000, points=middle)
    return value
