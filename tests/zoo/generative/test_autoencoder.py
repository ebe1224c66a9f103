"""Oracles: a hand-made linear code, the discarded eigenvalues of PCA, and distances to centers."""

import keras
import numpy as np
import pytest
from scipy.special import logit

from curvezoo import losses, zoo
from curvezoo.publishing.measures import reconstruction
from curvezoo.zoo.generative import Autoencoder

SHAPE = (3, 2, 1)
IMAGES = np.random.default_rng(0).uniform(0.05, 0.95, (4, *SHAPE)).astype("float32")


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return Autoencoder(SHAPE, latents=2, units=(8, 5))


def affine_map(inputs, outputs):
    """Returns a kernel and a bias that map each input [N, I] to its output [N, O], if N points allow it."""
    solution = np.linalg.lstsq(np.c_[inputs, np.ones(len(inputs))], outputs, rcond=None)[0]
    return solution[:-1], solution[-1]


@pytest.mark.equation("7.1.1")
def test_the_model_is_the_decoder_after_the_encoder(model):
    logits = model(IMAGES)
    assert logits.shape == (4, 6)
    made = model.decode(model.encode(IMAGES))
    np.testing.assert_allclose(logit(made.reshape(4, 6).astype("float64")), logits, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.reconstruct(IMAGES), made, rtol=1e-6)


@pytest.mark.equation("7.3.1")
def test_a_code_of_two_numbers_is_the_identity_on_three_images_and_not_on_more():
    model = Autoencoder(SHAPE, latents=2, units=())
    pixels, codes = IMAGES.reshape(4, 6).astype("float64"), np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    model.get_layer("code").set_weights(affine_map(pixels[:3], codes))
    model.get_layer("logits").set_weights(affine_map(codes, logit(pixels[:3])))
    made = model.reconstruct(IMAGES)
    np.testing.assert_allclose(made[:3], IMAGES[:3], atol=1e-5)
    assert np.abs(made[3] - IMAGES[3]).max() > 0.05
    # The sum over codes z of p(y|z) q(z|x) with delta functions p and q is 1 for y = x, else 0.
    nearest = np.abs(made[:3, None] - IMAGES[None, :3]).sum(axis=(2, 3, 4)) < 1e-4
    np.testing.assert_array_equal(nearest, np.eye(3, dtype=bool))


def test_the_loss_is_least_for_the_pixels_themselves():
    pixels = IMAGES.reshape(4, 6)
    best = float(losses.BernoulliNLL()(pixels, logit(pixels)))
    assert best == pytest.approx(reconstruction.pixel_entropy(pixels), rel=1e-5)
    assert float(losses.BernoulliNLL()(pixels, logit(pixels) + 0.1)) > best + 1e-3


def test_a_model_survives_saving(model, tmp_path):
    model.save(tmp_path / "autoencoder.keras")
    loaded = keras.models.load_model(tmp_path / "autoencoder.keras")
    assert loaded.get_config() == model.get_config()
    np.testing.assert_array_equal(loaded.reconstruct(IMAGES), model.reconstruct(IMAGES))


def test_the_error_of_pca_is_the_sum_of_the_discarded_eigenvalues():
    data = np.random.default_rng(1).normal(size=(300, 6)) * [3.0, 2.0, 1.0, 0.5, 0.2, 0.1]
    eigenvalues = np.linalg.eigvalsh(np.cov(data.T, bias=True))
    for components in (1, 3, 5):
        error = reconstruction.pca_error(data, data, components)
        assert error == pytest.approx(eigenvalues[: 6 - components].sum(), rel=1e-10)


def test_the_error_of_kmeans_is_the_distance_to_the_nearest_mean():
    rng = np.random.default_rng(2)
    centers = 50.0 * np.eye(4, 6)
    train = np.repeat(centers, 25, axis=0) + rng.normal(size=(100, 6))
    test = np.repeat(centers, 5, axis=0) + rng.normal(size=(20, 6))
    means = train.reshape(4, 25, 6).mean(axis=1)
    exact = np.sum((test.reshape(4, 5, 6) - means[:, None]) ** 2, axis=-1).mean()
    assert reconstruction.kmeans_error(train, test, 4) == pytest.approx(exact, rel=1e-9)


def test_codes_in_half_precision_can_be_decoded():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = Autoencoder(SHAPE, latents=2, units=(3,))
    finally:
        keras.config.set_dtype_policy("float32")
    images = np.random.default_rng(4).uniform(size=(2, *SHAPE))
    np.testing.assert_allclose(model.decode(model.encode(images)), model.reconstruct(images), atol=0.01)


def test_more_components_or_centers_than_images_fit_the_images_exactly():
    images = np.random.default_rng(3).normal(size=(3, 4))
    for error in (reconstruction.pca_error, reconstruction.kmeans_error):
        assert error(images, images, 10) == pytest.approx(0, abs=1e-12)


def test_kfac_trains_the_code_of_digits_below_the_error_of_pca(tmp_path):
    run = zoo.train("autoencoder_digits", tmp_path / "run", progress=False)
    assert run.scores["reconstruction"] < 0.75 * run.scores["pca"] < run.scores["kmeans"]
    assert run.scores["cross_entropy"] > run.scores["pixel_entropy"]
    again = zoo.evaluate(str(run.folder / "model"))
    assert again["reconstruction"] == pytest.approx(run.scores["reconstruction"], rel=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model: Autoencoder(SHAPE, latents=0), "latents must be an integer of at least 1, got 0"),
        (
            lambda model: Autoencoder(SHAPE, units=(4, -1)),
            r"units\[1\] must be an integer of at least 1, got -1",
        ),
        (lambda model: model.reconstruct(IMAGES[0]), r"images must have shape \[N, 3, 2, 1\]"),
        (lambda model: model.reconstruct(-IMAGES), r"must be in \[0, 1\]"),
        (lambda model: model.decode(np.zeros((1, 3))), r"latents must have shape \[N, 2\], got \(1, 3\)"),
        (lambda model: model.sample(3), "autoencoder has no distribution to draw images from"),
    ],
)
def test_an_error_names_the_wrong_argument(model, call, message):
    with pytest.raises(ValueError, match=message):
        call(model)
