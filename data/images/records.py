"""Image records of prepared data sets: parsing and decoding.

Legend: N examples, H height, W width, C channels.
"""

import functools

import tensorflow as tf

from .. import record_files
from ..prepared import builder, check_sizes, test_split
from ..prepared_folder import prepared_folder

_READ_BATCH = 1000


def parsed(records):
    """Parses a batch of serialized examples.

    Args:
        records: Serialized `tf.train.Example` [N], strings.

    Returns:
        Encoded images [N], strings, and labels [N], int32.
    """
    fields = {"image": tf.io.FixedLenFeature([], tf.string), "label": tf.io.FixedLenFeature([], tf.int64)}
    examples = tf.io.parse_example(records, fields)
    return examples["image"], tf.cast(examples["label"], tf.int32)


def _encoded(prepared, split):
    """Returns a dataset of batches (encoded images, labels)."""
    # Parsing batches of records is several times faster than as_dataset, which parses them one by one.
    records = record_files.serialized(prepared, split).batch(_READ_BATCH)
    return records.map(parsed, num_parallel_calls=tf.data.AUTOTUNE)


def _decoded(prepared, split, shape):
    """Returns all images [N, H, W, C] and labels [N] of a split."""

    def image(encoded):
        decoded = tf.io.decode_image(encoded, channels=shape[-1], expand_animations=False)
        return tf.ensure_shape(decoded, shape)

    def batch(encoded, labels):
        return tf.map_fn(image, encoded, fn_output_signature=tf.TensorSpec(shape, tf.uint8)), labels

    # Decoding in batches takes less than half the processor time of a dataset of single images.
    batches = list(_encoded(prepared, split).map(batch, num_parallel_calls=tf.data.AUTOTUNE))
    return tuple(tf.concat(tensors, 0) for tensors in zip(*batches, strict=True))


@functools.lru_cache(maxsize=1)
def _arrays(spec, data_dir):
    prepared = builder(spec.name, data_dir)
    check_sizes(prepared, spec)
    try:
        with tf.device("CPU:0"):
            images, labels = _decoded(prepared, "train", spec.shape)
            test = _decoded(prepared, test_split(spec.name), spec.shape)
    except tf.errors.OpError as error:
        raise ValueError(
            f"data set {spec.name!r} under {prepared.data_dir} cannot be read ({type(error).__name__}); "
            "prepare it again"
        ) from error
    cut = spec.train
    return (images[:cut], labels[:cut]), (images[cut:], labels[cut:]), test


def arrays(spec, data_dir):
    """Decodes a whole data set into memory and caches the last one.

    Args:
        spec: The `Spec` of the data set; the last `spec.validation` images of the published training split
            become the validation split.
        data_dir: Folder of prepared data sets, or `None`.

    Returns:
        Pairs `(images, labels)` for training, validation and test: uint8 [N, H, W, C] and int32 [N].

    Raises:
        ValueError: If the set is missing, incomplete or not readable.
    """
    return _arrays(spec, data_dir or prepared_folder())


def encoding(spec, data_dir):
    """Returns how the first stored training image is encoded.

    Args:
        spec: The `Spec` of the data set.
        data_dir: Folder of prepared data sets, or `None`.

    Returns:
        `PNG, exact`, `JPEG copies` (of images that were not published as JPEG) or `JPEG, as published`.

    Raises:
        ValueError: If the set is missing or the images are neither PNG nor JPEG.
    """
    images, _ = next(iter(_encoded(builder(spec.name, data_dir), "train").take(1)))
    first = images[0].numpy()
    if first.startswith(b"\x89PNG"):
        return "PNG, exact"
    if first.startswith(b"\xff\xd8"):
        return "JPEG, as published" if spec.name == "imagenet2012" else "JPEG copies"
    raise ValueError(
        f"images of {spec.name!r} must be PNG or JPEG files, got one that begins with {first[:4]!r}"
    )
