"""Data sets prepared by TensorFlow Datasets: finding them, preparing them, reading their records.

Legend: N examples, H height, W width, C channels.
"""

import functools
import os
import urllib.error
import urllib.request

import tensorflow as tf
import tensorflow_datasets as tfds

_PUBLISHED_TEST = {"imagenet2012": "validation"}
_READ_BATCH = 1000
_PROBE_SECONDS = 10


def _failure(name, folder, error):
    if name == "imagenet2012":
        how = (
            "it needs manual download: put ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar from "
            f"https://image-net.org/download-images into {folder}/downloads/manual, run "
        )
    else:
        how = "on a machine with network run "
    reason = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
    return ValueError(
        f"name={name!r} is not prepared under {folder} and could not be prepared ({reason[:120]}): {how}"
        f"python -c \"import tensorflow_datasets as t; t.builder('{name}', data_dir='DIR', "
        f"file_format='tfrecord').download_and_prepare()\", then set TFDS_DATA_DIR=DIR or "
        "give --data-dir DIR."
    )


def _probe(urls):
    """Raises OSError if the first of the URLs cannot be reached: tfds itself would retry for minutes."""
    for url in list(urls)[:1]:
        request = urllib.request.Request(url, method="HEAD")
        try:
            urllib.request.urlopen(request, timeout=_PROBE_SECONDS).close()
        except urllib.error.HTTPError as answer:
            # A server that answers anything can be reached; what the answer means is for tfds to say.
            answer.close()


def builder(name, data_dir):
    """Returns the prepared `tfds` builder of a data set, preparing it where that is possible.

    Args:
        name: Name in TensorFlow Datasets.
        data_dir: Folder of prepared data sets; `None` for `TFDS_DATA_DIR`, else the default of tfds.

    Returns:
        A `tfds.core.DatasetBuilder` whose records are TFRecord files.

    Raises:
        ValueError: If it is neither prepared nor preparable, or holds other files than TFRecord.
    """
    folder = data_dir or os.environ.get("TFDS_DATA_DIR") or tfds.core.constants.DATA_DIR
    found = tfds.builder(name, data_dir=folder)
    if not found.is_prepared():
        try:
            _probe(found.url_infos)
            # The bucket of tfds, too, is asked for minutes on a machine without network.
            config = tfds.download.DownloadConfig(try_download_gcs=False)
            found.download_and_prepare(download_config=config, file_format="tfrecord")
        except Exception as error:
            raise _failure(name, folder, error) from error
    if found.info.file_format != tfds.core.FileFormat.TFRECORD:
        raise ValueError(
            f"name={name!r} under {folder} is prepared as {found.info.file_format.value}: prepare it with "
            "file_format='tfrecord'."
        )
    return found


def check_sizes(found, spec):
    """Checks that the prepared copy has the published number of examples.

    Args:
        found: A prepared builder.
        spec: The `Spec` of the data set.

    Raises:
        ValueError: If it has not; the message names both numbers.
    """
    published = {"train": spec.train + spec.validation, test_split(spec.name): spec.test}
    for split, examples in published.items():
        counted = found.info.splits[split].num_examples if split in found.info.splits else 0
        if counted != examples:
            raise ValueError(
                f"name={spec.name!r} under {found.data_dir} has {counted} examples in {split!r} where "
                f"{examples} were published: prepare it again."
            )


def test_split(name):
    """Returns the tfds name of the published split that serves as the test set.

    Args:
        name: Name of the data set.

    Returns:
        `validation` for ImageNet, whose test labels are withheld; `test` elsewhere.
    """
    return _PUBLISHED_TEST.get(name, "test")


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


def _encoded(found, split):
    files = [instruction.filename for instruction in found.info.splits[split].file_instructions]
    # Parsing whole batches of records is several times faster than as_dataset, which parses one by one.
    return tf.data.TFRecordDataset(files).batch(_READ_BATCH).map(parsed, num_parallel_calls=tf.data.AUTOTUNE)


def _decoded(found, split, shape):
    def decode(encoded, label):
        image = tf.io.decode_image(encoded, channels=shape[-1], expand_animations=False)
        return tf.ensure_shape(image, shape), label

    examples = _encoded(found, split).unbatch().map(decode, num_parallel_calls=tf.data.AUTOTUNE)
    return examples.batch(found.info.splits[split].num_examples).get_single_element()


@functools.lru_cache(maxsize=1)
def _arrays(spec, data_dir):
    found = builder(spec.name, data_dir)
    check_sizes(found, spec)
    try:
        with tf.device("CPU:0"):
            images, labels = _decoded(found, "train", spec.shape)
            test = _decoded(found, test_split(spec.name), spec.shape)
    except tf.errors.OpError as error:
        raise ValueError(
            f"name={spec.name!r} under {found.data_dir} cannot be read ({type(error).__name__}): "
            "prepare it again."
        ) from error
    cut = spec.train
    return (images[:cut], labels[:cut]), (images[cut:], labels[cut:]), test


def arrays(spec, data_dir):
    """Decodes a whole data set into memory; the last one decoded is kept for the next call.

    Args:
        spec: Its `Spec`; the last `spec.validation` images of the published training split are the
            validation split.
        data_dir: Folder of prepared data sets, or `None`.

    Returns:
        Pairs `(images, labels)` for training, validation and test: uint8 [N, H, W, C] and int32 [N].

    Raises:
        ValueError: If the set is not there, not whole, or not readable.
    """
    return _arrays(spec, data_dir or os.environ.get("TFDS_DATA_DIR"))


def encoding(spec, data_dir):
    """Says how the first stored training image is encoded.

    Args:
        spec: The `Spec` of the data set.
        data_dir: Folder of prepared data sets, or `None`.

    Returns:
        `PNG, exact`, `JPEG copies` (of images that were not published as JPEG) or `JPEG, as published`.

    Raises:
        ValueError: If the set is not there or the encoding is neither.
    """
    images, _ = next(iter(_encoded(builder(spec.name, data_dir), "train").take(1)))
    first = images[0].numpy()
    if first.startswith(b"\x89PNG"):
        return "PNG, exact"
    if first.startswith(b"\xff\xd8"):
        return "JPEG, as published" if spec.name == "imagenet2012" else "JPEG copies"
    raise ValueError(f"name={spec.name!r}: images are neither PNG nor JPEG but begin with {first[:4]!r}.")
