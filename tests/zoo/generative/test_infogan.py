"""Oracles: closed forms of the bounds, single steps with and without the information term."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax
from scipy.stats import norm

from curvezoo.data.images import distortion
from curvezoo.zoo.generative.gan import GAN
from curvezoo.zoo.generative.infogan import InfoGAN, InfoGANGenerator, critic

SHAPE = (4, 4, 1)


def networks(seed=0, continuous=2):
    keras.utils.set_random_seed(seed)
    generator = InfoGANGenerator(SHAPE, noise=3, categories=4, continuous=continuous, filters=(4,))
    network = critic(SHAPE, 4, continuous, filters=(3,), units=8, code_units=6, normalization=None)
    for variable in (*generator.trainable_variables, *network.trainable_variables):
        # With kernels of 0.02, all outputs of these small networks would be nearly zero.
        if variable.path.endswith("kernel"):
            variable.assign(20 * variable)
    return generator, network


@pytest.fixture(scope="module")
def pair():
    return networks()


def compiled(kind=InfoGAN, seed=0, continuous=2, **settings):
    gan = kind(*networks(seed, continuous))
    gan.compile(keras.optimizers.SGD(0.3), keras.optimizers.SGD(0.2), seed=1, **settings)
    return gan


def images(count=8):
    return np.random.default_rng(0).uniform(size=(count, *SHAPE)).astype("float32")


def test_latents_are_normal_noise_a_fair_category_and_uniform_codes(pair):
    generator, _ = pair
    latents = generator.latents(40_000, tf.constant([0, 0])).numpy()
    noise, categories, codes = generator.split(latents)
    assert noise.shape[1] == 3
    np.testing.assert_allclose(noise.mean(0), 0, atol=5 / 200)
    np.testing.assert_allclose(noise.std(0), 1, atol=5 / 200 / math.sqrt(2))
    assert set(np.unique(categories)) == {0.0, 1.0}
    np.testing.assert_array_equal(categories.sum(1), 1)
    np.testing.assert_allclose(categories.mean(0), 1 / 4, atol=5 * math.sqrt(3 / 16 / 40_000))
    assert -1 <= codes.min() < -0.999 < 0.999 < codes.max() <= 1
    np.testing.assert_allclose(codes.std(0), 1 / math.sqrt(3), atol=0.01)
    assert generator.entropies == pytest.approx((math.log(4), math.log(4)))


@pytest.mark.equation("7.5.4")
def test_both_losses_have_the_information_term_of_each_kind_of_code(pair):
    generator, network = pair
    gan = InfoGAN(generator, network)
    gan.compile(keras.optimizers.SGD(), keras.optimizers.SGD(), information=0.5, code_information=0.2)
    latents = generator.latents(6, tf.constant([0, 1]))
    outputs = network(generator(latents))
    loss, logs = gan.extra_losses(outputs, latents)
    _, categories, codes = generator.split(latents.numpy())
    _, logits, means, log_stds = (x.numpy().astype("float64") for x in outputs)
    category = math.log(4) + (categories * log_softmax(logits, axis=1)).sum(1).mean()
    continuous = 2 * math.log(2) + norm.logpdf(codes, means, np.exp(log_stds)).sum(1).mean()
    assert float(logs["category_information"]) == pytest.approx(category, rel=1e-5)
    assert float(logs["code_information"]) == pytest.approx(continuous, rel=1e-5)
    assert float(loss) == pytest.approx(-0.5 * category - 0.2 * continuous, rel=1e-5)


def test_without_its_factor_the_information_term_trains_nothing():
    gan = compiled(information=0.0, code_information=0.0)
    before = [np.array(w) for w in gan.discriminator.trainable_variables]
    gan.train_step(tf.constant(images()))
    moved = {
        v.path: not np.array_equal(b, v)
        for b, v in zip(before, gan.discriminator.trainable_variables, strict=True)
    }
    # The head of Q gets no gradient then, and the shared trunk does.
    heads = [path for path in moved if "categories" in path or "means" in path]
    assert heads
    assert not any(moved[path] for path in heads)
    assert any(moved.values())


def test_the_information_term_rises_linearly_after_its_delay():
    gan = compiled(information_delay=4, information_warmup=8)
    shares = [float(gan.information_share(step)) for step in range(15)]
    np.testing.assert_array_equal(shares, [0] * 5 + [k / 8 for k in range(1, 8)] + [1] * 3)
    gan = compiled(information_delay=2)
    assert [float(gan.information_share(step)) for step in range(4)] == [0, 0, 1, 1]
    assert float(compiled().information_share(0)) == 1


def test_during_the_delay_the_generator_does_not_depend_on_the_recognition_of_codes():
    def generators(steps):
        """Returns the generator's weights after some steps, with each of two heads of Q."""
        gans = [compiled(information_delay=1) for _ in range(2)]
        for name in ("categories", "means"):
            kernel = gans[1].discriminator.get_layer(name).kernel
            kernel.assign(-2 * kernel)
        for gan in gans:
            for _ in range(steps):
                gan.train_step(tf.constant(images()))
        return [np.concatenate([np.ravel(w) for w in gan.generator.trainable_variables]) for gan in gans]

    np.testing.assert_array_equal(*generators(1))
    one, other = generators(2)
    assert np.abs(one - other).max() > 1e-4


def test_a_step_of_the_warmup_is_one_with_factors_of_that_share():
    def trained(**settings):
        gan = compiled(**settings)
        gan.optimizer.iterations.assign(3)
        gan.train_step(tf.constant(images()))
        return [*gan.generator.trainable_variables, *gan.discriminator.trainable_variables]

    rising = trained(information=0.5, code_information=0.2, information_delay=1, information_warmup=8)
    constant = trained(information=0.125, code_information=0.05)
    for one, other in zip(rising, constant, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6, err_msg=one.path)


def test_only_the_critic_reads_the_category_from_distorted_images():
    gan = compiled(distortion=0.5)
    latents = gan.generator.latents(6, tf.constant([0, 1]))
    x, key = gan.generator(latents), tf.constant([1, 3])
    draws = distortion.draw(6, tf.random.fold_in(key, 1))
    distorted = distortion.warp(x, distortion.matrices(draws, 0.5, *SHAPE[:2]))
    outputs = gan.discriminator(x)
    loss = gan.critic_loss(x, outputs, latents, key)
    read = [outputs[0], gan.discriminator(distorted)[1], *outputs[2:]]
    assert float(loss) == pytest.approx(float(gan.extra_losses(read, latents)[0]))
    assert abs(float(loss) - float(gan.extra_losses(outputs, latents)[0])) > 1e-3
    # Before the critic's step, the generator's gradient depends on its own images alone.
    plain = compiled()
    for one in (gan, plain):
        one.discriminator_optimizer.learning_rate = 0.0
        one.train_step(tf.constant(images()))
    for one, other in zip(gan.generator.weights, plain.generator.weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_codes_are_set_and_the_rest_stays_random(pair):
    generator, _ = pair
    latents = generator.latents(6, tf.constant([3, 0])).numpy()
    chosen = latents.copy()
    chosen[:, 3:7] = np.eye(4)[[0, 1, 2, 3, 0, 1]]
    chosen[:, 7:] = [0.5, -1.0]
    expected = generator.decode(chosen)
    category = [0, 1, 2, 3, 0, 1]
    np.testing.assert_array_equal(generator.sample(6, seed=3, category=category, codes=[0.5, -1.0]), expected)
    codes = np.broadcast_to(np.float32([0.5, -1.0]), (6, 2))
    np.testing.assert_allclose(
        generator.draw_coded(tf.constant(category), tf.constant(codes), tf.constant(3)), expected, atol=1e-6
    )
    np.testing.assert_array_equal(generator.sample(6, seed=3), generator.decode(latents))
    np.testing.assert_array_equal(
        generator.sample(6, seed=3, category=2), generator.sample(6, seed=3, category=[2] * 6)
    )


def test_a_traversal_moves_one_code_and_nothing_else(pair):
    generator, _ = pair
    made = generator.traverse(1, steps=5, seed=2)
    latents = np.repeat(generator.latents(4, tf.constant([2, 0])).numpy(), 5, axis=0)
    latents[:, 3:7] = np.repeat(np.eye(4), 5, axis=0)
    latents[:, 7:] = 0
    latents[:, 8] = np.tile([-1, -0.5, 0, 0.5, 1], 4)
    np.testing.assert_array_equal(made.reshape(20, *SHAPE), generator.decode(latents))


def test_a_model_without_continuous_codes_has_none(pair):
    gan = compiled(continuous=0)
    assert len(gan.discriminator.outputs) == 2
    assert "code_information" not in gan.train_step(tf.constant(images()))
    with pytest.raises(ValueError, match="index must be an integer from 0 to -1, got 0"):
        gan.generator.traverse(0)


def test_an_infogan_survives_saving(tmp_path, pair):
    InfoGAN(*pair).save(tmp_path / "gan.keras")
    again = keras.models.load_model(tmp_path / "gan.keras")
    assert isinstance(again, InfoGAN)
    np.testing.assert_array_equal(again.generator.sample(3, category=1), pair[0].sample(3, category=1))
    x = images()
    for a, b in zip(pair[1](x), again.discriminator(x), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_saved_infogan_is_trained_with_the_same_settings(tmp_path):
    settings = {"information": 0.5, "code_information": 0.2, "information_delay": 3, "distortion": 0.3}
    compiled(**settings, information_warmup=2).save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras").get_compile_config()
    assert {name: again[name] for name in (*settings, "information_warmup")} == {
        **settings,
        "information_warmup": 2,
    }


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g: g.sample(3, category=4), "category must be below 4, got 4"),
        (lambda g: g.sample(3, category=[0, 1]), r"category must broadcast to shape \(3,\), got \(2,\)"),
        (lambda g: g.sample(3, codes=[0.0] * 3), r"codes must broadcast to shape \(3, 2\), got \(3,\)"),
        (lambda g: g.sample(3, codes=[0.0, math.nan]), r"codes\[1\] must be finite"),
        (lambda g: g.traverse(2), "index must be an integer from 0 to 1, got 2"),
        (lambda g: InfoGANGenerator(SHAPE, categories=1), "categories must be an integer of at least 2"),
        (lambda g: compiled(information=-1.0), "information must be"),
        (lambda g: compiled(code_information=-1.0), "code_information must be"),
        (lambda g: compiled(distortion=-0.1), "distortion must be"),
        (lambda g: compiled(information_delay=-1), "information_delay must be an integer of at least 0"),
        (lambda g: compiled(information_warmup=0.5), "information_warmup must be an integer of at least 0"),
    ],
)
def test_settings_that_are_not_valid_are_rejected(pair, call, message):
    with pytest.raises(ValueError, match=message):
        call(pair[0])


def test_a_plain_gan_rejects_an_information_term():
    with pytest.raises(TypeError, match="information"):
        compiled(kind=GAN, information=1.0)
