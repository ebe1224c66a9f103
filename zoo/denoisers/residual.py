"""A convolutional denoiser that predicts a correction to its input (section 3.3.4).

B batch, H height, W width, C channels.
"""

from ... import arguments, layers
from ...training.parts import Architecture, Denoise, Images, Optimizer
from ...training.supervised import Supervised

_LIMITS = (
    "Single digits as 8x8 grey images, with the noise of its recipe at the same level. Images of other sizes "
    "are accepted. Other noise, other levels and other images give wrong results without a warning."
)


def residual_denoiser(
    spec, filters: int = 64, blocks: int = 4, activation: str = "relu", normalization: str | None = "batch"
):
    """Returns a stack of 3x3 convolutions whose output is added to the noisy image.

    Pixels beyond the edge count as zero. An output pixel depends on `blocks` + 1 pixels to each side.

    Args:
        spec: The data set's `Spec`, of which only the number of channels matters.
        filters: Channels of the hidden layers.
        blocks: Number of convolutions before the last.
        activation: A Keras activation.
        normalization: `batch`, `layer`, `weight` or `None`, before each activation.

    Returns:
        A `keras.Model` from noisy images `[B, H, W, C]` of any height and width to clean ones, of the same
        shape.

    Raises:
        ValueError: If `filters` or `blocks` is below one.

    References:
        Zhang et al., "Beyond a Gaussian Denoiser: Residual Learning of Deep CNN for Image Denoising" (2017).
    """
    import keras

    for name, value in (("filters", filters), ("blocks", blocks)):
        arguments.integer(name, value, 1)
    images = keras.Input((None, None, spec.shape[-1]), name="images")
    x = images
    for _ in range(blocks):
        x = layers.ConvBlock(filters, activation=activation, normalization=normalization)(x)
    # The kernel starts at zero, so that the untrained model returns its input.
    correction = keras.layers.Conv2D(
        spec.shape[-1], 3, padding="same", kernel_initializer="zeros", dtype="float32", name="correction"
    )(x)
    cleaned = keras.layers.Add(dtype="float32", name="cleaned")([images, correction])
    return keras.Model(images, cleaned, name="residual_denoiser")


def _recipe(name, summary, objective):
    return Supervised(
        name=name,
        section="3.3.4",
        summary=summary,
        model=Architecture(residual_denoiser),
        data=Images("digits"),
        objective=objective,
        optimizer=Optimizer("adam", learning_rate=3e-3, schedule="cosine"),
        epochs=200,
        limits=_LIMITS,
    )


RECIPES = (
    _recipe(
        "denoiser_digits",
        "removes Gaussian noise from digits, trained on noisy pairs by squared error",
        Denoise(noise="gaussian", level=0.2, likelihood="gaussian"),
    ),
    _recipe(
        "denoiser_digits_impulse",
        "restores randomly replaced pixels of digits, trained on noisy pairs by absolute error",
        Denoise(noise="impulse", level=0.15, likelihood="laplace"),
    ),
)
