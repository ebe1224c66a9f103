import subprocess
import sys

import numpy as np
import pytest

from curvezoo import data
from curvezoo.data.images import memory

PUBLISHED_TRAIN = {
    "digits": 1437,
    "mnist": 60000,
    "fashion_mnist": 60000,
    "svhn_cropped": 73257,
    "cifar10": 50000,
    "cifar100": 50000,
    "imagenet2012": 1281167,
}


def test_looking_up_a_spec_imports_no_tensorflow():
    code = (
        "import sys, curvezoo\n"
        "assert curvezoo.data.spec('mnist').shape == (28, 28, 1)\n"
        "try:\n    curvezoo.data.load('digits', batch_size=0)\n"
        "except ValueError:\n    pass\n"
        "heavy = {'tensorflow', 'keras', 'sklearn'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_sizes_add_up_to_the_published_ones():
    assert {
        name: data.spec(name).train + data.spec(name).validation for name in data.images.names()
    } == PUBLISHED_TRAIN


def test_every_class_has_its_own_label():
    for name in data.images.names():
        spec = data.spec(name)
        assert len(set(spec.labels)) == (0 if name == "imagenet2012" else spec.classes)
        assert len(spec.mean) == len(spec.std) == spec.shape[-1]


def test_cifar100_labels_are_in_the_published_alphabetical_order():
    labels = data.spec("cifar100").labels
    assert list(labels) == sorted(labels)
    assert (labels[0], labels[49], labels[99]) == ("apple", "mountain", "worm")


def test_mean_and_deviation_of_digits_are_those_of_its_training_split():
    pixels = memory.digits()[0][0] / 16
    np.testing.assert_allclose(data.spec("digits").mean, pixels.mean((0, 1, 2)), atol=5e-5)
    np.testing.assert_allclose(data.spec("digits").std, pixels.std((0, 1, 2)), atol=5e-5)


def test_the_error_for_an_unknown_name_suggests_the_nearest_and_lists_all():
    with pytest.raises(
        ValueError, match=r"'cifar-10'; did you mean 'cifar10'\?.*digits, mnist, fashion_mnist"
    ):
        data.spec("cifar-10")
    with pytest.raises(ValueError, match="Unknown data set 7"):
        data.spec(7)
