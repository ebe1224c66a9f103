"""Splits of a folder of images, with a folder for each class.

Legend: N examples, H height, W width, C channels, K classes.
"""

import hashlib

from ... import arguments
from .arrays import from_arrays, implied_spec
from .sampling import Sampling, default_batch_size

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".gif")
_SPLITS = ("train", "validation", "test")


def from_folder(
    path,
    *,
    size=None,
    channels=None,
    validation_fraction=0.1,
    test_fraction=0.1,
    name=None,
    batch_size=None,
    seed=0,
    subset=None,
    random_labels=0.0,
    augment=(),
):
    """Reads a folder of images into memory, in splits with the classes of its folders.

    The images are either split already, in `PATH/train/CLASS/`, `PATH/validation/CLASS/` and
    `PATH/test/CLASS/`, or all in `PATH/CLASS/`. A missing validation or test split is taken from the training
    images, class by class: the n images of a class are ordered by the SHA-256 of their file names; the first
    max(1, round(test_fraction n)) become test images, the next max(1, round(validation_fraction n))
    validation images. The splits therefore do not depend on `seed`, the machine or the order of the files.

    Images are PNG, JPEG, BMP or GIF files (the first frame); other files, and hidden ones, are ignored.
    Transparency is dropped and the EXIF orientation ignored.

    Args:
        path: The folder.
        size: Height and width `(H, W)` in pixels to which every image is resized, regardless of its aspect
            ratio; `None` if all images have one size.
        channels: 1 for grey images, 3 for RGB; `None` for 1 if every image is grey, else 3.
        validation_fraction: Fraction of each class's images that are for validation, in (0, 1).
        test_fraction: Fraction of each class's images that are for testing, in (0, 1).
        name: Name of the set; `None` for the folder's name.
        batch_size: Examples per training batch; by default 128, or all if there are fewer.
        seed: As for `load`.
        subset: As for `load`.
        random_labels: As for `load`.
        augment: As for `load`; `crop` pads by an eighth of the shorter side.

    Returns:
        The `Splits`; `spec.labels` holds the names of the class folders, in alphabetical order.

    Raises:
        ValueError: If an argument is not valid; there are fewer than two classes; a class has no images or
            too few to split; an image cannot be read, or has another size; the message names the file.
    """
    root = arguments.folder("path", path)
    if size is not None:
        size = _checked_size(size)
    if channels is not None:
        arguments.one_of("channels", channels, (1, 3))
    arguments.number("validation_fraction", validation_fraction, 0, 1, bounds="()")
    arguments.number("test_fraction", test_fraction, 0, 1, bounds="()")
    labels, files = _classes_and_files(root, validation_fraction, test_fraction)
    train = sum(map(len, files["train"]))
    if batch_size is None:
        batch_size = default_batch_size(train, subset)
    Sampling(batch_size, seed, subset, random_labels, augment).check(train)
    # TensorFlow is imported only here, so that an invalid argument is reported at once.
    from . import decoding

    paths = [path for split in _SPLITS for of_class in files[split] for path in of_class]
    images = decoding.read(paths, size, channels)
    pairs, first = [], 0
    for split in _SPLITS:
        classes = [label for label, of_class in enumerate(files[split]) for _ in of_class]
        pairs.append((images[first : first + len(classes)], classes))
        first += len(classes)
    title = root.resolve().name if name is None else name
    spec = implied_spec(title, len(labels), labels, pairs, "the user's own folder of images")
    return from_arrays(
        *pairs,
        spec=spec,
        batch_size=batch_size,
        seed=seed,
        subset=subset,
        random_labels=random_labels,
        augment=augment,
    )


def _checked_size(size):
    if not isinstance(size, tuple | list) or len(size) != 2:
        raise ValueError(f"size must be a pair (height, width), got {arguments.described(size)}")
    return tuple(arguments.integer(f"size[{axis}]", side, 1, 4096) for axis, side in enumerate(size))


def _classes_and_files(root, validation_fraction, test_fraction):
    """Returns the K class names, and {split: a list of K lists of files}."""
    folders = {folder.name: folder for folder in _folders(root)}
    if "train" not in folders:
        misplaced = [name for name in ("validation", "test") if name in folders]
        if misplaced:
            raise ValueError(f"path must have a folder train if it has {misplaced[0]}, got {str(root)!r}")
        labels = _class_names(root)
        given = {"train": [_images(root / label) for label in labels]}
    else:
        unknown = [name for name in folders if name not in _SPLITS]
        if unknown:
            raise ValueError(
                f"path must hold only the folders train, validation and test, got {unknown[0]!r} "
                f"in {str(root)!r}"
            )
        labels = _class_names(root / "train")
        given = {name: _split_files(root / name, labels) for name in _SPLITS if name in folders}
    return labels, _with_missing_splits(labels, given, validation_fraction, test_fraction)


def _class_names(folder):
    labels = [child.name for child in _folders(folder)]
    if len(labels) < 2:
        listing = ", ".join(labels) or "none"
        raise ValueError(
            f"path must hold a folder for each of at least 2 classes, got {listing} in {str(folder)!r}"
        )
    return labels


def _split_files(folder, labels):
    unknown = [child.name for child in _folders(folder) if child.name not in labels]
    if unknown:
        raise ValueError(
            f"{folder.name} must hold only the classes of train, {', '.join(labels)}, got {unknown[0]!r}"
        )
    files = [_images(folder / label) if (folder / label).is_dir() else [] for label in labels]
    if not any(files):
        raise ValueError(f"{folder.name} must hold images in folders of classes, got none in {str(folder)!r}")
    return files


def _folders(folder):
    """Returns the folders in a folder that are not hidden, in alphabetical order."""
    children = sorted(folder.iterdir(), key=lambda child: child.name)
    return [child for child in children if child.is_dir() and not child.name.startswith(".")]


def _images(folder):
    images = [
        child
        for child in sorted(folder.iterdir(), key=lambda child: child.name)
        if child.suffix.lower() in EXTENSIONS and not child.name.startswith(".")
    ]
    if not images:
        raise ValueError(
            f"every class must have images ({', '.join(EXTENSIONS)}), got none in {str(folder)!r}"
        )
    return images


def _with_missing_splits(labels, given, validation_fraction, test_fraction):
    """Returns the given splits, with the missing ones taken from the training images."""
    fractions = {"test": test_fraction, "validation": validation_fraction}
    missing = {split: fraction for split, fraction in fractions.items() if split not in given}
    files = {**given, **{split: [] for split in missing}, "train": []}
    for label, images in zip(labels, given["train"], strict=True):
        counts = {split: max(1, round(fraction * len(images))) for split, fraction in missing.items()}
        if sum(counts.values()) >= len(images):
            others = " and ".join(f"{count} for {split}" for split, count in counts.items())
            raise ValueError(
                f"class {label!r} must have images left for training after {others}, got {len(images)}"
            )
        ordered = sorted(images, key=lambda path: hashlib.sha256(path.name.encode()).digest())
        first = 0
        for split, count in counts.items():
            files[split].append(ordered[first : first + count])
            first += count
        files["train"].append(ordered[first:])
    return files
