"""Oracles: SciPy's quadrature and multivariate Gaussian, and the chain rule of evidences."""

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import dblquad, quad

from curvezoo.theory.conjugate_priors import BetaBinomial, GammaPoisson, NormalInverseGamma, NormalNormal

VALUES = np.array([0.3, -0.2, 1.1, 0.8])
COUNTS, EXPOSURES = np.array([3, 0, 7]), np.array([1.0, 0.4, 2.5])

# (prior, its data, likelihood of one unknown, range of the unknown)
ONE_PARAMETER = {
    "coin": (
        BetaBinomial(2.5, 0.7),
        (np.array([7, 1]), np.array([10, 4])),
        lambda p: stats.binom.pmf([7, 1], [10, 4], p).prod(),
        (0, 1),
    ),
    "rate": (
        GammaPoisson(2.5, 1.3),
        (COUNTS, EXPOSURES),
        lambda r: stats.poisson.pmf(COUNTS, r * EXPOSURES).prod(),
        (0, 40),
    ),
    "mean": (
        NormalNormal(0.5, 2.0, 0.3),
        (VALUES,),
        lambda m: stats.norm.pdf(VALUES, m, np.sqrt(0.3)).prod(),
        (-8, 8),
    ),
}


@pytest.mark.equation("3.4.6")
@pytest.mark.parametrize("name", ONE_PARAMETER)
def test_posterior_and_evidence_match_quadrature(name):
    prior, data, likelihood, ends = ONE_PARAMETER[name]

    def joint(theta):
        return likelihood(theta) * prior.distribution().pdf(theta)

    evidence = quad(joint, *ends, epsabs=0, epsrel=1e-11, limit=200)[0]
    assert prior.log_evidence(*data) == pytest.approx(np.log(evidence), abs=1e-9)
    posterior = prior.posterior(*data).distribution()
    for theta in posterior.ppf([0.01, 0.3, 0.9]):
        assert posterior.pdf(theta) == pytest.approx(joint(theta) / evidence, rel=1e-9)


@pytest.mark.equation("3.4.6")
def test_posterior_and_evidence_of_mean_and_variance_match_quadrature():
    prior = NormalInverseGamma(0.2, 1.5, 3.0, 0.8)

    def joint(mean, variance):
        # p(v) ~ v^-4 exp(-0.8 / v) 0.8^3 / Gamma(3), times the normal densities of the mean and of the data.
        squares = np.sum((VALUES - mean) ** 2) + 1.5 * (mean - 0.2) ** 2
        gaussians = np.exp(-squares / (2 * variance)) * np.sqrt(1.5) / (2 * np.pi * variance) ** 2.5
        return gaussians * 0.8**3 / 2 * variance**-4 * np.exp(-0.8 / variance)

    evidence = dblquad(joint, 0.01, 8, lambda v: 0.4 - 8 * v**0.5, lambda v: 0.4 + 8 * v**0.5, epsrel=1e-7)[0]
    assert prior.log_evidence(VALUES) == pytest.approx(np.log(evidence), abs=2e-5)
    posterior = prior.posterior(VALUES).distribution()
    for mean, variance in ((0.4, 0.3), (1.0, 0.6)):
        expected = np.exp(np.log(joint(mean, variance)) - prior.log_evidence(VALUES))
        assert posterior.pdf(mean, variance) == pytest.approx(expected, rel=1e-10)


def test_the_evidence_of_normal_values_is_a_multivariate_density():
    prior = NormalNormal(0.5, 2.0, 0.3)
    joint = stats.multivariate_normal(np.full(4, 0.5), 0.3 * np.eye(4) + 2.0)
    assert prior.log_evidence(VALUES) == pytest.approx(joint.logpdf(VALUES), rel=1e-12)
    # With the variance integrated out, it is a multivariate t.
    prior = NormalInverseGamma(0.2, 1.5, 3.0, 0.8)
    joint = stats.multivariate_t(np.full(4, 0.2), 0.8 / 3.0 * (np.eye(4) + 1 / 1.5), df=6.0)
    assert prior.log_evidence(VALUES) == pytest.approx(joint.logpdf(VALUES), rel=1e-12)


CHAINS = [
    (BetaBinomial(2.5, 0.7), [(7, 10), (1, 4), (0, 1)], "logpmf"),
    (GammaPoisson(2.5, 1.3), [(3, 1.0), (0, 0.4), (7, 2.5)], "logpmf"),
    (NormalNormal(0.5, 2.0, 0.3), [(x,) for x in VALUES], "logpdf"),
    (NormalInverseGamma(0.2, 1.5, 3.0, 0.8), [(x,) for x in VALUES], "logpdf"),
]


@pytest.mark.parametrize(("prior", "data", "log"), CHAINS, ids=lambda v: type(v).__name__)
def test_data_one_by_one_give_the_same_posterior_and_the_product_of_predictions(prior, data, log):
    together = tuple(np.array(column) for column in zip(*data, strict=True))
    evidence, current = 0.0, prior
    for observation in data:
        # The predictive law is that of the next observation, after those before it.
        value, *setting = observation
        evidence += getattr(current.predictive(*setting), log)(value)
        current = current.posterior(*([v] for v in observation))
    expected = prior.posterior(*together)
    for name in vars(prior):
        assert getattr(current, name) == pytest.approx(getattr(expected, name), rel=1e-13)
    assert evidence == pytest.approx(prior.log_evidence(*together), rel=1e-12)


def test_no_data_change_nothing_and_have_evidence_one():
    for prior in (NormalNormal(1, 2, 3), NormalInverseGamma(1, 2, 3, 4)):
        assert prior.posterior([]) == prior
        assert prior.log_evidence([]) == 0
    assert BetaBinomial(2, 3).posterior(0, 0) == BetaBinomial(2, 3)
    assert BetaBinomial(2, 3).log_evidence(0, 0) == pytest.approx(0, abs=1e-15)


def test_a_far_away_origin_does_not_cost_digits():
    prior, far = (NormalInverseGamma(m, 1.5, 3.0, 0.8) for m in (0.25, 0.25 + 2.0**30))
    values = np.array([0.5, -0.25, 1.125])
    assert far.log_evidence(values + 2.0**30) == prior.log_evidence(values)
    assert far.posterior(values + 2.0**30).scale == prior.posterior(values).scale


@pytest.mark.parametrize("n", [10, 10**6, 10**9, 10**12, 10**15])
def test_evidences_of_large_counts_keep_their_digits(n):
    k = n // 3
    assert BetaBinomial(1, 1).log_evidence(k, n) == pytest.approx(-np.log1p(n), rel=1e-9)
    exact = np.log(2 * (k + 1)) - np.log1p(n) - np.log(n + 2)
    assert BetaBinomial(2, 1).log_evidence(k, n) == pytest.approx(exact, rel=1e-9)
    # A gamma prior of shape 2 gives (x + 1) p^2 (1 - p)^x with p = b / (b + t).
    exact = np.log(n + 1) - 2 * np.log1p(n / 0.5) - n * np.log1p(0.5 / n)
    assert GammaPoisson(2, 0.5).log_evidence(n, float(n)) == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: BetaBinomial(0, 1), "a must be positive, got 0"),
        (lambda: BetaBinomial(1, 1).posterior(3, 2), "successes must be at most the number of trials, got 3"),
        (lambda: BetaBinomial(1, 1).posterior([1, 0.5], [1, 1]), r"successes\[1\] must be an integer of at"),
        (
            lambda: BetaBinomial(1, 1).log_evidence([1], [1, 1]),
            "successes and trials must have the same shape",
        ),
        (lambda: BetaBinomial(1, 1).predictive(-1), "trials must be an integer of at least 0, got -1"),
        (lambda: GammaPoisson(1, np.nan), "rate must be finite"),
        (lambda: GammaPoisson(1, 1).posterior([1, 2], 0.0), "exposures must be positive, got 0"),
        (lambda: GammaPoisson(1, 1).posterior(1, [1.0, 2.0]), "exposures must broadcast to the counts"),
        (lambda: NormalNormal(0, -1, 1), "variance must be positive, got -1"),
        (lambda: NormalNormal(0, 1, 1).posterior(3.0), "x must have 1 axis"),
        (lambda: NormalInverseGamma(0, 1, 1, 0), "scale must be positive, got 0"),
        (lambda: NormalInverseGamma(0, 1, 1, 1).log_evidence([np.inf]), r"x\[0\] must be finite"),
    ],
)
def test_invalid_arguments_raise_errors_that_name_them(call, message):
    with pytest.raises(ValueError, match=message):
        call()
