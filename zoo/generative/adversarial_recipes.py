"""Recipes of the adversarial networks of the zoo. This module imports no Keras.

The functions that build the networks import it when they are called.
"""

from ...training.adversarial import Adversarial
from ...training.parts import Architecture, Images, InformationLoss, Optimizer

_LIMITS = {
    "mnist": "Draws single handwritten digits like those of MNIST, some of them illegible. Its distribution "
    "is not that of the data, and the likelihood of an image is not known.",
    "digits": "Draws 8x8 digits, and serves for tests: 1,257 images are few for an adversarial network.",
}


def dcgan(
    spec,
    latent_size: int = 64,
    generator_filters: tuple[int, ...] = (64, 32),
    generator_units: int = 0,
    discriminator_filters: tuple[int, ...] = (32, 64),
    discriminator_units: int = 0,
    kernel_size: int = 4,
    normalization: str | None = "batch",
):
    """Returns the two networks of a DCGAN.

    Args:
        spec: The data set's `Spec`.
        latent_size: Number of latent variables.
        generator_filters: Channels of the generator before each doubling of height and width.
        generator_units: Width of the generator's first dense layer; 0 for none.
        discriminator_filters: Channels of the critic after each halving.
        discriminator_units: Width of the critic's dense layer; 0 for none.
        kernel_size: Height and width of all filters.
        normalization: `batch`, `spectral` or `None`, of the critic.

    Returns:
        A `zoo.generative.GAN`.

    Raises:
        ValueError: If a value is not valid.

    References:
        Radford, Metz and Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative
        Adversarial Networks" (2015), arXiv:1511.06434.
    """
    from .dcgan import DCGANGenerator, critic
    from .gan import GAN

    generator = DCGANGenerator(spec.shape, latent_size, generator_filters, generator_units, kernel_size)
    discriminator = critic(spec.shape, discriminator_filters, discriminator_units, kernel_size, normalization)
    return GAN(generator, discriminator)


def infogan(
    spec,
    noise: int = 62,
    categories: int = 10,
    continuous: int = 2,
    generator_filters: tuple[int, ...] = (64, 32),
    generator_units: int = 0,
    discriminator_filters: tuple[int, ...] = (32, 64),
    discriminator_units: int = 128,
    code_units: int = 64,
    kernel_size: int = 4,
    normalization: str | None = "batch",
):
    """Returns the two networks of an InfoGAN.

    Args:
        spec: The data set's `Spec`.
        noise: Number of noise variables.
        categories: Number of categories.
        continuous: Number of continuous codes.
        generator_filters: Channels of the generator before each doubling of height and width.
        generator_units: Width of the generator's first dense layer; 0 for none.
        discriminator_filters: Channels of the critic after each halving.
        discriminator_units: Width of the last layer of the critic's trunk.
        code_units: Width of the hidden layer that reads the codes from the trunk.
        kernel_size: Height and width of all filters.
        normalization: `batch`, `spectral` or `None`, of the critic.

    Returns:
        A `zoo.generative.InfoGAN`.

    Raises:
        ValueError: If a value is not valid.

    References:
        Chen et al., "InfoGAN" (2016), arXiv:1606.03657.
    """
    from .infogan import InfoGAN, InfoGANGenerator, critic

    generator = InfoGANGenerator(
        spec.shape, noise, categories, continuous, generator_filters, generator_units, kernel_size
    )
    discriminator = critic(
        spec.shape,
        categories,
        continuous,
        discriminator_filters,
        discriminator_units,
        code_units,
        kernel_size,
        normalization,
    )
    return InfoGAN(generator, discriminator)


def _recipe(model, data, epochs, arguments, rates, **more):
    """Returns a recipe; `rates` are the learning rates of the generator and of the critic."""

    def adam(rate):
        return Optimizer("adam", learning_rate=rate, schedule="cosine", arguments={"beta_1": 0.5})

    return Adversarial(
        name=f"{model.__name__}_{data}",
        model=Architecture(model, arguments),
        data=Images(data, batch_size=64),
        generator_optimizer=adam(rates[0]),
        discriminator_optimizer=adam(rates[1]),
        epochs=epochs,
        limits=_LIMITS[data],
        **more,
    )


def _dcgan(data, epochs, arguments, rates):
    drawn = "MNIST" if data == "mnist" else data
    summary = f"convolutional adversarial networks that draw {drawn}"
    return _recipe(dcgan, data, epochs, arguments, rates, section="7.4", summary=summary)


def _infogan(data, epochs, arguments, rates, **information):
    told_apart = "MNIST digits" if data == "mnist" else data
    summary = f"adversarial networks whose codes tell {told_apart} apart"
    objective = InformationLoss(code_information=0.1, **information)
    return _recipe(
        infogan, data, epochs, arguments, rates, section="7.5", summary=summary, objective=objective
    )


# A critic with batch norm judges few images by averages of real and generated ones together.
_SMALL = {"generator_filters": (32, 16), "discriminator_filters": (16, 32), "normalization": "spectral"}
# Without dense layers, which see the whole image, parts of digits are right but not their arrangement.
_DENSE = {"generator_units": 128, "discriminator_units": 128}
_RATES = (1e-3, 2e-4)

RECIPES = (
    _dcgan("digits", 60, _SMALL, (5e-4, 5e-4)),
    _dcgan("mnist", 16, _DENSE, _RATES),
    _infogan(
        "digits", 60, {**_SMALL, "noise": 16, "discriminator_units": 64, "code_units": 32}, (1e-3, 5e-4)
    ),
    # All digits are drawn before the categories bind, which then can't stand for slants or widths.
    _infogan("mnist", 10, _DENSE, _RATES, information_delay=1.0, information_warmup=2.0, distortion=0.3),
)
