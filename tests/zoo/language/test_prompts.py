"""Prompts of all forms, and the messages for settings that are not valid; no model runs."""

import re

import numpy as np
import pytest

from curvezoo.data.text.tokenizers import CharacterTokenizer
from curvezoo.zoo.language import prompts

TOKENIZER = CharacterTokenizer("abcde")


def test_texts_and_tokens_alone_or_in_lists_come_back_in_their_form():
    for given, tokens, single in (
        ("bad", [[1, 0, 3]], True),
        (["bad", "e"], [[1, 0, 3], [4]], False),
        ([1, 0, 3], [[1, 0, 3]], True),
        (np.array([[1, 0], [2, 3]]), [[1, 0], [2, 3]], False),
        ([(1, 0), np.array([4])], [[1, 0], [4]], False),
    ):
        request = prompts.read(given, 5, TOKENIZER)
        assert [row.tolist() for row in request.rows] == tokens and request.single == single
        assert request.lengths.tolist() == [len(row) for row in tokens]
        padded = request.padded(4)
        assert padded.dtype == np.int32
        assert [row[:n].tolist() for row, n in zip(padded, request.lengths, strict=True)] == tokens
        # The continuation of each row is "cab" and then nothing.
        ends = request.lengths + 3
        buffer = np.array([[*row, 2, 0, 1, *[0] * (5 - len(row))] for row in tokens])
        new = request.continuations(buffer, ends)
        assert isinstance(new, list) != single
        first = new if single else new[0]
        assert first == "cab" if request.tokenizer else first.tolist() == [2, 0, 1]


WRONG = {
    "token too large": ([1, 5], "prompt must hold tokens in 0 to 4, got 5"),
    "negative token": ([[1], [-1]], "prompt must hold tokens in 0 to 4, got -1"),
    "too long": ([1] * 9, "prompt must have at most 8 tokens, the model's context, got 9"),
    "empty text": ("", "prompt must have at least one token, got ''"),
    "empty text in a list": (["a", ""], "prompt must have at least one token, got none"),
    "empty list": ([], "prompt must have at least one token, got []"),
    "empty sequence in a list": ([[1], []], "prompt must have at least one token, got none"),
    "nothing": (None, "prompt must be a text, a sequence of tokens or a list of them, got None"),
    "a number": (3, "prompt must be a text, a sequence of tokens or a list of them, got 3"),
    "bytes": (b"ab", "prompt must be a text, a sequence of tokens or a list of them, got b'ab'"),
    "mixed": (["a", [1]], "prompt must be texts or tokens, not both in one list, got ['a', [1]]"),
    "floats": ([1.0, 2.5], "prompt must hold integers, got 1.0"),
    "booleans": ([[True]], "prompt must hold integers, got True"),
    "three axes": ([[[1, 2]]], "prompt must have one axis, got tokens of shape (1, 2)"),
    "unknown character": ("cab!", "'!'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_prompts_that_are_not_valid_are_named(name):
    given, message = WRONG[name]
    with pytest.raises(ValueError, match=re.escape(message)):
        prompts.read(given, 5, TOKENIZER, longest=8)


def test_a_text_needs_a_tokenizer():
    with pytest.raises(
        ValueError, match="prompt must be tokens for a model without a tokenizer, got the text 'a'"
    ):
        prompts.read("a", 5)


def test_a_text_needs_the_tokenizer_of_the_model_itself():
    message = "tokenizer must have the 6 tokens of the model, got <CharacterTokenizer of 5 tokens>"
    with pytest.raises(ValueError, match=message):
        prompts.read("a", 6, TOKENIZER)


SETTINGS = {
    "temperature": (-0.5, "temperature must be a nonnegative finite number, got -0.5"),
    "max_new_tokens": (0, "max_new_tokens must be an integer of at least 1, got 0"),
    "top_p": (0.0, "top_p must be a number in (0, 1], got 0.0"),
    "top_k": (0, "top_k must be an integer from 1 to 5, got 0"),
    "beam": (0, "beam must be an integer of at least 1, got 0"),
    "seed": (-1, "seed must be an integer of at least 0, got -1"),
    "stop": ([], "stop must have at least one token, got []"),
}
MORE = [
    ({"top_p": 1.1}, "top_p must be a number in (0, 1], got 1.1"),
    ({"top_k": 6}, "top_k must be an integer from 1 to 5, got 6"),
    ({"stop": [[1], [7]]}, "stop must hold tokens in 0 to 4, got 7"),
    ({"beam": 2, "top_k": 9}, "top_k must be an integer from 1 to 5, got 9"),
    ({"beam": 2, "top_k": 3}, "top_k must be left out for a beam search, which does not draw, got 3"),
    (
        {"beam": 2, "temperature": 0.5},
        "temperature must be left out for a beam search, which does not draw, got 0.5",
    ),
    (
        {"beam": 2, "max_new_tokens": 7},
        "max_new_tokens must be at most 6 for a beam search in a context of 8, got 7",
    ),
]


def test_settings_of_generation_that_are_not_valid_are_named(make_model):
    model = make_model(num_layers=1)
    cases = [({name: value}, message) for name, (value, message) in SETTINGS.items()]
    for settings, message in cases + MORE:
        with pytest.raises(ValueError, match=re.escape(message)):
            model.generate([1, 2], **settings)
        if "beam" not in settings:
            with pytest.raises(ValueError, match=re.escape(message)):
                model.stream([1, 2], **settings)
    for every in (0, 1.5):
        with pytest.raises(ValueError, match=f"every must be an integer of at least 1, got {every}"):
            model.stream([1, 2], every=every)
    with pytest.raises(ValueError, match="prompt must be one text or sequence of tokens, got 2"):
        model.stream([[1], [2]])
