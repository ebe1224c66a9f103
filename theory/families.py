"""Closed forms of Fisher matrices, distances and geodesics for common families (notes, section 2.3).

`gaussian`, `categorical` and the other functions of theta return the Fisher matrix of Eq. 2.3.7, so each is a
metric for `curvezoo.theory.geometry`. `curvezoo.theory.fisher` computes it for other densities.

Gaussians form a hyperbolic half-plane of curvature -1/2 with coordinates mu / sqrt(2) and sigma, in which
geodesics are half circles. Categorical distributions form an orthant of a sphere of radius 2 with coordinates
2 sqrt(p_i), in which geodesics are great circles.

Locations and logits must have a magnitude of at most 1e150, and scales, rates and probabilities must be in
[1e-150, 1e150], so that their squares neither overflow nor underflow.

Legend: D dimensions of x, P parameters, K categories, T times. Logarithms are natural, lengths dimensionless.

References:
    Rao, "Information and the accuracy attainable in the estimation of statistical parameters" (1945),
    Bulletin of the Calcutta Mathematical Society 37, 81-91.
    Lehmann and Casella, "Theory of Point Estimation" (1998), Springer, section 2.5.
    Amari, "Information Geometry and Its Applications" (2016), Springer, chapters 1 and 2.
"""

import numpy as np

from ..arguments import broadcastable, covariance, distributions, finite, require, same_shape

_SMALLEST, _LARGEST = 1e-150, 1e150


def gaussian(theta):
    """Returns diag(1, 2) / sigma^2, the Fisher matrix of a Gaussian; the notes set sigma = 1.

    Args:
        theta: Mean mu and standard deviation sigma.
    """
    _, sigma = _location_scale("theta", theta)
    return np.diag([1.0, 2.0]) / sigma**2


def gaussian_variance(theta):
    """Returns diag(1 / v, 1 / (2 v^2)), the Fisher matrix of a Gaussian in its mean and variance.

    Args:
        theta: Mean mu and variance v.
    """
    _, variance = _location_scale("theta", theta)
    return np.diag([1 / variance, 1 / (2 * variance**2)])


def multivariate_gaussian(theta):
    """Returns the Fisher matrix of a Gaussian in D dimensions in its mean and covariance C.

    The block of the mean is C^-1, which is the whole matrix if the covariance is known. The block of the
    covariance is tr(C^-1 dC_m C^-1 dC_n) / 2 with dC_m = dC / dtheta_m. The off-diagonal blocks vanish.

    Args:
        theta: The mean [D], then the lower triangle of C row by row.

    Returns:
        The matrix, [P, P] with P = D (D + 3) / 2.

    Raises:
        ValueError: If P does not have the form D (D + 3) / 2, or C is not positive definite.
    """
    theta = finite("theta", theta, 1)
    size = round((np.sqrt(9 + 8 * theta.size) - 3) / 2)
    if size < 1 or size * (size + 3) != 2 * theta.size:
        raise ValueError(f"theta must hold D (D + 3) / 2 numbers for some D, got {theta.size}")
    rows, columns = np.tril_indices(size)
    basis = np.zeros((rows.size, size, size))
    basis[np.arange(rows.size), rows, columns] = basis[np.arange(rows.size), columns, rows] = 1.0
    matrix = covariance("theta's covariance", np.einsum("m,mij->ij", theta[size:], basis))
    _in_range("theta's covariance on its diagonal", np.diagonal(matrix), _SMALLEST)
    precision = np.linalg.inv(matrix)
    slopes = precision @ basis
    matrix = np.zeros((theta.size, theta.size))
    matrix[:size, :size] = precision
    matrix[size:, size:] = np.einsum("mij,nji->mn", slopes, slopes, optimize=True) / 2
    return matrix


def laplace(theta):
    """Returns diag(1, 1) / b^2, the Fisher matrix of the Laplace density exp(-|x - mu| / b) / (2 b).

    Args:
        theta: Location mu and scale b.
    """
    _, scale = _location_scale("theta", theta)
    return np.eye(2) / scale**2


def student_t(theta, degrees):
    """Returns diag(nu + 1, 2 nu) / ((nu + 3) s^2), the Fisher matrix of Student's t with known nu.

    Args:
        theta: Location and scale s.
        degrees: Degrees of freedom nu, positive.
    """
    _, scale = _location_scale("theta", theta)
    degrees = float(_in_range("degrees", finite("degrees", degrees, 0), _SMALLEST))
    return np.diag([degrees + 1, 2 * degrees]) / (degrees + 3) / scale**2


def cauchy(theta):
    """Returns diag(1, 1) / (2 gamma^2), the Fisher matrix of the Cauchy density: Student's t with nu = 1.

    Args:
        theta: Location and scale gamma.
    """
    return student_t(theta, 1.0)


def exponential(theta):
    """Returns 1 / lambda^2 as a [1, 1] matrix, the Fisher matrix of the density lambda exp(-lambda x).

    Args:
        theta: The rate lambda, [1].
    """
    return 1 / _positive_number(theta)[:, None] ** 2


def poisson(theta):
    """Returns 1 / lambda as a [1, 1] matrix, the Fisher matrix of a Poisson distribution.

    Args:
        theta: The mean lambda, [1].
    """
    return 1 / _positive_number(theta)[:, None]


def bernoulli(theta):
    """Returns 1 / (p (1 - p)) as a [1, 1] matrix, the Fisher matrix of one biased coin.

    Args:
        theta: The probability p in (0, 1), [1].
    """
    return categorical(_positive_number(theta))


def categorical(theta):
    """Returns diag(1 / p_i) + 1 / p_K, the Fisher matrix of K categories in the first K - 1 probabilities.

    Args:
        theta: Probabilities p_1 ... p_{K-1}, positive with a sum below 1; p_K is one minus their sum.
    """
    theta = _in_range("theta", finite("theta", theta, 1), _SMALLEST)
    last = 1 - theta.sum()
    if theta.size == 0 or last <= 0:
        raise ValueError(
            f"theta must hold probabilities with a sum below 1, got {theta.size} with the sum {1 - last:.9g}"
        )
    return np.diag(1 / theta) + 1 / last


def softmax(theta):
    """Returns diag(p) - p p^T, the Fisher matrix of K categories in K logits, p = softmax(theta).

    Adding a constant to all logits does not change p, so (1, ..., 1) is a null vector. The matrix is positive
    semidefinite and singular, contrary to the notes' remark after Eq. 2.3.7.

    Args:
        theta: Logits, [K].
    """
    theta = _in_range("theta", finite("theta", theta, 1), -_LARGEST)
    if theta.size == 0:
        raise ValueError("theta must hold at least one logit, got none")
    weights = np.exp(theta - theta.max())
    p = weights / weights.sum()
    return np.diag(p) - np.outer(p, p)


def gaussian_kl(theta_0, theta):
    """Returns D_KL(N(mu_0, sigma_0) || N(mu, sigma)) in nats; with mu_0 = 0 and sigma_0 = 1 it is Eq. 2.3.13.

        D = (mu - mu_0)^2 / (2 sigma^2) + sigma_0^2 / (2 sigma^2) - 1/2 + log(sigma / sigma_0)

    It depends only on (mu - mu_0) / sigma_0 and sigma / sigma_0, so the notes' choice is not a restriction.

    Args:
        theta_0: Mean and standard deviation of the true density, [..., 2].
        theta: Mean and standard deviation of the model, [..., 2].

    Raises:
        ValueError: If the shapes do not broadcast, or a divergence overflows.
    """
    theta_0, theta = _location_scales("theta_0", theta_0), _location_scales("theta", theta)
    broadcastable(theta_0=theta_0, theta=theta)
    (mean_0, sigma_0), (mean, sigma) = np.moveaxis(theta_0, -1, 0), np.moveaxis(theta, -1, 0)
    with np.errstate(over="ignore"):
        # The excess is the ratio of the variances minus one. Near zero, its first order cancels, and log1p
        # keeps the digits of the remainder. For a tiny ratio the excess rounds to -1, and only the plain
        # logarithm is accurate.
        excess = (sigma_0 - sigma) * (sigma_0 + sigma) / sigma**2
        near = np.log1p(np.clip(excess, -0.5, 0.5))
        logarithm = np.where(np.abs(excess) < 0.5, near, 2 * np.log(sigma_0 / sigma))
        divergence = (((mean - mean_0) / sigma) ** 2 + excess - logarithm) / 2
    return finite("the divergence of theta from theta_0", divergence)[()]


def gaussian_distance(start, end):
    """Returns the distance between Gaussians, 2 sqrt(2) asinh(sqrt((dmu^2 / 2 + dsigma^2) / (4 s_0 s_1))).

    Args:
        start: Mean and standard deviation (mu_0, s_0).
        end: Mean and standard deviation (mu_1, s_1).
    """
    start, end = _location_scale("start", start), _location_scale("end", end)
    chord = np.hypot((end[0] - start[0]) / np.sqrt(2), end[1] - start[1])
    return float(2 * np.sqrt(2) * np.arcsinh(chord / (2 * np.sqrt(start[1] * end[1]))))


def gaussian_geodesic(start, end):
    """Returns the geodesic between two Gaussians as a function of t in [0, 1], at constant speed.

    The coordinates 1 / sigma, mu / sigma and (mu^2 / 2 + sigma^2) / sigma embed the half-plane in a
    hyperboloid, where a geodesic combines both ends with the weights sinh((1 - t) a) / sinh a and
    sinh(t a) / sinh a; sqrt(2) a is the distance. In the half-plane it is half an ellipse
    (mu - c)^2 + 2 sigma^2 = R^2.

    Args:
        start: Mean and standard deviation at t = 0.
        end: Mean and standard deviation at t = 1.

    Returns:
        A function from t, a number or [T], to (mu, sigma), [2] or [T, 2].
    """
    (mean_0, sigma_0), (mean_1, sigma_1) = _location_scale("start", start), _location_scale("end", end)
    angle = gaussian_distance(start, end) / np.sqrt(2)

    def path(t):
        t = finite("t", t)
        first, second = _hyperbolic(1 - t, angle) / sigma_0, _hyperbolic(t, angle) / sigma_1
        mean = (first * mean_0 + second * mean_1) / (first + second)
        return np.stack([mean, 1 / (first + second)], axis=-1)

    return path


def categorical_distance(p, q):
    """Returns the distance between categorical distributions, 2 acos(sum sqrt(p q)).

    It is twice the Bhattacharyya angle.

    Args:
        p: Probabilities, [K].
        q: Probabilities, [K].
    """
    p, q = _categorical(p, q)
    # The chord length is still accurate where the cosine rounds to one.
    return float(4 * np.arcsin(min(np.linalg.norm(np.sqrt(p) - np.sqrt(q)) / 2, np.sqrt(0.5))))


def categorical_geodesic(p, q):
    """Returns the great circle between two categorical distributions as a function of t in [0, 1].

    Args:
        p: Probabilities at t = 0, [K].
        q: Probabilities at t = 1, [K].

    Returns:
        A function from t, a number or [T], to probabilities, [K] or [T, K].
    """
    p, q = _categorical(p, q)
    angle = categorical_distance(p, q) / 2

    def path(t):
        t = finite("t", t)[..., None]
        return (_circular(1 - t, angle) * np.sqrt(p) + _circular(t, angle) * np.sqrt(q)) ** 2

    return path


def _in_range(name, array, low):
    """Returns `array` after checking that its entries are in [low, 1e150]; `low` broadcasts."""
    bad = (array < low) | (array > _LARGEST)
    if bad.any():
        low = np.broadcast_to(low, array.shape)[bad][0]
        require(name, array, ~bad, f"be from {low:g} to {_LARGEST:g}")
    return array


def _location_scales(name, theta):
    """Returns locations and scales [..., 2] as an array."""
    theta = finite(name, theta)
    if theta.shape[-1:] != (2,):
        raise ValueError(f"{name} must hold a location and a scale on the last axis, got shape {theta.shape}")
    return _in_range(name, theta, (-_LARGEST, _SMALLEST))


def _location_scale(name, theta):
    return _location_scales(name, finite(name, theta, 1))


def _positive_number(theta):
    theta = finite("theta", theta, 1)
    if theta.size != 1:
        raise ValueError(f"theta must hold 1 number, got {theta.size}")
    return _in_range("theta", theta, _SMALLEST)


def _categorical(p, q):
    p, q = (distributions(name, finite(name, value, 1)) for name, value in (("p", p), ("q", q)))
    same_shape(p=p, q=q)
    return p, q


def _circular(t, angle):
    """Returns sin(t a) / sin(a), the weight of an end of an arc, or its limit t for a = 0."""
    return np.sin(t * angle) / np.sin(angle) if angle else t


def _hyperbolic(t, angle):
    """Returns sinh(t a) / sinh(a), the weight of an end of an arc, without overflow, or t for a = 0."""
    return np.exp((t - 1) * angle) * np.expm1(-2 * t * angle) / np.expm1(-2 * angle) if angle else t
