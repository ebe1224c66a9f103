"""Small copies of published data sets, prepared by TensorFlow Datasets from generated images."""

import dataclasses
from unittest import mock

import numpy as np
import pytest
import tensorflow_datasets as tfds

from curvezoo.data.images import specs


def _prepare(name, folder, examples, file_format="tfrecord", shards=None):
    """Prepares `name` under `folder` from {split: [example, ...]} instead of a download."""
    builder = tfds.builder(name, data_dir=folder)
    generators = {split: list(enumerate(rows)) for split, rows in examples.items()}
    config = tfds.download.DownloadConfig(try_download_gcs=False, num_shards=shards)
    with mock.patch.object(type(builder), "_split_generators", lambda self, manager: generators):
        builder.download_and_prepare(download_config=config, file_format=file_format)
    return builder


@pytest.fixture(scope="session")
def prepare():
    return _prepare


@pytest.fixture(scope="session")
def mnist_examples():
    rng = np.random.default_rng(3)
    sizes = {"train": 130, "test": 40}
    return {
        split: [
            {"image": rng.integers(0, 256, (28, 28, 1), np.uint8), "label": int(rng.integers(10))}
            for _ in range(size)
        ]
        for split, size in sizes.items()
    }


@pytest.fixture(scope="session")
def mnist_folder(tmp_path_factory, mnist_examples):
    folder = tmp_path_factory.mktemp("tfds")
    _prepare("mnist", folder, mnist_examples)
    return folder


@pytest.fixture
def small_mnist(monkeypatch):
    """Returns the spec of the small copy: 100 training, 30 validation and 40 test images."""
    small = dataclasses.replace(specs.spec("mnist"), train=100, validation=30, test=40)
    monkeypatch.setitem(specs._SPECS, "mnist", small)
    return small
