"""The convolutional network, which downsamples by pooling or by strides (section 5.3).

B batch, H W height and width, C channels, K classes.
"""

from ... import arguments, layers
from ...training.parts import Architecture, LabeledImages, Optimizer
from ...training.supervised import Supervised
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
    """Returns a network of stages with two 3x3 convolutions each, followed by a hidden layer.

    Every stage halves the image size.

    Args:
        spec: The data set's `Spec`.
        channels: Filters of each stage.
        units: Width of the hidden layer.
        downsampling: `pool`, 2x2 max pooling after each stage, or `stride`, stride 2 in its second
            convolution.
        activation: A Keras activation.
        normalization: `batch`, `layer`, `weight` or `None`, before each activation.
        dropout: Dropout rate after each stage and after the hidden layer.

    Returns:
        A `keras.Model` from images `[B, H, W, C]` to logits `[B, K]`.

    Raises:
        ValueError: If a value is not valid.
    """
    import keras

    arguments.sizes("channels", channels)
    arguments.integer("units", units, 1)
    arguments.one_of("downsampling", downsampling, ("pool", "stride"))
    arguments.fraction("dropout", dropout)
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
    Supervised(
        name="cnn_digits",
        section="5.3",
        summary="convolutions and pooling on 8x8 digits",
        model=Architecture(cnn, {"channels": (32, 64), "units": 64, "dropout": 0.25}),
        data=LabeledImages("digits", batch_size=64),
        optimizer=Optimizer("adam", learning_rate=3e-3, schedule="cosine"),
        epochs=30,
        limits=LIMITS["digits"],
    ),
    Supervised(
        name="cnn_mnist",
        section="5.3",
        summary="convolutions and pooling on MNIST",
        model=Architecture(cnn, {"dropout": 0.25}),
        data=LabeledImages("mnist", augment=("crop",)),
        optimizer=Optimizer("adam", learning_rate=2e-3, schedule="cosine"),
        epochs=8,
        limits=LIMITS["mnist"],
    ),
    Supervised(
        name="cnn_fashion_mnist",
        section="5.3",
        summary="convolutions with stride on Fashion-MNIST",
        model=Architecture(cnn, {"downsampling": "stride", "dropout": 0.25}),
        data=LabeledImages("fashion_mnist", augment=("flip", "crop")),
        optimizer=Optimizer("adam", learning_rate=2e-3, schedule="cosine"),
        epochs=20,
        limits=LIMITS["fashion_mnist"],
    ),
    Supervised(
        name="cnn_svhn",
        section="5.3",
        summary="convolutions and pooling on house numbers",
        model=Architecture(cnn, {"channels": (32, 64, 128), "dropout": 0.25}),
        data=LabeledImages("svhn_cropped", augment=("crop",)),
        optimizer=Optimizer("adam", learning_rate=2e-3, schedule="cosine"),
        epochs=15,
        limits=LIMITS["svhn_cropped"],
    ),
)
