"""Oracles: brute-force loops over a made text."""

import numpy as np
import pytest

from curvezoo.zoo.embedding import counts


@pytest.fixture(scope="module")
def documents():
    """Random words in documents of random length, some of which are shorter than a window."""
    rng = np.random.default_rng(0)
    return [list(rng.choice(list("abcdefg"), size)) for size in (40, 1, 2, 25, 3, 60)]


def test_words_are_lower_case_with_inner_marks_and_without_possessives():
    text = "The built-in __getitem__ of Python’s dict, the object's key_error; don't 3.11 x86 -s 's naïve"
    expected = "the built-in getitem of python dict the object key_error don't x s s naïve"
    assert counts.split_words(text) == expected.split()


def test_paragraphs_are_documents():
    assert counts.documents("One two\nthree.\n\n123\n  \nFour") == [["one", "two", "three"], ["four"]]
    assert counts.documents(text for text in ("One two", "", "four\n\nfive")) == [
        ["one", "two"],
        ["four", "five"],
    ]


@pytest.mark.parametrize(
    ("text", "message"), [(7, "text must be a string"), (["a", None], r"text\[1\] must be")]
)
def test_a_text_that_is_no_text_is_an_error(text, message):
    with pytest.raises(ValueError, match=message):
        counts.documents(text)


def test_vocabulary_has_frequent_words_first_and_ties_in_alphabetical_order():
    documents = [["b", "a", "c", "d"], ["b", "c", "a", "b"]]
    assert counts.vocabulary(documents, 1) == ("b", "a", "c", "d")
    assert counts.vocabulary(documents, 2) == ("b", "a", "c")
    with pytest.raises(ValueError, match="at least two words that occur min_count=3 times, got 1"):
        counts.vocabulary(documents, 3)
    with pytest.raises(ValueError, match="min_count must be an integer of at least 1, got 0"):
        counts.vocabulary(documents, 0)


def test_occurrences_equal_a_count_of_each_word_in_each_document(documents):
    words = ("c", "a", "absent", "f")
    expected = [[document.count(word) for document in documents] for word in words]
    np.testing.assert_array_equal(counts.occurrences(documents, words).toarray(), expected)


@pytest.mark.parametrize("window", [1, 2, 5])
def test_cooccurrences_equal_a_loop_over_all_pairs_within_documents(documents, window):
    words = ("c", "a", "f", "g")
    expected = np.zeros((4, 4))
    for document in documents:
        for i, one in enumerate(document):
            for j, other in enumerate(document):
                if 0 < abs(i - j) <= window and one in words and other in words:
                    expected[words.index(one), words.index(other)] += 1 / abs(i - j)
    np.testing.assert_allclose(counts.cooccurrences(documents, words, window).toarray(), expected, rtol=1e-12)


def test_an_empty_window_is_an_error(documents):
    with pytest.raises(ValueError, match="window must be an integer of at least 1, got 0"):
        counts.cooccurrences(documents, ("a", "b"), 0)
