"""Valid noise and augmentation of image sets, checked before TensorFlow is imported."""

from .. import arguments

AUGMENTATIONS = ("flip", "crop")
NOISES = ("gaussian", "impulse")
TARGETS = ("noisy", "clean")


def check_noise(noise, level, targets):
    """Checks the noise on images, and the target that a denoiser is trained with.

    Args:
        noise: One of `NOISES`.
        level: Standard deviation of `gaussian` noise, positive; or probability of `impulse` noise, in
            (0, 1/2), since from 1/2 on the median is no longer the clean pixel.
        targets: One of `TARGETS`.

    Raises:
        ValueError: If an argument is not valid.
    """
    arguments.one_of("noise", noise, NOISES)
    arguments.one_of("targets", targets, TARGETS)
    if noise == "impulse":
        arguments.number("level", level, 0, 0.5, bounds="()")
    else:
        arguments.positive_number("level", level)
