"""Folders of images, written here as PNG, JPEG, BMP and GIF files whose pixels are known."""

import hashlib

import numpy as np
import pytest
import tensorflow as tf

from curvezoo import data

CLASSES = ("cat", "dog", "emu")
PER_CLASS = 20


def grey(number, size=(4, 5)):
    return np.full((*size, 1), number, np.uint8)


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    encode = {".png": tf.io.encode_png, ".jpg": tf.io.encode_jpeg}[path.suffix.lower()]
    path.write_bytes(encode(image).numpy())


def fill(root, sizes, start=0):
    """Writes `sizes[c]` grey images of each class; every image has a grey level of its own."""
    number = start
    for name, count in zip(CLASSES, sizes, strict=False):
        for i in range(count):
            write(root / name / f"{name}{i}.png", grey(number))
            number += 1
    return number


def contents(dataset):
    """Returns the (grey level, label) pairs of a dataset, sorted."""
    return sorted(
        (round(float(image.max()) * 255), int(label))
        for images, labels in dataset.as_numpy_iterator()
        for image, label in zip(images, labels, strict=True)
    )


@pytest.fixture(scope="module")
def flat(tmp_path_factory):
    root = tmp_path_factory.mktemp("pets")
    fill(root, [PER_CLASS] * 3)
    return root


def test_classes_are_the_folders_in_alphabetical_order_and_labels_follow_them(flat):
    splits = data.from_folder(flat, batch_size=6)
    assert splits.spec.labels == CLASSES
    assert (splits.spec.name, splits.spec.shape, splits.spec.classes) == (flat.name, (4, 5, 1), 3)
    seen = [pair for split in (splits.train, splits.validation, splits.test) for pair in contents(split)]
    assert sorted(seen) == [(number, number // PER_CLASS) for number in range(3 * PER_CLASS)]


def test_each_class_is_split_by_the_hashes_of_its_file_names(flat):
    splits = data.from_folder(flat, batch_size=6, validation_fraction=0.2, test_fraction=0.05)
    expected = {"train": [], "validation": [], "test": []}
    for label, name in enumerate(CLASSES):
        names = {f"{name}{i}.png": label * PER_CLASS + i for i in range(PER_CLASS)}
        ordered = sorted(names, key=lambda file: hashlib.sha256(file.encode()).hexdigest())
        parts = {"test": ordered[:1], "validation": ordered[1:5], "train": ordered[5:]}
        for split, files in parts.items():
            expected[split] += [(names[file], label) for file in files]
    assert (splits.spec.train, splits.spec.validation, splits.spec.test) == (45, 12, 3)
    assert contents(splits.validation) == sorted(expected["validation"])
    assert contents(splits.test) == sorted(expected["test"])
    assert set(contents(splits.train)) <= set(expected["train"])


def test_the_splits_do_not_depend_on_the_seed(flat):
    one, other = (data.from_folder(flat, batch_size=48, seed=seed) for seed in (0, 1))
    for split in ("train", "validation", "test"):
        assert contents(getattr(one, split)) == contents(getattr(other, split))


def test_a_missing_split_is_taken_from_the_training_images(tmp_path):
    start = fill(tmp_path / "train", (10, 10))
    end = fill(tmp_path / "test", (3, 2), start)
    splits = data.from_folder(tmp_path, batch_size=2)
    assert (splits.spec.train, splits.spec.validation, splits.spec.test) == (18, 2, 5)
    assert [number for number, _ in contents(splits.test)] == list(range(start, end))
    rest = contents(splits.train) + contents(splits.validation)
    assert sorted(rest) == [(number, number // 10) for number in range(20)]
    fill(tmp_path / "validation", (0, 4), end)
    (tmp_path / "validation" / "dog").mkdir(exist_ok=True)
    splits = data.from_folder(tmp_path, batch_size=2)
    assert (splits.spec.train, splits.spec.validation, splits.spec.test) == (20, 4, 5)
    assert contents(splits.validation) == [(number, 1) for number in range(end, end + 4)]


def test_pixels_of_every_format_are_decoded_and_other_files_ignored(tmp_path):
    rng = np.random.default_rng(0)
    colored = rng.integers(0, 256, (4, 4, 3), np.uint8)
    smooth = np.full((4, 4, 3), (200, 100, 50), np.uint8)
    for i in range(4):
        write(tmp_path / "b" / f"{i}.PNG", np.full((4, 4, 1), 7, np.uint8))
    write(tmp_path / "a" / "color.png", colored)
    write(tmp_path / "a" / "smooth.jpg", smooth)
    transparent = np.concatenate([colored, np.zeros((4, 4, 1), np.uint8)], -1)
    write(tmp_path / "a" / "transparent.png", transparent)
    # A 24-bit bitmap holds its rows from the bottom up, in the order blue, green, red.
    header = b"BM" + np.array([54 + 48, 0, 54, 40, 4, 4], "<u4").tobytes()
    header += np.array([1, 24], "<u2").tobytes() + np.array([0, 48, 0, 0, 0, 0], "<u4").tobytes()
    (tmp_path / "a" / "bitmap.bmp").write_bytes(header + colored[::-1, :, ::-1].tobytes())
    for name in ("notes.txt", ".hidden.png", "Thumbs.db"):
        (tmp_path / "a" / name).write_text("no image")
    (tmp_path / ".ipynb_checkpoints").mkdir()
    splits = data.from_folder(tmp_path, batch_size=1)
    assert splits.spec.shape == (4, 4, 3)
    images = [
        np.round(image * 255).astype(int)
        for split in (splits.train, splits.validation, splits.test)
        for batch, _ in split.as_numpy_iterator()
        for image in batch
    ]
    assert len(images) == 8
    assert sum(np.array_equal(image, colored) for image in images) == 3
    assert sum(np.array_equal(image, np.full((4, 4, 3), 7)) for image in images) == 4
    assert sum(np.abs(image - smooth.astype(int)).max() <= 3 for image in images) == 1


def test_images_are_resized_and_made_grey_on_request(tmp_path):
    for name in "ab":
        for i in range(3):
            write(tmp_path / name / f"{i}.png", np.full((6 + i, 9, 3), (255, 0, 0), np.uint8))
    splits = data.from_folder(tmp_path, size=(3, 5), channels=1, batch_size=2)
    ((images, _),) = splits.test.as_numpy_iterator()
    assert images.shape == (2, 3, 5, 1)
    # The luminance of pure red in ITU-R BT.601.
    np.testing.assert_allclose(images, 0.299, atol=2 / 255)


def test_resizing_averages_over_the_pixels_of_a_larger_image(tmp_path):
    stripes = np.full((8, 64, 1), 200, np.uint8)
    stripes[:, 3::4] = 0
    for name in "ab":
        for i in range(3):
            write(tmp_path / name / f"{i}.png", stripes)
    ((images, _),) = data.from_folder(tmp_path, size=(8, 4), batch_size=2).test.as_numpy_iterator()
    np.testing.assert_allclose(images * 255, 150, atol=7)


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (lambda root: None, {}, "path must hold a folder for each of at least 2 classes, got none"),
        (lambda root: fill(root, (5,)), {}, "at least 2 classes, got cat in"),
        (
            lambda root: (fill(root, (5, 5)), (root / "emu").mkdir()),
            {},
            r"every class must have images \(\.png, .*\), got none in '.*emu'",
        ),
        (
            lambda root: (fill(root, (5, 5)), (root / "cat" / "bad.png").write_bytes(b"\x89PNG\r\n")),
            {},
            r"'.*cat/bad\.png' must be an image that can be decoded",
        ),
        (
            lambda root: (fill(root, (5, 5)), write(root / "cat" / "x.png", grey(0, (6, 5)))),
            {},
            r"images must have one size .* got \(4, 5\) in '.*png' and \(6, 5\) in '.*x\.png'",
        ),
        (
            lambda root: fill(root, (5, 2)),
            {},
            "class 'dog' must have images left for training after 1 for test and 1 for validation, got 2",
        ),
        (lambda root: fill(root / "test", (5, 5)), {}, "path must have a folder train if it has test"),
        (
            lambda root: (fill(root / "train", (5, 5)), fill(root / "val", (5, 5))),
            {},
            "only the folders train, validation and test, got 'val'",
        ),
        (
            lambda root: (fill(root / "train", (5, 5)), fill(root / "test", (5, 5, 5))),
            {},
            "test must hold only the classes of train, cat, dog, got 'emu'",
        ),
        (
            lambda root: (fill(root / "train", (5, 5)), (root / "test").mkdir()),
            {},
            "test must hold images in folders of classes, got none",
        ),
        (
            lambda root: fill(root, (5, 5)),
            {"batch_size": 7},
            "batch_size must be an integer from 1 to 6, got 7",
        ),
        (lambda root: fill(root, (5, 5)), {"size": 8}, r"size must be a pair \(height, width\), got 8"),
        (
            lambda root: fill(root, (5, 5)),
            {"size": (8, 0)},
            r"size\[1\] must be an integer from 1 to 4096, got 0",
        ),
        (lambda root: fill(root, (5, 5)), {"channels": 4}, "channels must be one of 1, 3, got 4"),
        (
            lambda root: fill(root, (5, 5)),
            {"test_fraction": 1.0},
            r"test_fraction must be a number in \(0, 1\), got 1\.0",
        ),
    ],
)
def test_a_wrong_folder_or_argument_is_named(tmp_path, make, arguments, message):
    make(tmp_path)
    with pytest.raises(ValueError, match=message):
        data.from_folder(tmp_path, **{"batch_size": 1, **arguments})


def test_a_path_that_is_not_a_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"path must be an existing folder, got '.*nowhere'"):
        data.from_folder(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="path must be a folder, got the file"):
        data.from_folder(tmp_path / "file")
