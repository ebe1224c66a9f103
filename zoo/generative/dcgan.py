"""The deep convolutional generative adversarial network, DCGAN (Sec. 7.4).

Legend: B batch, H height, W width, C channels, Z latent variables.
"""

import keras

from ... import arguments
from ...layers.normalization import batch_normalization
from .gan import Generator

NORMALIZATIONS = ("batch", "spectral", None)
_DEVIATION, _SLOPE = 0.02, 0.2


@keras.saving.register_keras_serializable("curvezoo")
class DCGANGenerator(Generator):
    """A generator of transposed convolutions: latents [B, Z] to images [B, H, W, C] in [0, 1].

    Args:
        image_shape: The shape (H, W, C); H and W are multiples of two to the power of the number of filters.
        latent_size: Number Z of latent variables.
        filters: Channels of the first images, and of those after each doubling but the last.
        units: Width of the dense layer before the first images; 0 for none.
        kernel_size: Height and width of the filters.

    Raises:
        ValueError: If a value is not valid.
    """

    def __init__(
        self, image_shape, latent_size=64, filters=(64, 32), units=0, kernel_size=4, name="generator"
    ):
        self.image_shape = image_shape = arguments.sizes("image_shape", image_shape, 3)
        self.latent_size = latent_size = arguments.integer("latent_size", latent_size, 1)
        filters, units = arguments.sizes("filters", filters), arguments.integer("units", units, 0)
        kernel_size = arguments.integer("kernel_size", kernel_size, 1)
        self._config = {
            "image_shape": list(image_shape),
            "latent_size": latent_size,
            "filters": list(filters),
            "units": units,
            "kernel_size": kernel_size,
            "name": name,
        }
        latents = keras.Input((latent_size,), name="latents")
        images = upsampled(latents, self.image_shape, filters, kernel_size, units)
        super().__init__(inputs=latents, outputs=images, name=name)


def critic(
    image_shape, filters=(32, 64), units=0, kernel_size=4, normalization="batch", name="discriminator"
):
    """Returns a critic of strided convolutions.

    Args:
        image_shape: The shape (H, W, C) of an image.
        filters: Channels after each halving of height and width.
        units: Width of a dense layer that sees the whole image, after the convolutions; 0 for none.
        kernel_size: Height and width of the filters.
        normalization: `batch`, after every layer but the first; `spectral`, of every kernel; or `None`.
        name: The model's name.

    Returns:
        A `keras.Model` from images [B, H, W, C] in [0, 1] to the logits [B, 1] of real against generated.

    Raises:
        ValueError: If a value is not valid.
    """
    images = keras.Input(arguments.sizes("image_shape", image_shape, 3), name="images")
    features = downsampled(images, filters, kernel_size, normalization)
    x = keras.layers.Flatten()(features)
    if units:
        x = hidden(x, units, normalization)
    logits = normalized_dense(1, normalization, name="logits")(x)
    return keras.Model(images, logits, name=name)


def upsampled(latents, image_shape, filters, kernel_size, units=0):
    """Returns images made from latents by transposed convolutions that double height and width.

    Every layer but the last has batch norm and a ReLU.

    Args:
        latents: A Keras tensor [B, Z].
        image_shape: The shape (H, W, C) of an image.
        filters: Channels of the first images, and of those after each doubling but the last.
        kernel_size: Height and width of the filters.
        units: Width of a dense layer before the first images; 0 for none.

    Returns:
        A Keras tensor [B, H, W, C] in [0, 1].

    Raises:
        ValueError: If H or W is not a multiple of two to the power of the number of filters.
    """
    if not filters:
        raise ValueError(f"filters must have at least one entry, got {filters!r}")
    height, width, channels = image_shape
    scale = 2 ** len(filters)
    if height % scale or width % scale:
        raise ValueError(f"images must have sides divisible by {scale}, got {height} and {width}")
    shape = (height // scale, width // scale, filters[0])
    x = latents
    if units:
        x = keras.layers.Dense(units, use_bias=False, kernel_initializer=_normal())(x)
        x = keras.layers.ReLU()(_batch_norm(x))
    x = keras.layers.Dense(shape[0] * shape[1] * shape[2], use_bias=False, kernel_initializer=_normal())(x)
    x = keras.layers.Reshape(shape)(x)
    settings = {"strides": 2, "padding": "same", "data_format": "channels_last"}
    for number in filters[1:]:
        x = keras.layers.ReLU()(_batch_norm(x))
        x = keras.layers.Conv2DTranspose(
            number, kernel_size, use_bias=False, kernel_initializer=_normal(), **settings
        )(x)
    x = keras.layers.ReLU()(_batch_norm(x))
    x = keras.layers.Conv2DTranspose(channels, kernel_size, kernel_initializer=_normal(), **settings)(x)
    # DCGAN has tanh(a) in [-1, 1]; the sigmoid is (1 + tanh(a / 2)) / 2.
    return keras.layers.Activation("sigmoid", dtype="float32", name="images")(x)


def downsampled(images, filters, kernel_size, normalization):
    """Returns the features of images, by convolutions that halve height and width.

    Args:
        images: A Keras tensor [B, H, W, C] in [0, 1].
        filters: Channels after each halving.
        kernel_size: Height and width of the filters.
        normalization: `batch`, after every convolution but the first; `spectral`, of every kernel; or `None`.

    Returns:
        A Keras tensor of the last layer's images.

    Raises:
        ValueError: If `normalization` is not one of these.
    """
    arguments.one_of("normalization", normalization, NORMALIZATIONS)
    filters = arguments.sizes("filters", filters)
    kernel_size = arguments.integer("kernel_size", kernel_size, 1)
    x = keras.layers.Rescaling(2.0, -1.0)(images)
    for index, number in enumerate(filters):
        batch_norm = normalization == "batch" and index > 0
        convolution = keras.layers.Conv2D(
            number,
            kernel_size,
            strides=2,
            padding="same",
            data_format="channels_last",
            use_bias=not batch_norm,
            kernel_initializer=_normal(),
        )
        if normalization == "spectral":
            convolution = keras.layers.SpectralNormalization(convolution)
        x = convolution(x)
        x = keras.layers.LeakyReLU(_SLOPE)(_batch_norm(x) if batch_norm else x)
    return x


def hidden(x, units, normalization):
    """Returns a dense layer of a critic with its normalization and a leaky ReLU.

    Args:
        x: A Keras tensor [B, D].
        units: Width of the layer.
        normalization: As for `critic`.
    """
    x = normalized_dense(arguments.integer("units", units, 1), normalization)(x)
    if normalization == "batch":
        x = batch_normalization()(x)
    return keras.layers.LeakyReLU(_SLOPE)(x)


def normalized_dense(units, normalization, name=None):
    """Returns a dense layer in float32, with a spectrally normalized kernel if `normalization` says so.

    Args:
        units: Number of outputs.
        normalization: As for `critic`.
        name: The layer's name.
    """
    layer = keras.layers.Dense(units, kernel_initializer=_normal(), dtype="float32", name=name)
    return keras.layers.SpectralNormalization(layer, name=name) if normalization == "spectral" else layer


def _normal():
    return keras.initializers.RandomNormal(stddev=_DEVIATION)


def _batch_norm(x):
    gamma = keras.initializers.RandomNormal(mean=1.0, stddev=_DEVIATION)
    return batch_normalization(gamma_initializer=gamma)(x)
