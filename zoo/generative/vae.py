r"""The variational autoencoder: a model with latent variables, trained by a bound of its likelihood (7.3).

The encoder gives the mean and the log variance of the Gaussian q(z|x), the decoder the parameters of p(x|z);
the prior p(z) is a unit Gaussian. With \(z = \mu + \sigma \epsilon\) (Eq. 7.3.11),

    ELBO(x) = E_q [log p(x|z)] - KL(q(z|x) || p(z)) <= log p(x)        (Eq. 7.3.9 and 7.3.10)

Legend: N images, B batch, H height, W width, C channels, D = H W C pixels, Z latents, K draws of the latents
for each image, P parameters of p(x|z).
"""

import keras
import numpy as np
from keras import ops

from ... import arguments, layers, losses
from ..programs import Programs
from .model import GenerativeModel

LIKELIHOODS = ("bernoulli", "gaussian")
# Images that a program takes at a time with one draw each; images and draws that it weights at a time.
_CHUNK, _IMAGES, _DRAWS = 1000, 100, 50
# The smallest standard deviation of a Gaussian pixel: one level of gray.
_MIN_SCALE = 1 / 256


@keras.saving.register_keras_serializable("curvezoo")
class VAE(GenerativeModel):
    """A variational autoencoder of dense layers.

    The forward pass returns the terms of the bound, in nats. They are [B, 1 + Z] for the ELBO: log p(x|z) at
    one draw of z, and the divergence of each latent from the prior; `losses.NegativeELBO` trains them. With
    K > 1 importance samples they are [B, K, 1 + Z]: log p(x|z) at each draw, and log q(z|x) / p(z) of each
    latent there; `losses.NegativeImportanceWeightedBound` trains them.

    Args:
        image_shape: The shape (H, W, C) of an image.
        latents: Number Z of latents.
        units: Sizes of the hidden layers of the encoder; the decoder has them in reverse.
        activation: A Keras activation.
        likelihood: `bernoulli`, for pixels of 0 and 1, or `gaussian`, with a learned standard deviation for
            each pixel, for dequantized pixels.
        importance_samples: Number K of draws in training; 1 trains the ELBO with the exact divergence.
        name: Name of the model.

    Raises:
        ValueError: If an argument is not valid.

    References:
        Kingma and Welling, "Auto-Encoding Variational Bayes" (2013), arXiv:1312.6114.
        Burda, Grosse and Salakhutdinov, "Importance Weighted Autoencoders" (2015), arXiv:1509.00519.
    """

    def __init__(
        self,
        image_shape,
        latents=20,
        units=(400,),
        activation="tanh",
        likelihood="bernoulli",
        importance_samples=1,
        name="vae",
    ):
        image_shape = arguments.sizes("image_shape", image_shape, 3)
        latents, units = arguments.integer("latents", latents, 1), arguments.sizes("units", units)
        arguments.one_of("likelihood", likelihood, LIKELIHOODS)
        importance_samples = arguments.integer("importance_samples", importance_samples, 1)
        config = {key: value for key, value in locals().items() if key not in ("self", "__class__")}
        # Lists, which JSON keeps as they are.
        config |= {"image_shape": list(image_shape), "units": list(units)}
        images = keras.Input(image_shape, name="images")
        encoder = _encoder(image_shape, latents, units, activation)
        decoder = _decoder(int(np.prod(image_shape)), latents, units, activation, likelihood)
        mean, log_variance = encoder(images)
        if importance_samples == 1:
            latent = layers.GaussianSampling(name="latents")([mean, log_variance])
            divergences = losses.gaussian_kl(mean, log_variance)
        else:
            mean, log_variance = _repeated(importance_samples, mean, log_variance)
            latent = layers.GaussianSampling(name="latents")([mean, log_variance])
            divergences = losses.sampled_gaussian_kl(latent, mean, log_variance)
        outputs = _terms(likelihood, images, decoder(latent), divergences, importance_samples)
        outputs = outputs[:, 0] if importance_samples == 1 else outputs
        super().__init__(inputs=images, outputs=outputs, name=name)
        self.image_shape, self.latent_size = image_shape, latents
        self.binary = likelihood == "bernoulli"
        self._config = config
        self._dense_programs = Programs(self)

    @property
    def encoder(self):
        """The model from images [B, H, W, C] to the mean and the log variance of q(z|x), each [B, Z]."""
        return self.get_layer("encoder")

    @property
    def decoder(self):
        """The model from latents [B, Z] to the parameters of p(x|z).

        A Bernoulli likelihood has logits, [B, D]; a Gaussian one has means and log standard deviations,
        [B, 2 D].
        """
        return self.get_layer("decoder")

    def elbo(self, images, seed=0):
        """Returns the ELBO of each image at one draw of the latents, in nats, [N] (Eq. 7.3.11).

        Args:
            images: Images [N, H, W, C] in [0, 1], binary or dequantized as the model's pixels are.
            seed: Integer seed of the draws.

        Raises:
            ValueError: If the images have another shape or range, or `seed` is not a valid seed.
        """
        distortion, rate = self.elbo_terms(images, seed)
        return -(distortion + rate)

    def elbo_terms(self, images, seed=0):
        """Returns the two terms of -ELBO in nats (Eq. 7.3.10), each [N].

        The first is -log p(x|z) at one draw of the latents, the second the divergence of q(z|x) from the
        prior.

        Args:
            images: As for `elbo`.
            seed: As for `elbo`.

        Raises:
            ValueError: As for `elbo`.
        """
        images, seed = self.checked_images(images), arguments.seed("seed", seed)
        parts = [
            np.asarray(self._dense_programs.run(VAE.terms, part, np.int32([seed, chunk])))
            for chunk, part in _chunks(images, _CHUNK)
        ]
        terms = np.concatenate(parts)
        return -terms[:, 0], terms[:, 1:].sum(axis=1)

    def importance_log_prob(self, images, samples=500, seed=0):
        """Returns the importance-weighted estimate of log p(x) with draws from the encoder, in nats, [N].

        It is a lower bound on average, which no smaller number of samples improves.

        Args:
            images: As for `elbo`.
            samples: Number K of draws for each image.
            seed: As for `elbo`.

        Raises:
            ValueError: As for `elbo`, or if `samples` is not a positive integer.

        References:
            Burda, Grosse and Salakhutdinov, "Importance Weighted Autoencoders" (2015), arXiv:1509.00519.
        """
        images, seed = self.checked_images(images), arguments.seed("seed", seed)
        samples = arguments.integer("samples", samples, 1)
        estimates, blocks = [], -(-samples // _DRAWS)
        for chunk, part in _chunks(images, _IMAGES):
            total = np.full(len(part), -np.inf)
            for block in range(blocks):
                draws = min(_DRAWS, samples - block * _DRAWS)
                key = np.int32([seed, chunk * blocks + block])
                log_weights = self._dense_programs.run(VAE.log_weights, part, key, draws=draws)
                total = np.logaddexp(total, np.logaddexp.reduce(np.float64(log_weights), axis=1))
            estimates.append(total - np.log(samples))
        return np.concatenate(estimates)

    def active_units(self, images, threshold=0.01):
        """Returns the number of latents that the encoder uses.

        A latent is active if the variance over the images of its posterior mean is above the threshold. That
        of a latent which is ignored, with q(z|x) = p(z) for all x, is zero.

        Args:
            images: As for `elbo`.
            threshold: The threshold, at least 0.

        Raises:
            ValueError: As for `elbo`, or if `threshold` is negative.

        References:
            Burda, Grosse and Salakhutdinov, "Importance Weighted Autoencoders" (2015), section 5.2.
        """
        threshold = arguments.nonnegative_number("threshold", threshold)
        return int(np.sum(self.encode(images).var(axis=0) > threshold))

    def traverse(self, start, latent, values):
        """Returns the images that differ in one latent, [N, H, W, C].

        Args:
            start: The image [H, W, C] or the latents [Z] that give the other latents.
            latent: Index of the latent.
            values: Its values, [N].

        Raises:
            ValueError: If `start` does not fit the model, there is no such latent, or a value is not finite.
        """
        latent = arguments.integer("latent", latent, 0, self.latent_size - 1)
        values = arguments.finite("values", values, 1)
        latents = np.repeat(self._end("start", start), len(values), axis=0)
        latents[:, latent] = values
        return self.decode(latents)

    def draw(self, count, seed):
        """Returns the means of p(x|z) for latents from the prior, [count, H, W, C].

        The pixels are not drawn, as is usual: they are independent given z, and their noise hides the image.

        Args:
            count: An int32 scalar.
            seed: An int32 scalar.
        """
        import tensorflow as tf

        key = tf.stack([tf.cast(seed, tf.int32), 0])
        return self.decoded(tf.random.stateless_normal((count, self.latent_size), key))

    def encoded(self, images):
        """Returns the means of q(z|x), [B, Z].

        Args:
            images: Images [B, H, W, C].
        """
        return self.encoder(images, training=False)[0]

    def decoded(self, latents):
        """Returns the means of p(x|z), [B, H, W, C] in [0, 1].

        Args:
            latents: Latents [B, Z].
        """
        parameters = self.decoder(latents, training=False)
        if self.binary:
            means = ops.sigmoid(parameters)
        else:
            means = ops.clip(ops.split(parameters, 2, axis=-1)[0], 0.0, 1.0)
        return ops.reshape(means, (-1, *self.image_shape))

    def bound(self, images, seed):
        """Returns the ELBO, [B], as an endpoint of a SavedModel.

        Args:
            images: Images [B, H, W, C].
            seed: An int32 scalar.
        """
        terms = self.terms(images, ops.stack([seed, 0]))
        return terms[:, 0] - ops.sum(terms[:, 1:], axis=1)

    def terms(self, images, key):
        """Returns log p(x|z) at one draw and the divergence of each latent, [B, 1 + Z].

        Args:
            images: Images [B, H, W, C].
            key: Stateless key, int32 [2].
        """
        mean, log_variance = self.encoder(images, training=False)
        parameters = self.decoder(_reparameterized(mean, log_variance, key), training=False)
        divergences = losses.gaussian_kl(mean, log_variance)
        return _terms(self._config["likelihood"], images, parameters, divergences)[:, 0]

    def log_weights(self, images, key, draws):
        """Returns log p(x|z) p(z) / q(z|x) at draws from the encoder, [B, K].

        Args:
            images: Images [B, H, W, C].
            key: Stateless key, int32 [2].
            draws: Number K of draws for each image.
        """
        mean, log_variance = _repeated(draws, *self.encoder(images, training=False))
        latents = _reparameterized(mean, log_variance, key)
        parameters = self.decoder(latents, training=False)
        divergences = losses.sampled_gaussian_kl(latents, mean, log_variance)
        terms = _terms(self._config["likelihood"], images, parameters, divergences, draws)
        return losses.log_weights(terms)


def _encoder(image_shape, latents, units, activation):
    """Returns the model from images to the mean and the log variance, in float32."""
    images = keras.Input(image_shape, name="images")
    x = keras.layers.Flatten(name="pixels")(images)
    for index, size in enumerate(units):
        x = keras.layers.Dense(size, activation, name=f"dense_{index}")(x)
    outputs = [keras.layers.Dense(latents, dtype="float32", name=n)(x) for n in ("mean", "log_variance")]
    return keras.Model(images, outputs, name="encoder")


def _decoder(pixels, latents, units, activation, likelihood):
    """Returns the model from latents to the parameters of p(x|z), in float32."""
    inputs = keras.Input((latents,), name="latents")
    x = inputs
    for index, size in enumerate(reversed(units)):
        x = keras.layers.Dense(size, activation, name=f"dense_{index}")(x)
    x = keras.layers.Dense(pixels, dtype="float32", name="pixels")(x)
    if likelihood == "gaussian":
        x = layers.GlobalScale(initial_scale=0.3, name="scale")(x)
    return keras.Model(inputs, x, name="decoder")


def _terms(likelihood, images, parameters, divergences, draws=1):
    """Returns log p(x|z) and the divergences of K draws for each image, [B, K, 1 + Z].

    Args:
        likelihood: The name of p(x|z).
        images: Images [B, H, W, C].
        parameters: The parameters of p(x|z), [B K, P].
        divergences: The divergence of each latent, [B K, Z].
        draws: Number K of draws.
    """
    pixels = ops.repeat(ops.reshape(images, (-1, int(np.prod(images.shape[1:])))), draws, axis=0)
    loss = losses.BernoulliNLL() if likelihood == "bernoulli" else losses.GaussianNLL(None, _MIN_SCALE)
    log_likelihood = -loss.call(pixels, parameters)
    terms = ops.concatenate([log_likelihood[:, None], divergences], axis=-1)
    return ops.reshape(terms, (-1, draws, terms.shape[-1]))


def _repeated(draws, *parts):
    """Returns tensors [B K, Z] with each row of [B, Z] K times."""
    return tuple(ops.repeat(part, draws, axis=0) for part in parts)


def _reparameterized(mean, log_variance, key):
    """Returns draws of N(mean, exp(log_variance)) that are a function of a stateless key."""
    import tensorflow as tf

    return mean + ops.exp(log_variance / 2) * tf.random.stateless_normal(tf.shape(mean), key)


def _chunks(images, size):
    """Yields the number of each chunk of images, and the chunk."""
    for chunk, start in enumerate(range(0, len(images), size)):
        yield chunk, images[start : start + size]
