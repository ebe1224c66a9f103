"""Oracles: conjugate posteriors in closed form, and SciPy's quadrature."""

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

from curvezoo.theory.conjugate_priors import NormalInverseGamma, NormalNormal
from curvezoo.theory.grid_posterior import grid_posterior

VALUES = np.array([0.3, -0.2, 1.1, 0.8])


def normal(x, parameters):
    return stats.norm.logpdf(x, parameters[0], np.sqrt(0.3))


@pytest.mark.equation("3.4.6")
def test_the_posterior_of_a_mean_is_the_conjugate_one():
    prior = NormalNormal(0.5, 2.0, 0.3)
    result = grid_posterior(
        normal, lambda p: prior.distribution().logpdf(p[0]), VALUES, [np.linspace(-9, 10, 191)]
    )
    exact = prior.posterior(VALUES)
    np.testing.assert_allclose(
        result.density, exact.distribution().pdf(result.axes[0]), rtol=1e-9, atol=1e-12
    )
    assert result.log_evidence == pytest.approx(prior.log_evidence(VALUES), abs=1e-10)
    assert result.mean[0] == pytest.approx(exact.mean, abs=1e-10)
    assert result.covariance[0, 0] == pytest.approx(exact.variance, rel=1e-9)
    assert result.prior_mass == pytest.approx(1, abs=1e-8)
    assert result.log_evidence_error < 1e-4


@pytest.mark.equation("3.4.6")
def test_two_parameters_have_the_moments_and_marginals_of_the_closed_form():
    prior = NormalInverseGamma(0.2, 1.5, 5.0, 2.0)
    law = prior.distribution()
    axes = [np.linspace(-3, 4, 57), np.geomspace(0.03, 20, 150)]
    result = grid_posterior(
        lambda x, p: -((x - p[0]) ** 2) / (2 * p[1]) - np.log(2 * np.pi * p[1]) / 2,
        lambda p: law.logpdf(*p),
        VALUES,
        axes,
    )
    exact = prior.posterior(VALUES)
    assert result.log_evidence == pytest.approx(prior.log_evidence(VALUES), abs=2e-3)
    variance = exact.scale / (exact.shape - 1)
    np.testing.assert_allclose(result.mean, [exact.mean, variance], atol=2e-3)
    expected = np.diag([variance / exact.weight, variance**2 / (exact.shape - 2)])
    np.testing.assert_allclose(result.covariance, expected, atol=3e-3)
    t = stats.t(2 * exact.shape, exact.mean, np.sqrt(exact.scale / exact.shape / exact.weight))
    np.testing.assert_allclose(result.marginal(0), t.pdf(axes[0]), atol=2e-3)
    inverse_gamma = stats.invgamma(exact.shape, scale=exact.scale)
    np.testing.assert_allclose(result.marginal(1), inverse_gamma.pdf(axes[1]), atol=2e-3)


def test_a_likelihood_without_conjugate_prior_matches_quadrature_within_the_quoted_error():
    def joint(location):
        return np.prod(stats.cauchy.pdf(VALUES, location)) * stats.laplace.pdf(location)

    pieces = [quad(joint, *ends, epsabs=1e-14)[0] for ends in ((-40, 0), (0, 1), (1, 40))]
    result = grid_posterior(
        lambda x, p: stats.cauchy.logpdf(x, p[0]),
        lambda p: stats.laplace.logpdf(p[0]),
        VALUES,
        [np.linspace(-40, 40, 801)],
    )
    assert abs(result.log_evidence - np.log(sum(pieces))) < result.log_evidence_error < 1e-2
    assert np.trapezoid(result.density, result.axes[0]) == pytest.approx(1, rel=1e-12)


def test_a_coarse_grid_and_a_truncated_prior_are_told_by_the_result():
    prior = NormalNormal(0.5, 2.0, 1e-6)
    data = np.full(100, 0.5003)
    result = grid_posterior(
        lambda x, p: stats.norm.logpdf(x, p[0], 1e-3),
        lambda p: prior.distribution().logpdf(p[0]),
        data,
        [np.linspace(0.5, 2.5, 41)],
    )
    # The posterior is 1e-4 wide, and the points are 0.05 apart.
    assert result.log_evidence_error > 0.5
    assert result.prior_mass == pytest.approx(stats.norm.cdf(np.sqrt(2)) - 0.5, abs=1e-3)


def test_thousands_of_examples_do_not_underflow():
    data = np.tile(VALUES, 1000)
    prior = NormalNormal(0.5, 2.0, 0.3)
    exact = prior.posterior(data)
    axis = exact.mean + np.sqrt(exact.variance) * np.linspace(-8, 8, 41)
    result = grid_posterior(normal, lambda p: prior.distribution().logpdf(p[0]), data, [axis])
    assert result.log_evidence == pytest.approx(prior.log_evidence(data), abs=1e-8)
    assert result.log_evidence < -1000


def test_excluded_parameters_have_no_density():
    # Uniform data in [0, theta]: the posterior is proportional to theta^-4 above the largest value.
    data, axis = np.array([0.5, 1.0, 0.2, 0.7]), np.linspace(0.1, 5, 4901)
    result = grid_posterior(
        lambda x, p: np.where(x <= p[0], -np.log(p[0]), -np.inf), lambda p: -np.log(5), data, [axis]
    )
    assert (result.density[axis < 1 - 1e-9] == 0).all()
    assert np.exp(result.log_evidence) * 5 == pytest.approx((1 - 5**-3) / 3, rel=2e-3)


@pytest.mark.parametrize(
    ("log_density", "log_prior", "axes", "message"),
    [
        (normal, lambda p: 0.0, [], "axes must be a list with the points of every parameter"),
        (normal, lambda p: 0.0, [[0.0, 1.0]], r"axes\[0\] must hold at least 3 increasing points"),
        (normal, lambda p: 0.0, [[0.0, 2.0, 1.0]], r"axes\[0\] must hold at least 3 increasing points"),
        (normal, lambda p: np.nan, [[0, 1, 2]], r"log_prior at \[0.0\] must be below infinity and not nan"),
        (normal, lambda p: p, [[0, 1, 2]], r"log_prior at \[0.0\] must be a number, got shape \(1,\)"),
        (lambda x, p: 0.0, lambda p: 0.0, [[0, 1, 2]], r"log_density at \[0.0\] must have shape \[N\]"),
        (lambda x, p: x / 0, lambda p: 0.0, [[0, 1, 2]], r"log_density at \[0.0\] must be below infinity"),
        (normal, lambda p: -np.inf, [[0, 1, 2]], "axes must hold parameters of positive posterior density"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_invalid_arguments_raise_errors_that_name_them(log_density, log_prior, axes, message):
    with pytest.raises(ValueError, match=message):
        grid_posterior(log_density, log_prior, VALUES, axes)
