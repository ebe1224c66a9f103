"""Generative adversarial networks: a generator of images against a critic, trained in turn (Sec. 7.4).

Legend: B batch, H height, W width, C channels, Z latent variables.
"""

import math

import keras
import tensorflow as tf

from ... import arguments
from ...losses import adversarial
from ...optimizers import replicas
from .model import GenerativeModel

# The pixel distances of larger batches say no more, and take longer.
_COMPARED = 64


class Generator(GenerativeModel):
    """The base class of generators, models from latents [B, Z] to images [B, H, W, C] in [0, 1].

    A subclass may replace `latents`.
    """

    def latents(self, count, key):
        """Returns random latents from a standard normal distribution, [count, Z].

        Args:
            count: Number of latents, an integer or an int32 scalar.
            key: Integer tensor [2], the same for the same latents.
        """
        return tf.random.stateless_normal([count, self.latent_size], key)

    def draw(self, count, seed):
        """Returns random images, [count, H, W, C].

        Args:
            count: Number of images, an int32 scalar.
            seed: An int32 scalar.
        """
        return self.decoded(self.latents(count, tf.stack([seed, 0])))

    def decoded(self, latents):
        """Returns the images [B, H, W, C] of latents [B, Z]."""
        return self(latents, training=False)


@keras.saving.register_keras_serializable("curvezoo")
class GAN(keras.Model):
    r"""A generator G and a critic D that tells its images from real ones, trained against each other.

    Each step trains the critic on real images and on generated ones (Eq. 7.4.2), as separate batches, and
    then the generator on new verdicts of the critic about the same generated images (Eq. 7.4.1). It works
    with `fit` on images, alone or with anything beside them, and under `tf.distribute.MirroredStrategy`.

    The latents of a step depend only on the seed and on the number of steps before it. So a model whose
    weights and optimizers are restored goes on as if it had not been interrupted, and replicas together draw
    what a single device does.

    The logs of each epoch are means over its steps: `discriminator_loss`, `generator_loss` and `loss`, their
    sum; `real_accuracy` and `fake_accuracy`, the shares of real and of generated images that the critic
    recognizes; `real_probability` and `fake_probability`, its mean D(x) and D(G(z)); `gradient_norm` of the
    generator's weights; and `diversity`, the mean distance of two generated images in units of that of two
    real ones. `training.adversarial_watch` reads them.

    Args:
        generator: A `Generator`.
        discriminator: A functional `keras.Model` from images to logits [B, 1].
        **kwargs: Arguments of `keras.Model`.

    Raises:
        ValueError: If the critic does not take the generator's images.
    """

    _meter_names = (
        "loss",
        "generator_loss",
        "discriminator_loss",
        "real_accuracy",
        "fake_accuracy",
        "real_probability",
        "fake_probability",
        "gradient_norm",
        "diversity",
    )

    def __init__(self, generator, discriminator, **kwargs):
        super().__init__(**kwargs)
        made, judged = tuple(generator.output_shape[1:]), tuple(discriminator.input_shape[1:])
        if made != judged:
            raise ValueError(f"discriminator must take images of the generator's shape {made}, got {judged}")
        self.generator, self.discriminator = generator, discriminator
        self.built = True

    def call(self, latents, training=None):
        """Returns the generator's images of latents."""
        return self.generator(latents, training=training)

    def get_config(self):
        """Returns the two networks, and the arguments of `keras.Model`."""
        networks = {name: getattr(self, name) for name in ("generator", "discriminator")}
        serialized = {
            name: keras.saving.serialize_keras_object(network) for name, network in networks.items()
        }
        return {**super().get_config(), **serialized}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Returns a model of new networks."""
        networks = {
            name: keras.saving.deserialize_keras_object(config[name], custom_objects)
            for name in ("generator", "discriminator")
        }
        return cls(**config | networks)

    def compile(
        self,
        generator_optimizer,
        discriminator_optimizer,
        *,
        loss="non_saturating",
        label_smoothing=0.0,
        penalty="zero_centered",
        penalty_weight=0.0,
        discriminator_steps=1,
        seed=0,
        **kwargs,
    ):
        """Sets how the networks are trained.

        Args:
            generator_optimizer: A Keras optimizer, or its name.
            discriminator_optimizer: Another one.
            loss: The generator's, `non_saturating` or `saturating`.
            label_smoothing: Probability with which a real image counts as fake.
            penalty: On the gradient of the critic's logit: `zero_centered` or `unit_norm`.
            penalty_weight: Factor of the penalty, gamma / 2 for the first and lambda for the second; 0 for
                none.
            discriminator_steps: Steps of the critic in each step, on equal parts of the batch.
            seed: Seed of the latents.
            **kwargs: Further arguments of `keras.Model.compile`, such as `jit_compile`.

        Raises:
            ValueError: If a value is not valid, the networks share an optimizer, or a penalty is given for a
                critic with batch norm, in which the images of a batch are not independent.
        """
        if generator_optimizer is discriminator_optimizer and not isinstance(generator_optimizer, str):
            raise ValueError("discriminator_optimizer must be another object than generator_optimizer")
        self._loss = arguments.one_of("loss", loss, adversarial.GENERATOR_LOSSES)
        self._label_smoothing = arguments.fraction("label_smoothing", label_smoothing)
        self._penalty = arguments.one_of("penalty", penalty, adversarial.GRADIENT_PENALTIES)
        self._penalty_weight = arguments.nonnegative_number("penalty_weight", penalty_weight)
        self._discriminator_steps = arguments.integer("discriminator_steps", discriminator_steps, 1)
        self._seed = arguments.seed("seed", seed)
        if penalty_weight and _has_batch_norm(self.discriminator):
            raise ValueError(
                "penalty_weight must be 0 for a critic with batch norm, whose logits depend on the whole "
                f"batch, got {penalty_weight:g}"
            )
        super().compile(optimizer=generator_optimizer, **kwargs)
        self.discriminator_optimizer = keras.optimizers.get(discriminator_optimizer)
        self.optimizer.build(self.generator.trainable_variables)
        self.discriminator_optimizer.build(self.discriminator.trainable_variables)
        self._meters = {name: keras.metrics.Mean(name=name) for name in self._meter_names}

    def get_compile_config(self):
        """Returns the arguments of `compile`, apart from those of `keras.Model.compile`."""
        return keras.saving.serialize_keras_object(self._compile_arguments()) if self.compiled else {}

    def compile_from_config(self, config):
        """Sets how the networks are trained, so that a saved model goes on where it was."""
        self.compile(**keras.saving.deserialize_keras_object(config))

    def _compile_arguments(self):
        return {
            "generator_optimizer": self.generator_optimizer,
            "discriminator_optimizer": self.discriminator_optimizer,
            "loss": self._loss,
            "label_smoothing": self._label_smoothing,
            "penalty": self._penalty,
            "penalty_weight": self._penalty_weight,
            "discriminator_steps": self._discriminator_steps,
            "seed": self._seed,
        }

    @property
    def generator_optimizer(self):
        """The optimizer of the generator."""
        return self.optimizer

    @property
    def metrics(self):
        """The running means of the logs."""
        return list(self._meters.values()) if self.compiled else []

    def check_batch(self, size):
        """Checks that the networks can be trained on a batch.

        Args:
            size: Images of a replica's batch.

        Raises:
            ValueError: If the steps of the critic can't divide it, or leave one image to a network with
                batch norm: it would normalize every activation to zero.
        """
        steps = self._discriminator_steps
        if size % steps:
            raise ValueError(f"batch_size must be a multiple of discriminator_steps={steps}, got {size}")
        normalized = [n.name for n in (self.discriminator, self.generator) if _has_batch_norm(n)]
        if size // steps < 2 and normalized:
            raise ValueError(
                f"batch_size must leave at least 2 images to each step and replica, because {normalized[0]} "
                f"has batch norm, got {size // steps}"
            )

    def train_step(self, data):
        """Trains the critic, then the generator; returns the logs.

        Args:
            data: Images [B, H, W, C] in [0, 1], or a tuple that begins with them.
        """
        images = data[0] if isinstance(data, tuple | list) else data
        if not images.dtype.is_floating:
            raise ValueError(f"images must hold floating-point numbers in [0, 1], got {images.dtype.name}")
        if images.shape[0] is not None:
            self.check_batch(images.shape[0])
        steps = self._discriminator_steps
        parts = tf.reshape(images, [steps, -1, *images.shape[1:]])
        count = tf.shape(parts)[1]
        for number in range(steps):
            latents, key = self._latents(count, number)
            # Only the last images also train the generator.
            with tf.GradientTape() as tape:
                fake = self.generator(latents, training=True)
            real = parts[number]
            logs = self._train_discriminator(real, fake, latents, key)
        logs |= self._train_generator(tape, fake, latents)
        logs["loss"] = logs["generator_loss"] + logs["discriminator_loss"]
        logs["diversity"] = tf.math.divide_no_nan(_mean_distance(fake), _mean_distance(real))
        for name, meter in self._meters.items():
            meter.update_state(logs[name])
        return self.get_metrics_result()

    def test_step(self, data):
        """Raises an error: an adversarial network has no loss on held-out data."""
        raise NotImplementedError("an adversarial network has no loss on held-out data")

    def logits(self, outputs):
        """Returns the logits of real against fake, [B, 1], among the critic's outputs."""
        return outputs

    def extra_losses(self, outputs, latents):
        """Returns what the generator also minimizes, a scalar, and logs by name.

        Args:
            outputs: The critic's outputs for generated images.
            latents: Their latents, [B, Z].
        """
        return 0.0, {}

    def critic_loss(self, images, outputs, latents, key):
        """Returns what the critic also minimizes, a scalar; by default the same as the generator.

        Args:
            images: Generated images, [B, H, W, C].
            outputs: The critic's outputs for them.
            latents: Their latents, [B, Z].
            key: Integer tensor [2], the same for the same step.
        """
        del images, key
        return self.extra_losses(outputs, latents)[0]

    def _latents(self, count, number):
        """Returns this replica's latents of a critic's step, and the step's key."""
        step = tf.cast(self.optimizer.iterations, tf.int32) * self._discriminator_steps + number
        key = tf.stack([self._seed, step])
        whole = self.generator.latents(count * replicas.number(), key)
        return replicas.own_rows(whole, count), key

    def _train_discriminator(self, real, fake, latents, key):
        """Makes a step of the critic and returns its logs."""
        fake, network = tf.stop_gradient(fake), self.discriminator
        with tf.GradientTape() as tape:
            outputs = network(fake, training=True)
            fake_logits, real_logits = self.logits(outputs), self.logits(network(real, training=True))
            loss = adversarial.discriminator_loss(real_logits, fake_logits, self._label_smoothing)
            total = loss + self.critic_loss(fake, outputs, latents, key)
            if self._penalty_weight:
                total += self._penalty_weight * self._penalty_of(real, fake, key)
            total = self.discriminator_optimizer.scale_loss(total)
        _apply(self.discriminator_optimizer, tape.gradient(total, network.trainable_variables), network)
        return {
            "discriminator_loss": loss,
            "real_accuracy": tf.reduce_mean(tf.cast(real_logits > 0, tf.float32)),
            "fake_accuracy": tf.reduce_mean(tf.cast(fake_logits < 0, tf.float32)),
            "real_probability": tf.reduce_mean(tf.sigmoid(real_logits)),
            "fake_probability": tf.reduce_mean(tf.sigmoid(fake_logits)),
        }

    def _train_generator(self, tape, fake, latents):
        """Makes a step of the generator, whose images a tape has recorded, and returns its logs."""
        with tf.GradientTape(watch_accessed_variables=False) as verdict:
            verdict.watch(fake)
            outputs = self.discriminator(fake, training=True)
            loss = adversarial.generator_loss(self.logits(outputs), self._loss)
            extra, logs = self.extra_losses(outputs, latents)
            total = self.optimizer.scale_loss(loss + extra)
        weights = self.generator.trainable_variables
        gradients = tape.gradient(fake, weights, output_gradients=verdict.gradient(total, fake))
        _apply(self.optimizer, gradients, self.generator)
        norm = tf.linalg.global_norm(gradients) / self.optimizer.scale_loss(1.0)
        return {"generator_loss": loss, "gradient_norm": norm, **logs}

    def _penalty_of(self, real, fake, key):
        """Returns the penalty on the gradient of the critic's logits."""

        def critic(images):
            return self.logits(self.discriminator(images, training=True))

        if self._penalty == "zero_centered":
            return adversarial.zero_centered_penalty(critic, real)
        count = tf.shape(real)[0]
        shares = replicas.own_rows(tf.random.stateless_uniform([count * replicas.number()], key), count)
        return adversarial.unit_norm_penalty(critic, real, fake, shares)


def _apply(optimizer, gradients, network):
    """Applies gradients of the mean over this replica's images; the optimizer sums over the replicas."""
    number = replicas.number()
    if number > 1:
        gradients = [gradient / number for gradient in gradients]
    optimizer.apply(gradients, network.trainable_variables)


def _has_batch_norm(network):
    return any(isinstance(layer, keras.layers.BatchNormalization) for layer in network._flatten_layers())


def _mean_distance(images):
    """Returns the mean Euclidean distance of two images of a batch."""
    rows = tf.reshape(images[:_COMPARED], [-1, math.prod(images.shape[1:])])
    # Without the mean, less is lost in the difference of squares.
    rows -= tf.reduce_mean(rows, axis=0)
    squares = tf.reduce_sum(rows**2, axis=1)
    distances = squares[:, None] + squares - 2 * tf.matmul(rows, rows, transpose_b=True)
    # Rounding leaves a small number where an image is compared with itself.
    distances = tf.sqrt(tf.nn.relu(tf.linalg.set_diag(distances, tf.zeros_like(squares))))
    count = tf.cast(tf.shape(rows)[0], rows.dtype)
    return tf.math.divide_no_nan(tf.reduce_sum(distances), count * (count - 1))
