import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from curvezoo import data
from curvezoo.data.images import specs, stream

TRAIN, VALIDATION, TEST, SIZE = 90, 10, 20, 32


def number_of(images):
    """Returns the number of the images that `flat` made, from pixels [..., S, S, 3] in [0, 1]."""
    return np.round(np.median(images, axis=(-3, -2))[..., 0] * 255).astype(int)


def flat(number):
    return np.full((40 + number % 7, 48, 3), number, np.uint8)


def ramp(height=300, width=400):
    """Returns a JPEG whose colors identify a window: red grows to the right, green to the bottom."""
    red, green = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    image = np.stack([red, green, np.full_like(red, 128)], -1).round().astype("uint8")
    return tf.io.encode_jpeg(image, quality=100)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, prepare):
    folder = tmp_path_factory.mktemp("imagenet")
    rows = [{"image": flat(n), "label": n % 7, "file_name": f"{n}.JPEG"} for n in range(TRAIN + VALIDATION)]
    tests = [{"image": flat(n), "label": n % 5, "file_name": f"{n}.JPEG"} for n in range(120, 120 + TEST)]
    prepare("imagenet2012", folder, {"train": rows, "validation": tests}, shards=5)
    return folder


@pytest.fixture
def load(folder, monkeypatch):
    small = dataclasses.replace(specs.spec("imagenet2012"), train=TRAIN, validation=VALIDATION, test=TEST)
    monkeypatch.setitem(specs._SPECS, "imagenet2012", small)
    monkeypatch.setattr(stream, "_SHUFFLE_BLOCK", 32)

    def load(**options):
        return data.load(
            "imagenet2012", **{"batch_size": 9, "data_dir": folder, "image_size": SIZE, **options}
        )

    return load


def seen(dataset):
    batches = list(dataset.as_numpy_iterator())
    return np.concatenate([number_of(images) for images, _ in batches]), np.concatenate(
        [y for _, y in batches]
    )


def test_splits_partition_the_published_ones_and_labels_belong_to_images(load):
    splits = load()
    train, labels = seen(splits.train)
    validation, validation_labels = seen(splits.validation)
    test, test_labels = seen(splits.test)
    assert sorted([*train, *validation]) == list(range(100))
    assert (len(train), len(validation)) == (90, 10)
    assert sorted(test) == list(range(120, 140))
    np.testing.assert_array_equal(labels, train % 7)
    np.testing.assert_array_equal(validation_labels, validation % 7)
    np.testing.assert_array_equal(test_labels, test % 5)
    assert splits.spec.shape == (SIZE, SIZE, 3)
    assert splits.train.element_spec[0] == tf.TensorSpec([9, SIZE, SIZE, 3], tf.float32)


def test_epochs_differ_and_a_resumed_run_sees_the_same_ones(load):
    splits = load(seed=2)
    assert splits.epochs(0, 3).cardinality() == 30
    whole = list(splits.epochs(0, 3).as_numpy_iterator())
    tf.random.set_seed(7)
    resumed = list(load(seed=2).epochs(1, 3).as_numpy_iterator())
    assert (len(whole), len(resumed)) == (30, 20)
    for (images, labels), (other_images, other_labels) in zip(whole[10:], resumed, strict=True):
        np.testing.assert_array_equal(images, other_images)
        np.testing.assert_array_equal(labels, other_labels)
    orders = [np.concatenate([number_of(images) for images, _ in whole[k : k + 10]]) for k in (0, 10, 20)]
    other, _ = seen(load(seed=3).epochs(0, 1))
    assert len({tuple(order) for order in [*orders, other]}) == 4
    assert all(sorted(order) == sorted(orders[0]) for order in orders)


def test_subset_and_random_labels_apply_to_the_stream(load):
    splits = load(subset=30, random_labels=0.5, seed=1)
    assert (splits.spec.train, splits.steps_per_epoch) == (30, 3)
    numbers, labels = seen(load(subset=30, random_labels=0.5, seed=1, batch_size=30).train)
    again, again_labels = seen(load(subset=30, random_labels=0.5, seed=1, batch_size=30).epochs(4, 5))
    assert len(set(numbers)) == 30
    assert dict(zip(numbers, labels, strict=True)) == dict(zip(again, again_labels, strict=True))
    # With 1,000 classes a draw almost never equals the true label.
    assert np.sum(labels != numbers % 7) == 15
    np.testing.assert_array_equal(seen(splits.validation)[1], seen(load().validation)[1])


def test_images_are_decoded_while_streaming_and_not_cached(load, monkeypatch):
    decoded = []
    original = stream.training_image

    def counted(encoded, key, size):
        with tf.control_dependencies([tf.py_function(lambda: decoded.append(1), [], [])]):
            return original(encoded, tf.identity(key), size)

    monkeypatch.setattr(stream, "training_image", counted)
    splits = load()
    graph = splits.epochs(0, 50)._as_serialized_graph().numpy()
    assert b"Cache" not in graph
    assert len(graph) < 200_000
    for _ in range(2):
        decoded.clear()
        assert len(list(splits.epochs(0, 1))) == 10
        assert len(decoded) == 90


def test_evaluation_crops_the_center_of_the_resized_image():
    # The shorter side is already 256/224 of the size, so that resizing keeps the 64 x 96 pixels.
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    encoded = tf.io.encode_jpeg(image, quality=100)
    decoded = tf.io.decode_jpeg(encoded).numpy()
    got = stream.evaluation_image(encoded, 56)
    np.testing.assert_allclose(got, decoded[4:60, 20:76] / 255, atol=1e-6)


def test_evaluation_preserves_the_aspect_ratio():
    got = stream.evaluation_image(ramp(300, 400), 112).numpy() * 255
    # 300 x 400 becomes 128 x 171: the window spans 112/171 of the width and 112/128 of the height.
    np.testing.assert_allclose(np.ptp(got[:, :, 0].mean(0)), 255 * 111 / 171, atol=3)
    np.testing.assert_allclose(np.ptp(got[:, :, 1].mean(1)), 255 * 111 / 128, atol=3)
    np.testing.assert_allclose(got[:, :, :2].mean((0, 1)), 127.5, atol=2)


def test_training_windows_have_the_published_areas_aspects_and_mirroring():
    encoded, size = ramp(), 32
    images = tf.map_fn(
        lambda key: stream.training_image(encoded, key, size),
        tf.stack([tf.zeros(200, tf.int64), tf.range(200, dtype=tf.int64)], 1),
        fn_output_signature=tf.float32,
    ).numpy()
    red, green = images[..., 0].mean(1), images[..., 1].mean(2)
    # The centers of the outer pixels are (S - 1) / S of the window apart.
    width = np.abs(red[:, -1] - red[:, 0]) * 400 * size / (size - 1)
    height = (green[:, -1] - green[:, 0]) * 300 * size / (size - 1)
    area, aspect = width * height / (300 * 400), width / height
    assert 0.06 < area.min() < 0.15
    assert 0.9 < area.max() < 1.05
    assert 0.7 < aspect.min() < 0.8
    assert 1.25 < aspect.max() < 1.42
    assert 70 < np.sum(red[:, -1] < red[:, 0]) < 130
    assert images.min() >= 0
    assert images.max() <= 1
