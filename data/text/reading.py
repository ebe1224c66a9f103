"""Reading of text records that TensorFlow Datasets has prepared."""

import tensorflow as tf

from .. import record_files


def texts(builder, split, feature="text"):
    """Reads the texts of a split.

    Args:
        builder: A prepared `tfds` builder.
        split: Name of the split.
        feature: Name of the text's feature.

    Returns:
        A list of strings.

    Raises:
        ValueError: If the split is missing or cannot be read.
    """
    name = builder.info.full_name
    if split not in builder.info.splits:
        raise ValueError(f"data set {name!r} under {builder.data_dir} must have a split {split!r}")
    fields = {feature: tf.io.FixedLenFeature([], tf.string)}
    records = record_files.serialized(builder, split).batch(1024)
    try:
        batches = records.map(lambda batch: tf.io.parse_example(batch, fields)[feature])
        return [text.decode() for batch in batches.as_numpy_iterator() for text in batch]
    except tf.errors.OpError as error:
        raise ValueError(
            f"data set {name!r} under {builder.data_dir} cannot be read ({type(error).__name__}); "
            "prepare it again"
        ) from error
