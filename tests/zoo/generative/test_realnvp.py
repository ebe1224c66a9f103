"""The oracles are the full Jacobian of the latents, and densities that are known in closed form."""

import math

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from curvezoo import zoo
from curvezoo.losses import NegativeLogDensity
from curvezoo.zoo.generative import RealNVP

SMALL = {"shape": (8, 4, 2), "levels": 5, "scales": 2, "couplings": 3, "width": 4}


def randomized(model, scale=0.1):
    rng = np.random.default_rng(1)
    model.set_weights([w + scale * rng.normal(size=w.shape) for w in model.get_weights()])
    return model


def images(count=3, shape=SMALL["shape"]):
    return np.random.default_rng(0).uniform(size=(count, *shape)).astype("float32")


@pytest.fixture(scope="module")
def model():
    return randomized(RealNVP(**SMALL))


@pytest.fixture(scope="module", params=["gaussianization", "logit"])
def exact(request):
    """A model with every kind of layer, in float64."""
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    try:
        return randomized(RealNVP(**SMALL, checkerboards=2, preprocessing=request.param))
    finally:
        keras.config.set_floatx(before)


def test_the_density_is_that_of_the_latents_times_the_full_jacobian(exact):
    x = tf.constant(images(), tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(x)
        z = exact.encoded(x)
    jacobian = tf.reshape(tape.batch_jacobian(z, x), (3, 64, 64))
    expected = scipy.stats.norm.logpdf(z).sum(1) + np.linalg.slogdet(jacobian)[1]
    log_density = exact(x)
    np.testing.assert_allclose(np.asarray(log_density)[:, 0], expected, rtol=1e-11)
    # Eq. 7.2.1: the loss is the average over the data.
    loss = NegativeLogDensity(dtype="float64")(x, log_density)
    np.testing.assert_allclose(loss, -expected.mean(), rtol=1e-11)


def test_decoding_inverts_encoding_in_both_directions(exact):
    x = images().astype("float64")
    z = exact.encoded(x)
    np.testing.assert_allclose(exact.decoded(z), x, atol=1e-9)
    np.testing.assert_allclose(exact.encoded(exact.decoded(z)), z, atol=1e-7)


def test_a_flow_of_one_scale_decodes_what_it_encodes():
    model = randomized(RealNVP((2, 6, 1), levels=4, scales=1, couplings=2, width=2))
    x = images(3, (2, 6, 1))
    np.testing.assert_allclose(model.decode(model.encode(x)), x, atol=1e-5)


def test_half_of_the_channels_leave_at_each_scale():
    model = RealNVP((8, 8, 1), scales=3, couplings=1, width=2)
    inputs = [tuple(model.get_layer(f"squeeze_{scale}").input.shape[1:]) for scale in range(3)]
    assert inputs == [(8, 8, 1), (4, 4, 2), (2, 2, 4)]
    # Without training, the latents are the preprocessed pixels: those of the first scale have one colour.
    x = images(1, (8, 8, 1))
    expected = np.asarray(model.get_layer("gaussianization")(x)[0])[0, :, :, 0]
    colour = np.indices((8, 8)).sum(0) % 2 == 1
    z = model.encode(x)[0]
    np.testing.assert_allclose(np.sort(z[:32]), np.sort(expected[colour]), rtol=1e-6)
    np.testing.assert_allclose(np.sort(z[32:]), np.sort(expected[~colour]), rtol=1e-6)


def test_an_untrained_model_has_the_bits_per_dimension_of_its_histogram():
    frequencies = np.array([0.5, 0.25, 0.125, 0.125])
    model = RealNVP((4, 4, 1), levels=4, scales=2, couplings=2, width=2, mixing=True)
    model.get_layer("gaussianization").logits.assign(np.log(frequencies))
    levels = np.random.default_rng(0).choice(4, size=(50, 4, 4, 1), p=frequencies)
    x = (levels + np.random.default_rng(1).uniform(size=levels.shape)) / 4
    bits = math.log2(model.levels) - model.log_prob(x) / (model.latent_size * math.log(2))
    # Each pixel is encoded on its own: -log2 of the frequency of its level.
    np.testing.assert_allclose(bits, -np.log2(frequencies[levels]).mean((1, 2, 3)), atol=1e-4)


def test_samples_are_the_images_of_gaussian_latents(model):
    samples = model.sample(600, seed=5)
    assert samples.shape == (600, 8, 4, 2)
    assert 0 <= samples.min() < 0.1 < 0.9 < samples.max() <= 1
    np.testing.assert_allclose(samples[:2], model.draw(600, 5)[:2], atol=1e-6)
    latents = model.encode(samples)
    # Pixels beyond [0, 1] are clipped, which moves a few latents.
    assert scipy.stats.kstest(latents.ravel(), "norm").statistic < 0.02
    cold = model.sample(600, seed=5, temperature=0.5)
    inside = [np.all((x > 0) & (x < 1), axis=(1, 2, 3)) for x in (samples, cold)]
    rows = np.flatnonzero(inside[0] & inside[1])
    assert len(rows) > 100
    np.testing.assert_allclose(model.encode(cold)[rows], latents[rows] / 2, atol=5e-3)


def test_temperature_zero_gives_the_image_of_the_zero_latents(model):
    np.testing.assert_allclose(
        model.sample(2, temperature=0.0), np.repeat(model.decode(np.zeros((1, 64))), 2, 0), atol=1e-6
    )
    with pytest.raises(ValueError, match="temperature must be"):
        model.sample(2, temperature=-1.0)


def test_a_saved_model_has_the_same_density_latents_and_samples(model, tmp_path):
    model.save(tmp_path / "flow.keras")
    loaded = keras.models.load_model(tmp_path / "flow.keras")
    x = images()
    np.testing.assert_array_equal(loaded.log_prob(x), model.log_prob(x))
    np.testing.assert_array_equal(loaded.encode(x), model.encode(x))
    np.testing.assert_array_equal(loaded.sample(2, seed=3), model.sample(2, seed=3))
    assert loaded.levels == 5


@pytest.mark.parametrize(
    ("name", "bad"), [("gaussianization", np.nan), ("coupling_1_1", np.nan), ("coupling_0_2", np.inf)]
)
def test_the_first_layer_that_is_not_finite_is_named(model, name, bad):
    x, z = images(), np.ones((2, 64))
    weight = model.get_layer(name).weights[0]
    before = np.array(weight)
    weight.assign(np.full(weight.shape, bad))
    try:
        for call in (
            lambda: model.log_prob(x),
            lambda: model.encode(x),
            lambda: model.decode(z),
            lambda: model.sample(2),
        ):
            with pytest.raises(FloatingPointError, match=f"the output of {name} is not finite"):
                call()
    finally:
        weight.assign(before)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shape": (6, 8, 1)}, r"scales must be such that 2\^scales divides 6 x 8, got 2"),
        ({"couplings": 0}, "couplings must be an integer of at least 1, got 0"),
        ({"levels": 1}, "levels must be an integer of at least 2, got 1"),
        ({"preprocessing": "none"}, "preprocessing must be"),
        ({"alpha": 0.6}, "alpha must be"),
        ({"mixing": 1}, "mixing must be True or False, got 1"),
    ],
)
def test_an_error_names_the_wrong_setting(settings, message):
    with pytest.raises(ValueError, match=message):
        RealNVP(**{**SMALL, **settings})


def test_two_replicas_train_to_the_weights_of_one(mirrored):
    x = images(64)
    data = tf.data.Dataset.from_tensor_slices((x, x)).batch(32)
    start = randomized(RealNVP(**SMALL | {"couplings": 1}), 0.03).get_weights()
    results = []
    for scope in (tf.distribute.get_strategy(), mirrored):
        with scope.scope():
            model = RealNVP(**SMALL | {"couplings": 1})
            model.set_weights(start)
            model.compile(keras.optimizers.SGD(1e-5), NegativeLogDensity())
        history = model.fit(data, epochs=2, verbose=0).history["loss"]
        results.append([*model.get_weights(), np.array(history)])
    for one, two in zip(*results, strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-3, atol=1e-4)
    assert results[0][-1][1] < results[0][-1][0]


def test_ten_epochs_on_digits_reach_two_and_a_half_bits(tmp_path):
    # Independent pixels with the frequencies of their levels have 2.9 bits per dimension.
    run = zoo.train("realnvp_digits", tmp_path, epochs=10, progress=False)
    assert run.scores["bits_per_dim"] < 2.5
