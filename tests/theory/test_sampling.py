from math import factorial

import numpy as np
import pytest
import tensorflow_probability as tfp
from scipy.integrate import quad
from scipy.stats import chisquare, gumbel_r, kstest, logistic, norm

from curvezoo.theory import sampling

LOGITS = (
    [0.3, -0.2],
    [1.0, 2.0, -1.0],
    [0.0, 0.0, 0.0, 0.0],
    [4.0, -6.0, 3.0, 0.5, 2.5],
    list(np.linspace(-5, 5, 9)),
)


@pytest.mark.equation("3.5.1")
def test_shifted_and_scaled_noise_has_the_wanted_gaussian():
    rng = np.random.default_rng(0)
    draws = sampling.reparameterized_gaussian(-1.5, 0.3, rng.normal(size=20_000))
    assert kstest(draws, norm(-1.5, 0.3).cdf).pvalue > 0.01
    # N(mu, sigma) of the text is the standard deviation, not the variance.
    assert kstest(draws, norm(-1.5, np.sqrt(0.3)).cdf).pvalue < 1e-9


@pytest.mark.equation("3.5.2")
def test_softmax_is_positive_normalized_and_has_the_right_ratios():
    x = np.array([[1.0, 2.0, -1.0], [1000.0, 1001.0, -1000.0]])
    p = sampling.softmax(x)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-15)
    np.testing.assert_allclose(p[:, 1] / p[:, 0], np.e, rtol=1e-13)
    np.testing.assert_allclose(p[0], np.exp(x[0]) / np.exp(x[0]).sum(), rtol=1e-14)


@pytest.mark.equation("3.5.3")
@pytest.mark.parametrize("logits", LOGITS)
def test_the_argmax_with_gumbel_noise_passes_a_chi_square_test(logits):
    count = 40_000
    draws = sampling.gumbel_max(logits, count, np.random.default_rng(1))
    p = sampling.softmax(logits)
    often = count * p > 5
    observed, expected = np.bincount(draws, minlength=len(p))[often], count * p[often]
    assert chisquare(observed, expected * observed.sum() / expected.sum()).pvalue > 0.01
    # The test has the power to reject a wrong law.
    wrong = sampling.softmax(0.9 * np.array(logits))[often]
    if np.ptp(logits) > 0.5:
        assert chisquare(observed, wrong / wrong.sum() * observed.sum()).pvalue < 1e-6


def test_many_distributions_are_sampled_at_once():
    logits = np.array([[[0.0, 5.0], [5.0, 0.0]]])
    draws = sampling.gumbel_max(logits, 1000, np.random.default_rng(0))
    assert draws.shape == (1000, 1, 2)
    error = np.sqrt(sampling.softmax([0.0, 5.0]).prod() / 1000)
    np.testing.assert_allclose(draws.mean(axis=0)[0], sampling.softmax([5.0, 0.0]), atol=5 * error)


@pytest.mark.equation("3.5.4")
@pytest.mark.parametrize("logits", LOGITS)
def test_the_integral_over_gumbel_noise_is_the_softmax(logits):
    np.testing.assert_allclose(sampling.argmax_probabilities(logits), sampling.softmax(logits), atol=1e-12)


@pytest.mark.equation("3.5.4")
def test_other_noise_does_not_give_the_softmax():
    logits = [1.0, 0.0, 0.0]
    for noise in (norm(scale=np.sqrt(1.645)), logistic(), gumbel_r(scale=1.1)):
        p = sampling.argmax_probabilities(logits, noise)
        assert p.sum() == pytest.approx(1, abs=1e-12)
        assert np.abs(p - sampling.softmax(logits)).max() > 0.005
    shifted = sampling.argmax_probabilities(logits, gumbel_r(loc=3.0))
    np.testing.assert_allclose(shifted, sampling.softmax(logits), atol=1e-12)
    # Two categories with Gaussian noise: the probit.
    probit = sampling.argmax_probabilities([0.7, 0.0], norm())
    assert probit[0] == pytest.approx(norm.cdf(0.7 / np.sqrt(2)), abs=1e-12)


@pytest.mark.equation("3.5.5")
@pytest.mark.parametrize("logits", LOGITS)
def test_the_differentiated_relation_holds_for_every_category(logits):
    expected = factorial(len(logits) - 1) * np.prod(sampling.softmax(logits))
    x = np.array(logits)
    printed = factorial(len(x) - 1) * np.exp(x.sum()) / np.exp(x).sum() ** len(x)
    assert printed == pytest.approx(expected, rel=1e-12)
    for chosen in range(len(logits)):
        assert sampling.argmax_derivative(logits, chosen) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.equation("3.5.5")
@pytest.mark.parametrize("size", [2, 3, 4])
def test_each_derivative_brings_a_sign_that_both_sides_leave_out(size):
    x = np.array([0.4, -0.3, 0.1, 0.8])[:size]
    step = 1e-2
    # Central differences in every x_j but the first, of the integral of Eq. 3.5.4.
    signs = np.array(np.meshgrid(*[[-1, 1]] * (size - 1))).reshape(size - 1, -1).T
    moved = [sampling.argmax_probabilities(x + step * np.array([0, *s]))[0] for s in signs]
    derivative = np.prod(signs, axis=1) @ moved / (2 * step) ** (size - 1)
    # The truncation error is step^2 / 6 times third derivatives, which are below 1.
    expected = (-1) ** (size - 1) * sampling.argmax_derivative(x, 0)
    assert derivative == pytest.approx(expected, abs=1e-4)
    assert np.sign(derivative) == (-1) ** (size - 1)


@pytest.mark.equation("3.5.6")
def test_the_gumbel_density_is_the_derivative_of_its_distribution_function():
    z = np.linspace(-3, 20, 50)
    np.testing.assert_allclose(sampling.gumbel_density(z), np.exp(-z - np.exp(-z)), rtol=1e-13)
    np.testing.assert_allclose(sampling.gumbel_cumulative(z), np.exp(-np.exp(-z)), rtol=1e-13)
    step = 1e-5
    slope = (sampling.gumbel_cumulative(z + step) - sampling.gumbel_cumulative(z - step)) / (2 * step)
    np.testing.assert_allclose(slope, sampling.gumbel_density(z), atol=1e-10)
    assert quad(sampling.gumbel_density, -10, 50)[0] == pytest.approx(1, rel=1e-9)
    np.testing.assert_array_equal(sampling.gumbel_density([-1e4, 1e4]), 0)
    np.testing.assert_array_equal(sampling.gumbel_cumulative([-1e4, 1e4]), [0, 1])


@pytest.mark.equation("3.5.6")
@pytest.mark.parametrize("n", [2, 7, 1000])
def test_the_largest_of_n_gumbels_is_a_shifted_gumbel(n):
    z = np.linspace(-2, 20, 30)
    np.testing.assert_allclose(
        sampling.gumbel_cumulative(z) ** n, sampling.gumbel_cumulative(z - np.log(n)), rtol=1e-10
    )
    largest = np.random.default_rng(2).gumbel(size=(4000, n)).max(axis=1)
    assert kstest(largest - np.log(n), sampling.gumbel_cumulative).pvalue > 0.01


@pytest.mark.equation("3.5.5")
def test_the_proof_changes_variables_to_the_inverse_exponential_and_has_two_signs_wrong():
    x = np.array([0.4, -0.3, 0.1])
    x12, x13 = x[0] - x[1:]
    expected = 2 * np.prod(sampling.softmax(x))

    def gamma_integral(first, second, rate):
        return quad(lambda y: y**2 * np.exp(-y) * first(y) * second(y), 0, np.inf)[0], 2 / rate**3

    right, closed = gamma_integral(
        lambda y: np.exp(-x12 - y * np.exp(-x12)),
        lambda y: np.exp(-x13 - y * np.exp(-x13)),
        1 + np.exp(-x12) + np.exp(-x13),
    )
    assert right == pytest.approx(expected, rel=1e-9)
    assert np.exp(-x12 - x13) * closed == pytest.approx(expected, rel=1e-12)
    # Printed: e^(x_12 - y e^-x_12), and minus the last term of the rate.
    printed, wrong_rate = gamma_integral(
        lambda y: np.exp(x12 - y * np.exp(-x12)),
        lambda y: np.exp(x13 - y * np.exp(-x13)),
        1 + np.exp(-x12) - np.exp(-x13),
    )
    assert printed == pytest.approx(np.exp(2 * (x12 + x13)) * expected, rel=1e-9)
    assert np.exp(-x12 - x13) * wrong_rate > 3 * expected
    # e^z = y leaves y^-(n+1) e^(-1/y) in the place of y^(n-1) e^-y, e^-z = y the printed powers.
    z = np.log(0.5)
    density = np.prod(sampling.gumbel_density(z + np.array([0, x12, x13])))
    integrand = 0.5**2 * np.exp(-0.5 * (1 + np.exp(-x12) + np.exp(-x13)) - x12 - x13)
    assert density / 0.5 != pytest.approx(integrand, rel=0.1)
    density = np.prod(sampling.gumbel_density(-z + np.array([0, x12, x13])))
    assert density / 0.5 == pytest.approx(integrand, rel=1e-12)


@pytest.mark.equation("3.5.7")
def test_the_softened_argmax_goes_from_uniform_to_one_hot():
    rng = np.random.default_rng(3)
    x, z = np.array([1.0, 2.0, -1.0]), rng.gumbel(size=(200, 3))
    chosen = np.argmax(x + z, axis=1)
    np.testing.assert_allclose(sampling.softened_argmax(x, z, 1e-9), 1 / 3, atol=1e-7)
    np.testing.assert_allclose(sampling.softened_argmax(x, z, 1e6), np.eye(3)[chosen], atol=1e-9)
    for beta in (0.1, 1.0, 30.0):
        f = sampling.softened_argmax(x, z, beta)
        np.testing.assert_array_equal(np.argmax(f, axis=1), chosen)
        weights = np.exp(beta * (x + z))
        np.testing.assert_allclose(f, weights / weights.sum(axis=1, keepdims=True), rtol=1e-12)


def test_the_softened_argmax_of_huge_logits_overflows_nowhere(recwarn):
    np.testing.assert_array_equal(sampling.softened_argmax([1e300, 0], [0, 0], 1e10), [1, 0])
    np.testing.assert_array_equal(
        sampling.softened_argmax([1.7e308, -1.7e308], [-1e308, -1.7e308], 1), [1, 0]
    )
    np.testing.assert_array_equal(sampling.softened_argmax([1e300, 1e300], [0, 0], 1e300), [0.5, 0.5])
    assert not len(recwarn)


@pytest.mark.equation("3.5.7")
def test_at_finite_beta_it_is_no_sample_from_p():
    # Two categories at beta = 1: z_1 - z_2 is logistic, log(u / (1 - u)), so with a = e^(x_1 - x_2)
    # <f_1> = integral_0^1 du a u / (1 - u + a u) = a / (a - 1) - a log(a) / (a - 1)^2.
    x, count = np.array([1.5, 0.0]), 200_000
    a = np.exp(1.5)
    mean = a / (a - 1) - a * np.log(a) / (a - 1) ** 2
    z = np.random.default_rng(4).gumbel(size=(count, 2))
    f = sampling.softened_argmax(x, z, 1.0)[:, 0]
    error = f.std() / np.sqrt(count)
    assert f.mean() == pytest.approx(mean, abs=5 * error)
    p = sampling.softmax(x)[0]
    assert p - mean > 50 * error
    # Only in the limit beta -> infinity does the mean become p; the argmax has it at any beta.
    means = [sampling.softened_argmax(x, z, beta)[:, 0].mean() for beta in (0.1, 1.0, 10.0, 1000.0)]
    assert np.all(np.diff(means) > 0)
    binomial = np.sqrt(p * (1 - p) / count)
    assert means[-1] == pytest.approx(p, abs=5 * binomial)
    assert np.mean(f > 0.5) == pytest.approx(p, abs=5 * binomial)


@pytest.mark.equation("3.5.7")
@pytest.mark.parametrize("beta", [0.3, 1.0, 2.5])
def test_the_density_is_that_of_tensorflow_probability_at_the_inverse_temperature(beta):
    rng = np.random.default_rng(5)
    points, logits = rng.dirichlet(np.ones(4), size=20), np.array([0.5, 0.0, -1.0, 2.0])
    oracle = tfp.distributions.RelaxedOneHotCategorical(np.float64(1 / beta), logits=logits)
    ours = sampling.concrete_log_density(points, logits, beta)
    np.testing.assert_allclose(ours, oracle.log_prob(points), rtol=1e-10)
    if beta != 1:
        other = tfp.distributions.RelaxedOneHotCategorical(np.float64(beta), logits=logits)
        assert np.abs(ours - other.log_prob(points)).max() > 0.1


@pytest.mark.equation("3.5.7")
def test_the_density_has_unit_mass_and_the_distribution_of_samples():
    x, beta = np.array([0.8, 0.0]), 0.7

    def density(f):
        return np.exp(sampling.concrete_log_density([f, 1 - f], x, beta))

    f = sampling.softened_argmax(x, np.random.default_rng(6).gumbel(size=(20_000, 2)), beta)[:, 0]
    grid = np.linspace(1e-9, 1 - 1e-9, 20_001)
    densities = np.exp(sampling.concrete_log_density(np.stack([grid, 1 - grid], axis=1), x, beta))
    below = np.concatenate([[0], np.cumsum((densities[1:] + densities[:-1]) / 2) * np.diff(grid)[0]])
    assert quad(density, 0, 1, points=[0.5])[0] == pytest.approx(1, rel=1e-8)
    assert kstest(f, lambda v: np.interp(v, grid, below)).pvalue > 0.01
    three = [0.3, 0.0, -0.4]

    u, v = np.meshgrid(*[(np.arange(400) + 0.5) / 400] * 2)
    points = np.stack([u, v * (1 - u), (1 - u) * (1 - v)], axis=-1)
    mass = np.mean(np.exp(sampling.concrete_log_density(points, three, beta)) * (1 - u))
    assert mass == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: sampling.softmax([0.0, np.nan]), r"logits\[1\] must be finite"),
        (lambda: sampling.softmax(3.0), "logits must hold at least one category"),
        (lambda: sampling.gumbel_density([0.0, np.inf]), r"z\[1\] must be finite"),
        (
            lambda: sampling.gumbel_max([0.0], 0, np.random.default_rng()),
            "count must be an integer of at least 1",
        ),
        (lambda: sampling.argmax_probabilities([[0.0]]), "logits must have 1 axis"),
        (lambda: sampling.argmax_derivative([0.0, 1.0], 2), "chosen must be below the 2 categories, got 2"),
        (lambda: sampling.reparameterized_gaussian(0.0, [1.0, 0.0], 0.0), r"scale\[1\] must be positive"),
        (lambda: sampling.softened_argmax([0.0], [0.0], 0.0), "beta must be positive"),
        (
            lambda: sampling.reparameterized_gaussian([0.0, 1.0], [1.0, 1.0, 1.0], 0.0),
            r"shapes must broadcast to one, got mean \(2,\), scale \(3,\), noise \(\)",
        ),
        (
            lambda: sampling.softened_argmax([0.0, 1.0], np.zeros((2, 3)), 1.0),
            r"shapes must broadcast to one, got logits \(2,\), noise \(2, 3\)",
        ),
        (
            lambda: sampling.concrete_log_density(np.full((2, 2), 0.5), np.zeros((3, 2)), 1.0),
            r"shapes must broadcast to one, got points \(2, 2\), logits \(3, 2\)",
        ),
        (lambda: sampling.softened_argmax([0.0], [np.nan], 1.0), r"noise\[0\] must be finite"),
        (lambda: sampling.concrete_log_density([0.5, 0.6], [0, 0], 1.0), "points must sum to 1"),
        (lambda: sampling.concrete_log_density([0.0, 1.0], [0, 0], 1.0), r"points\[0\] must be positive"),
        (lambda: sampling.concrete_log_density([0.5, 0.5], [0, 0], -1.0), "beta must be positive"),
        (
            lambda: sampling.concrete_log_density([0.5, 0.5], [0, 0, 0], 1.0),
            "as many categories, got 2 and 3",
        ),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
