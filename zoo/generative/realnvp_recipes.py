"""Normalizing flows of images (section 7.2). This module does not import Keras."""

from ...training.parts import Architecture, Images, MaximumLikelihood, Optimizer
from ...training.supervised import Supervised

_LIMITS = {
    name: (
        f"{images}, with uniform noise of one gray level added. The density does not detect other images: it "
        "can be higher for them."
    )
    for name, images in {
        "digits": "Single digits as 8x8 gray images of 17 levels",
        "mnist": "Single handwritten digits, centered, light on dark, 28x28 pixels",
    }.items()
}


def realnvp(
    spec,
    scales: int = 2,
    couplings: int = 8,
    checkerboards: int = 0,
    width: int = 48,
    depth: int = 1,
    kernel_size: int = 5,
    mixing: bool = True,
    preprocessing: str = "gaussianization",
    alpha: float = 1e-5,
):
    """Returns a `RealNVP` for a set of images.

    Args:
        spec: The data set's `Spec`.
        scales: As for `RealNVP`.
        couplings: As for `RealNVP`.
        checkerboards: As for `RealNVP`.
        width: As for `RealNVP`.
        depth: As for `RealNVP`.
        kernel_size: As for `RealNVP`.
        mixing: As for `RealNVP`.
        preprocessing: As for `RealNVP`.
        alpha: As for `RealNVP`.
    """
    settings = {key: value for key, value in locals().items() if key != "spec"}

    from .realnvp import RealNVP

    return RealNVP(spec.shape, spec.levels, **settings)


RECIPES = (
    Supervised(
        name="realnvp_digits",
        section="7.2",
        summary="a normalizing flow of digits",
        model=Architecture(realnvp, {"couplings": 4, "width": 32, "kernel_size": 3}),
        data=Images("digits", batch_size=64),
        objective=MaximumLikelihood(pixels="gray"),
        optimizer=Optimizer("adam", learning_rate=3e-3, schedule="cosine", warmup=1),
        epochs=40,
        limits=_LIMITS["digits"],
    ),
    Supervised(
        name="realnvp_mnist",
        section="7.2",
        summary="a normalizing flow of handwritten digits",
        model=Architecture(realnvp),
        data=Images("mnist", batch_size=32),
        objective=MaximumLikelihood(pixels="gray"),
        optimizer=Optimizer(
            "adam",
            learning_rate=1e-3,
            schedule="cosine",
            warmup=0.2,
            arguments={"global_clipnorm": 100.0},
        ),
        epochs=4,
        limits=_LIMITS["mnist"],
    ),
)
