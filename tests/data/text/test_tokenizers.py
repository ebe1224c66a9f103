"""Tokenizers against hand-made tokens, exact round trips and their JSON."""

import collections
import itertools
import json

import numpy as np
import pytest

from curvezoo.data import text
from curvezoo.data.text import BytePairTokenizer, CharacterTokenizer, WordTokenizer, topics

UNICODE = "naïve ßé 𝄞 – “x”\n\n  <|end|>\t a\r\n 12345\x00"


@pytest.fixture(scope="module")
def byte_pairs():
    return BytePairTokenizer.train(topics.text(), 600)


def learned_merges(text, count):
    """Byte-pair encoding by definition, for lower-case words: the most frequent pair is merged first."""
    words = collections.Counter(text.split(" "))
    splits = {word: list(word) for word in words}
    merges = []
    for _ in range(count):
        pairs = collections.Counter()
        for word, parts in splits.items():
            for pair in itertools.pairwise(parts):
                pairs[pair] += words[word]
        best, _ = pairs.most_common(1)[0]
        merges.append(" ".join(best))
        for word, parts in splits.items():
            merged = []
            for part in parts:
                if merged and (merged[-1], part) == best:
                    merged[-1] += part
                else:
                    merged.append(part)
            splits[word] = merged
    return merges


def test_characters_are_numbered_by_their_place_in_the_alphabet():
    tokenizer = CharacterTokenizer("ba\n𝄞")
    tokens = tokenizer.encode("ab𝄞\nb")
    assert tokens.tolist() == [1, 0, 3, 2, 0] and tokens.dtype == np.int32
    assert tokenizer.decode(tokens) == "ab𝄞\nb" and tokenizer.size == 4


def test_characters_of_a_long_text_are_restored():
    whole = topics.text() * 3
    tokenizer = CharacterTokenizer(text.spec("text").tokenizer.alphabet)
    assert tokenizer.decode(tokenizer.encode(whole)) == whole


def test_reserved_tokens_come_first_and_are_not_decoded():
    for plain, reserved in (
        (CharacterTokenizer("abc "), CharacterTokenizer("abc ", reserved=3)),
        (WordTokenizer(["a", "cab"]), WordTokenizer(["a", "cab"], reserved=3)),
        (BytePairTokenizer(["a b"]), BytePairTokenizer(["a b"], reserved=3)),
    ):
        assert reserved.size == plain.size + 3 and reserved != plain
        np.testing.assert_array_equal(reserved.encode("cab a"), plain.encode("cab a") + 3)
        assert reserved.decode([1, *reserved.encode("cab a"), 2, 0, 0]) == "cab a"


def test_several_texts_are_encoded_as_each_alone(byte_pairs):
    texts = ["the cat", "", "a\nb", "with the class statement"]
    for tokenizer in (CharacterTokenizer(text.spec("text").tokenizer.alphabet, 3), byte_pairs):
        together = tokenizer.encode_all(texts)
        assert [tokens.tolist() for tokens in together] == [tokenizer.encode(t).tolist() for t in texts]
    assert byte_pairs.encode_all([]) == []


def test_words_are_numbered_by_frequency_and_the_others_are_unknown():
    tokenizer = WordTokenizer.train("b a c\nb a\nb <unk>\n", vocabulary=4)
    assert tokenizer.words == ("<eos>", "b", "a", "<unk>")
    assert tokenizer.encode("a c\nb").tolist() == [2, 3, 0, 1]
    assert tokenizer.decode([2, 3, 0, 0, 1]) == "a <unk>\n\nb"
    assert WordTokenizer.train("b a c\nb a\nb <unk>\n").size == 5


def test_special_words_that_are_missing_come_first():
    assert WordTokenizer(["a", "<eos>"]).words == ("<unk>", "a", "<eos>")


def test_merges_are_those_of_the_definition():
    # No two pairs are equally frequent, since the order of such pairs is a matter of convention.
    words = ["ab"] * 10 + ["cd"] * 7 + ["abcd"] * 5 + ["ef"] * 3 + ["cdef"]
    tokenizer = BytePairTokenizer.train(words, 256 + 5)
    expected = ["a b", "c d", "ab cd", "e f", "cd ef"]
    assert list(tokenizer.merges) == learned_merges(" ".join(words), 5) == expected
    assert tokenizer.encode("abcdefab").tolist() == [258, 259, 256]


def test_byte_pairs_restore_any_text(byte_pairs):
    assert byte_pairs.size == 600
    for whole in (topics.text(), UNICODE, ""):
        assert byte_pairs.decode(byte_pairs.encode(whole)) == whole
    assert len(byte_pairs.encode(topics.text())) < 0.5 * len(topics.text())


def test_training_byte_pairs_again_gives_the_same_tokenizer(byte_pairs):
    assert BytePairTokenizer.train(topics.text(), 600) == byte_pairs


def test_json_restores_an_equal_tokenizer(byte_pairs):
    for tokenizer in (CharacterTokenizer("a\n\"𝄞'", 3), WordTokenizer(["é", "b"]), byte_pairs):
        restored = text.tokenizer_from_json(tokenizer.to_json())
        assert restored == tokenizer and hash(restored) == hash(tokenizer)
        assert restored.decode(restored.encode("a" if tokenizer.kind != "words" else "b")) in "ab"
        np.testing.assert_array_equal(restored.encode("\n"), tokenizer.encode("\n"))
    assert CharacterTokenizer("ab") != CharacterTokenizer("ba") != WordTokenizer(["b", "a"])


def test_unknown_characters_are_named():
    with pytest.raises(ValueError, match=r"3 characters, got 'é', '\\t', '𝄞'; valid are 'a' to 'c'"):
        CharacterTokenizer("abc").encode("aé\té𝄞")
    with pytest.raises(ValueError, match=r"got 'A', 'B', 'C', 'D', 'E' and 2 more; valid are '\\n', 'x'"):
        CharacterTokenizer("x\n").encode("ABCDEFG")


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([0, 3], r"ids\[1\] must be a token from 0 to 2, got 3"),
        ([-1], r"ids\[0\] must be a token from 0 to 2, got -1"),
        ([0.0], r"ids must be a list of integers, got shape \(1,\) of dtype float64"),
        ([[0]], r"ids must be a list of integers, got shape \(1, 1\)"),
    ],
)
def test_tokens_out_of_range_are_rejected(ids, message):
    with pytest.raises(ValueError, match=message):
        CharacterTokenizer("abc").decode(ids)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CharacterTokenizer("aba"), "alphabet must not repeat a character, got 'a' more than once"),
        (lambda: CharacterTokenizer(""), "alphabet must be a string of characters, got ''"),
        (lambda: WordTokenizer(["a", "a"]), "words must not repeat a word, got 'a' more than once"),
        (lambda: WordTokenizer(["a b"]), "words must be without white space and not empty, got 'a b'"),
        (lambda: WordTokenizer("ab"), "words must be a list of strings, got 'ab'"),
        (lambda: WordTokenizer.train("a b", 2), "vocabulary must be an integer of at least 3, got 2"),
        (lambda: BytePairTokenizer(["a bc"]), "merges must be pairs of known tokens .* got 'a bc'"),
        (
            lambda: BytePairTokenizer.train("a", 258, reserved=3),
            "vocabulary must be an integer of at least 259, got 258",
        ),
        (lambda: BytePairTokenizer([]).encode("\ud800"), "must be valid Unicode, got the lone surrogate"),
        (lambda: CharacterTokenizer("a").encode(b"a"), "text must be a string, got b'a'"),
        (lambda: text.tokenizer_from_json("{"), "text must be the JSON of a tokenizer, got '{'"),
        (lambda: text.tokenizer_from_json('{"kind": "byte"}'), "kind must be one of characters, words, bpe"),
        (
            lambda: text.tokenizer_from_json(json.dumps({"kind": "bpe"})),
            "JSON of a tokenizer of bpe: .*merges",
        ),
    ],
)
def test_an_error_names_the_wrong_argument(make, message):
    with pytest.raises(ValueError, match=message):
        make()
