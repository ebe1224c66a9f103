"""InfoGAN: part of the latents are codes, which a second head of the critic reads from the images (Sec. 7.5).

Legend: B batch, H height, W width, C channels, Z latent variables, K categories, M continuous codes.
"""

import math

import keras
import numpy as np
import tensorflow as tf

from ... import arguments
from ...data.images import distortion
from ...losses import adversarial
from ...optimizers import replicas
from .dcgan import downsampled, hidden, normalized_dense, upsampled
from .gan import GAN, Generator

# A standard deviation outside these bounds, of codes in [-1, 1], says nothing and can diverge.
_LOG_STD_BOUNDS = (-3.0, 1.0)


@keras.saving.register_keras_serializable("curvezoo")
class InfoGANGenerator(Generator):
    """A generator from noise and codes [B, Z] to images [B, H, W, C] in [0, 1].

    The latents are normal noise, a category as a one-hot vector [K], and continuous codes [M] that are
    uniform in [-1, 1].

    Args:
        image_shape: The shape (H, W, C); H and W are multiples of two to the power of the number of filters.
        noise: Number of noise variables.
        categories: Number K of categories.
        continuous: Number M of continuous codes.
        filters: As for `DCGANGenerator`.
        units: Width of the dense layer before the first images; 0 for none.
        kernel_size: Height and width of the filters.

    Raises:
        ValueError: If a value is not valid.
    """

    def __init__(
        self,
        image_shape,
        noise=62,
        categories=10,
        continuous=2,
        filters=(64, 32),
        units=0,
        kernel_size=4,
        name="generator",
    ):
        self.image_shape = image_shape = arguments.sizes("image_shape", image_shape, 3)
        filters, units = arguments.sizes("filters", filters), arguments.integer("units", units, 0)
        kernel_size = arguments.integer("kernel_size", kernel_size, 1)
        self.noise = arguments.integer("noise", noise, 1)
        self.categories = arguments.integer("categories", categories, 2)
        self.continuous = arguments.integer("continuous", continuous, 0)
        self.latent_size = self.noise + self.categories + self.continuous
        self._config = {
            "image_shape": list(image_shape),
            "noise": self.noise,
            "categories": self.categories,
            "continuous": self.continuous,
            "filters": list(filters),
            "units": units,
            "kernel_size": kernel_size,
            "name": name,
        }
        latents = keras.Input((self.latent_size,), name="latents")
        images = upsampled(latents, self.image_shape, filters, kernel_size, units)
        super().__init__(inputs=latents, outputs=images, name=name)

    def sample(self, count, seed=0, *, category=None, codes=None):
        """Returns images of random noise, [N, H, W, C] in [0, 1].

        Args:
            count: Number N of images.
            seed: Integer seed; the noise depends on it alone, not on the codes.
            category: A category, or one for each image [N]; `None` for random ones.
            codes: The continuous codes [M], or those of each image [N, M]; `None` for random ones.

        Raises:
            ValueError: If a value is not valid.
        """
        count, seed = arguments.integer("count", count, 1), arguments.seed("seed", seed)
        latents = self._run(_drawn_latents, np.int32(count), np.int32(seed)).copy()
        _, categories, continuous = self.split(latents)
        if category is not None:
            category = arguments.integers("category", category, 0).astype(int)
            arguments.require("category", category, category < self.categories, f"be below {self.categories}")
            categories[:] = np.eye(self.categories)[_for_each("category", category, (count,))]
        if codes is not None:
            continuous[:] = _for_each("codes", arguments.finite("codes", codes), (count, self.continuous))
        return self.decode(latents)

    def traverse(self, index, steps=10, seed=0):
        """Returns images in which one continuous code goes from -1 to 1, [K, steps, H, W, C].

        Each category has its own noise, and the other continuous codes are 0.

        Args:
            index: Index of the continuous code.
            steps: Number of values of the code.
            seed: Integer seed of the noise.

        Raises:
            ValueError: If a value is not valid.
        """
        index = arguments.integer("index", index, 0, self.continuous - 1)
        steps, seed = arguments.integer("steps", steps, 2), arguments.seed("seed", seed)
        latents = self._run(_drawn_latents, np.int32(self.categories), np.int32(seed))
        latents = np.repeat(latents, steps, axis=0)
        _, categories, codes = self.split(latents)
        categories[:] = np.repeat(np.eye(self.categories), steps, axis=0)
        codes[:] = 0.0
        codes[:, index] = np.tile(np.linspace(-1, 1, steps), self.categories)
        return self.decode(latents).reshape(self.categories, steps, *self.image_shape)

    def draw_coded(self, category, codes, seed):
        """Returns images of random noise and given codes, [B, H, W, C]; the endpoint of a SavedModel.

        Args:
            category: Categories, int32 [B].
            codes: Continuous codes, [B, M].
            seed: An int32 scalar.
        """
        noise, *_ = self.split(self.latents(tf.shape(category)[0], tf.stack([seed, 0])))
        return self.decoded(tf.concat([noise, tf.one_hot(category, self.categories), codes], axis=1))

    def latents(self, count, key):
        """Returns random latents, [count, Z]: noise, one-hot categories, continuous codes."""
        keys = tf.unstack(tf.random.split(key, 3))
        noise = tf.random.stateless_normal([count, self.noise], keys[0])
        category = tf.random.stateless_uniform([count], keys[1], 0, self.categories, tf.int32)
        codes = tf.random.stateless_uniform([count, self.continuous], keys[2], -1.0, 1.0)
        return tf.concat([noise, tf.one_hot(category, self.categories), codes], axis=1)

    def split(self, latents):
        """Returns the noise, the one-hot categories [B, K] and the continuous codes [B, M] of latents."""
        first, second = self.noise, self.noise + self.categories
        return latents[:, :first], latents[:, first:second], latents[:, second:]

    @property
    def entropies(self):
        """The entropy of the category, log K, and the differential one of the continuous codes, M log 2."""
        return math.log(self.categories), self.continuous * math.log(2)


def critic(
    image_shape,
    categories=10,
    continuous=2,
    filters=(32, 64),
    units=128,
    code_units=64,
    kernel_size=4,
    normalization="batch",
    name="discriminator",
):
    """Returns a critic that also gives the distribution Q(c|x) of the codes, by a head on the same trunk.

    Args:
        image_shape: The shape (H, W, C) of an image.
        categories: Number K of categories.
        continuous: Number M of continuous codes.
        filters: Channels after each halving of height and width.
        units: Width of the last layer of the trunk.
        code_units: Width of the hidden layer of Q.
        kernel_size: Height and width of the filters.
        normalization: `batch`, after every layer but the first; `spectral`, of every kernel; or `None`.
        name: The model's name.

    Returns:
        A `keras.Model` from images [B, H, W, C] in [0, 1] to a list: the logits [B, 1] of real against
        generated; the logits [B, K] of the categories; the means [B, M] of the continuous codes, and the
        logarithms of their standard deviations [B, M]. Without continuous codes the last two are missing.

    Raises:
        ValueError: If a value is not valid.
    """
    images = keras.Input(arguments.sizes("image_shape", image_shape, 3), name="images")
    x = keras.layers.Flatten()(downsampled(images, filters, kernel_size, normalization))
    trunk = hidden(x, units, normalization)
    read = hidden(trunk, code_units, normalization)
    outputs = [
        normalized_dense(1, normalization, name="logits")(trunk),
        normalized_dense(categories, None, name="categories")(read),
    ]
    if continuous:
        outputs.append(normalized_dense(continuous, None, name="means")(read))
        low, high = _LOG_STD_BOUNDS
        share = keras.layers.Activation("sigmoid", dtype="float32")(normalized_dense(continuous, None)(read))
        outputs.append(keras.layers.Rescaling(high - low, low, dtype="float32", name="log_stds")(share))
    return keras.Model(images, outputs, name=name)


@keras.saving.register_keras_serializable("curvezoo")
class InfoGAN(GAN):
    """A GAN whose networks also minimize -lambda E log Q(c|x), the information term (Eq. 7.5.4).

    The term can rise from 0 after a delay, so that the generator first learns to draw from noise alone. The
    other order binds each category to the first images that the generator finds, before it draws all kinds.

    With a `distortion` the critic learns to read the category from turned, sheared, scaled and shifted images
    T(x). The bound still holds, because I(c, T(x)) <= I(c, x), and a category can no longer stand for a
    slant or a width, which T changes. These are left to the continuous codes.

    The logs also have `category_information` and `code_information`, the lower bounds of Eq. 7.5.1 in nats
    for the category and for the continuous codes.

    Args:
        generator: An `InfoGANGenerator`.
        discriminator: A critic with a head for its codes, as `critic` returns it.
        **kwargs: Arguments of `keras.Model`.
    """

    def __init__(self, generator, discriminator, **kwargs):
        super().__init__(generator, discriminator, **kwargs)
        self._meter_names = (*self._meter_names, "category_information")
        if generator.continuous:
            self._meter_names += ("code_information",)

    def compile(
        self,
        *args,
        information=1.0,
        code_information=1.0,
        information_delay=0,
        information_warmup=0,
        distortion=0.0,
        **kwargs,
    ):
        """Sets how the networks are trained.

        Args:
            *args: As for `GAN.compile`.
            information: The factor lambda of the information term of the category.
            code_information: That of the continuous codes.
            information_delay: Number of steps without the information term.
            information_warmup: Number of steps after them in which both factors rise linearly.
            distortion: Strength of the distortions, as for `data.images.distortion.matrices`; 0 for none.
            **kwargs: As for `GAN.compile`.

        Raises:
            ValueError: If a factor, a number of steps or the distortion is negative, or as for `GAN.compile`.
        """
        self._information = arguments.nonnegative_number("information", information)
        self._code_information = arguments.nonnegative_number("code_information", code_information)
        self._delay = arguments.integer("information_delay", information_delay, 0)
        self._warmup = arguments.integer("information_warmup", information_warmup, 0)
        self._distortion = arguments.nonnegative_number("distortion", distortion)
        super().compile(*args, **kwargs)

    def _compile_arguments(self):
        return super()._compile_arguments() | {
            "information": self._information,
            "code_information": self._code_information,
            "information_delay": self._delay,
            "information_warmup": self._warmup,
            "distortion": self._distortion,
        }

    def critic_loss(self, images, outputs, latents, key):
        """Returns the information term, in which the category is read from distorted images."""
        if self._distortion:
            key = tf.random.fold_in(key, 1)
            count = tf.shape(images)[0]
            draws = replicas.own_rows(distortion.draw(count * replicas.number(), key), count)
            maps = distortion.matrices(draws, self._distortion, *self.generator.image_shape[:2])
            distorted = self.discriminator(distortion.warp(images, maps), training=True)
            outputs = [outputs[0], distorted[1], *outputs[2:]]
        return self.extra_losses(outputs, latents)[0]

    def information_share(self, step):
        """Returns the share of the information term's final weight that a step has, a scalar in [0, 1].

        After a delay of D steps it rises linearly during W steps: (n - D) / W in step n, from 0.

        Args:
            step: Number n of steps before, an integer or an integer scalar.
        """
        if not self._warmup:
            return tf.cast(step >= self._delay, tf.float32)
        return tf.clip_by_value((tf.cast(step, tf.float32) - self._delay) / self._warmup, 0.0, 1.0)

    def logits(self, outputs):
        """Returns the logits of real against fake, [B, 1], among the critic's outputs."""
        return outputs[0]

    def extra_losses(self, outputs, latents):
        """Returns the information term, and the lower bounds of the mutual information in nats."""
        _, categories, continuous = self.generator.split(latents)
        entropies = self.generator.entropies
        bound = adversarial.information_bound(
            entropies[0], adversarial.categorical_log_likelihood(categories, outputs[1])
        )
        # The entropies are constants, and do not change the gradient.
        loss, logs = -self._information * bound, {"category_information": bound}
        if self.generator.continuous:
            bound = adversarial.information_bound(
                entropies[1], adversarial.gaussian_log_likelihood(continuous, *outputs[2:])
            )
            loss, logs = loss - self._code_information * bound, logs | {"code_information": bound}
        return self.information_share(self.optimizer.iterations) * loss, logs


def _drawn_latents(generator, count, seed):
    return generator.latents(count, tf.stack([seed, 0]))


def _for_each(name, values, shape):
    """Returns values broadcast to a shape."""
    try:
        return np.broadcast_to(values, shape)
    except ValueError:
        raise ValueError(f"{name} must broadcast to shape {shape}, got {values.shape}") from None
