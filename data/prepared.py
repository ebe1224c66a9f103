"""Data sets prepared by TensorFlow Datasets: finding them and preparing them."""

import os
import urllib.error
import urllib.request

import tensorflow_datasets as tfds

_PUBLISHED_TEST = {"imagenet2012": "validation"}
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
