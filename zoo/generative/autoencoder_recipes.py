"""Autoencoders of digits, trained by K-FAC (section 7.1)."""

from ...training.parts import Architecture, Images, Optimizer, Penalty, Reconstruct
from ...training.supervised import Supervised

_LIMITS = (
    "Single handwritten digits as in its data set. The code has no distribution: decoding a random one gives "
    "no digit."
)


def autoencoder(spec, latents: int = 30, units: tuple[int, ...] = (1000, 500, 250), activation: str = "tanh"):
    """Returns an `Autoencoder` of a data set's images.

    Args:
        spec: The data set's `Spec`.
        latents: As for `Autoencoder`.
        units: As for `Autoencoder`.
        activation: As for `Autoencoder`.
    """
    from .autoencoder import Autoencoder

    return Autoencoder(spec.shape, latents, units, activation)


RECIPES = (
    Supervised(
        name="autoencoder_digits",
        section="7.1",
        summary="a small autoencoder of digits with a code of 8 numbers, trained by K-FAC",
        model=Architecture(autoencoder, {"latents": 8, "units": (64, 32)}),
        data=Images("digits", batch_size=256),
        objective=Reconstruct(),
        optimizer=Optimizer("kfac"),
        penalty=Penalty(l2=1e-4),
        epochs=40,
        limits=_LIMITS,
    ),
    Supervised(
        name="autoencoder_mnist",
        section="7.1",
        summary="the deep autoencoder 784-1000-500-250-30 of digits, trained by K-FAC",
        model=Architecture(autoencoder),
        data=Images("mnist", batch_size=4000),
        objective=Reconstruct(),
        optimizer=Optimizer("kfac"),
        penalty=Penalty(l2=5e-6),
        epochs=25,
        limits=_LIMITS + " The folder takes 22 MB, since the standard network has 2.8 million weights.",
    ),
)
