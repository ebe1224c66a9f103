"""The convolutional network, its images made smaller by pooling or by stride (section 5.3).

B batch, H W height and width, C channels, K classes.
"""

from ... import layers
from ...training.recipe import Recipe
from .images import LIMITS, logits_of, standardized_images


def cnn(
    spec,
    channels: tuple[int, ...] = (32, 64),
    units: int = 128,
    downsampling: str = "pool",
    activation: str = "relu",
    normalization: str | None = "batch",
    dropout: float = 0.0,
):
    """Returns stages of two 3x3 convolutions, each stage halving the image, then one hidden layer.

    Args:
        spec: The data set's `Spec`.
        channels: Filters of each stage.
        units: Width of the hidden layer.
        downsampling: `pool`, a 2x2 maximum after the stage, or `stride`, two in its second convolution.
        activation: A Keras activation.
        normalization: `batch`, `layer`, `weight` or `None`, before each activation.
        dropout: Share of activations set to zero in training, after each stage and the hidden layer.

    Returns:
        A `keras.Model` from images `[B, H, W, C]` to logits `[B, K]`.

    Raises:
        ValueError: If `downsampling` is neither of the two.
    """
    import keras

    if downsampling not in ("pool", "stride"):
        raise ValueError(f"downsampling={downsampling!r} is not one of pool, stride")
    stride = 2 if downsampling == "stride" else 1
    common = {"activation": activation, "normalization": normalization}
    images, x = standardized_images(spec)
    for filters in channels:
        x = layers.ConvBlock(filters, **common)(x)
        x = layers.ConvBlock(filters, strides=stride, **common)(x)
        if downsampling == "pool":
            x = keras.layers.MaxPooling2D()(x)
        x = keras.layers.Dropout(dropout)(x)
    x = keras.layers.Flatten()(x)
    x = layers.DenseBlock(units, dropout=dropout, **common)(x)
    return keras.Model(images, logits_of(x, spec), name="cnn")


RECIPES = (
    Recipe(
        name="cnn_digits",
        section="5.3",
        summary="convolutions and pooling on 8x8 digits",
        build=cnn,
        data="digits",
        limits=LIMITS["digits"],
        model={"channels": (32, 64), "units": 64, "dropout": 0.25},
        epochs=30,
        batch_size=64,
        learning_rate=3e-3,
        schedule="cosine",
    ),
    Recipe(
        name="cnn_mnist",
        section="5.3",
        summary="convolutions and pooling on MNIST",
        build=cnn,
        data="mnist",
        limits=LIMITS["mnist"],
        model={"dropout": 0.25},
        epochs=8,
        learning_rate=2e-3,
        schedule="cosine",
        augment=("crop",),
    ),
    Recipe(
        name="cnn_fashion_mnist",
        section="5.3",
        summary="convolutions with stride on Fashion-MNIST",
        build=cnn,
        data="fashion_mnist",
        limits=LIMITS["fashion_mnist"],
        model={"downsampling": "stride", "dropout": 0.25},
        epochs=20,
        learning_rate=2e-3,
        schedule="cosine",
        augment=("flip", "crop"),
    ),
    Recipe(
        name="cnn_svhn",
        section="5.3",
        summary="convolutions and pooling on house numbers",
        build=cnn,
        data="svhn_cropped",
        limits=LIMITS["svhn_cropped"],
        model={"channels": (32, 64, 128), "dropout": 0.25},
        epochs=15,
        learning_rate=2e-3,
        schedule="cosine",
        augment=("crop",),
    ),
)
