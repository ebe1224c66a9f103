"""Oracles: closed forms, SciPy's fits, conjugate posteriors, sums over all outcomes."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit, xlogy
from scipy.stats import beta, binom, cauchy, entropy, expon, gamma, laplace, multivariate_normal, norm

from curvezoo.theory import estimators, likelihood
from curvezoo.theory.likelihood import maximum_a_posteriori, maximum_likelihood, negative_log_likelihood


def gaussian(x, p):
    # SciPy's logpdf is several times slower.
    return -(((x - p[0]) / p[1]) ** 2) / 2 - np.log(p[1] * np.sqrt(2 * np.pi))


def coin(x, p):
    return xlogy(x, p[0]) + xlogy(1 - x, 1 - p[0])


def logistic(data, p):
    x, y = data
    return -np.logaddexp(0, -(2 * y - 1) * (x @ p))


def logistic_data(n=400, features=6, seed=2):
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=(n, features)), rng.normal(size=features)
    return x, (rng.random(n) < expit(x @ w)).astype(float)


@pytest.mark.equation("3.4.1")
@pytest.mark.equation("3.4.2")
@pytest.mark.equation("3.4.3")
def test_a_gaussian_fit_gives_the_mean_and_the_naive_standard_deviation():
    n = 500
    x = np.random.default_rng(0).normal(3.0, 2.0, n)
    fit = maximum_likelihood(gaussian, x, [0.0, 1.0])
    s = x.std()
    np.testing.assert_allclose(fit.parameters, [x.mean(), s], rtol=1e-6)
    # Observed information: N / s^2 and 2 N / s^2, no cross term.
    np.testing.assert_allclose(fit.standard_errors, [s / np.sqrt(n), s / np.sqrt(2 * n)], rtol=1e-5)
    np.testing.assert_allclose(fit.information, np.diag([n, 2 * n]) / s**2, atol=1e-4 * n / s**2)
    np.testing.assert_allclose(fit.covariance @ fit.information, np.eye(2), atol=1e-10)
    exact = -n * (np.log(s * np.sqrt(2 * np.pi)) + 1 / 2)
    assert fit.log_likelihood == pytest.approx(exact, rel=1e-12)
    # The product of the densities, Eq. 3.4.1, has its maximum at the same place as the mean logarithm.
    few = x[:20]
    best = np.array([few.mean(), few.std()])
    products = [np.prod(np.exp(gaussian(few, best + d))) for d in ([0, 0], [0.05, 0], [-0.05, 0], [0, 0.05])]
    assert np.argmax(products) == 0
    np.testing.assert_allclose(maximum_likelihood(gaussian, few, [0.0, 1.0]).parameters, best, rtol=1e-5)
    loss = negative_log_likelihood(gaussian, few, best)
    assert loss == pytest.approx(-np.log(products[0]) / 20, rel=1e-12)


@pytest.mark.parametrize(("scale", "shift"), [(1e-9, 0.0), (1e9, 0.0), (1.0, 1e4), (1e-9, 1e-3)])
def test_parameters_of_any_size_are_found(scale, shift):
    x = shift + scale * np.random.default_rng(0).normal(3.0, 2.0, 200)
    fit = maximum_likelihood(gaussian, x, [0.0, 1.0])
    error = x.std() / np.sqrt([200, 400])
    assert np.all(np.abs(fit.parameters - [x.mean(), x.std()]) < 1e-4 * error)
    np.testing.assert_allclose(fit.standard_errors, error, rtol=1e-4)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shift", [1e6, -1e9])
def test_a_start_far_away_finds_the_maximum_without_warnings(shift):
    x = shift + np.random.default_rng(0).normal(3.0, 2.0, 200)
    fit = maximum_likelihood(gaussian, x, [0.0, 1.0])
    error = x.std() / np.sqrt([200, 400])
    assert np.all(np.abs(fit.parameters - [x.mean(), x.std()]) < 1e-4 * error)
    np.testing.assert_allclose(fit.standard_errors, error, rtol=1e-3)


@pytest.mark.parametrize("law", [gamma, cauchy])
def test_fits_match_scipy(law):
    shape = (3.0,) if law is gamma else ()
    x = law.rvs(*shape, scale=2.0, size=300, random_state=1)
    ours = maximum_likelihood(
        lambda x, p: law.logpdf(x, *p[:-1], scale=p[-1]), x, [*([1.0] * len(shape)), 1.0]
    )
    theirs = law.fit(x, floc=0)
    # SciPy's Nelder-Mead stops at 1e-4.
    np.testing.assert_allclose(ours.parameters, np.delete(theirs, -2), rtol=2e-4)


def test_logistic_regression_solves_the_score_equation_with_fisher_errors():
    x, y = logistic_data()
    fit = maximum_likelihood(logistic, (x, y), np.zeros(6))
    p = expit(x @ fit.parameters)
    information = (x * (p * (1 - p))[:, None]).T @ x
    np.testing.assert_allclose(fit.information, information, atol=1e-5 * np.abs(information).max())
    # The score vanishes, to 1e-4 of its own standard deviation.
    assert np.all(np.abs(x.T @ (y - p)) < 1e-4 * np.sqrt(np.diag(information)))


@pytest.mark.equation("3.4.4")
def test_the_loss_is_the_entropy_of_the_data_plus_the_kl_divergence():
    counts = np.array([5, 2, 3])
    data = np.repeat([0, 1, 2], counts)
    frequencies = counts / counts.sum()

    def log_density(x, p):
        return np.log(np.append(p, 1 - p.sum()))[x]

    for model in ([0.2, 0.5, 0.3], [0.6, 0.1, 0.3], frequencies):
        loss = negative_log_likelihood(log_density, data, model[:2])
        assert loss == pytest.approx(entropy(frequencies) + entropy(frequencies, model), rel=1e-12)
        # The printed first and second lines sum over examples weighted with P, so that every outcome counts
        # N P times.
        p, q = frequencies[data], np.asarray(model)[data]
        assert -np.sum(p * np.log(q)) > 2 * loss
        second_line = entropy(frequencies) + np.sum(p * np.log(p / q))
        assert (second_line == pytest.approx(loss, rel=1e-6)) == np.allclose(model, frequencies)
    fit = maximum_likelihood(log_density, data, [0.3, 0.3])
    np.testing.assert_allclose(fit.parameters, frequencies[:2], rtol=1e-6)
    assert fit.log_likelihood == pytest.approx(-10 * entropy(frequencies), rel=1e-10)


@pytest.mark.equation("3.4.5")
def test_the_conditional_loss_is_minimal_at_the_conditional_frequencies():
    x = np.repeat([0, 0, 1, 1], [3, 5, 6, 1])
    y = np.repeat([0, 1, 0, 1], [3, 5, 6, 1])

    def log_density(data, p):
        x, y = data
        return np.log(np.where(y == 1, p[x], 1 - p[x]))

    fit = maximum_likelihood(log_density, (x, y), [0.5, 0.5])
    np.testing.assert_allclose(fit.parameters, [5 / 8, 1 / 7], rtol=1e-5)
    conditional = 8 / 15 * entropy([3, 5]) + 7 / 15 * entropy([6, 1])
    loss = negative_log_likelihood(log_density, (x, y), fit.parameters)
    assert loss == pytest.approx(conditional, rel=1e-9)
    # It is the entropy of the joint frequencies minus that of x.
    assert entropy([3, 5, 6, 1]) - entropy([8, 7]) == pytest.approx(conditional, rel=1e-12)


@pytest.mark.equation("3.4.6")
def test_the_posterior_is_normalized_by_the_evidence_of_the_model():
    heads, n, world = 7, 10, 0.9
    prior, posterior = beta(2, 3), beta(2 + heads, 3 + n - heads)

    def joint(theta):
        return binom.pmf(heads, n, theta) * prior.pdf(theta)

    data = np.repeat([1.0, 0.0], [heads, n - heads])

    def unnormalized(theta):
        return np.exp(-n * negative_log_likelihood(coin, data, [theta])) * prior.pdf(theta)

    evidence, _ = quad(joint, 0, 1)
    # The order of the flips adds the same factor to likelihood and evidence.
    ordered, _ = quad(unnormalized, 0, 1)
    theta = np.linspace(0.05, 0.95, 7)
    np.testing.assert_allclose(joint(theta) / evidence, posterior.pdf(theta), rtol=1e-9)
    posterior_of_loss = np.array([unnormalized(t) for t in theta]) / ordered
    np.testing.assert_allclose(posterior_of_loss, posterior.pdf(theta), rtol=1e-9)
    # Divided by the true probability of the data, the posterior does not integrate to one.
    assert evidence / binom.pmf(heads, n, world) > 1.3


@pytest.mark.equation("3.4.7")
def test_map_is_the_mode_of_a_conjugate_posterior_and_tends_to_the_mle():
    a, b, frequency = 4.0, 2.0, 0.25
    gaps = []
    for n in (20, 200, 2000):
        data = np.repeat([1.0, 0.0], [int(frequency * n), n - int(frequency * n)])
        fit = maximum_a_posteriori(coin, lambda p: beta.logpdf(p[0], a, b), data, 0.5)
        mode = (frequency * n + a - 1) / (n + a + b - 2)
        np.testing.assert_allclose(fit.parameters, [mode], rtol=1e-6)
        # Beta's curvature at its mode.
        np.testing.assert_allclose(
            fit.standard_errors, [np.sqrt(mode * (1 - mode) / (n + a + b - 2))], rtol=1e-5
        )
        assert fit.log_likelihood == pytest.approx(np.sum(coin(data, fit.parameters)), rel=1e-12)
        gaps.append((mode - frequency) * (n + a + b - 2))
        flat = maximum_a_posteriori(coin, lambda p: 0.0, data, 0.5)
        np.testing.assert_allclose(flat.parameters, [frequency], rtol=1e-6)
    np.testing.assert_allclose(gaps, 3 - 4 * frequency, rtol=1e-10)


def test_a_gaussian_prior_on_a_linear_model_is_ridge_regression():
    rng = np.random.default_rng(4)
    x, sigma, width = rng.normal(size=(60, 4)), 0.5, 0.3
    y = x @ rng.normal(size=4) + sigma * rng.normal(size=60)
    fit = maximum_a_posteriori(
        lambda d, p: norm.logpdf(d[1], d[0] @ p, sigma),
        lambda p: np.sum(norm.logpdf(p, 0, width)),
        (x, y),
        np.zeros(4),
    )
    precision = x.T @ x / sigma**2 + np.eye(4) / width**2
    np.testing.assert_allclose(fit.parameters, np.linalg.solve(precision, x.T @ y) / sigma**2, rtol=1e-5)
    np.testing.assert_allclose(fit.information, precision, atol=1e-5 * np.abs(precision).max())


def test_map_depends_on_the_parametrization_but_maximum_likelihood_does_not():
    x = np.random.default_rng(5).exponential(0.5, 12)
    by_rate = maximum_likelihood(lambda x, p: expon.logpdf(x, scale=1 / p[0]), x, 1.0)
    by_log = maximum_likelihood(lambda x, p: expon.logpdf(x, scale=np.exp(-p[0])), x, 0.3)
    np.testing.assert_allclose(np.exp(by_log.parameters), by_rate.parameters, rtol=1e-5)
    rate = maximum_a_posteriori(
        lambda x, p: expon.logpdf(x, scale=1 / p[0]), lambda p: gamma.logpdf(p[0], 2), x, 1.0
    )
    # The same prior over u = log rate carries a Jacobian.
    logarithm = maximum_a_posteriori(
        lambda x, p: expon.logpdf(x, scale=np.exp(-p[0])),
        lambda p: gamma.logpdf(np.exp(p[0]), 2) + p[0],
        x,
        0.3,
    )
    np.testing.assert_allclose(rate.parameters, 13 / (1 + x.sum()), rtol=1e-5)
    np.testing.assert_allclose(logarithm.parameters, np.log(14 / (1 + x.sum())), rtol=1e-5)


def test_maximum_likelihood_is_biased_at_finite_n_and_consistent():
    # Footnote 6 of the notes claims the opposite. The variance of a Gaussian estimated from 5 examples is
    # biased.
    def variances(data):
        return np.array(
            [maximum_likelihood(gaussian, x, [x.mean(), np.ptp(x)]).parameters[1] ** 2 for x in data]
        )

    def sample(shape, rng):
        return rng.normal(size=shape)

    result = estimators.simulate(variances, sample, 1.0, 5, 100, np.random.default_rng(0))
    assert result.bias == pytest.approx(estimators.variance_bias(1.0, 5), abs=5 * result.mean_error)
    assert result.bias + 2 * result.mean_error < 0
    large = np.random.default_rng(1).normal(size=70_000)
    fit = maximum_likelihood(gaussian, large, [0.5, 2.0])
    assert np.all(np.abs(fit.parameters - [0, 1]) < 5 * fit.standard_errors)
    assert np.all(fit.standard_errors < 0.004)


def test_the_variance_of_the_mle_approaches_the_cramer_rao_bound_for_cauchy_data():
    n = 60

    def locations(data):
        return np.array([maximum_likelihood(cauchy_location, x, np.median(x)).parameters[0] for x in data])

    def cauchy_location(x, p):
        return -np.log1p((x - p[0]) ** 2)

    def sample(shape, rng):
        return rng.standard_cauchy(shape)

    result = estimators.simulate(locations, sample, 0.0, n, 200, np.random.default_rng(2))
    bound = estimators.cramer_rao_bound(1.0, 1 / 2, n)
    # The excess over the bound is of order 1/N; the median's variance is 23 % larger than the bound.
    assert result.variance == pytest.approx(bound, abs=5 * result.variance_error + 2 * bound / n)
    assert abs(result.bias) < 5 * result.mean_error


def test_standard_errors_match_the_spread_around_the_truth():
    rng = np.random.default_rng(6)
    fits = [maximum_likelihood(coin, rng.random(200) < 0.3, 0.5) for _ in range(120)]
    z = np.array([(f.parameters[0] - 0.3) / f.standard_errors[0] for f in fits])
    assert np.mean(z**2) == pytest.approx(1, abs=5 * np.sqrt(2 / 120))


def test_correlated_parameters_have_the_right_covariance():
    covariance = np.array([[2.0, 1.7, 0.0], [1.7, 1.6, 0.3], [0.0, 0.3, 4.0]])
    x = np.random.default_rng(7).multivariate_normal([1, 2, 3], covariance, 50)
    fit = maximum_likelihood(lambda x, p: multivariate_normal.logpdf(x - p, cov=covariance), x, np.zeros(3))
    np.testing.assert_allclose(fit.parameters, x.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(fit.covariance, covariance / 50, atol=1e-5)


def test_an_excluded_example_has_an_infinite_loss():
    assert negative_log_likelihood(lambda x, p: expon.logpdf(x - p[0]), np.array([1.0, 2.0]), [1.5]) == np.inf


X = np.random.default_rng(8).normal(size=40)
SEPARABLE = (X[:, None], (X > 0).astype(float))


@pytest.mark.parametrize(
    ("log_density", "data", "start", "message"),
    [
        (gaussian, X, [0.0, -1.0], r"log_density\(data, start\)\[0\] must be finite, got nan"),
        (gaussian, np.append(X, np.nan), [0.0, 1.0], r"log_density\(data, start\)\[40\] must be finite"),
        (lambda x, p: expon.logpdf(x), X, 1.0, r"log_density\(data, start\)\[\d+\] must be finite, got -inf"),
        (gaussian, X, [[0.0, 1.0]], r"start must have shape \[P\], got \(1, 2\)"),
        (gaussian, X, [], r"start must have shape \[P\], got \(0,\)"),
        (gaussian, X, [0.0, np.inf], r"start\[1\] must be finite"),
        (lambda x, p: np.sum(gaussian(x, p)), X, [0.0, 1.0], r"must have shape \[N\], got \(\)"),
        (gaussian, X[:1], [0.0, 1.0], "log_density must have a"),
        (lambda x, p: norm.logpdf(x, p[0]), X, [0.0, 1.0], r"it is not concave in parameters\[1\]"),
        (lambda x, p: norm.logpdf(x, p[0] + p[1]), X, [0.0, 1.0], "must have a smooth maximum"),
        (lambda x, p: laplace.logpdf(x, p[0]), X[:39], 0.0, "must be smooth at its maximum"),
        (lambda x, p: np.where(x**2 < p[0], -np.log(p[0]), -np.inf), X, 20.0, "must have a smooth maximum"),
        (logistic, SEPARABLE, 0.0, "must have a maximum, but it still grows"),
        # A maximum only 0.04 nats above a plateau.
        (lambda x, p: norm.logpdf(x) + 0.02 * np.exp(-(p[0] ** 2)), X[:2], 0.1, "must have a maximum, but"),
    ],
)
def test_invalid_arguments_and_densities_without_a_maximum_are_refused(log_density, data, start, message):
    with pytest.raises(ValueError, match=message):
        maximum_likelihood(log_density, data, start)


def test_a_prior_gives_separable_classes_a_maximum():
    fit = maximum_a_posteriori(logistic, lambda p: -p @ p / 2, SEPARABLE, 0.0)
    x, y = SEPARABLE
    w = fit.parameters
    assert w[0] == pytest.approx(float(x[:, 0] @ (y - expit(x @ w))), rel=1e-5)


def test_invalid_priors_and_losses_are_named():
    with pytest.raises(ValueError, match=r"log_prior\(start\) must be finite, got -inf"):
        maximum_a_posteriori(gaussian, lambda p: -np.inf, X, [0.0, 1.0])
    with pytest.raises(ValueError, match=r"log_prior\(start\) must be a number"):
        maximum_a_posteriori(gaussian, lambda p: -(p**2), X, [0.0, 1.0])
    with pytest.raises(
        ValueError, match=r"log_density\(data, parameters\)\[0\] must be below infinity, got nan"
    ):
        likelihood.negative_log_likelihood(gaussian, X, [0.0, -1.0])
