"""Serialized examples of a prepared data set, from TFRecord or ArrayRecord files."""

import importlib.util

import tensorflow as tf
from tensorflow_datasets.core import FileFormat

_BLOCK = 256


def unsupported_reason(file_format):
    """Returns why files of a format cannot be read, or `None`.

    Args:
        file_format: The `FileFormat` of a prepared data set.
    """
    if file_format not in _READERS:
        valid = " or ".join(repr(known.value) for known in _READERS)
        return f"must be prepared with file_format {valid}, got {file_format.value!r}"
    if file_format is FileFormat.ARRAY_RECORD and importlib.util.find_spec("array_record") is None:
        return (
            "has ArrayRecord files, which the package array_record reads: python -m pip install array_record"
        )
    return None


def reader(builder):
    """Returns a function from a file's path, a string scalar, to the dataset of its serialized examples.

    Args:
        builder: A prepared `tfds` builder.
    """
    return _READERS[builder.info.file_format]


def serialized(builder, split):
    """Returns a dataset of the serialized examples of a split, in order.

    Args:
        builder: A prepared `tfds` builder.
        split: Name of the split.
    """
    files = [instruction.filename for instruction in builder.info.splits[split].file_instructions]
    return tf.data.Dataset.from_tensor_slices(files).flat_map(reader(builder))


def _array_records(path):
    # TensorFlow Datasets reads ArrayRecord files as sequences only, not with tf.data.
    blocks = tf.data.Dataset.from_generator(
        _array_record_blocks, output_signature=tf.TensorSpec([None], tf.string), args=(path,)
    )
    return blocks.unbatch()


def _array_record_blocks(path):
    from array_record.python.array_record_module import ArrayRecordReader

    file = ArrayRecordReader(path.decode())
    for start in range(0, file.num_records(), _BLOCK):
        yield file.read(start, min(start + _BLOCK, file.num_records()))
    file.close()


_READERS = {FileFormat.TFRECORD: tf.data.TFRecordDataset, FileFormat.ARRAY_RECORD: _array_records}
