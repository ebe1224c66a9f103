"""The methods that all generative models share, on a model whose latents are its pixels."""

import warnings

import keras
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from curvezoo.losses import NegativeELBO
from curvezoo.zoo import drawing
from curvezoo.zoo.generative import VAE, Autoencoder, DCGANGenerator, DensityModel, PixelCNN, RealNVP


class Pixels(DensityModel):
    """Independent pixels, each 1 with one probability; the latents are the pixels, scaled by two."""

    binary = True

    def __init__(self, shape=(2, 3, 1)):
        images = keras.Input(shape, name="images")
        logit = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones", name="logit")
        nats = -keras.ops.sum(keras.ops.log1p(keras.ops.exp(logit(1 - 2 * images))), axis=(1, 2))
        super().__init__(inputs=images, outputs=nats)
        self.image_shape, self.latent_size = shape, int(np.prod(shape))

    def draw(self, count, seed):
        shape = tf.concat([[count], self.image_shape], 0)
        return tf.cast(tf.random.stateless_uniform(shape, tf.stack([seed, 0])) < 0.7, tf.float32)

    def encoded(self, images):
        return 2 * tf.reshape(images, [-1, self.latent_size])

    def decoded(self, latents):
        return tf.reshape(latents / 2, [-1, *self.image_shape])


@pytest.fixture(scope="module")
def model():
    return Pixels()


def images(*shape):
    return np.random.default_rng(0).integers(0, 2, shape).astype("float32")


def test_samples_depend_on_the_seed_alone(model):
    first = model.sample(5, seed=3)
    assert first.shape == (5, 2, 3, 1)
    np.testing.assert_array_equal(first, model.sample(5, seed=3))
    assert np.any(first != model.sample(5, seed=4))


def test_many_images_in_chunks_have_the_same_density_as_in_one(model):
    many = images(1203, 2, 3, 1)
    ones = many.sum(axis=(1, 2, 3))
    expected = -(6 - ones) * np.log1p(np.e) - ones * np.log1p(np.exp(-1))
    np.testing.assert_allclose(model.log_prob(many), expected, rtol=1e-5)


def test_an_interpolation_is_a_straight_line_between_latents_or_images(model):
    first, last = images(2, 2, 3, 1)
    for ends in ((first, last), (model.encode(first[None])[0], model.encode(last[None])[0])):
        steps = model.interpolate(*ends, steps=5)
        np.testing.assert_allclose(steps, [first + t * (last - first) for t in (0, 0.25, 0.5, 0.75, 1)])


def test_gray_pixels_in_a_binary_model_warn_once():
    model = Pixels()
    with pytest.warns(UserWarning, match="models binary pixels, got others: its nats are then a cross-ent"):
        model.log_prob(np.full((1, 2, 3, 1), 0.5))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.log_prob(np.full((1, 2, 3, 1), 0.5))


@pytest.mark.parametrize(
    "make",
    [
        lambda two: VAE((two, two, 1), two, (two,), importance_samples=two),
        lambda two: Autoencoder((two, two, 1), two, (two,)),
        lambda two: DCGANGenerator((two, two, 1), two, (two,), two, two),
    ],
)
def test_numpy_integers_are_sizes_and_survive_saving(make, tmp_path):
    model = make(np.int64(2))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    latents = np.ones((1, 2))
    np.testing.assert_array_equal(again.decode(latents), model.decode(latents))


def test_a_model_of_images_is_fitted_without_targets_or_with_any():
    keras.utils.set_random_seed(0)
    model, pixels = VAE((2, 2, 1), 2, (4,)), images(6, 2, 2, 1)
    model.compile("adam", NegativeELBO())
    for targets in (None, np.zeros(6), pixels):
        assert np.isfinite(model.fit(pixels, targets, verbose=0).history["loss"][0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.sample(0), "count must be an integer of at least 1, got 0"),
        (lambda m: m.sample(2, seed=-1), "seed must be"),
        (
            lambda m: m.log_prob(np.zeros((2, 2, 3))),
            r"images must have shape \[N, 2, 3, 1\], got \(2, 2, 3\)",
        ),
        (lambda m: m.log_prob(np.zeros((0, 2, 3, 1))), r"images must have shape \[N, 2, 3, 1\]"),
        (lambda m: m.encode(np.full((1, 2, 3, 1), 255)), r"be in \[0, 1\]; divide pixels of 0 to 255 by 255"),
        (lambda m: m.encode(np.full((1, 2, 3, 1), np.nan)), "must be finite, got nan"),
        (lambda m: m.decode(np.zeros((2, 5))), r"latents must have shape \[N, 6\], got \(2, 5\)"),
        (lambda m: PixelCNN((2, 2, 1), filters=2, blocks=1).decode(np.zeros((2, 5))), "has no latent variab"),
        (lambda m: VAE((28, 28)), r"image_shape must be a tuple of 3 integers, got \(28, 28\)"),
        (lambda m: Autoencoder((28, 28, 1), units=8), "units must be a tuple of integers, got 8"),
        (lambda m: RealNVP((28, 28)), r"shape must be a tuple of 3 integers, got \(28, 28\)"),
        (lambda m: PixelCNN((28, 28)), r"shape must be a tuple of 3 integers, got \(28, 28\)"),
        (lambda m: m.interpolate(np.zeros(5), np.zeros(6)), r"first must have shape \[N, 6\], got \(1, 5\)"),
        (lambda m: m.interpolate(np.zeros(6), np.zeros(6), 1), "steps must be an integer of at least 2"),
    ],
)
def test_an_error_names_the_wrong_argument(model, call, message):
    with pytest.raises(ValueError, match=message):
        call(model)


def test_a_picture_holds_every_image_in_its_place(tmp_path):
    many = np.random.default_rng(1).uniform(size=(5, 4, 6, 1))
    path = drawing.write_picture(many, tmp_path / "grid.png", columns=3)
    pixels = np.asarray(PIL.Image.open(path))
    scale = pixels.shape[1] // (3 * 7 - 1)
    small = pixels[::scale, ::scale] / 255
    assert small.shape == (2 * 5 - 1, 3 * 7 - 1)
    np.testing.assert_allclose(small[5:9, 7:13], many[4, ..., 0], atol=0.5 / 255)


@pytest.mark.parametrize(("channels", "shape"), [(1, ()), (2, ()), (3, (3,)), (5, ())])
def test_three_channels_are_a_picture_in_color_and_others_their_mean(channels, shape, tmp_path):
    images = np.random.default_rng(1).uniform(size=(2, 1, 6, channels))
    pixels = np.asarray(PIL.Image.open(drawing.write_picture(images, tmp_path / "grid.png", columns=2)))
    assert pixels.shape[2:] == shape
    scale = pixels.shape[1] // (2 * 7 - 1)
    expected = images[1] if shape else images[1].mean(-1)
    np.testing.assert_allclose(pixels[::scale, ::scale][:, 7:] / 255, expected, atol=0.5 / 255)


@pytest.mark.parametrize(("name", "message"), [("x.txt", "must end in one of"), ("no/x.png", "that exists")])
def test_a_picture_that_cannot_be_written_is_named(name, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        drawing.check_picture(tmp_path / name)
