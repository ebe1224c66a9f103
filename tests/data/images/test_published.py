"""The prepared data sets against their published statistics."""

import numpy as np
import pytest

from curvezoo import data
from curvezoo.data.images import records

MNIST_TEST = (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)


@pytest.fixture(scope="module")
def mnist():
    return [(images.numpy(), labels.numpy()) for images, labels in records.arrays(data.spec("mnist"), None)]


@pytest.fixture(scope="module")
def cifar10():
    return [(images.numpy(), labels.numpy()) for images, labels in records.arrays(data.spec("cifar10"), None)]


def moments(parts):
    """Returns mean and deviation of each channel over training and validation, from exact integer sums."""
    images = np.concatenate([images for images, _ in parts[:2]])
    # Summing over the images first is several times faster than over all axes at once.
    sums = images.sum(0, dtype="int64").sum((0, 1))
    squares = (images.astype("uint16") ** 2).sum(0, dtype="int64").sum((0, 1))
    count = np.prod(images.shape[:3])
    return sums / count / 255, np.sqrt(squares / count - (sums / count) ** 2) / 255


@pytest.mark.dataset("mnist")
def test_mnist_has_the_published_label_counts(mnist):
    train, validation, test = mnist
    assert [len(labels) for _, labels in mnist] == [55000, 5000, 10000]
    assert tuple(np.bincount(test[1])) == MNIST_TEST
    both = np.bincount(np.concatenate([train[1], validation[1]]))
    assert tuple(both) == (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949)


@pytest.mark.dataset("mnist")
def test_mnist_has_the_published_mean_and_deviation(mnist):
    mean, deviation = moments(mnist)
    np.testing.assert_allclose(data.spec("mnist").mean, mean, atol=5e-5)
    np.testing.assert_allclose(data.spec("mnist").std, deviation, atol=5e-5)


@pytest.mark.dataset("mnist")
def test_mnist_splits_are_disjoint(mnist):
    parts = [{image.tobytes() for image in images} for images, _ in mnist]
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]


@pytest.mark.dataset("mnist")
def test_an_epoch_of_mnist_has_each_training_label_once(mnist):
    splits = data.load("mnist", batch_size=1000, augment=("crop",))
    labels = np.concatenate([labels for _, labels in splits.train.as_numpy_iterator()])
    np.testing.assert_array_equal(np.bincount(labels), np.bincount(mnist[0][1]))
    assert splits.steps_per_epoch == 55


@pytest.mark.dataset("cifar10")
def test_cifar10_has_the_published_counts(cifar10):
    train, validation, test = cifar10
    assert [len(labels) for _, labels in cifar10] == [45000, 5000, 10000]
    assert set(np.bincount(test[1])) == {1000}
    assert set(np.bincount(np.concatenate([train[1], validation[1]]))) == {5000}


@pytest.mark.dataset("cifar10")
def test_cifar10_has_the_published_mean_and_deviation_up_to_jpeg_errors(cifar10):
    tolerance = 5e-5 if data.provenance("cifar10") == "PNG, exact" else 6e-3
    mean, deviation = moments(cifar10)
    np.testing.assert_allclose(data.spec("cifar10").mean, mean, atol=tolerance)
    np.testing.assert_allclose(data.spec("cifar10").std, deviation, atol=tolerance)
