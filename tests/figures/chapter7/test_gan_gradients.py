"""Gradients of the generator's losses against automatic differentiation, and against each other."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from curvezoo.figures.chapter7 import gan_gradients
from curvezoo.losses import adversarial
from curvezoo.zoo.generative.dcgan import DCGANGenerator, critic


@pytest.mark.equation("7.4.1")
@pytest.mark.parametrize("kind", gan_gradients.LOSSES)
def test_closed_forms_are_the_loss_and_the_derivative_of_its_code(kind):
    for logit in (-6.0, -0.5, 2.0):
        a = tf.constant([[logit]], tf.float64)
        with tf.GradientTape() as tape:
            tape.watch(a)
            value = adversarial.generator_loss(a, kind)
        probability = 1 / (1 + np.exp(-logit))
        assert gan_gradients.loss(probability, kind) == pytest.approx(float(value), rel=1e-12)
        slope = abs(float(tape.gradient(value, a)[0, 0]))
        assert gan_gradients.derivative(probability, kind) == pytest.approx(slope, rel=1e-12)


def test_for_one_image_the_gradients_of_both_losses_differ_by_the_odds():
    keras.utils.set_random_seed(0)
    generator = DCGANGenerator((4, 4, 1), 3, (2, 2))
    discriminator = critic((4, 4, 1), (2, 2), normalization=None)
    logits = discriminator.get_layer("logits")
    kernel, bias = logits.get_weights()
    logits.set_weights([50 * kernel, bias - 2])
    # Batch norm would make the image of a batch of one constant.
    latents = np.repeat(np.random.default_rng(0).normal(size=(1, 3)), 2, axis=0).astype("float32")
    for layer in generator.layers:
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    norms = gan_gradients.gradient_norms(generator, discriminator, latents)
    odds = np.exp(float(discriminator(generator(latents))[0, 0]))
    assert odds < 0.2
    assert float(norms["saturating"] / norms["non_saturating"]) == pytest.approx(odds, rel=1e-3)


def test_each_seed_starts_anew_and_an_undecided_critic_gives_equal_gradients():
    tf.config.run_functions_eagerly(True)
    try:
        found = gan_gradients.measure(steps=(0, 2), seeds=(1, 0, 1), batch=4)
    finally:
        tf.config.run_functions_eagerly(False)
    for norms in found.norms.values():
        np.testing.assert_allclose(norms[:, 0], norms[:, 2], rtol=1e-4)
        assert norms[0, 0] != norms[0, 1]
        assert np.all(norms[1] != norms[0])
    np.testing.assert_allclose(found.probability[0], 0.5, atol=0.01)
    np.testing.assert_allclose(found.norms["saturating"][0], found.norms["non_saturating"][0], rtol=0.05)


def test_the_figure_shows_the_mean_gradient_over_seeds():
    norms = {
        kind: np.array([[1.0, 3.0], [2.0, 6.0]]) * scale
        for kind, scale in zip(gan_gradients.LOSSES, (1, 2), strict=True)
    }
    accuracy = np.array([[0.5, 0.7], [1.0, 1.0]])
    measurement = gan_gradients.Measurement(np.array([0, 1]), norms, accuracy, accuracy / 4)
    axes = gan_gradients.plot(measurement).axes
    means = [line.get_ydata() for line in axes[1].lines if line.get_marker() == "o"]
    np.testing.assert_allclose(means, [[2, 4], [4, 8]])
    np.testing.assert_allclose([line.get_ydata() for line in axes[3].lines], [[0.6, 1], [0.15, 0.25]])
