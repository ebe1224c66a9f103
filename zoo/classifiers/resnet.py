"""Residual networks, versions 1 and 2 (sections 5.1.4 and 5.3; He et al., arXiv 1512.03385 and 1603.05027).

B batch, H W height and width, C channels, K classes.
"""

from ... import arguments, layers
from ...training.parts import Architecture, CrossEntropy, LabeledImages, Optimizer
from ...training.supervised import Supervised
from .images import LIMITS, logits_of, standardized_images


def cifar_resnet(spec, blocks: int = 3, width: int = 1, version: int = 1, residual_scale: bool = False):
    r"""Returns the residual network for small images: three stages of `blocks` basic blocks.

    Version 1 applies the nonlinearity to \(x + F(x)\) (Eq. 5.1.14). Version 2 leaves the sum unchanged and
    has normalization and nonlinearity inside \(F\) (Eq. 5.1.13), so that the last layer is the first plus a
    sum over blocks (Eq. 5.1.15). The depth is 6 * blocks + 2 weight layers.

    Args:
        spec: The data set's `Spec`.
        blocks: Residual blocks per stage: 3, 5, 7, 9, 18 for ResNet-20, 32, 44, 56, 110.
        width: Factor on the 16, 32 and 64 channels of the stages (wide ResNets, arXiv 1605.07146).
        version: 1 or 2.
        residual_scale: Whether to scale the initial weights inside blocks by a power of 1/sqrt(L), where L is
            the total number of blocks.

    Returns:
        A `keras.Model` from images `[B, H, W, C]` to logits `[B, K]`.

    Raises:
        ValueError: If a value is not valid.
    """
    import keras

    arguments.integer("blocks", blocks, 1)
    arguments.integer("width", width, 1)
    images, x = standardized_images(spec)
    x = _stem(x, 16, version)
    for stage, filters in enumerate((16 * width, 32 * width, 64 * width)):
        for block in range(blocks):
            x = layers.ResidualBlock(
                filters,
                strides=2 if stage and not block else 1,
                version=version,
                depth=3 * blocks,
                residual_scale=residual_scale,
            )(x)
    x = _head(x, version)  # [B, 64 * width]
    return keras.Model(images, logits_of(x, spec), name=f"resnet{6 * blocks + 2}v{version}")


def imagenet_resnet(spec, blocks: tuple[int, ...] = (3, 4, 6, 3), version: int = 1):
    """Returns the residual network for large images, with bottleneck blocks; the default is ResNet-50.

    Args:
        spec: The data set's `Spec`.
        blocks: Bottleneck blocks of each stage.
        version: 1 or 2.

    Returns:
        A `keras.Model` from images `[B, H, W, C]` to logits `[B, K]`.
    """
    import keras

    images, x = standardized_images(spec)
    x = _stem(x, 64, version, kernel_size=7, strides=2)  # [B, H/2, W/2, 64]
    x = keras.layers.MaxPooling2D(3, 2, padding="same")(x)  # [B, H/4, W/4, 64]
    for stage, count in enumerate(blocks):
        for block in range(count):
            strides = 2 if stage and not block else 1
            x = layers.ResidualBlock(64 * 2**stage, strides=strides, version=version, bottleneck=True)(x)
    x = _head(x, version)  # [B, 2048]
    return keras.Model(images, logits_of(x, spec), name=f"resnet{3 * sum(blocks) + 2}v{version}")


def _stem(x, filters, version, **convolution):
    """Applies the first convolution; version 2 leaves normalization and nonlinearity to its first block."""
    if version == 1:
        return layers.ConvBlock(filters, normalization="batch", **convolution)(x)
    return layers.ConvBlock(filters, activation=None, **convolution)(x)


def _head(x, version):
    """Averages over positions; version 2 first applies normalization and ReLU to the last block's sum."""
    import keras

    if version == 2:
        x = keras.layers.ReLU()(layers.batch_normalization()(x))
    return keras.layers.GlobalAveragePooling2D()(x)


def _cifar_recipe(name, summary, data="cifar10", **model):
    return Supervised(
        name=name,
        section="5.1.4",
        summary=summary,
        model=Architecture(cifar_resnet, model),
        data=LabeledImages(data, augment=("flip", "crop")),
        objective=CrossEntropy(label_smoothing=0.05),
        optimizer=Optimizer("sgd", learning_rate=0.2, schedule="cosine", warmup=2.0, weight_decay=5e-3),
        epochs=30,
        limits=LIMITS[data],
    )


RECIPES = (
    _cifar_recipe("resnet20_cifar10", "ResNet-20, version 1, on CIFAR-10"),
    _cifar_recipe("resnet20v2_cifar10", "ResNet-20, version 2, on CIFAR-10", version=2),
    _cifar_recipe("resnet56_cifar10", "ResNet-56, version 1, on CIFAR-10", blocks=9),
    _cifar_recipe("resnet56v2_cifar10", "ResNet-56, version 2, on CIFAR-10", blocks=9, version=2),
    _cifar_recipe(
        "wide_resnet20v2_cifar10", "ResNet-20 of four times the width on CIFAR-10", width=4, version=2
    ),
    _cifar_recipe("resnet20_cifar100", "ResNet-20, version 1, on CIFAR-100", data="cifar100"),
    Supervised(
        name="resnet50_imagenet",
        section="5.1.4",
        summary="ResNet-50 on ImageNet",
        model=Architecture(imagenet_resnet),
        data=LabeledImages("imagenet2012", batch_size=256),
        objective=CrossEntropy(label_smoothing=0.1),
        optimizer=Optimizer("sgd", learning_rate=0.1, schedule="cosine", warmup=5.0, weight_decay=1e-4),
        epochs=90,
        limits=LIMITS["imagenet2012"],
    ),
)
