r"""The linear Gaussian model with latent variables, probabilistic PCA, in closed form (section 7.3).

    z ~ N(0, 1),    x | z ~ N(W z + m, s^2)

is a variational autoencoder with a linear decoder for which every term of Eq. 7.3.7 is known: with
M = W^T W + s^2,

    x     ~ N(m, W W^T + s^2)                       (Eq. 7.3.3)
    z | x ~ N(M^-1 W^T (x - m), s^2 M^-1)           (Eq. 7.3.4)

and a Gaussian q(z|x) = N(a, S) has an ELBO that is below log p(x) by its divergence to that posterior.

All values are in nats.

Legend: N points, D dimensions of x, Z latents.

References:
    Tipping and Bishop, "Probabilistic Principal Component Analysis" (1999), J. R. Statist. Soc. B 61.
"""

import numpy as np

from .. import arguments
from . import gaussian_information

_LOG_TWO_PI = np.log(2 * np.pi)


class ProbabilisticPCA:
    """A linear Gaussian model with a unit Gaussian prior.

    Args:
        loading: The matrix W, [D, Z].
        noise: The standard deviation s of the noise, positive, in the units of x.
        mean: The mean m of x, [D]; zero by default.

    Raises:
        ValueError: If an argument is not finite or has another shape, or `noise` is not positive.

    Example:
        >>> model = ProbabilisticPCA([[1.0]], noise=1.0)
        >>> mean, covariance = model.posterior([[2.0]])
        >>> round(float(mean[0, 0]), 6), round(float(covariance[0, 0]), 6)
        (1.0, 0.5)
    """

    def __init__(self, loading, noise, mean=None):
        self.loading = arguments.finite("loading", loading, 2)
        self.noise = arguments.positive_number("noise", noise)
        size = len(self.loading)
        self.mean = np.zeros(size) if mean is None else arguments.finite("mean", mean, 1)
        if self.mean.shape != (size,):
            raise ValueError(f"mean must have shape ({size},), the rows of loading, got {self.mean.shape}")

    def log_likelihood(self, x, latents):
        """Returns log p(x|z) of each point at its latents, [N].

        Args:
            x: Points, [N, D].
            latents: Latents z, [N, Z].
        """
        latents = self._latents("latents", latents)
        return _log_isotropic(self._centered(x) - latents @ self.loading.T, self.noise)

    def log_joint(self, x, latents):
        """Returns log p(x, z) = log p(x|z) + log p(z), [N] (Eq. 7.3.5).

        Args:
            x: Points, [N, D].
            latents: Latents z, [N, Z].
        """
        return self.log_likelihood(x, latents) + _log_isotropic(self._latents("latents", latents), 1.0)

    def log_density(self, x):
        """Returns log p(x), the integral of p(x, z) over the latents, [N] (Eq. 7.3.3).

        Args:
            x: Points, [N, D].
        """
        # In the coordinates along the principal axes, C = W W^T + s^2 is diagonal. Where s^2 is far below
        # W W^T, it would be lost in their sum.
        centered, (axes, roots, _) = self._centered(x), self._principal
        along = centered @ axes
        across = centered - along @ axes.T
        missing = len(self.mean) - len(roots)
        squares = np.sum((along / np.hypot(roots, self.noise)) ** 2, axis=1)
        if missing:
            squares += np.sum((across / self.noise) ** 2, axis=1)
        log_root = np.sum(np.log(np.hypot(roots, self.noise))) + missing * np.log(self.noise)
        return -squares / 2 - log_root - len(self.mean) * _LOG_TWO_PI / 2

    def posterior(self, x):
        """Returns the mean, [N, Z], and the covariance, [Z, Z], of the Gaussian p(z|x).

        Args:
            x: Points, [N, D].
        """
        axes, roots, turned = self._principal
        scales = np.hypot(roots, self.noise)
        mean = self._centered(x) @ axes * (roots / scales / scales) @ turned[: len(roots)]
        shares = np.append(self.noise / scales, np.ones(len(turned) - len(roots)))
        return mean, turned.T * shares**2 @ turned

    def elbo(self, x, mean, covariance):
        r"""Returns the ELBO of the Gaussian q(z|x) = N(a, S), [N] (Eqs. 7.3.8 and 7.3.10).

        \[ \log N(x; W a + m, s^2) - \frac{\mathrm{tr}(W S W^T)}{2 s^2} - KL(N(a, S) \| N(0, 1)) \]

        Args:
            x: Points, [N, D].
            mean: The mean a of the latents of each point, [N, Z].
            covariance: The covariance S, [Z, Z], of all points.

        Raises:
            ValueError: If a shape does not match, or the covariance is not symmetric positive definite.
        """
        mean = self._latents("mean", mean)
        covariance = arguments.covariance("covariance", covariance)
        spread = np.einsum("di,ij,dj->", self.loading, covariance, self.loading)
        unit = np.eye(self.loading.shape[1])
        reconstruction = self.log_likelihood(x, mean) - spread / (2 * self.noise**2)
        return reconstruction - kl_divergence(mean, covariance, np.zeros_like(mean), unit)

    @property
    def _principal(self):
        """Returns W = A diag(roots) B as A [D, K], the roots [K], and all of B [Z, Z], with K = min(D, Z)."""
        size, latents = self.loading.shape
        axes, roots, turned = np.linalg.svd(self.loading, full_matrices=latents > size)
        rounding = max(size, latents) * np.finfo(float).eps * roots.max(initial=0.0)
        return axes, np.where(roots > rounding, roots, 0.0), turned

    def _centered(self, x):
        x = arguments.finite("x", x, 2)
        if x.shape[1] != len(self.mean):
            raise ValueError(f"x must have shape (N, {len(self.mean)}), got {x.shape}")
        return x - self.mean

    def _latents(self, name, latents):
        latents, size = arguments.finite(name, latents, 2), self.loading.shape[1]
        if latents.shape[1] != size:
            raise ValueError(f"{name} must have shape (N, {size}), got {latents.shape}")
        return latents


def kl_divergence(mean, covariance, other_mean, other_covariance):
    r"""Returns the KL divergence of Gaussians N(a, S) to others N(b, T), [N].

    \[ \frac{1}{2} \left( \mathrm{tr}(T^{-1} S) + (a - b)^T T^{-1} (a - b) - Z
       + \log \frac{\det T}{\det S} \right) \]

    Args:
        mean: Means a, [N, Z].
        covariance: The covariance S of all of them, [Z, Z].
        other_mean: Means b, [N, Z].
        other_covariance: The covariance T, [Z, Z].

    Raises:
        ValueError: If a covariance is not symmetric positive definite, or the shapes do not match.
    """
    mean, other_mean = arguments.finite("mean", mean, 2), arguments.finite("other_mean", other_mean, 2)
    arguments.same_shape(mean=mean, other_mean=other_mean)
    covariance = arguments.covariance("covariance", covariance)
    other_covariance = arguments.covariance("other_covariance", other_covariance)
    arguments.same_shape(covariance=covariance, other_covariance=other_covariance)
    origin = np.zeros(len(covariance))
    spread = gaussian_information.kl_divergence(origin, covariance, origin, other_covariance)
    return spread + _mahalanobis(mean - other_mean, other_covariance) / 2


def _mahalanobis(differences, covariance):
    return np.einsum("ni,in->n", differences, np.linalg.solve(covariance, differences.T))


def _log_isotropic(differences, scale):
    size = differences.shape[1]
    return -np.sum((differences / scale) ** 2, axis=1) / 2 - size * (np.log(scale) + _LOG_TWO_PI / 2)
