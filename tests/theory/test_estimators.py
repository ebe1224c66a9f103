"""Oracles: all data sets of a small discrete model, Gauss-Hermite moments, quadrature, SciPy's distributions.

Simulated experiments have a tolerance of 5 of their own standard errors.
"""

from itertools import product

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import cauchy, chi2, expon, laplace, norm, pareto, poisson, uniform

from curvezoo.theory import cumulants, estimators, families, fisher
from curvezoo.theory.likelihood import maximum_likelihood

LAWS = {
    "normal": norm(1.5, 2.0),
    "exponential": expon(scale=0.7),
    "uniform": uniform(-1, 4),
    "laplace": laplace(0.3, 1.2),
}


def draw(law):
    """Returns a function that draws samples from a distribution of SciPy."""
    return lambda shape, rng: law.rvs(size=shape, random_state=rng)


def fourth_moment(law):
    """Returns the fourth central moment of a distribution of SciPy."""
    return (law.stats("k") + 3) * law.var() ** 2


def simulate(estimator, law, truth, n, repeats=40_000, seed=0):
    """Simulates an estimator on samples of a distribution of SciPy."""
    rng = np.random.default_rng(seed)
    return estimators.simulate(estimator, draw(law), truth, n, repeats, rng)


def expectation(statistic, p, n):
    """Returns the expectation of a statistic of n rolls of a loaded die, over all len(p)^n data sets."""
    rolls = np.array(list(product(range(len(p)), repeat=n)))
    return np.tensordot(np.prod(np.asarray(p)[rolls], axis=1), np.asarray(statistic(rolls)), axes=(0, 0))


def die_variance(rolls, ddof):
    """Returns the sample variances of rolls of the loaded die."""
    return np.var(VALUES[rolls], axis=1, ddof=ddof)


VALUES = np.array([-1.0, 0.5, 3.0])
CHANCES = np.array([0.5, 0.3, 0.2])
DIE_MEAN = CHANCES @ VALUES
DIE_VARIANCE = CHANCES @ (VALUES - DIE_MEAN) ** 2
DIE_FOURTH = CHANCES @ (VALUES - DIE_MEAN) ** 4


def log_gaussian(x, theta):
    """Returns the logarithm of Eq. 3.3.3."""
    mu, sigma = theta
    return -((x - mu) ** 2) / (2 * sigma**2) - np.log(sigma * np.sqrt(2 * np.pi))


@pytest.mark.equation("3.3.3")
def test_the_gaussian_of_the_notes_is_normalized():
    theta = -0.7, 2.5
    total, first, second = cumulants.density_moments(lambda x: np.exp(log_gaussian(x, theta)), 2)
    assert total == pytest.approx(1, rel=1e-9)
    assert first == pytest.approx(theta[0], rel=1e-9)
    assert second - first**2 == pytest.approx(theta[1] ** 2, rel=1e-9)
    # The quadrature raises an error for a density that does not integrate to one.
    np.testing.assert_allclose(
        fisher.by_quadrature(log_gaussian, theta), families.gaussian(theta), rtol=1e-8, atol=1e-8
    )


@pytest.mark.equation("3.4.16")
@pytest.mark.parametrize("sigma", [0.3, 2.5])
def test_the_regression_likelihood_is_normalized_by_sigma_and_not_its_root(sigma):
    def moments(log_density):
        return cumulants.density_moments(lambda y: np.exp(log_density(y, [0.0, sigma])), 2)

    def printed(y, theta):
        return log_gaussian(y, theta) + np.log(theta[1]) / 2

    np.testing.assert_allclose(moments(log_gaussian), [1, 0, sigma**2], rtol=1e-9, atol=1e-12)
    with pytest.raises(ValueError, match=f"must integrate to 1 .*got {np.sqrt(sigma):.9g}"):
        moments(printed)
    # The printed likelihood has log(sigma) / 2 in place of log(sigma), which doubles the estimated variance.
    y = np.random.default_rng(0).normal(1.0, sigma, 50)
    start = [0.0, 2 * sigma]
    assert maximum_likelihood(log_gaussian, y, start).parameters[1] == pytest.approx(y.std(), rel=1e-6)
    assert maximum_likelihood(printed, y, start).parameters[1] ** 2 == pytest.approx(2 * y.var(), rel=1e-6)


@pytest.mark.equation("3.3.1")
@pytest.mark.equation("3.3.2")
def test_a_simulation_finds_the_exact_bias_and_variance():
    # The largest of n uniform numbers has the distribution Beta(n, 1).
    n = 6
    result = simulate(lambda x: x.max(axis=1), uniform(), 1.0, n)
    assert result.mean == pytest.approx(n / (n + 1), abs=5 * result.mean_error)
    assert result.bias == pytest.approx(-1 / (n + 1), abs=5 * result.mean_error)
    assert result.variance == pytest.approx(n / ((n + 1) ** 2 * (n + 2)), abs=5 * result.variance_error)


def test_standard_errors_of_a_simulation_match_the_spread_of_simulations():
    results = [simulate(lambda x: x[:, 0], expon(), 1.0, 1, repeats=400, seed=s) for s in range(600)]
    for value, error in (("mean", "mean_error"), ("variance", "variance_error")):
        spread = np.std([getattr(r, value) for r in results])
        # The relative standard error of the spread of 600 simulations is at most 0.1 for these tails.
        assert np.sqrt(np.mean([getattr(r, error) ** 2 for r in results])) == pytest.approx(spread, rel=0.2)


def test_several_quantities_can_be_simulated_together():
    law = norm(2.0, 3.0)
    both = simulate(lambda x: np.stack([x.mean(1), x.var(1)], axis=1), law, [2.0, 9.0], 5)
    assert both.bias.shape == both.variance_error.shape == (2,)
    expected = [0.0, estimators.variance_bias(9.0, 5)]
    np.testing.assert_array_less(np.abs(both.bias - expected), 5 * both.mean_error)


@pytest.mark.equation("3.3.4")
@pytest.mark.equation("3.3.5")
@pytest.mark.equation("3.3.9")
@pytest.mark.parametrize("n", [1, 2, 5])
def test_the_mean_is_unbiased_with_variance_sigma_squared_over_n(n):
    first = expectation(lambda rolls: VALUES[rolls].mean(axis=1), CHANCES, n)
    second = expectation(lambda rolls: VALUES[rolls].mean(axis=1) ** 2, CHANCES, n)
    assert first == pytest.approx(DIE_MEAN, rel=1e-13)
    assert second - first**2 == pytest.approx(estimators.variance_of_mean(DIE_VARIANCE, n), rel=1e-12)
    for law in LAWS.values():
        result = simulate(lambda x: x.mean(axis=1), law, law.mean(), n)
        assert abs(result.bias) < 5 * result.mean_error
        assert result.variance == pytest.approx(law.var() / n, abs=5 * result.variance_error)


@pytest.mark.equation("3.3.6")
@pytest.mark.equation("3.3.7")
@pytest.mark.equation("3.3.8")
@pytest.mark.parametrize("n", [2, 3, 6])
@pytest.mark.parametrize("ddof", [-1, 0, 1])
def test_bessels_factor_is_exact_for_a_loaded_die(n, ddof):
    mean = expectation(lambda rolls: die_variance(rolls, ddof), CHANCES, n)
    bias = estimators.variance_bias(DIE_VARIANCE, n, ddof)
    assert mean - DIE_VARIANCE == pytest.approx(bias, abs=1e-12)
    assert (bias == 0) == (ddof == 1)
    if ddof == 0:
        assert bias == pytest.approx(-DIE_VARIANCE / n, rel=1e-12)


@pytest.mark.equation("3.3.7")
@pytest.mark.parametrize("n", [2, 3, 8])
def test_the_cross_terms_of_the_naive_variance_have_the_corrected_factor(n):
    x = np.random.default_rng(n).normal(1.0, 2.0, n)
    squares = np.sum(x**2)
    cross = np.sum(x) ** 2 - squares  # Over ordered pairs with i != j.
    corrected = ((1 + n / n**2 - 2 / n) * squares + (n / n**2 - 2 / n) * cross) / n
    printed = ((1 + n / n**2 - 2 / n) * squares + (2 / n**2 - 2 / n) * cross) / n
    assert corrected == pytest.approx(np.var(x), rel=1e-12)
    # The printed 2 / N^2 equals N / N^2 for two examples only.
    assert (printed == pytest.approx(np.var(x), rel=1e-6)) == (n == 2)
    # Expectations of the squares, N (sigma^2 + mu^2), and of the cross terms, N (N - 1) mu^2, give the bias.
    variance, mean = 4.0, 1.0
    expected = (1 - 1 / n) * (variance + mean**2) - (n - 1) / n * mean**2
    assert estimators.variance_bias(variance, n) == pytest.approx(expected - variance, rel=1e-12)


@pytest.mark.equation("3.3.7")
@pytest.mark.equation("3.3.8")
@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_bessels_factor_removes_the_bias_for_any_distribution(law):
    for ddof in (0, 1):
        result = simulate(lambda x, d=ddof: np.var(x, axis=1, ddof=d), law, law.var(), 4)
        assert result.bias == pytest.approx(
            estimators.variance_bias(law.var(), 4, ddof), abs=5 * result.mean_error
        )


def test_the_naive_variance_is_too_large_in_a_third_of_all_samples():
    n = 10
    x = norm.rvs(size=(20_000, n), random_state=3)
    above = np.mean(np.var(x, axis=1) > 1)
    exact = chi2(n - 1).sf(n)
    assert 0.3 < exact < 0.4
    assert above == pytest.approx(exact, abs=5 * np.sqrt(exact * (1 - exact) / 20_000))


def test_unbiased_and_consistent_do_not_imply_each_other():
    # The first example alone is an unbiased estimator of the mean with a variance independent of n.
    sizes = np.array([10, 1000])
    first = [simulate(lambda x: x[:, 0], norm(), 0.0, int(n), 2000) for n in sizes]
    assert all(abs(r.bias) < 5 * r.mean_error for r in first)
    assert all(abs(r.variance - 1) < 5 * r.variance_error for r in first)
    # The naive variance is biased, and its squared error tends to zero.
    error = estimators.variance_bias(1.0, sizes) ** 2 + estimators.variance_of_variance(1.0, sizes, ddof=0)
    np.testing.assert_allclose(error, (2 * sizes - 1) / sizes**2, rtol=1e-12)


@pytest.mark.parametrize("n", [2, 3, 30, 2000])
def test_the_root_of_the_unbiased_variance_is_too_small(n):
    # s sqrt(N - 1) / sigma has the chi distribution.
    density = chi2(n - 1).pdf
    exact = quad(lambda q: np.sqrt(q / (n - 1)) * density(q), 0, n, limit=200)[0]
    exact += quad(lambda q: np.sqrt(q / (n - 1)) * density(q), n, n + 60 * np.sqrt(n), limit=200)[0]
    assert estimators.expected_standard_deviation(3.0, n) == pytest.approx(3 * exact, rel=1e-6)
    assert estimators.expected_standard_deviation(3.0, n) < 3


@pytest.mark.parametrize("n", [10**5, 10**9, 10**12, 10**17])
def test_closed_forms_are_accurate_for_large_samples(n):
    # The next term in the expansion of the ratio of Gamma functions is 1 / (32 N^2).
    root = estimators.expected_standard_deviation(3.0, n)
    assert root == pytest.approx(3 * (1 - 1 / (4 * (n - 1))), rel=1e-15 + 1 / n**2)
    assert estimators.variance_bias(2.0, n) == pytest.approx(-2 / n, rel=1e-14)
    # A fair coin has the least possible fourth moment, for which the term of order 1 / N vanishes.
    coin = estimators.variance_of_variance(1.0, n, fourth_moment=1.0)
    assert coin == pytest.approx(2 / (n * (n - 1)), rel=1e-14)


def gaussian_fourth_moments(mean, sigma, n):
    """Returns <x_a x_b x_c x_d> of independent Gaussians, exactly, by Gauss-Hermite quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(8)
    powers = [weights @ (mean + sigma * nodes) ** k / np.sqrt(2 * np.pi) for k in range(5)]
    moments = np.empty((n,) * 4)
    for index in np.ndindex(*moments.shape):
        moments[index] = np.prod([powers[k] for k in np.unique(index, return_counts=True)[1]])
    return moments


@pytest.mark.equation("3.3.11")
def test_the_squared_variance_is_a_product_of_four_centering_matrices():
    n = 5
    x = np.random.default_rng(1).normal(2.0, 1.5, n)
    v = estimators.centering_matrix(n)
    contracted = np.einsum("ia,ib,jc,jd,a,b,c,d", v, v, v, v, x, x, x, x) / (n - 1) ** 2
    assert contracted == pytest.approx(np.var(x, ddof=1) ** 2, rel=1e-12)
    np.testing.assert_allclose(np.linalg.eigvalsh(v), [0, 1, 1, 1, 1], atol=1e-12)
    np.testing.assert_allclose(v @ x, x - x.mean(), atol=1e-12)


@pytest.mark.equation("3.3.12")
@pytest.mark.equation("3.3.13")
@pytest.mark.parametrize("mean", [0.0, 1.3])
def test_pairings_give_the_gaussian_fourth_moment_and_the_mean_cancels(mean):
    n, sigma = 4, 0.8
    one = np.eye(n)
    pairings = sum(np.einsum(s, one, one) for s in ("ab,cd->abcd", "ac,bd->abcd", "ad,bc->abcd")) * sigma**4
    moments = gaussian_fourth_moments(mean, sigma, n)
    assert (mean == 0) == np.allclose(moments, pairings, rtol=1e-12)
    v = estimators.centering_matrix(n)
    contract = "ia,ib,jc,jd,abcd"
    contracted = np.einsum(contract, v, v, v, v, moments)
    assert contracted == pytest.approx(np.einsum(contract, v, v, v, v, pairings), rel=1e-12)
    traces = np.trace(v @ v) ** 2 + 2 * np.trace(v @ v @ v @ v)
    assert contracted == pytest.approx(sigma**4 * traces, rel=1e-12)
    assert traces == pytest.approx((n - 1) ** 2 + 2 * (n - 1), rel=1e-12)
    assert contracted / (n - 1) ** 2 == pytest.approx((1 + 2 / (n - 1)) * sigma**4, rel=1e-12)


@pytest.mark.equation("3.3.10")
@pytest.mark.parametrize("n", [2, 3, 6])
@pytest.mark.parametrize("ddof", [0, 1])
def test_the_variance_of_the_variance_is_exact_for_a_loaded_die(n, ddof):
    first = expectation(lambda rolls: die_variance(rolls, ddof), CHANCES, n)
    second = expectation(lambda rolls: die_variance(rolls, ddof) ** 2, CHANCES, n)
    ours = estimators.variance_of_variance(DIE_VARIANCE, n, DIE_FOURTH, ddof)
    assert ours == pytest.approx(second - first**2, rel=1e-11)


@pytest.mark.equation("3.3.14")
@pytest.mark.parametrize("n", [2, 5, 100])
def test_the_variance_of_a_gaussian_sample_variance_is_that_of_chi_square(n):
    sigma = 1.7
    ours = estimators.variance_of_variance(sigma**2, n)
    assert ours == pytest.approx(2 * sigma**4 / (n - 1), rel=1e-12)
    assert ours == pytest.approx((sigma**2 / (n - 1)) ** 2 * chi2(n - 1).var(), rel=1e-12)


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_the_variance_of_the_variance_depends_on_the_fourth_moment(law):
    result = simulate(lambda x: np.var(x, axis=1, ddof=1), law, law.var(), 6)
    ours = estimators.variance_of_variance(law.var(), 6, fourth_moment(law))
    assert result.variance == pytest.approx(ours, abs=5 * result.variance_error)
    gaussian = abs(ours / estimators.variance_of_variance(law.var(), 6) - 1) < 1e-12
    assert gaussian == (law is LAWS["normal"])


@pytest.mark.parametrize("law", [norm(1.0, 2.0), laplace(0.0, 1.5), cauchy(3.0, 0.5)])
def test_the_variance_of_the_median_matches_simulations_and_its_limit(law):
    result = simulate(lambda x: np.median(x, axis=1), law, law.median(), 15)
    ours = estimators.variance_of_median(law, 15)
    assert result.variance == pytest.approx(ours, abs=5 * result.variance_error)
    n = 40_001
    limit = 1 / (4 * n * law.pdf(law.median()) ** 2)
    # The next term is of order 1/N, or 1/sqrt(N) at the kink of the Laplace density.
    assert estimators.variance_of_median(law, n) == pytest.approx(limit, rel=0.01)


def test_the_variance_of_the_median_of_one_and_three_examples():
    assert estimators.variance_of_median(norm(0, 3), 1) == pytest.approx(9, rel=1e-8)
    # The median of three uniform numbers has the distribution Beta(2, 2).
    assert estimators.variance_of_median(uniform(), 3) == pytest.approx(1 / 20, rel=1e-10)
    for n in (1, 3):
        with pytest.raises(ValueError, match=f"law must have a median of finite variance for n = {n}"):
            estimators.variance_of_median(cauchy(), n)


@pytest.mark.parametrize("law", [norm, laplace, uniform, expon])
@pytest.mark.parametrize("n", [3, 101, 10_001])
def test_the_variance_of_the_median_is_accurate_in_any_unit_and_origin(law, n):
    standard = estimators.variance_of_median(law(), n)
    assert estimators.variance_of_median(law(1e7, 1), n) == pytest.approx(standard, rel=1e-4)
    assert estimators.variance_of_median(law(0, 1e-9), n) == pytest.approx(1e-18 * standard, rel=1e-8)
    assert estimators.variance_of_median(law(1e7, 1e7), n) == pytest.approx(1e14 * standard, rel=1e-6)


def test_the_variance_of_the_median_of_three_gaussians_far_from_zero():
    # The median of three standard normal numbers has the variance 1 - sqrt(3) / pi.
    exact = 1 - np.sqrt(3) / np.pi
    assert estimators.variance_of_median(norm(), 3) == pytest.approx(exact, rel=1e-8)
    assert estimators.variance_of_median(norm(1e8, 1), 3) == pytest.approx(exact, rel=1e-7)


NORMAL = draw(norm())


def attempt(estimator, n=3, repeats=4, truth=0.0):
    """Simulates an estimator with small numbers."""
    return estimators.simulate(estimator, NORMAL, truth, n, repeats, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: attempt(np.mean), r"estimator\(data\) must have shape \(4,\)"),
        (lambda: attempt(lambda x: x[:, 0] * np.nan), r"estimator\(data\)\[0\] must be finite"),
        (lambda: attempt(lambda x: x[:, 0], truth=[0.0, 1.0]), r"truth must be a number, got shape \(2,\)"),
        (lambda: attempt(lambda x: x, truth=[0.0, 1.0]), r"truth must be a number or have shape \(3,\)"),
        (lambda: attempt(len, repeats=1), "repeats must be an integer of at least 2, got 1"),
        (lambda: attempt(len, n=0), "n must be an integer of at least 1, got 0"),
        (
            lambda: estimators.variance_of_variance(1e200, 10),
            "variance must have a finite square",
        ),
        (lambda: estimators.variance_of_mean(0.0, 3), "variance must be positive"),
        (
            lambda: estimators.variance_of_mean(1.0, [3, 2.5]),
            r"n\[1\] must be an integer of at least 1, got 2.5",
        ),
        (lambda: estimators.variance_bias(1.0, [4, 1]), r"n\[1\] must be an integer of at least 2, got 1"),
        (lambda: estimators.variance_bias(1.0, 2, ddof=2), "n must be above ddof = 2, got 2"),
        (lambda: estimators.variance_of_variance(2.0, 5, [9.0, 3.9]), r"fourth_moment\[1\] must be at least"),
        (lambda: estimators.expected_standard_deviation(-1.0, 5), "sigma must be positive, got -1"),
        (lambda: estimators.variance_of_variance([1.0, 2.0], 5, 1.5), r"fourth_moment\[1\] must be at least"),
        (
            lambda: estimators.variance_of_variance(2.0, [5, 6], 3.5),
            "fourth_moment must be at least",
        ),
        (lambda: estimators.variance_of_mean([1.0, 2], [3, 4, 5]), r"variance \(2,\), n \(3,\)"),
        (lambda: estimators.variance_bias([1.0, 2], [3, 4, 5]), r"variance \(2,\), n \(3,\)"),
        (
            lambda: estimators.variance_of_variance([1.0, 2], 5, [9.0, 9, 9]),
            r"variance \(2,\), n \(\), fourth_moment \(3,\)",
        ),
        (
            lambda: estimators.expected_standard_deviation([1.0, 2], [3, 4, 5]),
            r"sigma \(2,\), n \(3,\)",
        ),
        (lambda: estimators.centering_matrix(0), "n must be an integer of at least 1"),
        (lambda: estimators.variance_of_median(norm(), 4), "n must be odd, got 4"),
        (lambda: estimators.variance_of_median(3, 3), "law must be a frozen continuous distribution"),
        (
            lambda: estimators.variance_of_median(poisson(3), 3),
            "law must be a frozen continuous distribution",
        ),
        (lambda: estimators.variance_of_median(pareto(0.01), 3), "law must have a median of finite variance"),
        (lambda: estimators.variance_of_median(norm(0, -1), 3), r"law.ppf\(0.5\) must be finite, got nan"),
        (lambda: estimators.variance_of_median(norm(0, [1, 2]), 3), r"law.ppf\(0.5\) must be a number"),
    ],
)
def test_invalid_arguments_raise_errors_that_name_them(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_smallest_samples_are_accepted_and_smaller_ones_are_not():
    assert estimators.cramer_rao_bound(1.0, 4.0, 1) == 0.25
    with pytest.raises(ValueError, match="n must be an integer of at least 1, got 0"):
        estimators.cramer_rao_bound(1.0, 4.0, 0)
    rng = np.random.default_rng(0)
    simulation = estimators.simulate(lambda x: x[:, 0], draw(norm()), truth=0.0, n=1, repeats=2, rng=rng)
    assert np.isfinite(simulation.bias)


def test_samplers_take_the_generator_last_and_the_former_order_warns():
    def simulated(sample):
        return estimators.simulate(lambda x: x.mean(axis=1), sample, 0.0, 5, 50, np.random.default_rng(0))

    now = simulated(lambda shape, rng: rng.normal(size=shape))
    with pytest.warns(DeprecationWarning, match=r"now called as sample\(shape, rng\)"):
        assert simulated(lambda rng, shape: rng.normal(size=shape)) == now
    with pytest.warns(DeprecationWarning):
        assert simulated(lambda rng, shape: norm.rvs(size=shape, random_state=rng)) == now
    with pytest.raises(ValueError, match="no such luck"):
        simulated(lambda shape, rng: (_ for _ in ()).throw(ValueError("no such luck")))
