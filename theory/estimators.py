"""Bias and variance of estimators, and the Cramer-Rao bound on their variance (Secs. 3.3 and 3.4.2).

An estimator maps N independent examples to an estimate of a parameter, which is a random variable with a bias
and a variance. The closed forms below are exact for every N, and `simulate` measures the bias and variance of
any estimator. The Cramer-Rao bound limits the variance of unbiased estimators.

The notes say that maximum likelihood is unbiased and has the least possible variance. Both statements hold
only in the limit N -> infinity (docs/errata.md). Maximum likelihood is in `curvezoo.theory.likelihood`.

Legend: R repeats, N examples, P parameters theta, A estimated quantities phi(theta).
"""

import warnings
from dataclasses import dataclass

import numpy as np
from scipy.integrate import IntegrationWarning, quad
from scipy.linalg import cholesky, eigh, solve_triangular
from scipy.special import betaincinv, poch

from .. import arguments


@dataclass(frozen=True)
class Simulation:
    """Statistics of an estimator over R repetitions of an experiment: numbers, or arrays [A].

    Args:
        mean: Mean of the estimates.
        bias: Their mean minus the true value, Eq. 3.3.2.
        variance: Their unbiased variance (Eq. 3.3.8).
        mean_error: Standard error of `mean` and of `bias`.
        variance_error: Standard error of `variance`, from the fourth moment of the estimates.
    """

    mean: np.ndarray
    bias: np.ndarray
    variance: np.ndarray
    mean_error: np.ndarray
    variance_error: np.ndarray


def simulate(estimator, sample, truth, n, repeats, rng):
    """Measures the bias and the variance of an estimator by repeating the experiment (Eqs. 3.3.1 and 3.3.2).

    Args:
        estimator: Function from data [R, N, ...] to estimates [R] or [R, A].
        sample: Function `sample(shape, rng)` that draws independent examples of shape [R, N]. As everywhere
            in `theory`, the generator is the last argument; the former order gives a `DeprecationWarning`.
        truth: True value of the estimated quantity, a number or [A].
        n: Number N of examples of one experiment.
        repeats: Number R of experiments; all R N examples are in memory at once.
        rng: A `numpy.random.Generator`.

    Returns:
        A `Simulation`. Its standard errors are meaningless if the estimator has infinite variance, such as
        the mean of Cauchy data.

    Raises:
        ValueError: If `n` is below 1 or `repeats` below 2, an estimate is not finite, the number of
            estimates is not R, or `truth` is neither a number nor has the shape of one estimate.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> normal = lambda shape, rng: rng.normal(size=shape)
        >>> result = simulate(lambda x: np.var(x, axis=1), normal, truth=1.0, n=5, repeats=100_000, rng=rng)
        >>> round(float(result.bias), 2)  # -1 / N
        -0.2
    """
    n, repeats = arguments.integer("n", n, 1), arguments.integer("repeats", repeats, 2)
    estimates = arguments.finite("estimator(data)", estimator(_draw(sample, (repeats, n), rng)))
    if estimates.shape[:1] != (repeats,):
        raise ValueError(
            f"estimator(data) must have shape ({repeats},) or ({repeats}, A), got {estimates.shape}"
        )
    truth = arguments.finite("truth", truth)
    if truth.shape not in ((), estimates.shape[1:]):
        shape = f" or have shape {estimates.shape[1:]}" if estimates.ndim > 1 else ""
        raise ValueError(f"truth must be a number{shape}, got shape {truth.shape}")
    mean, variance = estimates.mean(axis=0), estimates.var(axis=0, ddof=1)
    fourth = np.mean((estimates - mean) ** 4, axis=0)
    return Simulation(
        mean=mean,
        bias=mean - truth,
        variance=variance,
        mean_error=np.sqrt(variance / repeats),
        variance_error=np.sqrt(_variance_of_variance(variance, fourth, repeats)),
    )


def _draw(sample, shape, rng):
    """Returns sample(shape, rng), or sample(rng, shape) for a function of the former order."""
    try:
        return sample(shape, rng)
    except (AttributeError, TypeError, ValueError) as error:
        try:
            data = sample(rng, shape)
        except Exception:
            raise error from None
    warnings.warn("sample(rng, shape) is now called as sample(shape, rng)", DeprecationWarning, stacklevel=3)
    return data


def variance_of_mean(variance, n):
    """Returns sigma^2 / N, the variance of the mean of N examples of any distribution (Eq. 3.3.9).

    Args:
        variance: Variance sigma^2 of one example.
        n: Number N of examples, or an array of numbers.

    Raises:
        ValueError: If `variance` is not positive, `n` is not an integer of at least 1, or they do not
            broadcast.
    """
    variance, n = arguments.positive("variance", variance), arguments.integers("n", n, 1)
    arguments.broadcastable(variance=variance, n=n)
    return variance / n


def variance_bias(variance, n, ddof=0):
    """Returns the bias of sum_i (X_i - mean)^2 / (N - d) as an estimator of sigma^2, for any distribution.

    Its expectation is sigma^2 (N - 1) / (N - d). The naive d = 0 has the bias -sigma^2 / N (Eq. 3.3.7), and
    Bessel's d = 1 is unbiased (Eq. 3.3.8).

    Args:
        variance: Variance sigma^2 of one example.
        n: Number N of examples, or an array of numbers.
        ddof: The d of the divisor N - d, as in `numpy.var`.

    Raises:
        ValueError: If `variance` is not positive, `n` is not an integer of at least 2 and above d, or they do
            not broadcast.
    """
    variance, n = arguments.positive("variance", variance), _sizes(n, ddof)
    arguments.broadcastable(variance=variance, n=n)
    return variance * ((ddof - 1) / (n - ddof))


def variance_of_variance(variance, n, fourth_moment=None, ddof=1):
    """Returns the variance of sum_i (X_i - mean)^2 / (N - d), an estimator of sigma^2 (Eqs. 3.3.10-3.3.14).

    For the unbiased d = 1 and any distribution it is

        mu_4 / N - sigma^4 (N - 3) / (N (N - 1)).

    For a Gaussian, mu_4 = 3 sigma^4, this is the 2 sigma^4 / (N - 1) of Eq. 3.3.14. Another divisor scales it
    by ((N - 1) / (N - d))^2.

    Args:
        variance: Variance sigma^2 of one example.
        n: Number N of examples, or an array of numbers.
        fourth_moment: Fourth central moment mu_4 of one example; `None` for that of a Gaussian.
        ddof: The d of the divisor N - d, as in `numpy.var`.

    Raises:
        ValueError: As in `variance_bias`, if the square of `variance` overflows, or if `fourth_moment` is
            below sigma^4, its minimum for any distribution.
    """
    variance, n = arguments.positive("variance", variance), _sizes(n, ddof)
    with np.errstate(over="ignore"):
        fourth = 3 * variance**2
    arguments.require("variance", variance, np.isfinite(fourth), "have a finite square")
    if fourth_moment is not None:
        fourth = arguments.positive("fourth_moment", fourth_moment)
    arguments.broadcastable(variance=variance, n=n, fourth_moment=fourth)
    variance, fourth = np.broadcast_arrays(variance, fourth)
    possible = fourth >= variance**2 * (1 - 1e-12)
    arguments.require("fourth_moment", fourth, possible, "be at least variance^2")
    return ((n - 1) / (n - ddof)) ** 2 * _variance_of_variance(variance, fourth, n)


def expected_standard_deviation(sigma, n, ddof=1):
    """Returns the expectation of sqrt(sum_i (X_i - mean)^2 / (N - d)) for Gaussian data.

    The square root of the unbiased variance (d = 1) is biased: for N = 2 its expectation is
    sqrt(2 / pi) sigma. By Jensen's inequality, so is the root of any unbiased variance that fluctuates.

    Args:
        sigma: Standard deviation of one example.
        n: Number N of examples, or an array of numbers.
        ddof: The d of the divisor N - d, as in `numpy.std`.

    Raises:
        ValueError: If `sigma` is not positive, `n` is not an integer of at least 2 and above d, or they do
            not broadcast.
    """
    sigma, n = arguments.positive("sigma", sigma), _sizes(n, ddof)
    arguments.broadcastable(sigma=sigma, n=n)
    return sigma * np.sqrt(2 / (n - ddof)) * poch((n - 1) / 2, 1 / 2)


def centering_matrix(n):
    """Returns v = 1 - (1/N) 1 1^T, which subtracts the mean (Eq. 3.3.11).

    Args:
        n: Number N of examples.

    Returns:
        The matrix [N, N], a projection (v^2 = v) with N - 1 eigenvalues 1 and one 0, so that
        sum_i (X_i - mean)^2 = X^T v X.

    Raises:
        ValueError: If `n` is not an integer of at least 1.
    """
    n = arguments.integer("n", n, 1)
    return np.eye(n) - 1 / n


def variance_of_median(law, n):
    """Returns the variance of the median of an odd number of examples, by quadrature.

    The median of N = 2 m + 1 examples is the quantile at a level u with the distribution Beta(m + 1, m + 1).
    For large N the variance is 1 / (4 N p(median)^2): pi / 2 times that of the mean for Gaussian data and
    half of it for Laplace data. For Cauchy data it is finite for N >= 5, unlike that of the mean.

    Args:
        law: A frozen continuous distribution of `scipy.stats` with `ppf` and `isf`.
        n: Number N of examples, odd.

    Returns:
        The variance.

    Raises:
        ValueError: If `n` is not an odd positive integer, `law` is not such a distribution, or the variance
            is infinite.
    """
    n = arguments.integer("n", n, 1)
    if n % 2 == 0:
        raise ValueError(f"n must be odd, got {n}")
    if not all(hasattr(law, name) for name in ("pdf", "ppf", "isf")):
        raise ValueError(f"law must be a frozen continuous distribution of scipy.stats, got {law!r}")
    median = arguments.finite("law.ppf(0.5)", law.ppf(0.5), ndim=0)
    m = (n - 1) / 2

    def moment(power, tolerance):
        def integrand(probability):
            u = betaincinv(m + 1, m + 1, probability)
            return (law.ppf(u) - median) ** power + (law.isf(u) - median) ** power

        return quad(integrand, 0, 0.5, epsabs=tolerance, epsrel=1e-6, limit=200)[0]

    with warnings.catch_warnings(), np.errstate(over="ignore", invalid="ignore"):
        warnings.simplefilter("error", IntegrationWarning)
        try:
            square = moment(2, 0)
            # The mean may vanish, so its tolerance is relative to the root mean square.
            variance = square - moment(1, 1e-6 * np.sqrt(square)) ** 2
        except (IntegrationWarning, OverflowError):
            variance = np.inf
    if not 0 < variance < np.inf:
        raise ValueError(
            f"law must have a median of finite variance for n = {n}, but the quadrature does not converge"
        )
    return variance


def cramer_rao_bound(jacobian, fisher, n=1):
    """Returns the bound J F^-1 J^T / N on the covariance of unbiased estimators of phi(theta), Eq. 3.4.14.

    For every unbiased estimator and every regular model, Cov - J F^-1 J^T / N is positive semidefinite. With
    one parameter this is Eq. 3.4.13. The printed Eq. 3.4.14 is the trace, with the gradient of the estimator,
    which does not depend on theta, in place of the gradient of phi (docs/errata.md).

    For an estimator with bias b(theta), J is the Jacobian of phi + b. This does not bound the squared error,
    which can be below that of all unbiased estimators.

    Args:
        jacobian: d phi^a / d theta^i, [A, P]; for a single phi [P], or a number if P = 1.
        fisher: Fisher matrix F of one example, [P, P], or a number if P = 1.
        n: Number N of independent examples.

    Returns:
        The bound, [A, A], or a number for a single phi.

    Raises:
        ValueError: If `fisher` is not symmetric and positive definite, or the shapes do not match.

    Example:
        >>> sigma = 2.0
        >>> fisher = np.diag([1 / sigma**2, 1 / (2 * sigma**4)])  # of a Gaussian, for (mu, sigma^2)
        >>> np.diag(cramer_rao_bound(np.eye(2), fisher, n=8))  # sigma^2 / N and 2 sigma^4 / N
        array([0.5, 4. ])
    """
    n = arguments.integer("n", n, 1)
    factor = cholesky(arguments.covariance("fisher", fisher), lower=True)
    size, jacobian = len(factor), arguments.finite("jacobian", jacobian)
    if jacobian.ndim > 2 or not jacobian.size or np.atleast_1d(jacobian).shape[-1] != size:
        raise ValueError(f"jacobian must have shape [A, {size}] or [{size}], got {jacobian.shape}")
    # Computing the bound from F = L L^T makes it exactly symmetric.
    root = solve_triangular(factor, np.atleast_2d(jacobian).T, lower=True)
    bound = root.T @ root / n
    return bound if jacobian.ndim == 2 else float(bound[0, 0])


def efficiency(covariance, bound):
    """Returns the efficiency of an estimator, the ratio of the Cramer-Rao bound to its covariance.

    Args:
        covariance: Covariance of the estimator, [A, A], or its variance.
        bound: The bound, of the same shape.

    Returns:
        For numbers, the ratio bound / covariance, 1 if the bound is attained. For matrices, the eigenvalues
        [A] of covariance^-1 bound in ascending order: the first and last are the least and greatest
        efficiency of any linear combination of the A quantities. They do not depend on the units of phi and
        are at most 1 for an unbiased estimator.

    Raises:
        ValueError: If `covariance` is not symmetric and positive definite, `bound` is not symmetric and
            positive semidefinite, or the shapes differ.
    """
    covariance_matrix = arguments.covariance("covariance", covariance)
    bound_matrix = arguments.covariance("bound", bound, definite=False)
    arguments.same_shape(covariance=covariance, bound=bound)
    if np.ndim(bound) == 0:
        return float(bound_matrix[0, 0] / covariance_matrix[0, 0])
    return eigh(bound_matrix, covariance_matrix, eigvals_only=True)


def james_stein(x, variance=1.0):
    """Returns the James-Stein estimate of the mean of a Gaussian in three or more dimensions.

        (1 - (D - 2) sigma^2 / |x|^2) x

    It is biased towards the origin. For every mean its mean squared error is below the D sigma^2 of the
    unbiased x, which attains the Cramer-Rao bound: biased estimators are not subject to that bound.

    Args:
        x: One observation of all D coordinates, or the mean of several, [..., D].
        variance: Variance sigma^2 of each coordinate, a number.

    Returns:
        The estimate, [..., D].

    Raises:
        ValueError: If D is below 3, `variance` is not positive, or an observation is zero or so small that
            the estimate overflows.

    References:
        James and Stein, "Estimation with quadratic loss" (1961).
    """
    x = arguments.finite("x", x)
    if x.ndim == 0 or x.shape[-1] < 3:
        raise ValueError(f"x must have at least 3 coordinates on its last axis, got shape {x.shape}")
    variance = arguments.positive("variance", variance, ndim=0)
    size = np.max(np.abs(x), axis=-1, keepdims=True)
    with np.errstate(all="ignore"):
        unit = x / size
        shift = (x.shape[-1] - 2) * (variance / size) * (unit / np.sum(unit**2, axis=-1, keepdims=True))
    bad = ~np.isfinite(shift).all(axis=-1)
    if bad.any():
        raise ValueError(
            f"x{arguments.first_index(bad)} must be far enough from the origin for a finite estimate"
        )
    return x - shift


def _sizes(n, ddof):
    """Returns `n` as a float64 array after checking that the divisor N - d is positive."""
    n, ddof = arguments.integers("n", n, 2), arguments.finite("ddof", ddof, ndim=0)
    arguments.require("n", n, n > ddof, f"be above ddof = {ddof:g}")
    return n


def _variance_of_variance(variance, fourth, n):
    # This form of Eq. 3.3.10 does not lose digits to cancellation when mu_4 is near its minimum, sigma^4.
    return (fourth - variance**2) / n + 2 * variance**2 / (n * (n - 1))
