r"""The gradient of the generator under its two losses, as the critic gets better (Sec. 7.4).

With D = D(G(z)) = 1 / (1 + exp(-a)), the derivatives with respect to the critic's logit a are

    saturating       log(1 - D)   ->  -D
    non-saturating   -log D       ->  -(1 - D)        (Eq. 7.4.1)

so that the first vanishes where the critic recognizes a generated image. The gradients with respect to the
generator's weights are these factors times da/dtheta.

Legend: B batch, R networks of different seeds, S numbers of steps.

References:
    Goodfellow et al., "Generative Adversarial Networks" (2014), arXiv:1406.2661.
    Arjovsky and Bottou, "Towards Principled Methods for Training Generative Adversarial Networks" (2017),
        arXiv:1701.04862.
"""

from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from ... import data
from ...losses import adversarial
from ...publishing.page import style
from ...zoo.generative.dcgan import DCGANGenerator, critic
from ..figure import Figure

LOSSES = {
    "saturating": ("log(1 - D), saturating", style.VERMILION),
    "non_saturating": ("-log D, non-saturating (Eq. 7.4.1)", style.BLUE),
}
"""Labels and colors of the losses."""

STEPS = (0, 1, 2, 5, 10, 15, 20, 30, 40, 50, 70, 100, 150, 200)

_SEEDS, _BATCH = (0, 1, 2), 64
_LATENTS, _FILTERS = 16, (16, 32)


@dataclass(frozen=True)
class Measurement:
    """Gradients of untrained generators against the steps of their critics.

    Args:
        steps: Numbers of steps, [S].
        norms: Norm of the gradient with respect to the generator's weights by loss, [S, R] each.
        accuracy: Share of real and generated images that the critic recognizes, [S, R].
        probability: Mean D(G(z)), [S, R].
    """

    steps: np.ndarray
    norms: dict[str, np.ndarray]
    accuracy: np.ndarray
    probability: np.ndarray


def loss(probability, kind):
    """Returns the generator's loss of an image, in nats.

    Args:
        probability: D(G(z)), in (0, 1).
        kind: `saturating` or `non_saturating`.
    """
    return np.log1p(-probability) if kind == "saturating" else -np.log(probability)


def derivative(probability, kind):
    """Returns the size of the loss's derivative with respect to the critic's logit.

    Args:
        probability: As for `loss`.
        kind: As for `loss`.
    """
    return probability if kind == "saturating" else 1 - probability


def gradient_norms(generator, discriminator, latents):
    """Returns the norm of the gradient with respect to the generator's weights, by loss.

    Args:
        generator: A `Generator`.
        discriminator: Its critic.
        latents: Latents [B, Z].
    """
    with tf.GradientTape(persistent=True) as tape:
        logits = discriminator(generator(latents, training=True))
        losses = {kind: adversarial.generator_loss(logits, kind) for kind in LOSSES}
    weights = generator.trainable_variables
    return {kind: tf.linalg.global_norm(tape.gradient(value, weights)) for kind, value in losses.items()}


def measure(steps=STEPS, seeds=_SEEDS, batch=_BATCH):
    """Trains critics of digits of 8x8 pixels against untrained generators.

    Args:
        steps: Numbers of steps, ascending.
        seeds: Seeds of R pairs of networks.
        batch: Images of a step, and of the gradient.

    Returns:
        A `Measurement`.
    """
    real = np.concatenate([images for images, _ in data.load("digits").train.as_numpy_iterator()])
    match = _Match(real, batch)
    rows = np.array([match.played(steps, seed) for seed in seeds], np.float64).transpose(2, 1, 0)
    return Measurement(np.array(steps), dict(zip(LOSSES, rows[:2], strict=True)), *rows[2:])


def plot(measurement):
    """Draws the losses and their derivatives against D(G(z)), and the measured gradients against the steps.

    Args:
        measurement: A `Measurement`.
    """
    figure, axes = style.canvas(10, 6, 2, 2, sharex="col")
    probability = 1 / (1 + np.exp(-np.linspace(-8, 8, 401)))
    for kind, (label, color) in LOSSES.items():
        axes[0, 0].plot(probability, loss(probability, kind), color=color, label=label)
        axes[1, 0].plot(probability, derivative(probability, kind), color=color)
        norms = measurement.norms[kind]
        axes[0, 1].plot(measurement.steps, norms, color=color, linewidth=0.6, alpha=0.5)
        axes[0, 1].plot(measurement.steps, norms.mean(axis=1), color=color, marker="o", markersize=4)
    axes[0, 0].set(ylabel="loss, nats", xscale="logit")
    axes[1, 0].set(ylabel="size of the derivative", yscale="log", xlabel="D(G(z))")
    axes[1, 0].xaxis.set_minor_formatter("")
    axes[0, 1].set(ylabel="gradient norm of the generator", yscale="log")
    for values, label, color in (
        (measurement.accuracy, "accuracy of the critic", style.GREEN),
        (measurement.probability, "mean D(G(z))", style.ORANGE),
    ):
        axes[1, 1].plot(
            measurement.steps, values.mean(axis=1), color=color, marker="o", markersize=4, label=label
        )
    axes[1, 1].set(xlabel="steps of the critic", yscale="log")
    axes[1, 1].set_xscale("symlog", linthresh=1)
    axes[1, 1].set(
        xlim=(-0.1, 1.1 * measurement.steps[-1]), xticks=(0, 1, 10, 100), xticklabels=(0, 1, 10, 100)
    )
    for axis, text in zip(
        axes[0], ("closed form", "measured: critics against an untrained generator"), strict=True
    ):
        axis.set_title(text, loc="left", fontsize=11)
    style.legend_below(figure)
    return figure


def draw():
    """Returns the figure."""
    return plot(measure())


class _Match:
    """An untrained generator and its critic, whose compiled steps serve all seeds.

    Args:
        real: Real images, [N, H, W, C].
        batch: Images of a step.
    """

    def __init__(self, real, batch):
        self._real, self._batch = real, batch
        self._networks = self._new_networks()
        self._optimizer = keras.optimizers.Adam(1e-3, beta_1=0.5)
        self._optimizer.build(self._networks[1].trainable_variables)
        self._start = [variable.numpy() for variable in self._optimizer.variables]

    def played(self, steps, seed):
        """Returns norms, accuracy and mean D(G(z)) after each of the numbers of steps, [S, 4]."""
        keras.utils.set_random_seed(seed)
        for network, new in zip(self._networks, self._new_networks(), strict=True):
            network.set_weights(new.get_weights())
        for variable, value in zip(self._optimizer.variables, self._start, strict=True):
            variable.assign(value)
        rng = np.random.default_rng(seed)
        rows, done, watched = [], 0, self._drawn(rng)
        for number in steps:
            for _ in range(number - done):
                self._step(*self._drawn(rng))
            rows.append(self._watch(*watched).numpy())
            done = number
        return rows

    def _new_networks(self):
        shape = self._real.shape[1:]
        generator = DCGANGenerator(shape, _LATENTS, _FILTERS[::-1])
        return generator, critic(shape, _FILTERS, normalization=None)

    def _drawn(self, rng):
        latents = rng.standard_normal((self._batch, _LATENTS))
        return self._real[rng.choice(len(self._real), self._batch)], latents.astype("float32")

    @tf.function
    def _step(self, images, latents):
        generator, discriminator = self._networks
        fake = generator(latents, training=True)
        with tf.GradientTape() as tape:
            value = adversarial.discriminator_loss(discriminator(images), discriminator(fake))
        weights = discriminator.trainable_variables
        self._optimizer.apply(tape.gradient(value, weights), weights)

    @tf.function
    def _watch(self, images, latents):
        generator, discriminator = self._networks
        real, fake = discriminator(images), discriminator(generator(latents, training=True))
        accuracy = tf.reduce_mean(tf.cast(tf.concat([real > 0, fake < 0], axis=0), tf.float32))
        norms = gradient_norms(generator, discriminator, latents)
        return tf.stack([*norms.values(), accuracy, tf.reduce_mean(tf.sigmoid(fake))])


FIGURE = Figure(
    section="7.4",
    name="gan_gradients",
    draw=draw,
    caption=(
        "The two losses of a generator. Left: the losses against the critic's verdict D(G(z)), and the "
        "size of their derivatives with respect to the critic's logit, D and 1 - D. Right: critics of 8x8 "
        "digits are trained (Eq. 7.4.2) against a generator that stays untrained (thin lines: three seeds). "
        "As the critic's weights grow from small values, so do both gradients with respect to the "
        "generator's weights. Once D(G(z)) falls, the saturating loss loses its gradient, and that of "
        "Eq. 7.4.1 keeps it (compare Arjovsky and Bottou, 2017)."
    ),
    place=-1,
)
