"""Autoregressive models of images (section 7.2)."""

from ...training.parts import Architecture, Images, MaximumLikelihood, Optimizer
from ...training.supervised import Supervised

_LIMITS = (
    "{}, made binary at random: a pixel is 1 with the probability of its gray value. The log-likelihood of "
    "other images says nothing about whether they are digits: plain ones are often more likely."
)


def pixelcnn(
    spec,
    levels: int = 2,
    patch: int = 1,
    filters: int = 32,
    blocks: int = 6,
    first_kernel_size: int = 7,
    kernel_size: int = 3,
    hidden: int = 0,
    conditional: bool = False,
    dropout: float = 0.0,
):
    """Returns a `PixelCNN` of a data set's images.

    Args:
        spec: The data set's `Spec`.
        levels: As for `PixelCNN`.
        patch: As for `PixelCNN`.
        filters: As for `PixelCNN`.
        blocks: As for `PixelCNN`.
        first_kernel_size: As for `PixelCNN`.
        kernel_size: As for `PixelCNN`.
        hidden: As for `PixelCNN`.
        conditional: Whether the model depends on the class; the objective must then be conditional, too.
        dropout: As for `PixelCNN`.
    """
    settings = {key: value for key, value in locals().items() if key not in ("spec", "conditional")}

    from .pixelcnn import PixelCNN

    return PixelCNN(spec.shape, classes=spec.classes if conditional else None, **settings)


RECIPES = (
    Supervised(
        name="pixelcnn_digits",
        section="7.2",
        summary="an autoregressive model of binary 8x8 digits",
        model=Architecture(pixelcnn, {"filters": 16, "blocks": 4, "first_kernel_size": 5}),
        data=Images("digits", batch_size=32),
        objective=MaximumLikelihood(),
        optimizer=Optimizer("adam", learning_rate=3e-3, schedule="cosine"),
        epochs=20,
        limits=_LIMITS.format("8x8 digits of scikit-learn"),
    ),
    Supervised(
        name="pixelcnn_mnist",
        section="7.2",
        summary="an autoregressive model of binary MNIST, by patches of 2x2 pixels",
        model=Architecture(pixelcnn, {"patch": 2, "filters": 48}),
        data=Images("mnist", batch_size=32),
        objective=MaximumLikelihood(),
        optimizer=Optimizer("adam", learning_rate=2e-3, schedule="cosine", warmup=0.1),
        epochs=5,
        limits=_LIMITS.format("Digits as MNIST prepares them"),
    ),
)
