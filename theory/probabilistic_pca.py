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
        >>> float(mean[0, 0]), float(covariance[0, 0])
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
        centered = self._centered(x)
        covariance = self.loading @ self.loading.T + self.noise**2 * np.eye(len(self.mean))
        return _log_gaussian(centered, covariance)

    def posterior(self, x):
        """Returns the mean, [N, Z], and the covariance, [Z, Z], of the Gaussian p(z|x).

        Args:
            x: Points, [N, D].
        """
        precision = self.loading.T @ self.loading + self.noise**2 * np.eye(self.loading.shape[1])
        mean = np.linalg.solve(precision, self.loading.T @ self._centered(x).T).T
        return mean, self.noise**2 * np.linalg.inv(precision)

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
    trace = np.trace(np.linalg.solve(other_covariance, covariance))
    log_ratio = np.linalg.slogdet(other_covariance)[1] - np.linalg.slogdet(covariance)[1]
    return (trace + _mahalanobis(mean - other_mean, other_covariance) - mean.shape[1] + log_ratio) / 2


def _mahalanobis(differences, covariance):
    return np.einsum("ni,in->n", differences, np.linalg.solve(covariance, differences.T))


def _log_isotropic(differences, scale):
    size = differences.shape[1]
    return -np.sum(differences**2, axis=1) / (2 * scale**2) - size * (np.log(scale) + _LOG_TWO_PI / 2)


def _log_gaussian(differences, covariance):
    log_determinant = np.linalg.slogdet(covariance)[1]
    size = differences.shape[1]
    return -(_mahalanobis(differences, covariance) + log_determinant + size * _LOG_TWO_PI) / 2
