"""Finding data sets that TensorFlow Datasets has prepared, and preparing missing ones."""

import urllib.error
import urllib.request

import tensorflow_datasets as tfds

from . import record_files
from .prepared_folder import prepared_folder

_PUBLISHED_TEST = {"imagenet2012": "validation"}
_PROBE_SECONDS = 10


def _failure(name, folder, error):
    """Returns the error that explains how to prepare a data set."""
    if name == "imagenet2012":
        how = (
            "it needs manual download: put ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar from "
            f"https://image-net.org/download-images into {folder}/downloads/manual, run "
        )
    else:
        how = "on a machine with a network connection run "
    reason = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
    return ValueError(
        f"data set {name!r} is not prepared under {folder} and cannot be prepared ({reason[:120]}): {how}"
        f"python -c \"import tensorflow_datasets as t; t.builder('{name}', data_dir='DIR', "
        f"file_format='tfrecord').download_and_prepare()\", then set TFDS_DATA_DIR=DIR or "
        "pass --data-dir DIR"
    )


def _probe(urls):
    """Raises OSError at once if the first URL cannot be reached, since tfds would retry for minutes."""
    for url in list(urls)[:1]:
        request = urllib.request.Request(url, method="HEAD")
        try:
            urllib.request.urlopen(request, timeout=_PROBE_SECONDS).close()
        except urllib.error.HTTPError as answer:
            # A server that answers can be reached; tfds reports the error itself.
            answer.close()


def builder(name, data_dir):
    """Returns the `tfds` builder of a data set, after preparing the data set if necessary.

    Args:
        name: Name in TensorFlow Datasets.
        data_dir: Folder of prepared data sets; `None` for `TFDS_DATA_DIR`, else the default of tfds.

    Returns:
        A `tfds.core.DatasetBuilder` whose records are TFRecord or ArrayRecord files.

    Raises:
        ValueError: If the data set cannot be prepared, or its files cannot be read.
    """
    folder = data_dir or prepared_folder() or tfds.core.constants.DATA_DIR
    prepared = tfds.builder(name, data_dir=folder)
    if not prepared.is_prepared():
        try:
            _probe(prepared.url_infos)
            # Without a network, tfds would also retry its own bucket for minutes.
            config = tfds.download.DownloadConfig(try_download_gcs=False)
            prepared.download_and_prepare(download_config=config, file_format="tfrecord")
        except Exception as error:
            raise _failure(name, folder, error) from error
    reason = record_files.unsupported_reason(prepared.info.file_format)
    if reason is not None:
        raise ValueError(f"data set {name!r} under {folder} {reason}")
    return prepared


def check_sizes(prepared, spec):
    """Checks that the prepared copy has the published number of examples.

    Args:
        prepared: A prepared builder.
        spec: The `Spec` of the data set.

    Raises:
        ValueError: If the numbers differ; the message has both.
    """
    published = {"train": spec.train + spec.validation, test_split(spec.name): spec.test}
    for split, examples in published.items():
        stored = prepared.info.splits[split].num_examples if split in prepared.info.splits else 0
        if stored != examples:
            raise ValueError(
                f"data set {spec.name!r} under {prepared.data_dir} must have the published {examples} "
                f"examples in {split!r}, got {stored}; prepare it again"
            )


def test_split(name):
    """Returns the tfds name of the published split that is used as the test set.

    Args:
        name: Name of the data set.

    Returns:
        `validation` for ImageNet, whose test labels are not published; `test` for the others.
    """
    return _PUBLISHED_TEST.get(name, "test")
