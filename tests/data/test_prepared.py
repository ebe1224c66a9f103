import http.server
import importlib.util
import socket
import threading
import time

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from curvezoo import data
from curvezoo.data import prepared, record_files
from curvezoo.data.images import records


def read_by_tfds(folder, split):
    examples = tfds.builder("mnist", data_dir=folder).as_dataset(split=split)
    rows = list(examples.as_numpy_iterator())
    return np.stack([row["image"] for row in rows]), np.array([row["label"] for row in rows])


def test_splits_equal_those_read_by_tfds(small_mnist, mnist_folder):
    images, labels = read_by_tfds(mnist_folder, "train")
    published = (
        (images[:100], labels[:100]),
        (images[100:], labels[100:]),
        read_by_tfds(mnist_folder, "test"),
    )
    read = records.arrays(small_mnist, str(mnist_folder))
    for (got_images, got_labels), (images, labels) in zip(read, published, strict=True):
        np.testing.assert_array_equal(got_images, images)
        np.testing.assert_array_equal(got_labels, labels)


def test_shards_are_read_in_order(small_mnist, mnist_examples, prepare, tmp_path):
    prepare("mnist", tmp_path, mnist_examples, shards=4)
    assert len(list((tmp_path / "mnist" / "3.0.1").glob("*train.tfrecord*"))) == 4
    published, _ = read_by_tfds(tmp_path, "train[-30:]")
    np.testing.assert_array_equal(records.arrays(small_mnist, str(tmp_path))[1][0], published)


def test_the_environment_variable_sets_the_folder_and_pixels_are_exact(
    small_mnist, mnist_folder, monkeypatch
):
    monkeypatch.setenv("TFDS_DATA_DIR", str(mnist_folder))
    images, labels = next(iter(data.load("mnist", batch_size=10).test))
    published, published_labels = read_by_tfds(mnist_folder, "test")
    np.testing.assert_array_equal(images, published.astype("float32") / np.float32(255))
    np.testing.assert_array_equal(labels, published_labels)


@pytest.mark.parametrize("name", ["fashion_mnist", "imagenet2012"])
def test_a_set_that_cannot_be_prepared_fails_fast_in_one_line_and_leaves_no_file(name, tmp_path, monkeypatch):
    def offline(self, *, download_config, **options):
        # Without network, requests to the tfds bucket would take minutes.
        assert not download_config.try_download_gcs
        raise OSError("Network is unreachable\nsecond line")

    monkeypatch.setattr(prepared, "_probe", lambda urls: None)
    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", offline)
    for _ in range(2):
        start = time.monotonic()
        with pytest.raises(
            ValueError, match=f"{name}.*Network is unreachable.*TFDS_DATA_DIR.*--data-dir"
        ) as caught:
            data.load(name, data_dir=tmp_path)
        assert time.monotonic() - start < 10
        assert "\n" not in str(caught.value)
        assert ("manual download" in str(caught.value)) == (name == "imagenet2012")
    assert not list(tmp_path.rglob("*.tfrecord*"))


def test_an_interrupted_preparation_does_not_count_as_prepared(small_mnist, tmp_path, monkeypatch):
    def breaking(self, manager):
        def rows():
            yield 0, {"image": np.zeros((28, 28, 1), np.uint8), "label": 0}
            raise ConnectionError("connection lost")

        return {"train": rows()}

    monkeypatch.setattr(prepared, "_probe", lambda urls: None)
    monkeypatch.setattr(type(tfds.builder("mnist", data_dir=tmp_path)), "_split_generators", breaking)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"not prepared under .*connection lost"):
            data.load("mnist", data_dir=tmp_path, batch_size=10)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and "mnist" in path.name]


def test_no_download_starts_without_network(tmp_path, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{taken.getsockname()[1]}/images.gz"
        monkeypatch.setattr(tfds.core.DatasetBuilder, "url_infos", {closed: None})
        with pytest.raises(ValueError, match=r"not prepared under .*refused"):
            data.load("fashion_mnist", data_dir=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_server_that_answers_with_an_error_counts_as_reachable():
    class Forbidding(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_error(403)

        def log_message(self, *args):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Forbidding) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        assert prepared._probe([f"http://127.0.0.1:{server.server_port}/images.gz"]) is None
        thread.join()


def test_imagenet_without_its_archives_asks_for_manual_download(tmp_path):
    with pytest.raises(ValueError, match=r"manual download: put ILSVRC2012_img_train\.tar"):
        data.load("imagenet2012", data_dir=tmp_path)


def test_a_copy_of_another_size_is_rejected(mnist_folder):
    with pytest.raises(ValueError, match="must have the published 60000 examples in 'train', got 130"):
        data.load("mnist", data_dir=mnist_folder)


def test_a_truncated_copy_is_rejected(small_mnist, mnist_examples, prepare, tmp_path):
    prepare("mnist", tmp_path, mnist_examples)
    (shard,) = (tmp_path / "mnist" / "3.0.1").glob("*train.tfrecord*")
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"cannot be read \(.*\); prepare it again"):
        data.load("mnist", data_dir=tmp_path, batch_size=10)


@pytest.fixture
def array_record_folder(mnist_examples, prepare, tmp_path):
    pytest.importorskip("array_record")
    prepare("mnist", tmp_path, mnist_examples, file_format="array_record", shards=2)
    return tmp_path


def test_array_record_copies_are_read_as_tfds_reads_them(small_mnist, array_record_folder, monkeypatch):
    # A block boundary within each file.
    monkeypatch.setattr(record_files, "_BLOCK", 40)
    read = records.arrays(small_mnist, str(array_record_folder))
    source = tfds.builder("mnist", data_dir=array_record_folder).as_data_source()
    published = np.stack([row["image"] for row in source["train"]])
    np.testing.assert_array_equal(np.concatenate([read[0][0], read[1][0]]), published)
    np.testing.assert_array_equal(read[2][1], [row["label"] for row in source["test"]])
    assert data.provenance("mnist", array_record_folder) == "PNG, exact"


def test_a_truncated_array_record_copy_is_rejected(small_mnist, array_record_folder):
    shard = next((array_record_folder / "mnist" / "3.0.1").glob("*train.array_record*"))
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"cannot be read \(.*\); prepare it again"):
        data.load("mnist", data_dir=array_record_folder, batch_size=10)


def test_array_record_copies_without_the_package_name_it(small_mnist, array_record_folder, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"array_record reads: python -m pip install array_record"):
        data.load("mnist", data_dir=array_record_folder, batch_size=10)


def test_another_file_format_is_rejected(small_mnist, mnist_examples, prepare, tmp_path):
    prepare("mnist", tmp_path, mnist_examples)
    (info,) = (tmp_path / "mnist").glob("*/dataset_info.json")
    info.write_text(info.read_text().replace("tfrecord", "riegeli"))
    with pytest.raises(ValueError, match="format 'tfrecord' or 'array_record', got 'riegeli'"):
        data.load("mnist", data_dir=tmp_path, batch_size=10)


def test_provenance_distinguishes_jpeg_copies_from_exact_pixels(mnist_folder, tmp_path):
    assert data.provenance("digits") == "embedded"
    assert data.provenance("mnist", mnist_folder) == "PNG, exact"
    folder = tmp_path / "mnist" / "3.0.1"
    folder.mkdir(parents=True)
    for path in (mnist_folder / "mnist" / "3.0.1").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (shard,) = folder.glob("*train.tfrecord*")
    image = tf.io.encode_jpeg(tf.zeros([28, 28, 1], tf.uint8)).numpy()
    features = {
        "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image])),
        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[3])),
    }
    with tf.io.TFRecordWriter(str(shard)) as writer:
        writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    assert data.provenance("mnist", tmp_path) == "JPEG copies"
