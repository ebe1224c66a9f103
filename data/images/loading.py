"""Loading an image set by name."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ... import arguments
from ..prepared_folder import prepared_folder
from .sampling import Sampling
from .specs import spec as spec_of

if TYPE_CHECKING:
    from ..splits import Splits

_IMAGE_SIZE = 224


def load(
    name: str,
    batch_size: int = 128,
    data_dir: str | os.PathLike | None = None,
    seed: int = 0,
    *,
    subset: int | None = None,
    random_labels: float = 0.0,
    augment: Sequence[str] = (),
    image_size: int | None = None,
) -> Splits:
    """Loads a data set as training, validation and test splits.

    Args:
        name: One of `names()`.
        batch_size: Examples per training batch.
        data_dir: Folder of data sets prepared by TensorFlow Datasets; `None` for the environment variable
            `TFDS_DATA_DIR`, or the default of tfds if that is not set. Not needed for `digits`.
        seed: Key of the order, of the augmentation and of the random labels; the splits do not depend on it.
        subset: Number of training examples to use, the same ones for every seed; `None` for all.
        random_labels: Fraction of the training labels to replace by uniform draws, fixed by `seed`.
            Validation and test labels are unchanged.
        augment: Names among `flip` (left to right, half of the images) and `crop` (random crops of the
            zero-padded images). `imagenet2012` has its own augmentation and takes none.
        image_size: Side in pixels of the square images of `imagenet2012`, 224 by default; `None` for the
            other sets.

    Returns:
        The `Splits`, whose spec has the sizes of the splits as loaded.

    Raises:
        ValueError: If an argument is not valid, or the data set is not prepared and cannot be.
    """
    spec = spec_of(name)
    sampling = Sampling(batch_size, seed, subset, random_labels, augment)
    sampling.check(spec.train)
    if name != "digits":
        folder = prepared_folder(data_dir)
    streamed = name == "imagenet2012"
    if image_size is not None and not streamed:
        raise ValueError(
            f"image_size must be None for {name!r}, got {image_size!r}: only 'imagenet2012' is resized"
        )
    # TensorFlow is imported only from here on, so that an invalid argument is reported at once.
    if streamed:
        return _streamed(spec, folder, _IMAGE_SIZE if image_size is None else image_size, sampling)
    from . import memory

    if name == "digits":
        return memory.splits(spec, *memory.digits(), 16, sampling)
    from . import records

    arrays = records.arrays(spec, folder)
    return memory.splits(spec, *arrays, 255, sampling)


def _streamed(spec, data_dir, image_size, sampling):
    arguments.integer("image_size", image_size, 16, 1024)
    from .. import prepared
    from . import stream

    stream.check_augment(spec, sampling)
    builder = prepared.builder(spec.name, data_dir)
    prepared.check_sizes(builder, spec)
    return stream.splits(dataclasses.replace(spec, shape=(image_size, image_size, 3)), builder, sampling)


def provenance(name, data_dir=None):
    """Returns how the images that `load` reads are stored, for the card of a model that is trained on them.

    Args:
        name: One of `names()`.
        data_dir: Folder of prepared data sets, as for `load`.

    Returns:
        `embedded` (comes with scikit-learn), `PNG, exact`, `JPEG copies` (the published pixels were
        compressed again when the set was prepared) or `JPEG, as published`.

    Raises:
        ValueError: If the data set is unknown, or is not prepared and cannot be.
    """
    spec = spec_of(name)
    if name == "digits":
        return "embedded"
    folder = prepared_folder(data_dir)
    from . import records

    return records.encoding(spec, folder)
