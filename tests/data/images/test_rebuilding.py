"""`Splits.with_batches` against splits built with those settings, and `Splits` as text."""

import numpy as np
import pytest

from curvezoo import data
from curvezoo.data.images import corruption
from curvezoo.data.splits import Splits

SETTINGS = {"batch_size": 7, "seed": 3, "subset": 30, "random_labels": 0.5, "augment": ("flip", "crop")}


def arrays():
    rng = np.random.default_rng(0)
    return [
        (rng.integers(0, 256, (size, 6, 5, 3), np.uint8), rng.integers(0, 4, size)) for size in (40, 6, 5)
    ]


def build(**settings):
    return data.from_arrays(*arrays(), classes=4, labels=("a", "b", "c", "<d>"), name="mine", **settings)


def assert_equal(one, other):
    batches, others = list(one.as_numpy_iterator()), list(other.as_numpy_iterator())
    assert len(batches) == len(others) > 0
    for batch, expected in zip(batches, others, strict=True):
        for values, expected_values in zip(batch, expected, strict=True):
            np.testing.assert_array_equal(values, expected_values)


def test_rebuilt_splits_equal_splits_built_with_those_settings():
    rebuilt, built = build(batch_size=20).with_batches(**SETTINGS), build(**SETTINGS)
    assert rebuilt.spec == built.spec
    assert (rebuilt.batch_size, rebuilt.steps_per_epoch, rebuilt.spec.train) == (7, 4, 30)
    assert_equal(rebuilt.epochs(2, 4), built.epochs(2, 4))
    assert_equal(rebuilt.train, built.epochs(0, 1))
    assert_equal(rebuilt.validation, built.validation)
    assert_equal(rebuilt.test, built.test)


def test_omitted_settings_are_kept_and_a_subset_can_be_undone():
    splits = build(**SETTINGS)
    assert_equal(splits.with_batches(seed=4).epochs(0, 1), build(**SETTINGS | {"seed": 4}).epochs(0, 1))
    whole = splits.with_batches(subset=None)
    assert whole.spec.train == 40
    assert_equal(whole.epochs(1, 2), build(**SETTINGS | {"subset": None}).epochs(1, 2))
    assert splits.spec.train == 30


def test_noisy_splits_are_rebuilt_with_the_noise_of_the_new_seed():
    noise = {"noise": "gaussian", "level": 0.1, "targets": "noisy"}
    rebuilt = corruption.noisy_splits(build(batch_size=20), seed=0, **noise).with_batches(
        seed=3, batch_size=8
    )
    built = corruption.noisy_splits(build(batch_size=8, seed=3), seed=3, **noise)
    assert_equal(rebuilt.epochs(1, 2), built.epochs(1, 2))
    assert_equal(rebuilt.validation, built.validation)


def test_settings_are_checked_against_the_whole_training_split():
    splits = build(batch_size=8, subset=10)
    with pytest.raises(ValueError, match="subset must be an integer from 1 to 40, got 41"):
        splits.with_batches(subset=41)
    with pytest.raises(ValueError, match="batch_size must be an integer from 1 to 10, got 11"):
        splits.with_batches(batch_size=11)
    with pytest.raises(TypeError, match="shuffle"):
        splits.with_batches(shuffle=True)
    direct = Splits(splits.spec, 8, splits.batches, splits.validation, splits.test)
    with pytest.raises(
        ValueError, match="with_batches needs splits made by load, from_arrays or from_folder"
    ):
        direct.with_batches(seed=1)


def test_the_repr_names_shape_classes_sizes_and_batch_size():
    expected = "Splits('mine', shape=(6, 5, 3), classes=4, train=40, validation=6, test=5, batch_size=8)"
    assert repr(build(batch_size=8)) == expected


def test_the_table_for_jupyter_lists_and_escapes_the_classes():
    table = build(batch_size=8)._repr_html_()
    assert table.startswith("<table>") and table.endswith("</table>")
    for cell in ("6 × 5 × 3", "4 (a, b, c, &lt;d&gt;)", "40", "batch size", "steps per epoch"):
        assert cell in table
    many = data.load("digits")._repr_html_()
    assert "1,257" in many and "10 (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)" in many
