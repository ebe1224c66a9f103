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
def test_splits_hold_the_given_arrays(dtype):
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
    spec = data.from_arrays(train, validation, test, classes=4, labels="abcd", name="mine", batch_size=3).spec
    assert (spec.name, spec.shape, spec.classes, spec.labels) == ("mine", (6, 5, 3), 4, tuple("abcd"))
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
        (
            changed(0, labels=lambda y: y + 1),
            "train labels must be from 0 to 3 for 4 classes, got labels from 1 to 4",
        ),
        (changed(1, labels=lambda y: y - 1), "validation labels must be from 0 to 3 .* got labels from -1"),
        (changed(2, labels=lambda y: y.astype("float32")), "test labels must be integers, got dtype float32"),
        (
            changed(0, labels=lambda y: y[:-1]),
            r"train labels must have shape \(12,\), one per image, got \(11,\)",
        ),
        (
            changed(1, labels=lambda y: np.eye(4)[y]),
            r"validation labels must have shape \(5,\).* got \(5, 4\); .*labels\.argmax\(1\)",
        ),
        (
            changed(2, images=lambda x: x[:, :5]),
            r"test images must have shape \[N, 6, 5, 3\], got \(4, 5, 5, 3\)",
        ),
        (
            changed(0, images=lambda x: x[..., 0]),
            r"train images must have shape \[N, H, W, C\], got \(12, 6, 5\); .* images\[\.\.\., None\]",
        ),
        (
            changed(0, images=lambda x: x[:0]),
            r"train images must hold at least one image of one pixel, got shape \(0, 6, 5, 3\)$",
        ),
        (
            changed(0, images=lambda x: x.astype("int64")),
            r"train images must be uint8 or floats in \[0, 1\], got dtype int64; .*images\.astype\('uint8'\)",
        ),
        (
            changed(0, images=lambda x: x * 1.0),
            r"train images must be uint8 or floats in \[0, 1\], got floats from 0 to 255; divide",
        ),
        (
            changed(0, images=lambda x: x / 127.5 - 1),
            r"train images must be .* in \[0, 1\], got floats from -1 to 1; .* \(images \+ 1\) / 2",
        ),
        (
            changed(0, images=lambda x: np.where(x == x[0, 0, 0, 0], np.nan, x / 255)),
            r"train images must be finite, got \d+ pixels that are NaN or infinite",
        ),
        (
            changed(0, images=lambda x: [x[0], x[1, 1:]]),
            "train images must be one array, got a list of arrays",
        ),
        (
            changed(1, images=lambda x: x / 255),
            "validation images must have the dtype of train, uint8, got float64",
        ),
        ([1, 2, 3], r"train must be a pair \(images, labels\), got 1"),
    ],
)
def test_an_error_names_the_wrong_array_and_the_fix(arrays, message):
    with pytest.raises(ValueError, match=message):
        data.from_arrays(*arrays, classes=4, batch_size=2)


def test_a_batch_holds_all_of_few_images_by_default():
    assert data.from_arrays(*parts(), classes=4).batch_size == 12
    assert data.from_arrays(*parts(), classes=4, subset=7).batch_size == 7
    with pytest.raises(ValueError, match="subset must be an integer from 1 to 12, got 'x'"):
        data.from_arrays(*parts(), classes=4, subset="x")


def test_exactly_one_of_spec_and_classes_is_required_and_must_fit_the_arrays():
    with pytest.raises(ValueError, match="exactly one of spec and classes must be given, got spec=None"):
        data.from_arrays(*parts())
    with pytest.raises(ValueError, match=r"classes must be an integer from 2 .* got 1"):
        data.from_arrays(*parts(), classes=1)
    with pytest.raises(ValueError, match="batch_size must be an integer from 1 to 12, got 128"):
        data.from_arrays(*parts(), classes=4, batch_size=128)
    with pytest.raises(ValueError, match="labels must hold the names of 4 classes, got 3 names"):
        data.from_arrays(*parts(), classes=4, labels=("a", "b", "c"), batch_size=2)
    spec = data.from_arrays(*parts(), classes=4, batch_size=2).spec
    assert data.from_arrays(*parts(), spec=spec, batch_size=2).spec == spec
    with pytest.raises(ValueError, match="test must have 7 images as in spec, got 4"):
        data.from_arrays(*parts(), spec=dataclasses.replace(spec, test=7), batch_size=2)
    with pytest.raises(ValueError, match=r"train images must have shape \[N, 5, 5, 3\], got \(12, 6, 5, 3\)"):
        data.from_arrays(*parts(), spec=dataclasses.replace(spec, shape=(5, 5, 3)), batch_size=2)
