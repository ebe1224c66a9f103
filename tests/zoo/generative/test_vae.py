"""Oracles: the linear Gaussian model, which is a VAE without hidden layers, and TensorFlow Probability."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from curvezoo import losses
from curvezoo.theory.probabilistic_pca import ProbabilisticPCA, kl_divergence
from curvezoo.training.kl_warmup import KLWarmup
from curvezoo.zoo.generative import VAE

SHAPE, NOISE = (3, 2, 1), 0.3
RNG = np.random.default_rng(0)
# Orthogonal columns, so that the posterior has a diagonal covariance; the last latent is not used.
LOADING = np.linalg.qr(RNG.normal(size=(6, 3)))[0] * [1.0, 0.5, 0.0]
OFFSET = RNG.uniform(0.3, 0.7, 6)
IMAGES = RNG.uniform(size=(7, *SHAPE)).astype("float32")


@pytest.fixture(scope="module")
def pca():
    return ProbabilisticPCA(LOADING, NOISE, OFFSET)


def linear_vae(pca, shift=0.0, wider=1.0, **settings):
    """Returns the VAE of the model, whose encoder is the posterior, with means and variances changed."""
    model = VAE(SHAPE, latents=3, units=(), likelihood="gaussian", **settings)
    mean, covariance = pca.posterior(np.concatenate([np.zeros((1, 6)), np.eye(6)]))
    decoder = {"pixels": (LOADING.T, OFFSET), "scale": (np.full(6, np.log(NOISE)),)}
    log_variance = np.log(wider * np.diagonal(covariance))
    encoder = {
        "mean": (mean[1:] - mean[0], mean[0] + shift),
        "log_variance": (np.zeros((6, 3)), log_variance),
    }
    for part, weights in ((model.encoder, encoder), (model.decoder, decoder)):
        for name, values in weights.items():
            part.get_layer(name).set_weights(values)
    return model


def bernoulli_vae(**settings):
    keras.utils.set_random_seed(0)
    return VAE(SHAPE, latents=2, units=(8, 5), **settings)


def without_noise(model):
    """Sets the standard deviation of the encoder to e^-20."""
    layer = model.encoder.get_layer("log_variance")
    layer.set_weights([np.zeros(layer.kernel.shape), np.full(layer.bias.shape, -40.0)])
    return model


def binary(count, seed=1):
    return np.random.default_rng(seed).integers(0, 2, (count, *SHAPE)).astype("float32")


def flat(images):
    return images.reshape(len(images), -1).astype("float64")


# Terms and bounds


def test_with_the_posterior_as_encoder_every_draw_has_the_weight_of_the_log_density(pca):
    exact = pca.log_density(flat(IMAGES))
    model = linear_vae(pca)
    for samples, seed in ((1, 0), (7, 1), (120, 2)):
        estimate = model.importance_log_prob(IMAGES, samples, seed)
        np.testing.assert_allclose(estimate, exact, rtol=1e-5, atol=1e-4)
    terms = linear_vae(pca, importance_samples=4)(IMAGES)
    assert terms.shape == (7, 4, 4)
    loss = losses.NegativeImportanceWeightedBound()(IMAGES, terms)
    assert float(loss) == pytest.approx(-exact.mean(), rel=1e-5)


def test_the_mean_elbo_is_the_log_density_less_the_divergence_to_the_posterior(pca):
    model, repeats = linear_vae(pca, 0.3, 1.5), 400
    images = np.repeat(IMAGES, repeats, axis=0)
    mean, covariance = pca.posterior(flat(IMAGES))
    expected = pca.log_density(flat(IMAGES)) - kl_divergence(mean + 0.3, 1.5 * covariance, mean, covariance)
    rate = kl_divergence(mean + 0.3, 1.5 * covariance, np.zeros((7, 3)), np.eye(3))
    training = np.asarray(model(images))
    for values in (model.elbo(images, seed=3), training[:, 0] - training[:, 1:].sum(axis=1)):
        values = values.reshape(7, repeats)
        z = (values.mean(axis=1) - expected) / values.std(axis=1) * np.sqrt(repeats)
        assert np.abs(z).max() < 4.5
    np.testing.assert_allclose(model.elbo_terms(IMAGES)[1], rate, rtol=1e-4)
    # The encoder is off by its shift and width, which importance weights undo.
    estimate = model.importance_log_prob(IMAGES, 2000)
    np.testing.assert_allclose(estimate, pca.log_density(flat(IMAGES)), atol=0.1)
    assert np.all(pca.log_density(flat(IMAGES)) - expected > 0.3)


def test_without_noise_the_terms_are_the_bernoulli_likelihood_of_the_decoded_mean():
    model, images = without_noise(bernoulli_vae()), binary(9)
    means, _ = model.encoder(images)
    bernoulli = tfp.distributions.Bernoulli(logits=tf.cast(model.decoder(means), tf.float64))
    exact = bernoulli.log_prob(flat(images)).numpy().sum(axis=1)
    terms = model(images)
    np.testing.assert_allclose(terms[:, 0], exact, rtol=1e-5)
    np.testing.assert_allclose(terms[:, 1:], losses.gaussian_kl(means, tf.fill((9, 2), -40.0)), rtol=1e-6)
    np.testing.assert_allclose(model.elbo_terms(images)[0], -exact, rtol=1e-5)
    np.testing.assert_allclose(
        model.decode(model.encode(images)), bernoulli.mean().numpy().reshape(images.shape), rtol=1e-5
    )


def test_noise_depends_on_the_seed_and_the_image():
    model, images = bernoulli_vae(), np.repeat(binary(1), 1500, axis=0)
    values = model.elbo(images, seed=1)
    np.testing.assert_array_equal(model.elbo(images, seed=1), values)
    assert np.mean(model.elbo(images, seed=2) == values) < 0.01
    # More images than one program takes at a time.
    assert len(np.unique(values)) > 1000
    weights = model.importance_log_prob(images[:250], samples=3, seed=1)
    assert len(np.unique(weights)) > 200


def test_a_latent_is_active_if_its_mean_varies_over_the_images(pca):
    model = linear_vae(pca)
    assert model.active_units(IMAGES, threshold=1e-6) == 2
    assert model.active_units(IMAGES, threshold=100.0) == 0


# Latents and images


def test_samples_are_decoded_draws_from_the_prior(pca):
    model = linear_vae(pca)
    images = model.sample(4000, seed=1)
    np.testing.assert_array_equal(model.sample(4000, seed=1), images)
    assert np.any(model.sample(4000, seed=2) != images)
    assert images.min() >= 0.0 and images.max() <= 1.0
    # Pixels that the range of 0 to 1 does not clip have the moments of W z + m.
    deviations = np.sqrt(np.sum(LOADING**2, axis=1))
    inside = (np.abs(OFFSET - 0.5) + 3.5 * deviations < 0.5).nonzero()[0]
    pixels = flat(images)[:, inside]
    np.testing.assert_allclose(pixels.mean(axis=0), OFFSET[inside], atol=4.5 * 0.5 / np.sqrt(4000))


def test_a_traversal_changes_one_latent(pca):
    model = linear_vae(pca)
    start, values = model.encode(IMAGES[:1])[0], np.array([-1.0, 0.0, 2.0])
    for given in (start, IMAGES[0]):
        images = model.traverse(given, 1, values)
        latents = np.tile(start, (3, 1))
        latents[:, 1] = values
        np.testing.assert_allclose(images, model.decode(latents), atol=1e-6)
    with pytest.raises(ValueError, match="latent must be an integer from 0 to 2, got 3"):
        model.traverse(start, 3, values)
    with pytest.raises(ValueError, match=r"start must have shape \[N, 3\], got \(1, 2\)"):
        model.traverse(start[:2], 0, values)


# Training


def test_two_replicas_take_the_step_of_one(mirrored):
    images = binary(16, seed=2)
    data = tf.data.Dataset.from_tensor_slices((images, images)).batch(16)
    steps = []
    for scope in (tf.distribute.get_strategy(), mirrored):
        with scope.scope():
            model = without_noise(bernoulli_vae())
            model.compile(keras.optimizers.SGD(0.01), losses.NegativeELBO(beta=0.5), jit_compile=False)
        model.fit(data, verbose=0)
        steps.append([np.asarray(w) for w in model.get_weights()])
    before = without_noise(bernoulli_vae()).get_weights()
    assert all(np.any(w != old) for w, old in zip(steps[0], before, strict=True))
    for one, two in zip(*steps, strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("settings", [{}, {"importance_samples": 3}, {"likelihood": "gaussian"}])
def test_a_model_survives_saving(settings, tmp_path):
    model = bernoulli_vae(**settings)
    model.save(tmp_path / "vae.keras")
    loaded = keras.models.load_model(tmp_path / "vae.keras")
    assert loaded.get_config() == model.get_config()
    images = binary(3)
    np.testing.assert_array_equal(loaded.elbo(images), model.elbo(images))
    np.testing.assert_array_equal(loaded.sample(3), model.sample(3))
    assert loaded(images).shape == model(images).shape


def test_the_warm_up_raises_beta_by_the_epoch_and_logs_it():
    model, images = bernoulli_vae(), binary(8)
    model.compile("sgd", losses.NegativeELBO(keras.Variable(1.0, trainable=False)), jit_compile=False)
    warmup = KLWarmup(beta=2.0, epochs=3)
    first = model.fit(images, images, epochs=2, callbacks=[warmup], verbose=0)
    # A resumed run goes on with the weight of its epoch.
    model.loss.beta.assign(9.0)
    rest = model.fit(images, images, initial_epoch=2, epochs=6, callbacks=[warmup], verbose=0)
    assert first.history["beta"] + rest.history["beta"] == [0.5, 1.0, 1.5, 2.0, 2.0, 2.0]
    assert float(model.loss.beta) == 2.0
    model.compile("sgd", losses.NegativeELBO())
    with pytest.raises(ValueError, match="KLWarmup needs a model with the loss NegativeELBO"):
        model.fit(images, images, callbacks=[warmup], verbose=0)


# Wrong arguments


def test_gray_images_of_a_bernoulli_model_warn_once_with_what_happens():
    model = bernoulli_vae()
    with pytest.warns(UserWarning, match="binary pixels, got others: its nats are then a cross-entropy"):
        model.elbo(IMAGES)
    model.importance_log_prob(IMAGES, 2)  # Warnings are errors below.


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: VAE(SHAPE, latents=0), "latents must be an integer of at least 1, got 0"),
        (lambda: VAE(SHAPE, units=(8, 0)), r"units\[1\] must be an integer of at least 1, got 0"),
        (lambda: VAE(SHAPE, importance_samples=0), "importance_samples must be an integer of at least 1"),
        (lambda: VAE(SHAPE, likelihood="poisson"), "likelihood must be one of bernoulli, gaussian"),
        (lambda: bernoulli_vae().elbo(binary(2)[:, :2]), r"images must have shape \[N, 3, 2, 1\]"),
        (lambda: bernoulli_vae().elbo(2 * binary(2)), r"must be in \[0, 1\]; divide .*, got 2"),
        (lambda: bernoulli_vae().elbo(binary(2), seed=-1), "seed must be"),
        (lambda: bernoulli_vae().decode(np.zeros((2, 3))), r"latents must have shape \[N, 2\], got \(2, 3\)"),
        (lambda: bernoulli_vae().importance_log_prob(binary(2), 0), "samples must be an integer of at least"),
        (lambda: bernoulli_vae().active_units(binary(2), -1.0), "threshold must be a nonnegative finite"),
    ],
)
def test_an_error_names_the_wrong_argument(call, message):
    with pytest.raises(ValueError, match=message):
        call()
