"""Loading a data set by name."""

import dataclasses
import os

from ..arguments import check_augment, check_data_dir, check_int, check_sampling
from .specs import spec as spec_of


def load(
    name,
    batch_size=128,
    data_dir=None,
    seed=0,
    *,
    subset=None,
    random_labels=0.0,
    augment=(),
    image_size=None,
):
    """Loads a data set as training, validation and test splits.

    Args:
        name: One of `names()`.
        batch_size: Training examples a batch.
        data_dir: Folder of data sets prepared by TensorFlow Datasets; `None` stands for the variable
            `TFDS_DATA_DIR` of the environment, else the default of tfds. Not needed for `digits`.
        seed: Key of the order, of the augmentation and of the random labels; the splits do not depend on it.
        subset: Keep this many training examples, the same ones for every seed; `None` keeps all.
        random_labels: Replace this fraction of the training labels by uniform draws, fixed by `seed`.
            Validation and test keep theirs.
        augment: Names among `flip` (left to right, half of the images) and `crop` (random crops of the
            zero-padded images). `imagenet2012` has its own augmentation and takes none.
        image_size: Side in pixels of the square images of `imagenet2012`, 224 by default; `None` elsewhere.

    Returns:
        The `Splits`, whose spec carries the sizes of the splits as loaded.

    Raises:
        ValueError: If an argument is not valid, or the data set is neither prepared nor preparable.
    """
    spec = spec_of(name)
    check_sampling(spec.train, batch_size, seed, subset, random_labels)
    check_augment(augment)
    if name != "digits":
        check_data_dir(data_dir)
        folder = os.environ.get("TFDS_DATA_DIR")
        if data_dir is None and folder and os.path.isfile(folder):
            raise ValueError(f"TFDS_DATA_DIR={folder!r} is a file: give a folder of prepared data sets.")
    streamed = name == "imagenet2012"
    if image_size is not None and not streamed:
        raise ValueError(
            f"image_size={image_size!r} is not valid for {name!r}: only 'imagenet2012' is resized."
        )
    options = dict(batch_size=batch_size, seed=seed, subset=subset, random_labels=random_labels)
    # TensorFlow is imported only now, so that a wrong argument is told at once.
    if streamed:
        return _streamed(spec, data_dir, augment, 224 if image_size is None else image_size, options)
    from . import memory

    if name == "digits":
        return memory.splits(spec, *memory.digits(), levels=16, augment=augment, **options)
    from . import records

    arrays = records.arrays(spec, None if data_dir is None else os.fspath(data_dir))
    return memory.splits(spec, *arrays, levels=255, augment=augment, **options)


def _streamed(spec, data_dir, augment, image_size, options):
    check_int("image_size", image_size, 16, 1024)
    if augment:
        raise ValueError(
            f"augment={tuple(augment)!r} is not valid for {spec.name!r}: its training images are always "
            "random resized crops, flipped half of the time; give ()."
        )
    from .. import prepared
    from . import stream

    builder = prepared.builder(spec.name, data_dir)
    prepared.check_sizes(builder, spec)
    return stream.splits(dataclasses.replace(spec, shape=(image_size, image_size, 3)), builder, **options)


def provenance(name, data_dir=None):
    """Says which bytes `load` reads, for a card: the numbers of a model belong to them.

    Args:
        name: One of `names()`.
        data_dir: Folder of prepared data sets, as for `load`.

    Returns:
        `embedded` (comes with scikit-learn), `PNG, exact`, `JPEG copies` (the published pixels were
        compressed again when the set was prepared) or `JPEG, as published`.

    Raises:
        ValueError: If there is no such data set, or it is neither prepared nor preparable.
    """
    spec = spec_of(name)
    if name == "digits":
        return "embedded"
    check_data_dir(data_dir)
    from . import records

    return records.encoding(spec, data_dir)
