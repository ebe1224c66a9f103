"""Splits of a user's own images.

Legend: N examples, H height, W width, C channels, K classes.
"""

import numpy as np

from ... import arguments
from .sampling import Sampling, default_batch_size
from .specs import Spec


def _array(name, values):
    try:
        return np.asarray(values)
    except ValueError:
        raise ValueError(
            f"{name} must be one array, got a {type(values).__name__} of arrays of different shapes; resize "
            "the images to one size and stack them"
        ) from None


def _check_images(name, images, shape):
    if images.ndim == 4 and 0 in images.shape:
        raise ValueError(f"{name} must hold at least one image of one pixel, got shape {images.shape}")
    if images.ndim != 4:
        fix = "; add a channel axis to grey images with images[..., None]" if images.ndim == 3 else ""
        raise ValueError(f"{name} must have shape [N, H, W, C], got {images.shape}{fix}")
    if shape is not None and images.shape[1:] != tuple(shape):
        raise ValueError(f"{name} must have shape [N, {', '.join(map(str, shape))}], got {images.shape}")
    if images.dtype != np.uint8:
        _check_pixels(name, images)


def _check_pixels(name, images):
    if not np.issubdtype(images.dtype, np.floating):
        raise ValueError(
            f"{name} must be uint8 or floats in [0, 1], got dtype {images.dtype}; convert pixels 0 .. 255 "
            "with images.astype('uint8')"
        )
    if not np.isfinite(images).all():
        count = np.count_nonzero(~np.isfinite(images))
        raise ValueError(f"{name} must be finite, got {count} pixels that are NaN or infinite")
    low, high = images.min(), images.max()
    if low < 0 or high > 1:
        fix = "divide pixels 0 .. 255 by 255" if low >= 0 else "map [-1, 1] to it with (images + 1) / 2"
        raise ValueError(
            f"{name} must be uint8 or floats in [0, 1], got floats from {low:.4g} to {high:.4g}; {fix}"
        )


def _check_labels(name, labels, examples, classes):
    if labels.shape != (examples,):
        one_hot = labels.ndim == 2 and labels.shape == (examples, classes)
        fix = "; convert one-hot labels with labels.argmax(1)" if one_hot else ""
        raise ValueError(f"{name} must have shape ({examples},), one per image, got {labels.shape}{fix}")
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"{name} must be integers, got dtype {labels.dtype}")
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"{name} must be from 0 to {classes - 1} for {classes} classes, got labels from {labels.min()} "
            f"to {labels.max()}"
        )


def _checked_pair(name, pair, shape, classes):
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise ValueError(f"{name} must be a pair (images, labels), got {arguments.described(pair)}")
    images, labels = _array(f"{name} images", pair[0]), _array(f"{name} labels", pair[1])
    _check_images(f"{name} images", images, shape)
    _check_labels(f"{name} labels", labels, len(images), classes)
    return images, labels


def _checked_pairs(pairs, shape, classes):
    """Returns {name: pair} as pairs of arrays of one dtype and image shape; a shape of `None` is train's."""
    checked = []
    for name, pair in pairs.items():
        images, labels = _checked_pair(name, pair, shape, classes)
        checked.append((images, labels))
        train = checked[0][0]
        shape = train.shape[1:]
        if images.dtype != train.dtype:
            raise ValueError(f"{name} images must have the dtype of train, {train.dtype}, got {images.dtype}")
    return checked


def implied_spec(name, classes, labels, pairs, source):
    """Returns the `Spec` that describes arrays.

    Args:
        name: Name of the set.
        classes: Number K of classes.
        labels: The K class names, or `()`.
        pairs: Valid pairs `(images, labels)` for training, validation and test.
        source: Where the images come from.
    """
    train, validation, test = (images for images, _ in pairs)
    pixels = train.astype("float64") / (255 if train.dtype == np.uint8 else 1)
    return Spec(
        name=name,
        shape=tuple(train.shape[1:]),
        classes=classes,
        labels=tuple(labels),
        train=len(train),
        validation=len(validation),
        test=len(test),
        mean=tuple(pixels.mean((0, 1, 2)).tolist()),
        std=tuple(pixels.std((0, 1, 2)).tolist()),
        licence="the user's own",
        source=source,
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
    labels=(),
    name="arrays",
    batch_size=None,
    seed=0,
    subset=None,
    random_labels=0.0,
    augment=(),
):
    """Builds splits from a user's own images.

    Args:
        train: Pair `(images, labels)`: images [N, H, W, C], uint8 in 0 .. 255 or floats in [0, 1], and
            integer labels [N] in 0 .. K - 1.
        validation: As for `train`.
        test: As for `train`; the images of all three must have the same dtype.
        spec: The `Spec` that the arrays must agree with in shape, classes and sizes; `None` if `classes` is
            given.
        classes: Number K of classes, if no spec is given.
        labels: The K class names in label order, if no spec is given; `()` for none.
        name: Name of the set, if no spec is given.
        batch_size: Examples per training batch; by default 128, or all if there are fewer.
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
        raise ValueError(
            f"exactly one of spec and classes must be given, got spec={spec!r}, classes={classes!r}"
        )
    if spec is None:
        arguments.integer("classes", classes, 2, 2**31 - 1)
        if len(labels) not in (0, classes):
            raise ValueError(f"labels must hold the names of {classes} classes, got {len(labels)} names")
    pairs = _checked_pairs(
        {"train": train, "validation": validation, "test": test},
        spec.shape if spec else None,
        spec.classes if spec else classes,
    )
    spec = spec or implied_spec(name, classes, labels, pairs, "the user's own arrays")
    for split, (images, _) in zip(("train", "validation", "test"), pairs, strict=True):
        if len(images) != getattr(spec, split):
            raise ValueError(f"{split} must have {getattr(spec, split)} images as in spec, got {len(images)}")
    if batch_size is None:
        batch_size = default_batch_size(spec.train, subset)
    sampling = Sampling(batch_size, seed, subset, random_labels, augment)
    sampling.check(spec.train)
    # TensorFlow is imported only here, so that an invalid argument is reported at once.
    from . import memory

    return memory.splits(spec, *pairs, 255 if pairs[0][0].dtype == np.uint8 else 1, sampling)
