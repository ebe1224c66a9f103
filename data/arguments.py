"""What `load` and `from_arrays` accept, checked before any TensorFlow is imported."""

import math
import numbers
import os

AUGMENTATIONS = ("flip", "crop")
NOISES = ("gaussian", "impulse")
TARGETS = ("noisy", "clean")


def _is_int(value):
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def check_int(argument, value, low, high):
    """Checks that `value` is an integer in [low, high].

    Args:
        argument: Name of the argument, for the message.
        value: What the caller gave.
        low: Smallest valid value.
        high: Largest valid value.

    Raises:
        ValueError: If it is not; the message names the argument, the value and the valid range.
    """
    if not _is_int(value) or not low <= value <= high:
        raise ValueError(f"{argument}={value!r} is not valid: give an integer from {low} to {high}.")


def check_sampling(train, batch_size, seed, subset, random_labels):
    """Checks the arguments that say which training examples are seen, and in what batches.

    Args:
        train: Examples in the whole training split.
        batch_size: Examples a batch, at most the examples left by `subset`.
        seed: Integer from 0 to 2^31 - 1.
        subset: Examples kept, from 1 to `train`, or `None` for all.
        random_labels: Fraction of the labels to replace, in [0, 1].

    Raises:
        ValueError: If one is not valid; the message names it, its value and what is valid.
    """
    if subset is not None:
        check_int("subset", subset, 1, train)
    check_int("batch_size", batch_size, 1, train if subset is None else subset)
    check_int("seed", seed, 0, 2**31 - 1)
    real = isinstance(random_labels, numbers.Real) and not isinstance(random_labels, bool)
    if not real or not 0 <= random_labels <= 1:
        raise ValueError(f"random_labels={random_labels!r} is not valid: give a fraction from 0 to 1.")


def check_augment(augment):
    """Checks that `augment` is a tuple or list of distinct names of augmentations.

    Args:
        augment: Names among `AUGMENTATIONS`.

    Raises:
        ValueError: If it is not; the message names the value and lists the valid names.
    """
    if (
        not isinstance(augment, tuple | list)
        or any(name not in AUGMENTATIONS for name in augment)
        or len(set(augment)) < len(augment)
    ):
        raise ValueError(f"augment={augment!r} is not valid: give a tuple of names among {AUGMENTATIONS}.")


def check_noise(noise, level, targets):
    """Checks what noise is put on images, and what a denoiser is shown as its target.

    Args:
        noise: One of `NOISES`.
        level: Standard deviation of `gaussian`, positive; probability of `impulse`, below 1/2, where the
            clean pixel stops being the median.
        targets: One of `TARGETS`.

    Raises:
        ValueError: If one is not valid; the message names it, its value and what is valid.
    """
    for argument, value, valid in (("noise", noise, NOISES), ("targets", targets, TARGETS)):
        if value not in valid:
            raise ValueError(f"{argument}={value!r} is not one of {', '.join(valid)}")
    limit = 0.5 if noise == "impulse" else math.inf
    if not isinstance(level, numbers.Real) or not 0 < level < limit:
        raise ValueError(f"level={level!r} is not valid for {noise} noise: give 0 < level < {limit}")


def check_data_dir(data_dir):
    """Checks that `data_dir` is `None` or an existing folder.

    Args:
        data_dir: What the caller gave.

    Raises:
        ValueError: If it is not; the message names the value.
    """
    if data_dir is not None and not os.path.isdir(data_dir):
        raise ValueError(f"data_dir={str(data_dir)!r} is no folder: give one that holds prepared data sets.")
