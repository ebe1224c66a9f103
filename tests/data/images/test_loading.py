import hashlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from curvezoo import data
from curvezoo.data.images import memory


def stacked(dataset):
    images, labels = zip(*dataset.as_numpy_iterator(), strict=True)
    return np.concatenate(images), np.concatenate(labels)


def hashes(images):
    return [hashlib.sha256(np.ascontiguousarray(image)).hexdigest() for image in images]


def assert_same(first, second):
    first, second = list(first.as_numpy_iterator()), list(second.as_numpy_iterator())
    assert len(first) == len(second) > 0
    for (images, labels), (other_images, other_labels) in zip(first, second, strict=True):
        np.testing.assert_array_equal(images, other_images)
        np.testing.assert_array_equal(labels, other_labels)


def test_digits_splits_are_disjoint_and_together_equal_scikit_learns_set():
    from sklearn.datasets import load_digits

    parts = [hashes(images) for images, _ in memory.digits()]
    assert [len(part) for part in parts] == [1257, 180, 360]
    published = load_digits().data.reshape(-1, 8, 8, 1).astype("uint8")
    together = [image for part in parts for image in part]
    assert sorted(together) == sorted(hashes(published))
    assert len(set(together)) == 1797


def test_digits_splits_are_stratified():
    parts = [np.bincount(labels) for _, labels in memory.digits()]
    total = sum(parts)
    for part in parts:
        np.testing.assert_allclose(part, total * part.sum() / 1797, atol=1)


def test_the_digits_test_split_is_the_one_used_for_the_published_results():
    _, _, (images, labels) = memory.digits()
    digest = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    assert digest == "b73ad886c973a728a3983062b04e72cc2f7effc9643c50702683ffd0c5faf323"


def test_pixels_are_exact_and_evaluation_is_in_order():
    splits = data.load("digits")
    _, validation, test = memory.digits()
    for dataset, (images, labels) in ((splits.validation, validation), (splits.test, test)):
        got_images, got_labels = stacked(dataset)
        np.testing.assert_array_equal(got_images.astype("float64") * 16, images)
        np.testing.assert_array_equal(got_labels, labels)
    expected = tf.TensorSpec([128, 8, 8, 1], tf.float32), tf.TensorSpec([128], tf.int32)
    assert splits.train.element_spec == splits.epochs(0, 1).element_spec == expected


def test_an_epoch_permutes_the_training_split_and_drops_the_partial_batch():
    splits = data.load("digits", batch_size=100)
    (images, labels), _, _ = memory.digits()
    key = dict(zip(hashes((images / 16).astype("float32")), labels, strict=True))
    for epoch in range(2):
        got_images, got_labels = stacked(splits.epochs(epoch, epoch + 1))
        seen = hashes(got_images)
        assert len(seen) == len(set(seen)) == 1200 == 100 * splits.steps_per_epoch
        assert [key[image] for image in seen] == list(got_labels)


def test_an_epoch_has_every_example_if_the_batch_size_divides_the_split():
    got, _ = stacked(data.load("digits", batch_size=419).train)
    (images, _), _, _ = memory.digits()
    assert sorted(hashes(got)) == sorted(hashes((images / 16).astype("float32")))


def test_a_resumed_run_sees_the_batches_of_an_uninterrupted_one():
    splits = data.load("digits", seed=5, augment=("flip", "crop"))
    resumed = data.load("digits", seed=5, augment=("flip", "crop"))
    assert splits.epochs(0, 4).cardinality() == 4 * splits.steps_per_epoch
    assert_same(resumed.epochs(2, 4), splits.epochs(0, 4).skip(2 * splits.steps_per_epoch))


def test_each_iteration_of_train_is_the_next_epoch():
    splits = data.load("digits", seed=5, augment=("crop",))
    assert splits.train.cardinality() == splits.steps_per_epoch
    for epoch in range(3):
        assert_same(splits.train, splits.epochs(epoch, epoch + 1))


def test_order_and_augmentation_depend_on_the_seed_and_not_the_global_one():
    first = data.load("digits", seed=1, augment=("crop",))
    tf.random.set_seed(99)
    again = data.load("digits", seed=1, augment=("crop",))
    assert_same(first.epochs(0, 1), again.epochs(0, 1))
    assert_same(first.train, again.train)
    _, labels = stacked(first.epochs(0, 1))
    _, other = stacked(data.load("digits", seed=2).epochs(0, 1))
    _, later = stacked(first.epochs(1, 2))
    assert not np.array_equal(labels, other)
    assert not np.array_equal(labels, later)


def test_augmentation_changes_neither_labels_nor_order_nor_evaluation():
    plain, augmented = data.load("digits"), data.load("digits", augment=("flip", "crop"))
    plain_images, plain_labels = stacked(plain.epochs(0, 1))
    images, labels = stacked(augmented.epochs(0, 1))
    np.testing.assert_array_equal(labels, plain_labels)
    # A crop only loses pixels, so that no sum can grow.
    assert np.all(images.sum((1, 2, 3)) <= plain_images.sum((1, 2, 3)) + 1e-4)
    changed = (images != plain_images).any((1, 2, 3)).mean()
    np.testing.assert_allclose(changed, 17 / 18, atol=0.03)
    assert_same(plain.test, augmented.test)


def test_subsets_are_the_same_for_every_seed_and_nested():
    full, _ = stacked(data.load("digits", batch_size=1).train)
    seen = []
    for subset, seed in ((64, 0), (64, 1), (200, 0)):
        splits = data.load("digits", batch_size=subset, subset=subset, seed=seed)
        assert (splits.spec.train, splits.spec.test, splits.steps_per_epoch) == (subset, 360, 1)
        seen.append(set(hashes(stacked(splits.train)[0])))
    assert seen[0] == seen[1] < seen[2] < set(hashes(full))
    assert len(seen[0]) == 64


@pytest.mark.parametrize("fraction", [0.25, 1.0])
def test_random_labels_agree_at_the_expected_rate_and_stay_fixed(fraction):
    splits = data.load("digits", batch_size=1257, random_labels=fraction, seed=3)
    (images, labels), _, _ = memory.digits()
    truth = dict(zip(hashes((images / 16).astype("float32")), labels, strict=True))
    drawn = []
    for epoch in range(2):
        got_images, got_labels = stacked(splits.epochs(epoch, epoch + 1))
        drawn.append(dict(zip(hashes(got_images), got_labels, strict=True)))
    assert drawn[0] == drawn[1]
    agreement = np.mean([drawn[0][image] == label for image, label in truth.items()])
    # A draw agrees by chance with probability 1/10; the tolerance is four standard deviations.
    np.testing.assert_allclose(agreement, 1 - 0.9 * fraction, atol=4 * 0.3 * np.sqrt(fraction / 1257))
    assert_same(splits.validation, data.load("digits").validation)
    assert_same(splits.test, data.load("digits").test)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "batch_size must be an integer from 1 to 1257, got 0"),
        ({"batch_size": 1258}, "batch_size must be an integer from 1 to 1257, got 1258"),
        ({"batch_size": 32.0}, r"batch_size must be an integer .* got 32\.0"),
        ({"batch_size": True}, "batch_size must be an integer .* got True"),
        ({"batch_size": 11, "subset": 10}, "batch_size must be an integer from 1 to 10, got 11"),
        ({"subset": 0}, "subset must be an integer from 1 to 1257, got 0"),
        ({"subset": 1258}, "subset must be an integer from 1 to 1257, got 1258"),
        ({"seed": -1}, "seed must be an integer of at least 0, got -1"),
        ({"random_labels": 1.5}, r"random_labels must be a number in \[0, 1\], got 1\.5"),
        ({"random_labels": float("nan")}, r"random_labels must be a number in \[0, 1\], got nan"),
        ({"augment": ("rotate",)}, r"augment\[0\] must be one of flip, crop, got 'rotate'"),
        ({"augment": "flip"}, "augment must be a tuple of names among flip, crop, got 'flip'"),
        ({"augment": ("flip", "flip")}, r"augment must not repeat a name, got \('flip', 'flip'\)"),
        ({"image_size": 64}, "image_size must be None for 'digits', got 64: only 'imagenet2012'"),
        (
            {"name": "mnist", "data_dir": "/no/such/folder"},
            "data_dir must be an existing folder, got '/no/such/folder'",
        ),
        ({"name": "digit"}, "Unknown data set 'digit'; did you mean 'digits'"),
        ({"name": "imagenet2012", "image_size": 8}, "image_size must be an integer from 16 to 1024, got 8"),
        (
            {"name": "imagenet2012", "augment": ("flip",)},
            r"augment must be \(\) for 'imagenet2012', got \('flip',\)",
        ),
    ],
)
def test_an_error_names_the_wrong_argument_its_value_and_the_valid_ones(arguments, message):
    with pytest.raises(ValueError, match=message):
        data.load(**{"name": "digits", **arguments})


@pytest.mark.parametrize(("first", "last"), [(-1, 2), (2, 2), (3, 1)])
def test_an_empty_range_of_epochs_is_rejected(first, last):
    with pytest.raises(ValueError, match="0 <= first < last"):
        data.load("digits").epochs(first, last)


def test_replicas_share_the_batches_of_one_device(mirrored):
    splits = data.load("digits", batch_size=64, augment=("crop",))
    distributed = list(mirrored.experimental_distribute_dataset(splits.epochs(1, 2)))
    whole = list(splits.epochs(1, 2))
    assert len(distributed) == len(whole) == splits.steps_per_epoch
    for per_replica, batch in zip(distributed, whole, strict=True):
        for component, values in zip(per_replica, batch, strict=True):
            parts = mirrored.experimental_local_results(component)
            assert [len(part) for part in parts] == [32, 32]
            np.testing.assert_array_equal(np.concatenate(parts), values)


def test_two_replicas_fit_like_one_device(mirrored):
    splits = data.load("digits", batch_size=64, augment=("crop",))

    def fitted(strategy, dataset):
        with strategy.scope():
            dense = keras.layers.Dense(10, kernel_initializer="zeros")
            model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), dense])
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            model.compile(keras.optimizers.SGD(0.1), loss)
        history = model.fit(dataset, epochs=2, steps_per_epoch=splits.steps_per_epoch, verbose=0)
        assert len(history.history["loss"]) == 2
        return model.get_weights()[0]

    default = tf.distribute.get_strategy()
    one, two = fitted(default, splits.epochs(0, 2)), fitted(mirrored, splits.epochs(0, 2))
    assert np.abs(one).max() > 0.01
    np.testing.assert_allclose(two, one, atol=1e-5)
    again = data.load("digits", batch_size=64, augment=("crop",)).train
    np.testing.assert_allclose(fitted(default, again), one, atol=1e-5)
