"""Splits of a user's own images.

Legend: N examples, H height, W width, C channels, K classes.
"""

import numpy as np

from ..arguments import check_augment, check_int, check_sampling
from .specs import Spec


def _check_images(argument, images, shape):
    if images.ndim != 4 or 0 in images.shape:
        raise ValueError(f"{argument}: images of shape {images.shape} are not valid: give [N, H, W, C].")
    if shape is not None and images.shape[1:] != tuple(shape):
        raise ValueError(f"{argument}: images of shape {images.shape[1:]} where {tuple(shape)} is expected.")
    if images.dtype == np.uint8:
        return
    if not np.issubdtype(images.dtype, np.floating):
        raise ValueError(f"{argument}: images of dtype {images.dtype} are not valid: give uint8 or floats.")
    if not np.isfinite(images).all() or images.min() < 0 or images.max() > 1:
        raise ValueError(
            f"{argument}: images from {images.min()} to {images.max()} are not valid: floats must be finite "
            "and in [0, 1]; give uint8 for pixels 0 .. 255."
        )


def _check_labels(argument, labels, examples, classes):
    if labels.shape != (examples,):
        raise ValueError(f"{argument}: labels of shape {labels.shape} for {examples} images: give [N].")
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"{argument}: labels of dtype {labels.dtype} are not valid: give integers.")
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"{argument}: labels from {labels.min()} to {labels.max()} are not valid: {classes} classes have "
            f"labels 0 .. {classes - 1}."
        )


def _checked(argument, split, shape, classes):
    if not isinstance(split, tuple | list) or len(split) != 2:
        raise ValueError(f"{argument} must be a pair (images, labels), not {type(split).__name__}.")
    images, labels = (np.asarray(part) for part in split)
    _check_images(argument, images, shape)
    _check_labels(argument, labels, len(images), classes)
    return images, labels


def _agreeing(given, shape, classes):
    """Checks {argument: pair}: all of one dtype and one shape, that of the first where `None` is given."""
    parts = []
    for argument, split in given.items():
        images, labels = _checked(argument, split, shape, classes)
        parts.append((images, labels))
        first = parts[0][0]
        shape = first.shape[1:]
        if images.dtype != first.dtype:
            raise ValueError(f"{argument}: images of dtype {images.dtype} where train has {first.dtype}.")
    return parts


def _check_sizes(given, parts, spec):
    for argument, (images, _) in zip(given, parts, strict=True):
        expected = getattr(spec, argument)
        if len(images) != expected:
            raise ValueError(f"{argument}: {len(images)} images where the spec says {expected}.")


def _described(name, classes, parts):
    """Returns the `Spec` that the arrays themselves imply."""
    train, validation, test = (images for images, _ in parts)
    pixels = train.astype("float64") / (255 if train.dtype == np.uint8 else 1)
    return Spec(
        name=name,
        shape=tuple(train.shape[1:]),
        classes=classes,
        labels=(),
        train=len(train),
        validation=len(validation),
        test=len(test),
        mean=tuple(pixels.mean((0, 1, 2)).tolist()),
        std=tuple(pixels.std((0, 1, 2)).tolist()),
        licence="the user's own",
        source="the user's own arrays",
        note="",
        padding=max(1, round(min(train.shape[1:3]) / 8)),
    )


def from_arrays(
    train,
    validation,
    test,
    *,
    spec=None,
    classes=None,
    name="arrays",
    batch_size=128,
    seed=0,
    subset=None,
    random_labels=0.0,
    augment=(),
):
    """Makes splits of a user's own images.

    Args:
        train: Pair `(images, labels)`: images [N, H, W, C], uint8 in 0 .. 255 or floats in [0, 1], and
            integer labels [N] in 0 .. K - 1.
        validation: Likewise.
        test: Likewise, all three of one dtype.
        spec: The `Spec` that the arrays must agree with in shape, classes and sizes; `None` where `classes`
            is given.
        classes: Number K of classes, where no spec is given.
        name: Name of the set, where no spec is given.
        batch_size: Training examples a batch.
        seed: As for `load`.
        subset: As for `load`.
        random_labels: As for `load`.
        augment: As for `load`; `crop` pads by `spec.padding`, an eighth of the shorter side by default.

    Returns:
        The `Splits`.

    Raises:
        ValueError: If an argument is not valid.
    """
    if (spec is None) == (classes is None):
        raise ValueError(f"spec={spec!r}, classes={classes!r} is not valid: give exactly one of the two.")
    if spec is None:
        check_int("classes", classes, 2, 2**31 - 1)
    given = {"train": train, "validation": validation, "test": test}
    parts = _agreeing(given, spec.shape if spec else None, spec.classes if spec else classes)
    spec = spec or _described(name, classes, parts)
    _check_sizes(given, parts, spec)
    check_sampling(spec.train, batch_size, seed, subset, random_labels)
    check_augment(augment)
    # TensorFlow is imported only now, so that a wrong argument is told at once.
    from . import memory

    return memory.splits(
        spec,
        *parts,
        levels=255 if parts[0][0].dtype == np.uint8 else 1,
        batch_size=batch_size,
        seed=seed,
        subset=subset,
        random_labels=random_labels,
        augment=augment,
    )
