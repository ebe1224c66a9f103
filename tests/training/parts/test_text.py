"""Text as data of a recipe: its checks, and which data of the user's each kind of recipe accepts."""

import numpy as np
import pytest

from curvezoo import data, zoo
from curvezoo.data import text
from curvezoo.training.parts import Images, LabeledImages, Pairs, Text

PART = Text("text", context=8, batch_size=2)


def own_text(name="mine"):
    return text.from_texts("abc" * 20, "abc" * 5, "abc" * 5, name=name, context=4, batch_size=3)


def own_images():
    images = np.zeros((8, 4, 4, 1), "uint8")
    part = images, np.arange(8) % 2
    return data.from_arrays(part, part, part, classes=2, name="squares", batch_size=2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tokenizer": "syllables"}, "tokenizer must be one of characters, words, bpe, got 'syllables'"),
        ({"vocabulary": 1}, "vocabulary must be an integer of at least 2, got 1"),
        ({"context": 0}, "context must be an integer of at least 1, got 0"),
        ({"batch_size": -3}, "batch_size must be an integer of at least 1, got -3"),
    ],
)
def test_bad_settings_of_a_text_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        Text("text", **settings)


@pytest.mark.parametrize(
    ("part", "given", "message"),
    [
        (PART, "digits", "data must be text, got 'digits', a data set of images"),
        (PART, "dates", "data must be text, got 'dates', a data set of pairs of texts"),
        (Images("digits"), "text", "data must be images, got 'text', a data set of text"),
        (PART, "tiny_shakespear", r"'tiny_shakespear'; did you mean 'tiny_shakespeare'\? .* file or folder"),
        (PART, 3, r"or Splits, as data\.text\.from_texts makes them, got int"),
        (Pairs("dates"), "text", "data must be pairs of texts, got 'text', a data set of text"),
    ],
)
def test_data_of_another_kind_are_refused(part, given, message):
    with pytest.raises(ValueError, match=message):
        part.checked(given)


def test_splits_of_another_kind_are_refused_and_own_ones_accepted():
    mine = own_text()
    assert PART.checked(mine) == ("mine", mine)
    assert PART.checked(None) == (None, None)
    with pytest.raises(ValueError, match="data must be text, got Splits of another kind, 'squares'"):
        PART.checked(own_images())
    with pytest.raises(ValueError, match="data must be images, got Splits of another kind, 'mine'"):
        zoo.build("mlp_digits", data=mine)
    with pytest.raises(ValueError, match="data must be images, got Splits of another kind, 'mine'"):
        LabeledImages("digits").load(0, splits=mine)
    with pytest.raises(ValueError, match=r"data must not be named like a data set, got 'text'; .*from_texts"):
        PART.checked(own_text("text"))


def test_own_splits_keep_their_windows_and_take_the_recipes_batches():
    splits = PART.load(5, splits=own_text())
    assert (splits.batch_size, splits.spec.context) == (2, 4)
    assert next(iter(splits.train))[0].shape == (2, 4)


def test_a_file_is_read_with_a_new_tokenizer_or_that_of_a_model(tmp_path):
    path = tmp_path / "own.txt"
    path.write_text("abacab\n" * 80)
    part = Text(str(path), context=8, batch_size=2)
    assert part.checked(path) == (str(path), None)
    assert part.load(0).spec.tokenizer.alphabet == part.spec().tokenizer.alphabet == "\nabc"
    model = type("Model", (), {"tokenizer": text.CharacterTokenizer("cba\n")})
    measured = part.load_to_measure(model=model)
    assert measured.spec.tokenizer == part.spec(model).tokenizer == model.tokenizer
    tokens = next(iter(measured.test))[0].numpy()[0]
    assert model.tokenizer.decode(tokens) in "abacab\n" * 3


def test_cards_name_the_text_and_its_windows():
    spec = Text("tiny_shakespeare", context=64).spec()
    described = Text("tiny_shakespeare", context=64).describe(spec)
    assert described["provenance"] == text.provenance("tiny_shakespeare")
    assert (described["vocabulary"], described["context"]) == (65, 64)
    mine = own_text().spec
    assert PART.describe(mine)["provenance"] == "the user's own"
    assert list(PART.files(mine)) == ["tokenizer.json"]


def test_texts_have_neither_classes_nor_a_shape():
    with pytest.raises(ValueError, match="classes must be None for a model of text, got 3"):
        PART.reshaped(own_text().spec, classes=3)
    with pytest.raises(ValueError, match=r"input_shape must be None for a model of pairs of texts, got "):
        Pairs("dates").reshaped(None, input_shape=(8,))
