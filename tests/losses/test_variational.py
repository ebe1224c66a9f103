"""Oracles: TensorFlow Probability, Monte Carlo, and the linear Gaussian model with its closed forms."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import logsumexp
from scipy.stats import norm

from curvezoo.layers import GaussianSampling
from curvezoo.losses import variational
from curvezoo.losses.regression import GaussianNLL
from curvezoo.theory.probabilistic_pca import ProbabilisticPCA

RNG = np.random.default_rng(0)
MEAN, LOG_VARIANCE = RNG.normal(size=(6, 3)), RNG.normal(size=(6, 3))
LOADING, OFFSET, NOISE = RNG.normal(size=(5, 3)), RNG.normal(size=5), 0.7
POINTS = RNG.normal(size=(6, 5))
DRAWS = 40_000


@pytest.fixture(scope="module")
def model():
    return ProbabilisticPCA(LOADING, NOISE, OFFSET)


def draws(count, seed=1):
    """Returns draws from the encoder, [count, 6, 3]."""
    noise = np.random.default_rng(seed).normal(size=(count, 6, 3))
    return MEAN + np.exp(LOG_VARIANCE / 2) * noise


def terms_of(latents):
    """Returns the terms [B, K, 1 + Z] of the linear Gaussian model at latents [K, B, Z], by the losses."""
    nll = GaussianNLL(scale=NOISE, dtype="float64")
    targets = np.broadcast_to(POINTS, (len(latents), 6, 5))
    log_likelihood = -np.asarray(nll.call(targets, latents @ LOADING.T + OFFSET))
    divergences = np.asarray(variational.sampled_gaussian_kl(latents, MEAN, LOG_VARIANCE))
    terms = np.concatenate([log_likelihood[..., None], divergences], axis=-1)
    return np.swapaxes(terms, 0, 1)


def log_density_ratio(latents):
    q = norm(MEAN, np.exp(LOG_VARIANCE / 2)).logpdf(latents)
    return q - norm.logpdf(latents)


# The divergence from the prior


def test_the_divergence_is_that_of_tensorflow_probability():
    import tensorflow_probability as tfp

    q = tfp.distributions.Normal(MEAN, np.exp(LOG_VARIANCE / 2))
    prior = tfp.distributions.Normal(np.zeros_like(MEAN), 1.0)
    exact = tfp.distributions.kl_divergence(q, prior)
    np.testing.assert_allclose(variational.gaussian_kl(MEAN, LOG_VARIANCE), exact, rtol=1e-12)


def test_a_small_divergence_keeps_its_digits_in_single_precision():
    log_variance = np.float32([1e-3, -1e-3])
    exact = 0.5 * (np.expm1(np.float64(log_variance)) - np.float64(log_variance))
    np.testing.assert_allclose(variational.gaussian_kl(np.float32([0, 0]), log_variance), exact, rtol=2e-4)


def test_the_sampled_divergence_is_the_log_ratio_of_encoder_and_prior():
    latents = draws(50)
    sampled = variational.sampled_gaussian_kl(latents, MEAN, LOG_VARIANCE)
    np.testing.assert_allclose(sampled, log_density_ratio(latents), rtol=1e-10, atol=1e-12)


def test_the_mean_of_the_sampled_divergence_is_the_exact_one():
    sampled = np.asarray(variational.sampled_gaussian_kl(draws(DRAWS), MEAN, LOG_VARIANCE))
    error = sampled.std(axis=0) / np.sqrt(DRAWS)
    z = (sampled.mean(axis=0) - np.asarray(variational.gaussian_kl(MEAN, LOG_VARIANCE))) / error
    assert np.abs(z).max() < 4.5


# The negative ELBO


def test_the_loss_is_the_elbo_of_the_linear_gaussian_model(model):
    # The mean over the encoder's draws of the loss at beta = 1 is -ELBO, which has a closed form. An encoder
    # with one covariance for all points, as the closed form has it.
    covariance = np.diag(np.exp(LOG_VARIANCE[0]))
    noise = np.random.default_rng(2).normal(size=(DRAWS // 4, 6, 3))
    latents = MEAN + np.exp(LOG_VARIANCE[0] / 2) * noise
    divergence = np.broadcast_to(variational.gaussian_kl(MEAN, np.tile(LOG_VARIANCE[0], (6, 1))), noise.shape)
    terms = np.concatenate([terms_of(latents)[..., :1].swapaxes(0, 1), divergence], axis=-1)
    loss = variational.NegativeELBO(reduction=None, dtype="float64")
    values = np.asarray(loss(np.zeros((len(terms) * 6, 1)), terms.reshape(-1, 4))).reshape(-1, 6)
    z = (values.mean(axis=0) + model.elbo(POINTS, MEAN, covariance)) / values.std(axis=0)
    assert np.abs(z).max() * np.sqrt(len(values)) < 4.5


@pytest.mark.equation("7.3.2")
@pytest.mark.parametrize("beta", [0.5, 1.0, 4.0])
def test_the_loss_is_the_reconstruction_error_plus_beta_times_the_divergence(beta):
    latents = draws(1)[0]
    nll = GaussianNLL(scale=NOISE, dtype="float64")
    log_likelihood = -np.asarray(nll.call(POINTS, latents @ LOADING.T + OFFSET))
    terms = np.concatenate([log_likelihood[:, None], variational.gaussian_kl(MEAN, LOG_VARIANCE)], axis=1)
    error = -norm(latents @ LOADING.T + OFFSET, NOISE).logpdf(POINTS).sum(axis=1)
    # log q - log p is quadratic in the latents, and two nodes average it exactly.
    nodes = MEAN + np.exp(LOG_VARIANCE / 2) * np.array([-1.0, 1.0])[:, None, None]
    divergence = log_density_ratio(nodes).mean(axis=0).sum(axis=1)
    loss = variational.NegativeELBO(beta, dtype="float64")
    assert float(loss(np.zeros((6, 5)), terms)) == pytest.approx(
        np.mean(error + beta * divergence), rel=1e-12
    )


@pytest.mark.parametrize("beta", [0.0, 1.0, 4.0])
def test_the_loss_sums_over_latents_and_averages_over_images(beta):
    terms = np.random.default_rng(3).uniform(size=(6, 4))
    loss = variational.NegativeELBO(beta, dtype="float64")
    expected = np.mean(-terms[:, 0] + beta * terms[:, 1:].sum(axis=1))
    assert float(loss(np.zeros((6, 5)), terms)) == pytest.approx(expected, rel=1e-13)
    weights = np.array([0.0, 0.0, 3.0, 0.0, 0.0, 0.0])
    weighted = float(loss(np.zeros((6, 5)), terms, weights))
    assert weighted == pytest.approx((-terms[2, 0] + beta * terms[2, 1:].sum()) / 2, rel=1e-13)


def test_free_bits_are_the_least_cost_of_the_mean_divergence_of_each_latent():
    terms = tf.constant([[-3.0, 0.1, 2.0], [-5.0, 0.3, 0.4]], tf.float64)
    loss = variational.NegativeELBO(beta=2.0, free_bits=0.5, dtype="float64")
    with tf.GradientTape() as tape:
        tape.watch(terms)
        value = loss(np.zeros((2, 1)), terms)
    # The mean divergences are 0.2, which counts as 0.5, and 1.2, although one image has 0.4.
    assert float(value) == pytest.approx(4.0 + 2.0 * (0.5 + 1.2), rel=1e-13)
    gradient = tape.gradient(value, terms)
    np.testing.assert_allclose(gradient, [[-0.5, 0.0, 1.0]] * 2, rtol=1e-13)


def test_a_variable_beta_may_change_after_compilation():
    beta = keras.Variable(0.5, trainable=False)
    loss = variational.NegativeELBO(beta)
    compiled = tf.function(lambda terms: loss(tf.zeros((1, 1)), terms))
    terms = tf.constant([[-3.0, 1.0, 1.0]])
    assert float(compiled(terms)) == 4.0
    beta.assign(2.0)
    assert float(compiled(terms)) == 7.0
    assert variational.NegativeELBO.from_config(loss.get_config()).beta == 2.0


@pytest.mark.equation("7.3.11")
def test_the_gradient_through_the_draws_is_that_of_the_closed_form(model, monkeypatch):
    # The layer draws the noise at the nodes of a quadrature that is exact for polynomials of degree 3.
    nodes, _ = np.polynomial.hermite_e.hermegauss(2)
    noise = np.stack(np.meshgrid(nodes, nodes, nodes), axis=-1).reshape(8, 1, 3)
    monkeypatch.setattr(keras.random, "normal", lambda shape, **_: tf.broadcast_to(noise, shape))
    mean, log_variance = tf.constant(MEAN), tf.constant(LOG_VARIANCE[:1])
    with tf.GradientTape() as tape:
        tape.watch([mean, log_variance])
        encoded = [tf.broadcast_to(x, (8, 6, 3)) for x in (mean, log_variance)]
        latents = GaussianSampling(dtype="float64")(encoded)
        locations = tf.einsum("kbz,dz->kbd", latents, LOADING) + OFFSET
        nll = GaussianNLL(scale=NOISE, dtype="float64")
        reconstruction = -nll.call(np.broadcast_to(POINTS, (8, 6, 5)), locations)
        divergence = tf.reduce_sum(variational.gaussian_kl(mean, tf.tile(log_variance, (6, 1))))
        elbo = tf.reduce_sum(tf.reduce_mean(reconstruction, axis=0)) - divergence

    def closed_form(mean, log_variance):
        return model.elbo(POINTS, mean, np.diag(np.exp(log_variance[0]))).sum()

    assert float(elbo) == pytest.approx(closed_form(MEAN, LOG_VARIANCE[:1]), rel=1e-12)
    step = 1e-5
    gradients = [g.numpy() for g in tape.gradient(elbo, [mean, log_variance])]
    for index in np.ndindex(6, 3):
        shift = np.zeros((6, 3))
        shift[index] = step
        difference = closed_form(MEAN + shift, LOG_VARIANCE[:1]) - closed_form(MEAN - shift, LOG_VARIANCE[:1])
        assert gradients[0][index] == pytest.approx(difference / (2 * step), rel=1e-6, abs=1e-7)
    for column in range(3):
        shift = np.zeros((1, 3))
        shift[0, column] = step
        difference = closed_form(MEAN, LOG_VARIANCE[:1] + shift) - closed_form(MEAN, LOG_VARIANCE[:1] - shift)
        assert gradients[1][0, column] == pytest.approx(difference / (2 * step), rel=1e-6, abs=1e-7)


# The importance-weighted bound


def test_the_mean_of_exponentials_does_not_overflow():
    values = np.random.default_rng(4).normal(scale=300.0, size=(7, 50)) + 2000.0
    exact = logsumexp(values, axis=1) - np.log(50)
    np.testing.assert_allclose(variational.log_mean_exp(values), exact, rtol=1e-13)
    np.testing.assert_allclose(variational.log_mean_exp(values.T, axis=0), exact, rtol=1e-13)
    assert float(variational.log_mean_exp(np.float32([-1e4, -1e4]))) == -1e4


def test_the_weight_is_the_joint_density_over_that_of_the_encoder(model):
    latents = draws(20)
    weights = np.asarray(variational.log_weights(terms_of(latents)))
    for k, z in enumerate(latents):
        q = norm(MEAN, np.exp(LOG_VARIANCE / 2)).logpdf(z).sum(axis=1)
        np.testing.assert_allclose(weights[:, k], model.log_joint(POINTS, z) - q, rtol=1e-10)


def test_the_bound_rises_with_the_number_of_draws_to_the_log_density():
    # One latent and an encoder N(m + s/2, 2 s^2) for the posterior N(m, s^2).
    model = ProbabilisticPCA(LOADING[:, :1], NOISE, OFFSET)
    x = POINTS[:1]
    mean, covariance = model.posterior(x)
    s = np.sqrt(covariance[0, 0])
    a, variance = mean + s / 2, np.full((1, 1), 2 * s**2)
    z = a + np.sqrt(variance) * np.random.default_rng(5).normal(size=(1_000_000, 1))
    divergence = variational.sampled_gaussian_kl(z, a, np.log(variance))
    likelihood = norm(z @ LOADING[:, :1].T + OFFSET, NOISE).logpdf(x).sum(axis=1)
    log_ratio = likelihood - np.asarray(divergence)[:, 0] - model.log_density(x)
    # The mean of the ratio is 1; subtracting its deviation, which has no mean, reduces the noise.
    gaps = []
    for count in (1, 10, 100):
        estimate = np.asarray(variational.log_mean_exp(log_ratio.reshape(-1, count)))
        gaps.append(-np.mean(estimate - np.expm1(estimate)))
    assert gaps[0] == pytest.approx((model.log_density(x) - model.elbo(x, a, variance))[0], rel=0.01)
    # E w^2 / p^2 - 1, the integral of the posterior's square over the encoder, is (2 / 3^(1/2)) e^(1/12) - 1.
    spread = 2 / np.sqrt(3) * np.exp(1 / 12) - 1
    np.testing.assert_allclose(gaps[1:], [spread / 20, spread / 200], rtol=0.1)


def test_at_the_posterior_every_weight_is_the_density(model):
    # One latent, so that the posterior has a diagonal covariance.
    model = ProbabilisticPCA(LOADING[:, :1], NOISE, OFFSET)
    mean, covariance = model.posterior(POINTS)
    for z in (mean - 1.0, mean, mean + 2.5):
        divergence = variational.sampled_gaussian_kl(z, mean, np.log(covariance))
        terms = np.concatenate([model.log_likelihood(POINTS, z)[:, None], divergence], axis=1)
        loss = variational.NegativeImportanceWeightedBound(reduction=None, dtype="float64")
        value = loss(np.zeros((6, 1)), np.tile(terms[:, None], (1, 3, 1)))
        np.testing.assert_allclose(value, -model.log_density(POINTS), rtol=1e-10)


def test_the_gradient_of_the_bound_weights_the_draws():
    terms = tf.constant(terms_of(draws(7)))
    with tf.GradientTape() as tape:
        tape.watch(terms)
        loss = variational.NegativeImportanceWeightedBound(reduction="sum", dtype="float64")
        value = loss(np.zeros((6, 1)), terms)
    weights = np.asarray(variational.log_weights(terms))
    weights = np.exp(weights - logsumexp(weights, axis=1, keepdims=True))
    gradient = tape.gradient(value, terms)
    np.testing.assert_allclose(gradient[..., 0], -weights, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(gradient[..., 2], weights, rtol=1e-9, atol=1e-12)


# The metric, saving, wrong arguments


def test_the_metric_is_the_mean_divergence_over_all_batches():
    metric, batches = variational.Divergence(), [np.ones((2, 4)), np.full((6, 4), 2.0)]
    for terms in batches:
        metric.update_state(None, terms)
    assert float(metric.result()) == pytest.approx((2 * 3.0 + 6 * 6.0) / 8)


def test_the_metric_sums_half_precision_terms_in_single_precision():
    metric = variational.Divergence()
    metric.update_state(None, np.full((2, 2001), 40.0, "float16"))
    assert float(metric.result()) == pytest.approx(80_000)


@pytest.mark.parametrize(
    "loss",
    [variational.NegativeELBO(4.0, 0.25, name="bound"), variational.NegativeImportanceWeightedBound("sum")],
)
def test_a_loss_survives_saving(loss):
    restored = keras.losses.deserialize(keras.losses.serialize(loss))
    assert restored.get_config() == loss.get_config()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: variational.Divergence().update_state(None, np.zeros((2, 5, 3))),
            r"y_pred must have shape \[B, 1 \+ Z\], .*, got \(2, 5, 3\)",
        ),
        (lambda: variational.NegativeELBO(beta=-1.0), "beta must be a nonnegative finite number, got -1.0"),
        (lambda: variational.NegativeELBO(free_bits=-0.1), "free_bits must be a nonnegative"),
        (lambda: variational.NegativeELBO(keras.Variable([1.0])), r"beta must be a number or a scalar"),
        (
            lambda: variational.NegativeELBO()(np.zeros((2, 1)), np.zeros((2, 1))),
            r"y_pred must have shape \[B, 1 \+ Z\], .*, got \(2, 1\)",
        ),
        (
            lambda: variational.NegativeELBO()(np.zeros((2, 1)), np.zeros((2, 5, 3))),
            r"y_pred must have shape \[B, 1 \+ Z\], .*, got \(2, 5, 3\)",
        ),
        (
            lambda: variational.NegativeImportanceWeightedBound()(np.zeros((2, 1)), np.zeros((2, 3))),
            r"y_pred must have shape \[B, K, 1 \+ Z\], .*, got \(2, 3\)",
        ),
    ],
)
def test_an_error_names_the_wrong_argument(make, message):
    with pytest.raises(ValueError, match=message):
        make()
