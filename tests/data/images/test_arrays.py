import dataclasses

import numpy as np
import pytest

from curvezoo import data


def parts(dtype="uint8", sizes=(12, 5, 4), shape=(6, 5, 3)):
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (size, *shape)) for size in sizes]
    if dtype != "uint8":
        images = [image / 255 for image in images]
    return [(image.astype(dtype), rng.integers(0, 4, len(image))) for image in images]


@pytest.mark.parametrize("dtype", ["uint8", "float64"])
def test_a_users_arrays_come_back(dtype):
    train, validation, test = parts(dtype)
    splits = data.from_arrays(train, validation, test, classes=4, name="mine", batch_size=3, seed=1)
    scale = 255 if dtype == "uint8" else 1
    for dataset, (images, labels) in ((splits.validation, validation), (splits.test, test)):
        ((got_images, got_labels),) = dataset.as_numpy_iterator()
        np.testing.assert_allclose(got_images, images / scale, rtol=1e-7)
        np.testing.assert_array_equal(got_labels, labels)
    got = sorted(
        (image.sum(), label)
        for images, labels in splits.train.as_numpy_iterator()
        for image, label in zip(images.astype("float64"), labels, strict=True)
    )
    expected = sorted(zip((train[0] / scale).sum((1, 2, 3)), train[1], strict=True))
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_the_implied_spec_describes_the_arrays():
    train, validation, test = parts()
    spec = data.from_arrays(train, validation, test, classes=4, name="mine", batch_size=3).spec
    assert (spec.name, spec.shape, spec.classes) == ("mine", (6, 5, 3), 4)
    assert (spec.train, spec.validation, spec.test) == (12, 5, 4)
    np.testing.assert_allclose(spec.mean, train[0].reshape(-1, 3).mean(0) / 255)
    np.testing.assert_allclose(spec.std, train[0].reshape(-1, 3).std(0) / 255)


def changed(position, images=None, labels=None):
    arrays = [list(part) for part in parts()]
    if images is not None:
        arrays[position][0] = images(arrays[position][0])
    if labels is not None:
        arrays[position][1] = labels(arrays[position][1])
    return arrays


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (changed(0, labels=lambda y: y + 1), "train: labels from 1 to 4 .* 0 .. 3"),
        (changed(1, labels=lambda y: y - 1), "validation: labels from -1"),
        (changed(2, labels=lambda y: y.astype("float32")), "test: labels of dtype float32"),
        (changed(0, labels=lambda y: y[:-1]), r"train: labels of shape \(11,\) for 12 images"),
        (changed(1, labels=lambda y: np.eye(4)[y]), r"validation: labels of shape \(5, 4\)"),
        (changed(2, images=lambda x: x[:, :5]), r"test: images of shape \(5, 5, 3\) where \(6, 5, 3\)"),
        (changed(0, images=lambda x: x[..., 0]), r"train: images of shape \(12, 6, 5\) .* \[N, H, W, C\]"),
        (changed(0, images=lambda x: x[:0]), r"train: images of shape \(0, 6, 5, 3\)"),
        (changed(0, images=lambda x: x.astype("int32")), "train: images of dtype int32 .* uint8 or floats"),
        (changed(0, images=lambda x: x * 1.0), r"train: images from 0.0 to 255.0 .* \[0, 1\]"),
        (changed(0, images=lambda x: x * np.nan), "train: images from nan .* finite"),
        (changed(1, images=lambda x: x / 255), "validation: images of dtype float64 where train has uint8"),
        ([1, 2, 3], "train must be a pair"),
    ],
)
def test_wrong_arrays_are_named(arrays, message):
    with pytest.raises(ValueError, match=message):
        data.from_arrays(*arrays, classes=4, batch_size=2)


def test_exactly_one_of_spec_and_classes_and_the_spec_must_agree():
    with pytest.raises(ValueError, match="exactly one of the two"):
        data.from_arrays(*parts())
    with pytest.raises(ValueError, match="classes=1 "):
        data.from_arrays(*parts(), classes=1)
    with pytest.raises(ValueError, match=r"batch_size=128 .* from 1 to 12"):
        data.from_arrays(*parts(), classes=4)
    spec = data.from_arrays(*parts(), classes=4, batch_size=2).spec
    assert data.from_arrays(*parts(), spec=spec, batch_size=2).spec == spec
    with pytest.raises(ValueError, match="test: 4 images where the spec says 7"):
        data.from_arrays(*parts(), spec=dataclasses.replace(spec, test=7), batch_size=2)
    with pytest.raises(ValueError, match=r"train: images of shape \(6, 5, 3\) where \(5, 5, 3\)"):
        data.from_arrays(*parts(), spec=dataclasses.replace(spec, shape=(5, 5, 3)), batch_size=2)
