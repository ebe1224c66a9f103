"""Oracles: single steps written out with gradients of the whole graph, SciPy's distances, singular values."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.spatial.distance import pdist

from curvezoo.losses import adversarial
from curvezoo.training.adversarial_watch import AdversarialWatch, troubles
from curvezoo.zoo.generative.dcgan import DCGANGenerator, critic
from curvezoo.zoo.generative.gan import GAN, Generator

SHAPE, SIZE = (4, 4, 1), 8


class Dense(Generator):
    """A generator without batch norm, for which replicas must agree with one device."""

    def __init__(self, latent_size=3, name="generator"):
        self.image_shape, self.latent_size = SHAPE, latent_size
        self._config = {"latent_size": latent_size, "name": name}
        latents = keras.Input((latent_size,))
        hidden = keras.layers.Dense(12, "tanh")(latents)
        images = keras.layers.Reshape(SHAPE)(keras.layers.Dense(16, "sigmoid")(hidden))
        super().__init__(inputs=latents, outputs=images, name=name)


def dense_critic():
    images = keras.Input(SHAPE)
    hidden = keras.layers.Dense(10, "tanh")(keras.layers.Flatten()(images))
    return keras.Model(images, keras.layers.Dense(1)(hidden), name="discriminator")


def made(seed=0, **settings):
    keras.utils.set_random_seed(seed)
    gan = GAN(Dense(), dense_critic())
    sgd = keras.optimizers.SGD
    gan.compile(sgd(settings.pop("rate", 0.3)), sgd(settings.pop("critics_rate", 0.2)), seed=5, **settings)
    return gan


def real_images(count=SIZE, seed=0):
    return np.random.default_rng(seed).uniform(size=(count, *SHAPE)).astype("float32")


def stepped(network, loss, rate):
    """Makes one step of gradient descent on a loss of a network."""
    with tf.GradientTape() as tape:
        value = loss()
    gradients = tape.gradient(value, network.trainable_variables)
    for variable, gradient in zip(network.trainable_variables, gradients, strict=True):
        variable.assign_sub(rate * gradient)
    return float(value), gradients


def assert_same_weights(one, other, atol=1e-6):
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=atol)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"loss": "saturating", "label_smoothing": 0.1},
        {"discriminator_steps": 2},
        {"penalty": "zero_centered", "penalty_weight": 3.0},
        {"penalty": "unit_norm", "penalty_weight": 3.0},
    ],
    ids=str,
)
def test_a_step_trains_the_critic_then_the_generator_against_the_new_critic(settings):
    gan, twin, images = made(**settings), made(**settings), real_images()
    logs = gan.train_step(tf.constant(images))
    steps, weight = settings.get("discriminator_steps", 1), settings.get("penalty_weight", 0.0)
    generator, network = twin.generator, twin.discriminator
    for number, part in enumerate(np.split(images, steps)):
        key = tf.constant([5, number])
        latents = generator.latents(len(part), key)
        fake = generator(latents)

        def loss(part=part, fake=fake, key=key):
            value = adversarial.discriminator_loss(
                network(part), network(fake), settings.get("label_smoothing", 0.0)
            )
            if not weight:
                return value
            if settings["penalty"] == "zero_centered":
                return value + weight * adversarial.zero_centered_penalty(network, tf.constant(part))
            shares = tf.random.stateless_uniform([len(part)], key)
            return value + weight * adversarial.unit_norm_penalty(network, part, fake, shares)

        stepped(network, loss, 0.2)
    kind = settings.get("loss", "non_saturating")
    value, gradients = stepped(
        generator, lambda: adversarial.generator_loss(network(generator(latents)), kind), 0.3
    )
    assert_same_weights(gan.discriminator, network)
    assert_same_weights(gan.generator, generator)
    assert float(logs["generator_loss"]) == pytest.approx(value, rel=1e-5)
    assert float(logs["gradient_norm"]) == pytest.approx(float(tf.linalg.global_norm(gradients)), rel=1e-5)


def test_the_logs_say_what_the_critic_recognizes_and_how_images_differ():
    gan, images = made(rate=0.0, critics_rate=0.0), real_images()
    logs = {name: float(value) for name, value in gan.train_step(tf.constant(images)).items()}
    fake = np.asarray(gan.generator(gan.generator.latents(SIZE, tf.constant([5, 0]))))
    a, b = (np.asarray(gan.discriminator(x)) for x in (images, fake))
    expected = {
        "real_accuracy": (a > 0).mean(),
        "fake_accuracy": (b < 0).mean(),
        "real_probability": (1 / (1 + np.exp(-a))).mean(),
        "fake_probability": (1 / (1 + np.exp(-b))).mean(),
        "diversity": pdist(fake.reshape(SIZE, -1)).mean() / pdist(images.reshape(SIZE, -1)).mean(),
        "loss": logs["generator_loss"] + logs["discriminator_loss"],
    }
    for name, value in expected.items():
        assert logs[name] == pytest.approx(value, rel=1e-5), name


def test_two_replicas_train_as_one_device_does(mirrored):
    images = real_images(32)
    batches = tf.data.Dataset.from_tensor_slices(images).batch(8, drop_remainder=True)
    settings = {"label_smoothing": 0.1, "penalty_weight": 1.0, "discriminator_steps": 2}
    one = made(**settings)
    with mirrored.scope():
        two = made(**settings)
    # Each replica splits its own part of the batch, so that one device must see the same order.
    order = np.arange(32).reshape(4, 2, 2, 2).swapaxes(1, 2).reshape(4, 8)
    shuffled = tf.data.Dataset.from_tensor_slices(images[order])
    history = [
        gan.fit(data, epochs=2, verbose=0, shuffle=False).history
        for gan, data in ((one, batches), (two, shuffled))
    ]
    assert_same_weights(one, two, atol=1e-5)
    for name in ("discriminator_loss", "generator_loss", "fake_probability"):
        np.testing.assert_allclose(history[0][name], history[1][name], rtol=1e-4, err_msg=name)
    assert not np.allclose(made().generator.get_weights()[0], one.generator.get_weights()[0], atol=1e-3)


def test_a_gan_survives_saving_and_samples_are_functions_of_the_seed(tmp_path):
    keras.utils.set_random_seed(0)
    gan = GAN(DCGANGenerator((8, 8, 1), 5, (8, 4)), critic((8, 8, 1), (4, 8)))
    gan.save(tmp_path / "gan.keras")
    again = keras.models.load_model(tmp_path / "gan.keras")
    assert_same_weights(gan, again, atol=0)
    images = gan.generator.sample(7, seed=3)
    np.testing.assert_array_equal(images, again.generator.sample(7, seed=3))
    np.testing.assert_array_equal(images[:, :, :, 0], np.clip(images, 0, 1)[..., 0])
    assert not np.array_equal(images, gan.generator.sample(7, seed=4))
    latents = np.asarray(gan.generator.latents(2, tf.constant([0, 1])))
    line = gan.generator.interpolate(*latents, steps=3)
    np.testing.assert_allclose(line[1], gan.generator.decode(latents.mean(0, keepdims=True))[0], atol=1e-6)


def test_a_saved_gan_goes_on_training_as_if_it_had_not_been_interrupted(tmp_path):
    keras.utils.set_random_seed(0)
    gan = GAN(DCGANGenerator((8, 8, 1), 5, (8, 4)), critic((8, 8, 1), (4, 8), normalization=None))
    gan.compile("adam", keras.optimizers.SGD(0.1), label_smoothing=0.1, penalty_weight=0.5, seed=3)
    images = np.random.default_rng(0).uniform(size=(4, 8, 8, 1)).astype("float32")
    gan.fit(images, verbose=0)
    gan.save(tmp_path / "gan.keras")
    again = keras.models.load_model(tmp_path / "gan.keras")
    for model in (gan, again):
        model.fit(images, epochs=2, verbose=0, shuffle=False)
    assert_same_weights(gan, again, atol=1e-6)


def test_dcgan_starts_from_its_published_weights():
    keras.utils.set_random_seed(0)
    networks = DCGANGenerator((28, 28, 1), filters=(64, 32)), critic((28, 28, 1), (32, 64))
    for network in networks:
        layers = network._flatten_layers()
        norms = [x for x in layers if isinstance(x, keras.layers.BatchNormalization)]
        kernels = [w for w in network.trainable_variables if w.path.endswith("kernel")]
        assert len(norms) == (2 if network is networks[0] else 1)
        for variables, mean in ((kernels, 0.0), ([x.gamma for x in norms], 1.0)):
            values = np.concatenate([np.ravel(v) for v in variables])
            error = 0.02 / np.sqrt(len(values))
            assert abs(values.mean() - mean) < 5 * error
            assert abs(values.std() - 0.02) < 5 * error
    # The first layer of the critic and the last one of the generator have biases in place of a batch norm.
    slopes = [x.negative_slope for x in networks[1].layers if isinstance(x, keras.layers.LeakyReLU)]
    np.testing.assert_allclose(slopes, 0.2)


def test_spectral_normalization_keeps_the_norm_of_every_kernel_at_one():
    keras.utils.set_random_seed(0)
    gan = GAN(DCGANGenerator((8, 8, 1), 5, (8, 4)), critic((8, 8, 1), (4, 8), normalization="spectral"))
    adam = keras.optimizers.Adam
    gan.compile(adam(1e-3), adam(1e-3), penalty_weight=1.0)
    images = np.random.default_rng(0).uniform(size=(16, 8, 8, 1)).astype("float32")
    gan.fit(images, batch_size=16, epochs=30, verbose=0)
    wrapped = [x for x in gan.discriminator.layers if isinstance(x, keras.layers.SpectralNormalization)]
    assert len(wrapped) == 3
    for layer in wrapped:
        matrix = np.reshape(layer.layer.kernel, (-1, layer.layer.kernel.shape[-1]))
        # The last step of the critic came after the last normalization.
        assert np.linalg.norm(matrix, 2) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: GAN(Dense(), critic((8, 8, 1))), r"discriminator must take .* \(4, 4, 1\), got \(8, 8, 1\)"),
        (lambda: DCGANGenerator((6, 8, 1)), "images must have sides divisible by 4, got 6 and 8"),
        (lambda: DCGANGenerator((8, 8)), r"image_shape must be a tuple of 3 integers, got \(8, 8\)"),
        (lambda: DCGANGenerator((8, 8, 1), filters=()), r"filters must have at least one entry, got \(\)"),
        (lambda: critic((8, 8)), r"image_shape must be a tuple of 3 integers, got \(8, 8\)"),
        (
            lambda: made().fit(np.zeros((4, 4, 4, 1), "uint8"), verbose=0),
            r"images must hold floating-point numbers in \[0, 1\], got uint8",
        ),
        (lambda: critic((8, 8, 1), normalization="layer"), "normalization must be one of"),
        (lambda: made(loss="hinge"), "loss must be one of non_saturating, saturating, got 'hinge'"),
        (lambda: made(penalty_weight=-1.0), "penalty_weight must be"),
        (lambda: made(discriminator_steps=0), "discriminator_steps must be an integer of at least 1, got 0"),
        (lambda: made(discriminator_steps=3).check_batch(8), "multiple of discriminator_steps=3, got 8"),
        (lambda: made().generator.sample(0), "count must be an integer of at least 1, got 0"),
        (
            lambda: made().generator.decode(np.zeros((2, 4))),
            r"latents must have shape \[N, 3\], got \(2, 4\)",
        ),
    ],
)
def test_settings_that_are_not_valid_are_rejected(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_batch_of_one_is_rejected_by_networks_with_batch_norm_only():
    gan = GAN(Dense(), dense_critic())
    normalized = GAN(DCGANGenerator((8, 8, 1), 5, (8, 4)), critic((8, 8, 1), (4, 8)))
    for model in (gan, normalized):
        model.compile(keras.optimizers.SGD(), keras.optimizers.SGD())
    gan.check_batch(1)
    for call in (normalized.check_batch, lambda size: normalized.train_step(tf.zeros((size, 8, 8, 1)))):
        with pytest.raises(ValueError, match=r"at least 2 images .* discriminator has batch norm, got 1"):
            call(1)
    sgd = keras.optimizers.SGD()
    with pytest.raises(ValueError, match="penalty_weight must be 0 for a critic with batch norm"):
        normalized.compile(sgd, keras.optimizers.SGD(), penalty_weight=1.0)
    with pytest.raises(ValueError, match="discriminator_optimizer must be another object"):
        normalized.compile(sgd, sgd)


GOOD = {"diversity": 0.9, "real_accuracy": 0.9, "fake_accuracy": 0.9, "fake_probability": 0.2}
WON = {"real_accuracy": 0.999, "fake_accuracy": 1.0, "fake_probability": 0.002, "gradient_norm": 40.0}


def test_logs_show_a_collapse_and_a_critic_that_has_won():
    assert troubles(GOOD) == {}
    assert "differ by 0.30 of the distance" in troubles(GOOD | {"diversity": 0.3})["collapse"]
    text = troubles(GOOD | WON)["won"]
    assert "99.9%" in text
    assert "0.0020" in text
    # A critic that recognizes all images but is not sure of it still has something to say.
    assert troubles(GOOD | WON | {"fake_probability": 0.1}) == {}


def warned(*epochs):
    watch = AdversarialWatch()
    with pytest.warns() as records:
        for number, logs in enumerate(epochs):
            watch.on_epoch_end(number, logs)
        watch.on_train_end()
    return [str(record.message) for record in records]


def test_each_trouble_is_reported_once():
    collapsed = GOOD | {"diversity": 0.1}
    # A generator that has not learned yet is no collapse, unless that lasts.
    assert [text[:8] for text in warned(collapsed, GOOD, collapsed, collapsed)] == ["epoch 3:"]
    assert [text[:11] for text in warned(collapsed, collapsed)] == ["at the end:"]
    assert [text[:8] for text in warned(GOOD | WON, GOOD, GOOD | WON)] == ["epoch 1:"]
