"""The catalogue of all data sets hands each name to its kind."""

import numpy as np
import pytest

from curvezoo import data


def test_names_are_those_of_images_texts_and_pairs_and_all_differ():
    kinds = [data.names(kind) for kind in ("images", "text", "pairs")]
    assert kinds == [data.images.names(), data.text.names(), data.text.pair_names()]
    assert data.names() == [name for kind in kinds for name in kind]
    assert len(set(data.names())) == len(data.names())
    with pytest.raises(ValueError, match="kind must be one of images, text, pairs, got 'sound'"):
        data.names("sound")


@pytest.mark.parametrize(
    ("name", "own", "settings"),
    [
        ("digits", data.images.load, {"augment": ("crop",)}),
        ("text", data.text.load, {"context": 7, "tokenizer": "bpe", "vocabulary": 260}),
        ("numbers", data.text.load_pairs, {}),
    ],
)
def test_each_name_is_loaded_as_its_kind(name, own, settings):
    splits, expected = data.load(name, seed=3, **settings), own(name, seed=3, **settings)
    assert splits.spec == expected.spec and splits.batch_size == expected.batch_size
    np.testing.assert_array_equal(next(iter(splits.train))[1], next(iter(expected.train))[1])
    assert data.load(name, 9, **settings).batch_size == 9


def test_specs_and_provenance_are_those_of_each_kind():
    assert data.spec("mnist") == data.images.spec("mnist")
    assert data.spec("tiny_shakespeare", context=9) == data.text.spec("tiny_shakespeare", context=9)
    assert data.spec("dates") == data.text.pair_spec("dates")
    assert [data.provenance(name) for name in ("digits", "dates")] == ["embedded", "generated"]
    assert data.provenance("text") == data.text.provenance("text")


def test_a_setting_of_another_kind_is_rejected():
    with pytest.raises(TypeError, match="context"):
        data.load("digits", context=8)
    with pytest.raises(TypeError, match="augment"):
        data.load("text", augment=("flip",))


@pytest.mark.parametrize(
    ("name", "valid"),
    [
        ("digits", "batch_size, data_dir, seed, subset, random_labels, augment, image_size"),
        ("text", "batch_size, data_dir, seed, context, tokenizer, vocabulary, order, windows"),
        ("dates", "batch_size, data_dir, seed, vocabulary, length"),
    ],
)
def test_the_error_for_an_unknown_setting_lists_those_of_the_kind(name, valid):
    with pytest.raises(TypeError, match=f"settings of '{name}' must be among {valid}, got 'sze'"):
        data.load(name, sze=3)


def test_the_error_for_an_unknown_name_lists_all_kinds():
    with pytest.raises(
        ValueError, match=r"Unknown data set 'tiny_shakespear'; did you mean 'tiny_shakespeare'\?"
    ):
        data.load("tiny_shakespear")
    with pytest.raises(ValueError, match=r"digits, mnist.*text, tiny_shakespeare, lm1b, numbers, dates, ted"):
        data.spec("poems")
