"""Oracles: SciPy's multivariate normal, quadrature over the latents, and Monte Carlo."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize
from scipy.stats import multivariate_normal, norm

from curvezoo.theory.probabilistic_pca import ProbabilisticPCA, kl_divergence

RNG = np.random.default_rng(0)
LOADING, MEAN, NOISE = RNG.normal(size=(5, 2)), RNG.normal(size=5), 0.7
POINTS = RNG.normal(size=(4, 5))


@pytest.fixture(scope="module")
def model():
    return ProbabilisticPCA(LOADING, NOISE, MEAN)


def encoder(seed):
    """Returns the means [4, 2] and the covariance [2, 2] of an arbitrary Gaussian q(z|x)."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(2, 2))
    return rng.normal(size=(4, 2)), root @ root.T + 0.1 * np.eye(2)


def expectation(function, mean, covariance):
    """Returns E_q f(z), exact for polynomials of degree 7, by Gauss-Hermite quadrature over the noise."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(4)
    weights = weights / weights.sum()
    root, total = np.linalg.cholesky(covariance), 0.0
    for i, j in np.ndindex(4, 4):
        total += weights[i] * weights[j] * function(mean + root @ [nodes[i], nodes[j]])
    return total


def log_encoder(latents, mean, covariance):
    return np.array(
        [multivariate_normal(m, covariance).logpdf(z) for z, m in zip(latents, mean, strict=True)]
    )


@pytest.mark.equation("7.3.3")
def test_the_density_is_the_integral_of_the_joint_density_over_the_latent():
    model = ProbabilisticPCA(LOADING[:, :1], NOISE, MEAN)
    for x in POINTS:
        integral = quad(lambda z, x=x: np.exp(model.log_joint([x], [[z]])[0]), -10, 10, epsabs=1e-14)[0]
        assert model.log_density([x])[0] == pytest.approx(np.log(integral), rel=1e-10)


def test_the_density_is_the_gaussian_of_variance_loading_squared_plus_noise(model):
    exact = multivariate_normal(MEAN, LOADING @ LOADING.T + NOISE**2 * np.eye(5)).logpdf(POINTS)
    np.testing.assert_allclose(model.log_density(POINTS), exact, rtol=1e-12)


@pytest.mark.parametrize("noise", [1e-3, 1e-6, 1e-9, 1e-100])
@pytest.mark.parametrize("shape", [(5, 2), (3, 3), (2, 4)])
def test_densities_and_posteriors_are_exact_for_any_noise(shape, noise):
    # Along the principal axes of W, all coordinates are independent.
    size, latents = shape
    rng = np.random.default_rng(3)
    axes, turn = (np.linalg.qr(rng.normal(size=(n, n)))[0] for n in shape)
    spread = np.zeros(shape)
    np.fill_diagonal(spread, np.linspace(0.5, 2.0, min(shape)))
    model = ProbabilisticPCA(axes @ spread @ turn.T, noise)
    x = rng.normal(size=(3, size))
    variances = np.diagonal(spread @ spread.T) + noise**2
    exact = norm.logpdf(x @ axes, scale=np.sqrt(variances)).sum(axis=1)
    np.testing.assert_allclose(model.log_density(x), exact, rtol=1e-12)
    mean, covariance = model.posterior(x)
    np.testing.assert_allclose(mean, x @ axes / variances @ spread @ turn.T, atol=1e-13)
    squares = np.append(np.linspace(0.5, 2.0, min(shape)) ** 2, np.zeros(latents - min(shape)))
    rest = np.diag(noise**2 / (squares + noise**2))
    np.testing.assert_allclose(turn.T @ covariance @ turn, rest, atol=1e-15)


def test_two_equal_columns_of_the_loading_share_their_latents():
    model = ProbabilisticPCA(LOADING[:, [0, 0]], 1e-9, MEAN)
    mean, covariance = model.posterior(POINTS)
    single, _ = ProbabilisticPCA(np.sqrt(2) * LOADING[:, :1], 1e-9, MEAN).posterior(POINTS)
    np.testing.assert_allclose(mean, single * np.full(2, np.sqrt(0.5)), rtol=1e-12)
    np.testing.assert_allclose(covariance, [[0.5, -0.5], [-0.5, 0.5]], atol=1e-14)


def test_the_divergence_of_close_gaussians_keeps_its_digits():
    root = np.random.default_rng(4).normal(size=(3, 3))
    covariance, means = root @ root.T, np.zeros((2, 3))
    # D = 3 (d - log(1 + d)) / 2.
    close = kl_divergence(means, covariance * (1 + 2.0**-20), means, covariance)
    np.testing.assert_allclose(close, 3 * (2.0**-42 - 2.0**-60 / 6), rtol=1e-9)


@pytest.mark.equation("7.3.4")
@pytest.mark.equation("7.3.5")
def test_both_factorizations_give_the_same_joint_density(model):
    latents = np.random.default_rng(1).normal(size=(4, 2))
    prior = multivariate_normal(np.zeros(2)).logpdf(latents)
    likelihood = [
        multivariate_normal(LOADING @ z + MEAN, NOISE**2 * np.eye(5)).logpdf(x)
        for x, z in zip(POINTS, latents, strict=True)
    ]
    posterior = log_encoder(latents, *model.posterior(POINTS))
    np.testing.assert_allclose(model.log_joint(POINTS, latents), likelihood + prior, rtol=1e-12)
    np.testing.assert_allclose(likelihood + prior, posterior + model.log_density(POINTS), rtol=1e-12)


@pytest.mark.equation("7.3.6")
def test_the_joint_over_the_posterior_density_is_the_same_at_all_latents(model):
    mean, covariance = encoder(2)
    for seed in range(5):
        latents = 3 * np.random.default_rng(seed).normal(size=(4, 2))
        q = log_encoder(latents, mean, covariance)
        gap = q - log_encoder(latents, *model.posterior(POINTS))
        total = model.log_joint(POINTS, latents) - q + gap
        np.testing.assert_allclose(total, model.log_density(POINTS), rtol=1e-11)


@pytest.mark.equation("7.3.8")
@pytest.mark.parametrize("seed", range(3))
def test_the_elbo_is_the_mean_log_ratio_of_joint_and_encoder_density(model, seed):
    mean, covariance = encoder(seed)
    for row, x in enumerate(POINTS):

        def log_ratio(z, x=x, row=row):
            q = multivariate_normal(mean[row], covariance).logpdf(z)
            return model.log_joint([x], [z])[0] - q

        exact = expectation(log_ratio, mean[row], covariance)
        assert model.elbo([x], mean[[row]], covariance)[0] == pytest.approx(exact, rel=1e-12)


@pytest.mark.equation("7.3.7")
@pytest.mark.parametrize("seed", range(3))
def test_the_elbo_plus_the_divergence_to_the_posterior_is_the_log_density(model, seed):
    mean, covariance = encoder(seed)
    divergence = kl_divergence(mean, covariance, *model.posterior(POINTS))
    assert divergence.min() > 0.1
    total = model.elbo(POINTS, mean, covariance) + divergence
    np.testing.assert_allclose(total, model.log_density(POINTS), rtol=1e-12)


@pytest.mark.equation("7.3.9")
def test_the_elbo_is_below_the_log_density_except_at_the_posterior(model):
    exact, best = model.log_density(POINTS), model.posterior(POINTS)
    for seed in range(20):
        assert np.all(model.elbo(POINTS, *encoder(seed)) < exact)
    np.testing.assert_allclose(model.elbo(POINTS, *best), exact, rtol=1e-12)


def test_at_the_tightest_bound_the_encoder_differs_from_the_prior(model):
    mean, covariance = model.posterior(POINTS)
    assert kl_divergence(mean, covariance, np.zeros((4, 2)), np.eye(2)).min() > 0.5


@pytest.mark.equation("7.3.10")
def test_the_elbo_is_the_mean_log_likelihood_minus_the_divergence_to_the_prior(model):
    mean, covariance = encoder(4)
    for row, x in enumerate(POINTS):

        def log_likelihood(z, x=x):
            return multivariate_normal(LOADING @ z + MEAN, NOISE**2 * np.eye(5)).logpdf(x)

        def log_ratio(z, row=row):
            q = multivariate_normal(mean[row], covariance).logpdf(z)
            return q - multivariate_normal(np.zeros(2)).logpdf(z)

        reconstruction, prior = (expectation(f, mean[row], covariance) for f in (log_likelihood, log_ratio))
        elbo = model.elbo([x], mean[[row]], covariance)[0]
        assert elbo == pytest.approx(reconstruction - prior, rel=1e-12)


def test_the_divergence_of_gaussians_is_the_mean_log_ratio():
    (mean, covariance), (other_mean, other) = encoder(5), encoder(6)
    for row in range(4):

        def log_ratio(z, row=row):
            p = multivariate_normal(mean[row], covariance).logpdf(z)
            return p - multivariate_normal(other_mean[row], other).logpdf(z)

        exact = expectation(log_ratio, mean[row], covariance)
        ours = kl_divergence(mean[[row]], covariance, other_mean[[row]], other)[0]
        assert ours == pytest.approx(exact, rel=1e-11)


@pytest.mark.parametrize("beta", [0.5, 1.0, 4.0, 20.0])
def test_beta_times_the_noise_variance_is_the_variance_below_which_a_latent_collapses(beta):
    # One dimension x of variance 9: the minimum of the mean loss over w, and over q(z|x) = N(a x, v), has
    # w^2 = 9 - beta s^2, or w = a = 0 and v = 1, the prior for every x, if that is negative.
    variance, noise = 9.0, 1.0
    points, weights = np.polynomial.hermite_e.hermegauss(4)
    points, weights = np.sqrt(variance) * points[:, None], weights / weights.sum()

    def loss(parameters):
        w, a, log_v = parameters
        model = ProbabilisticPCA([[w]], noise)
        mean, v = a * points, np.exp([[log_v]])
        divergence = kl_divergence(mean, v, np.zeros_like(mean), [[1.0]])
        reconstruction = model.elbo(points, mean, v) + divergence
        return weights @ (-reconstruction + beta * divergence)

    found = minimize(loss, [1.0, 0.3, -0.5], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-13})
    w, a, log_v = found.x
    kept = max(variance - beta * noise**2, 0.0)
    assert w**2 == pytest.approx(kept, abs=1e-3)
    assert abs(a) == pytest.approx(np.sqrt(kept) / variance, abs=2e-3)
    assert np.exp(log_v) == pytest.approx(min(beta * noise**2 / variance, 1.0), abs=1e-3)


def test_a_sample_has_the_density_of_the_model(model):
    rng = np.random.default_rng(7)
    latents = rng.normal(size=(20_000, 2))
    x = latents @ LOADING.T + MEAN + NOISE * rng.normal(size=(20_000, 5))
    entropy = 0.5 * np.linalg.slogdet(2 * np.pi * np.e * (LOADING @ LOADING.T + NOISE**2 * np.eye(5)))[1]
    values = -model.log_density(x)
    assert values.mean() == pytest.approx(entropy, abs=4 * values.std() / np.sqrt(20_000))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ProbabilisticPCA([1.0], 1.0), "loading must have 2 axes"),
        (lambda: ProbabilisticPCA(LOADING, 0.0), "noise must be a positive finite number, got 0.0"),
        (lambda: ProbabilisticPCA(LOADING, 1.0, [0.0]), r"mean must have shape \(5,\)"),
        (lambda: ProbabilisticPCA(LOADING, 1.0).log_density([[0.0]]), r"x must have shape \(N, 5\)"),
        (
            lambda: ProbabilisticPCA(LOADING, 1.0).log_joint(POINTS, [[0.0]]),
            r"latents must have shape \(N, 2\)",
        ),
        (lambda: ProbabilisticPCA(LOADING, 1.0).elbo(POINTS, [[0.0] * 2] * 4, -np.eye(2)), "covariance"),
    ],
)
def test_an_error_names_the_wrong_argument(make, message):
    with pytest.raises(ValueError, match=message):
        make()
