"""The Cramer-Rao bound of `theory.estimators`: estimators that attain it, miss it, and beat it.

Oracles: all data sets of a small discrete model, quadrature, SciPy's distributions. Simulated experiments
have a tolerance of 5 of their own standard errors.
"""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import cauchy, gamma, norm, poisson, uniform

from curvezoo.theory import cumulants, estimators, fisher


def simulate(estimator, law, truth, n, repeats=40_000, seed=0):
    """Simulates an estimator on samples of a distribution of SciPy."""

    def sample(shape, rng):
        return law.rvs(size=shape, random_state=rng)

    return estimators.simulate(estimator, sample, truth, n, repeats, np.random.default_rng(seed))


def expectation(statistic, p, n):
    """Returns the expectation of a statistic of n rolls of a loaded die, over all len(p)^n data sets."""
    rolls = np.array(list(product(range(len(p)), repeat=n)))
    return np.tensordot(np.prod(np.asarray(p)[rolls], axis=1), np.asarray(statistic(rolls)), axes=(0, 0))


def second_cumulants(values, p):
    """Returns the variances and the covariance of two variables."""
    k = cumulants.cumulants_from_moments(cumulants.moments(values, 2, p))
    return k[2, 0], k[0, 2], k[1, 1]


@pytest.mark.equation("3.4.8")
@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.lists(
        st.tuples(st.floats(-9, 9), st.floats(-9, 9), st.floats(0.01, 1)),
        min_size=2,
        max_size=6,
        unique_by=(lambda t: round(t[0], 3), lambda t: round(t[1], 3)),
    )
)
def test_a_covariance_is_bounded_by_the_variances(outcomes):
    a, b, p = np.array(outcomes).T
    p = p / p.sum()
    centered = np.stack([a - p @ a, b - p @ b, 3 * (a - p @ a)], axis=1)
    aa, bb, ab = second_cumulants(centered[:, [0, 1]], p)
    assert ab**2 <= aa * bb * (1 + 1e-9)
    # Proportional variables give equality.
    aa, bb, ab = second_cumulants(centered[:, [0, 2]], p)
    assert ab**2 == pytest.approx(aa * bb, rel=1e-9)


def bernoulli_score(rolls, p):
    """Returns the scores of data sets of coin flips."""
    return np.sum(rolls / p - (1 - rolls) / (1 - p), axis=1)


@pytest.mark.equation("3.4.9")
@pytest.mark.equation("3.4.10")
@pytest.mark.equation("3.4.11")
@pytest.mark.equation("3.4.12")
@pytest.mark.equation("3.4.13")
def test_the_cramer_rao_argument_is_exact_for_coins():
    p, n, h = 0.3, 4, 1e-5
    chances = np.array([1 - p, p])

    def log_likelihood(rolls, p):
        return np.sum(np.log(np.where(rolls == 1, p, 1 - p)), axis=1)

    rolls = np.array(list(product(range(2), repeat=n)))
    difference = (log_likelihood(rolls, p + h) - log_likelihood(rolls, p - h)) / (2 * h)
    np.testing.assert_allclose(bernoulli_score(rolls, p), difference, rtol=1e-6)
    assert expectation(lambda r: bernoulli_score(r, p), chances, n) == pytest.approx(0, abs=1e-13)
    fisher = expectation(lambda r: bernoulli_score(r, p) ** 2, chances, n)
    assert fisher == pytest.approx(n / (p * (1 - p)), rel=1e-12)
    for statistic, phi, slope in (
        (lambda r: r.mean(axis=1), p, 1.0),
        (lambda r: r[:, 0] * r[:, 1], p**2, 2 * p),
        (lambda r: r[:, 0] * (1 - r[:, -1]), p * (1 - p), 1 - 2 * p),
    ):
        assert expectation(statistic, chances, n) == pytest.approx(phi, rel=1e-12)
        covariance = expectation(lambda r, s=statistic: s(r) * bernoulli_score(r, p), chances, n)
        assert covariance == pytest.approx(slope, rel=1e-12)
        variance = expectation(lambda r, s=statistic: s(r) ** 2, chances, n) - phi**2
        bound = estimators.cramer_rao_bound(slope, 1 / (p * (1 - p)), n)
        assert bound == pytest.approx(slope**2 / fisher, rel=1e-12)
        # Only the mean is proportional to the score, so only the mean attains the bound.
        efficiency = estimators.efficiency(variance, bound)
        assert efficiency <= 1 + 1e-12
        assert (efficiency > 0.9) == (slope == 1.0)


@pytest.mark.equation("3.4.10")
def test_the_mean_score_vanishes_unless_the_support_depends_on_theta():
    theta, outcomes = [0.3, 1.2, -0.4], np.arange(3)

    def softmax(k, theta):
        return (theta - np.log(np.sum(np.exp(theta))))[np.asarray(k, int)]

    scores = fisher.score(softmax, outcomes, theta)
    np.testing.assert_allclose(np.exp(softmax(outcomes, np.array(theta))) @ scores, 0, atol=1e-8)
    counts = np.arange(100)
    scores = fisher.score(lambda k, t: poisson.logpmf(k, t[0]), counts, [4.0])[:, 0]
    assert poisson.pmf(counts, 4.0) @ scores == pytest.approx(0, abs=1e-8)
    # The mean of another function of the data does not vanish.
    assert poisson.pmf(counts, 4.0) @ (counts * scores) == pytest.approx(1, rel=1e-6)
    # Uniform on (0, theta): the score is -1/theta wherever the density is positive.
    x = np.linspace(0.1, 1.9, 10)
    scores = fisher.score(lambda x, t: np.full(len(x), -np.log(t[0])), x, [2.0])
    np.testing.assert_allclose(scores, -1 / 2, rtol=1e-6)


@pytest.mark.equation("3.4.10")
def test_a_support_that_depends_on_theta_allows_variances_below_the_bound():
    # Uniform on (0, theta): S = -1/theta on the support, which gives <S^2> = 1/theta^2.
    theta, n = 2.0, 10
    result = simulate(lambda x: (n + 1) / n * x.max(axis=1), uniform(0, theta), theta, n)
    assert abs(result.bias) < 5 * result.mean_error
    assert result.variance == pytest.approx(theta**2 / (n * (n + 2)), abs=5 * result.variance_error)
    assert estimators.cramer_rao_bound(1, 1 / theta**2, n) == pytest.approx(theta**2 / n, rel=1e-12)
    assert result.variance + 5 * result.variance_error < 0.1 * estimators.cramer_rao_bound(1, 1 / theta**2, n)


@pytest.mark.equation("3.4.14")
def test_the_matrix_bound_is_valid_for_a_die_and_its_trace_is_the_printed_one():
    p, n = np.array([0.2, 0.3, 0.5]), 4
    # theta = (p_0, p_1), p_2 = 1 - p_0 - p_1.
    fisher = np.diag(1 / p[:2]) + 1 / p[2]

    def score(rolls):
        counts = np.stack([(rolls == k).sum(axis=1) for k in range(3)], axis=1)
        return counts[:, :2] / p[:2] - counts[:, 2:] / p[2]

    def estimate(rolls):
        return np.stack([(rolls == 0).mean(axis=1), (rolls[:, 0] == 0) * (rolls[:, 1] == 1)], axis=1)

    phi = np.array([p[0], p[0] * p[1]])
    jacobian = np.array([[1.0, 0.0], [p[1], p[0]]])
    np.testing.assert_allclose(expectation(estimate, p, n), phi, rtol=1e-12)
    second = expectation(lambda r: score(r)[:, :, None] * score(r)[:, None, :], p, n)
    np.testing.assert_allclose(second, n * fisher, rtol=1e-12)
    covariance_with_score = expectation(lambda r: estimate(r)[:, :, None] * score(r)[:, None, :], p, n)
    np.testing.assert_allclose(covariance_with_score, jacobian, atol=1e-14)
    covariance = expectation(lambda r: estimate(r)[:, :, None] * estimate(r)[:, None, :], p, n)
    covariance = covariance - np.outer(phi, phi)
    bound = estimators.cramer_rao_bound(jacobian, fisher, n)
    np.testing.assert_allclose(bound, jacobian @ np.linalg.inv(n * fisher) @ jacobian.T, rtol=1e-12)
    assert np.linalg.eigvalsh(covariance - bound).min() > -1e-14
    assert np.trace(covariance) > np.trace(bound)
    efficiencies = estimators.efficiency(covariance, bound)
    # The frequency of a face attains its bound, the product of two rolls does not.
    assert bound[0, 0] == pytest.approx(covariance[0, 0], rel=1e-12)
    assert efficiencies[0] < 0.6
    assert efficiencies[-1] == pytest.approx(1, rel=1e-10)
    # The efficiencies do not depend on the units of phi.
    a = np.array([[3.0, 1.0], [-40.0, 0.2]])
    np.testing.assert_allclose(
        estimators.efficiency(a @ covariance @ a.T, a @ bound @ a.T), efficiencies, rtol=1e-9
    )


@pytest.mark.equation("3.4.14")
def test_bounds_along_the_eigenvectors_of_fisher_are_not_sufficient():
    # phi is the sum of two means of unit Gaussians. Each axis alone gives a bound of 1; the true bound is 2,
    # and the plain sum attains it.
    gradient, fisher = np.array([1.0, 1.0]), np.eye(2)
    axes = [estimators.cramer_rao_bound(g, 1.0) for g in gradient]
    bound = estimators.cramer_rao_bound(gradient, fisher)
    assert max(axes) == 1.0
    assert bound == pytest.approx(2.0, rel=1e-14)
    result = simulate(lambda x: x.sum(axis=1), norm(), 0.0, 2)
    assert result.variance == pytest.approx(bound, abs=5 * result.variance_error)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 4))
def test_no_linear_unbiased_estimator_beats_the_matrix_bound(seed, parameters, quantities):
    # y_k = theta + noise of covariance C has F = C^-1. The estimate sum_k W_k y_k has J = sum_k W_k.
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(parameters, parameters)) + 3 * np.eye(parameters)
    c = root @ root.T
    weights = rng.normal(size=(3, quantities, parameters))
    jacobian = weights.sum(axis=0)
    covariance = sum(w @ c @ w.T for w in weights)
    bound = estimators.cramer_rao_bound(jacobian, np.linalg.inv(c), 3)
    assert np.linalg.eigvalsh(covariance - bound).min() > -1e-9 * np.trace(covariance)


def test_the_gaussian_mean_attains_the_bound_and_the_unbiased_variance_does_not():
    sigma, n = 1.5, 7
    fisher = np.diag([1 / sigma**2, 1 / (2 * sigma**4)])
    bound = estimators.cramer_rao_bound(np.eye(2), fisher, n)
    np.testing.assert_allclose(bound, np.diag([sigma**2 / n, 2 * sigma**4 / n]), rtol=1e-14)
    law = norm(0.4, sigma)
    result = simulate(lambda x: np.stack([x.mean(1), x.var(1, ddof=1)], 1), law, [0.4, sigma**2], n)
    assert np.all(np.abs(result.bias) < 5 * result.mean_error)
    assert result.variance[0] == pytest.approx(bound[0, 0], abs=5 * result.variance_error[0])
    assert result.variance[1] > bound[1, 1] + 5 * result.variance_error[1]
    efficiency = estimators.efficiency(estimators.variance_of_variance(sigma**2, n), bound[1, 1])
    assert efficiency == pytest.approx((n - 1) / n, rel=1e-12)
    # If the mean is known, the mean squared deviation from it attains the bound.
    known_mean = simulate(lambda x: np.mean((x - 0.4) ** 2, axis=1), law, sigma**2, n)
    assert known_mean.variance == pytest.approx(bound[1, 1], abs=5 * known_mean.variance_error)


def test_the_median_of_a_gaussian_wastes_a_third_of_the_data():
    efficiency = estimators.efficiency(estimators.variance_of_median(norm(), 10_001), 1 / 10_001)
    assert efficiency == pytest.approx(2 / np.pi, rel=1e-3)


def test_the_mean_of_cauchy_data_is_distributed_as_one_example():
    x = cauchy.rvs(size=(20_000, 50), random_state=5)
    quartiles = np.quantile(x.mean(axis=1), [0.25, 0.75])
    # The standard error of a quartile is sqrt(3/16 / R) / p(1) with p(1) = 1 / (2 pi).
    np.testing.assert_allclose(quartiles, [-1, 1], atol=5 * np.sqrt(3 / 16 / 20_000) * 2 * np.pi)
    # The median has a finite variance and for large N the efficiency 8 / pi^2 of the bound 2 / N.
    efficiency = estimators.efficiency(estimators.variance_of_median(cauchy(), 10_001), 2 / 10_001)
    assert efficiency == pytest.approx(8 / np.pi**2, rel=1e-3)


@pytest.mark.parametrize("n", [2, 5, 50])
def test_biased_variances_have_a_squared_error_below_the_bound(n):
    sigma = 1.3
    bound = estimators.cramer_rao_bound(1.0, 1 / (2 * sigma**4), n)

    def squared_error(ddof):
        bias = estimators.variance_bias(sigma**2, n, ddof)
        return bias**2 + estimators.variance_of_variance(sigma**2, n, ddof=ddof)

    assert squared_error(0) == pytest.approx((2 * n - 1) / n**2 * sigma**4, rel=1e-12)
    assert squared_error(-1) == pytest.approx(2 * sigma**4 / (n + 1), rel=1e-12)
    assert squared_error(-1) < squared_error(0) < bound < squared_error(1)
    # The bound with the bias included in the Jacobian is satisfied.
    biased_bound = estimators.cramer_rao_bound((n - 1) / n, 1 / (2 * sigma**4), n)
    assert estimators.variance_of_variance(sigma**2, n, ddof=0) > biased_bound


@pytest.mark.parametrize("size", [1e-200, 1e-3, 1e200])
def test_james_stein_is_accurate_in_any_unit(size):
    x = size * np.array([2.0, 0.0, -1.0])
    # The factor is 1 - sigma^2 / |x|^2, where |x|^2 may overflow or underflow.
    shrunk = estimators.james_stein(x, 1e-100)
    np.testing.assert_allclose(shrunk, x - 1e-100 / size * np.array([2.0, 0.0, -1.0]) / 5, rtol=1e-14)


@pytest.mark.parametrize("length", [0.0, 1.0, 4.0])
def test_james_stein_beats_the_unbiased_estimate_for_every_mean(length):
    d = 6
    mean = np.full(d, length / np.sqrt(d))
    k = np.arange(200)
    # The risk is D - (D - 2)^2 <1 / |x|^2> (Stein), and |x|^2 has a noncentral chi-square distribution.
    inverse = np.sum(poisson.pmf(k, length**2 / 2) / (d - 2 + 2 * k))
    exact = d - (d - 2) ** 2 * inverse

    def error(x):
        return np.sum((estimators.james_stein(mean + x) - mean) ** 2, axis=1)

    result = simulate(error, norm(), 0.0, d)
    assert result.mean == pytest.approx(exact, abs=5 * result.mean_error)
    bound = np.trace(estimators.cramer_rao_bound(np.eye(d), np.eye(d)))
    assert result.mean + 5 * result.mean_error < bound


def test_the_mle_of_an_exponential_rate_is_biased_and_misses_the_bound():
    rate, n = 2.0, 5
    total = gamma(n, scale=1 / rate)
    mean = quad(lambda s: n / s * total.pdf(s), 0, np.inf)[0]
    assert mean == pytest.approx(rate * n / (n - 1), rel=1e-8)
    variance = quad(lambda s: ((n - 1) / s - rate) ** 2 * total.pdf(s), 0, np.inf)[0]
    assert variance == pytest.approx(rate**2 / (n - 2), rel=1e-7)
    bound = estimators.cramer_rao_bound(1.0, 1 / rate**2, n)
    assert estimators.efficiency(variance, bound) == pytest.approx((n - 2) / n, rel=1e-7)
    # The estimate is not proportional to the score N / rate - s.
    covariance = quad(lambda s: n / s * (n / rate - s) * total.pdf(s), 0, np.inf)[0]
    mle_variance = (n / (n - 1)) ** 2 * variance
    assert covariance**2 / (mle_variance * n / rate**2) == pytest.approx((n - 2) / n, rel=1e-7)
    # The estimate of the mean lifetime 1 / rate is: it is unbiased and attains its bound.
    lifetime_bound = estimators.cramer_rao_bound(-1 / rate**2, 1 / rate**2, n)
    assert estimators.efficiency(1 / (rate**2 * n), lifetime_bound) == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: estimators.cramer_rao_bound([1.0, 0.0], np.ones((2, 2))),
            "fisher must be positive definite",
        ),
        (lambda: estimators.cramer_rao_bound(1.0, -1.0), "fisher must be positive, got -1"),
        (lambda: estimators.cramer_rao_bound(1.0, 0.0), "fisher must be positive, got 0"),
        (
            lambda: estimators.cramer_rao_bound(np.zeros((0, 0)), np.zeros((0, 0))),
            r"fisher must be a square matrix, got shape \(0, 0\)",
        ),
        (lambda: estimators.cramer_rao_bound(np.zeros((0, 2)), np.eye(2)), r"jacobian must have shape"),
        (
            lambda: estimators.cramer_rao_bound([1, 0], [[1, 0.5], [0, 1]]),
            r"symmetric, which fails at \[0, 1\]",
        ),
        (lambda: estimators.cramer_rao_bound(1.0, [1.0, 2.0]), "fisher must be a square matrix"),
        (
            lambda: estimators.cramer_rao_bound([1, 2, 3], np.eye(2)),
            r"jacobian must have shape \[A, 2\] or \[2\]",
        ),
        (lambda: estimators.cramer_rao_bound([np.nan, 0.0], np.eye(2)), r"jacobian\[0\] must be finite"),
        (lambda: estimators.cramer_rao_bound(1.0, 1.0, 0), "n must be an integer of at least 1, got 0"),
        (lambda: estimators.efficiency(0.0, 1.0), "covariance must be positive, got 0"),
        (lambda: estimators.efficiency(np.eye(2), 1.0), "covariance and bound must have the same shape"),
        (lambda: estimators.efficiency(np.eye(2), [[1, 5], [0, 1]]), "bound must be symmetric"),
        (lambda: estimators.efficiency(np.eye(2), [[1, 5], [5, 1]]), "bound must be positive semidefinite"),
        (lambda: estimators.efficiency(1.0, -1.0), "bound must not be negative, got -1"),
        (lambda: estimators.james_stein(np.ones(4), [1.0, 2.0]), "variance must be a number"),
        (lambda: estimators.james_stein([1.0, 2.0]), "x must have at least 3 coordinates"),
        (
            lambda: estimators.james_stein([[1.0, 2, 3], [0, 0, 0]]),
            r"x\[1\] must be far enough from the origin",
        ),
    ],
)
def test_invalid_arguments_raise_errors_that_name_them(call, message):
    with pytest.raises(ValueError, match=message):
        call()
