"""Oracles: scikit-learn's cosines, and vectors that are sums of known parts."""

import json

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from curvezoo.zoo.embedding import WordVectors


@pytest.fixture(scope="module")
def vectors():
    rng = np.random.default_rng(0)
    return WordVectors([f"word{n}" for n in range(30)], rng.standard_normal((30, 6)))


@pytest.fixture(scope="module")
def additive():
    """A word of each of 8 stems in each of 3 forms, whose vector is the stem's plus the form's."""
    stems, forms = np.split(np.eye(11), [8])
    words = [f"{stem}{form}" for form in ("", "s", "ed") for stem in "abcdefgh"]
    return WordVectors(words, [stem + form for form in forms for stem in stems])


def test_similarity_is_the_cosine(vectors):
    expected = cosine_similarity(vectors.vectors)
    for i, j in ((0, 1), (5, 5), (29, 3)):
        assert vectors.similarity(f"word{i}", f"word{j}") == pytest.approx(expected[i, j], abs=1e-12)


def test_nearest_words_have_the_largest_cosines_and_leave_out_the_word(vectors):
    cosines = cosine_similarity(vectors.vectors)[7]
    order = [row for row in np.argsort(-cosines) if row != 7]
    found = vectors.nearest("word7", n=4)
    assert [word for word, _ in found] == [f"word{row}" for row in order[:4]]
    np.testing.assert_allclose([cosine for _, cosine in found], cosines[order[:4]], atol=1e-12)
    assert len(vectors.nearest("word7", n=100)) == 29


def test_analogies_of_sums_of_stems_and_forms_are_exact(additive):
    forms = ("", "s", "ed")
    for before in forms:
        for after in forms:
            if before != after:
                (answer, cosine), *_ = additive.analogy(f"a{before}", f"a{after}", f"c{before}", n=1)
                assert answer == f"c{after}"
                # Vectors of equal length: the offset reaches the answer's direction exactly.
                assert cosine == pytest.approx(1.0, abs=1e-12)


def test_an_analogy_never_answers_with_a_given_word(additive):
    answers = [word for word, _ in additive.analogy("a", "as", "b", n=100)]
    assert len(answers) == 21
    assert not {"a", "as", "b"} & set(answers)


def test_lengths_of_vectors_change_no_analogy(additive):
    scale = np.random.default_rng(3).uniform(0.1, 10, (24, 1))
    scaled = WordVectors(additive.words, scale * additive.vectors)
    assert scaled.analogy("a", "as", "b", n=1)[0] == ("bs", pytest.approx(1.0, abs=1e-12))


def test_zero_tiny_and_huge_vectors_have_finite_cosines():
    vectors = WordVectors(["zero", "tiny", "huge"], [[0, 0], [3e-200, 4e-200], [4e200, -3e200]])
    assert vectors.similarity("zero", "tiny") == 0
    assert vectors.similarity("tiny", "huge") == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(vectors.unit, [[0, 0], [0.6, 0.8], [0.8, -0.6]], rtol=1e-12)


def test_a_word_gives_its_vector(vectors):
    np.testing.assert_array_equal(vectors["word3"], vectors.vectors[3])
    assert "word3" in vectors
    assert "word99" not in vectors
    assert (len(vectors), vectors.dimensions) == (30, 6)
    assert repr(vectors) == "<WordVectors of 30 words in 6 dimensions>"


def test_a_copy_of_the_vectors_is_kept_that_cannot_change():
    given = np.eye(2)
    vectors = WordVectors(["a", "b"], given)
    given[0] = 5
    np.testing.assert_array_equal(vectors.vectors, np.eye(2))
    with pytest.raises(ValueError, match="read-only"):
        vectors["a"][0] = 5


@pytest.mark.parametrize("name", ["vectors.npz", "without_suffix"])
def test_a_saved_file_loads_equal_words_and_vectors(tmp_path, name):
    words = ["naïve", "a\nb", "nul\0", '"']
    saved = WordVectors(words, np.random.default_rng(0).standard_normal((4, 3)))
    saved.save(tmp_path / name)
    loaded = WordVectors.load(tmp_path / name)
    assert loaded.words == tuple(words)
    np.testing.assert_array_equal(loaded.vectors, saved.vectors)
    with np.load(tmp_path / name, allow_pickle=False) as arrays:
        assert json.loads(str(arrays["words"])) == words


def test_a_file_without_word_vectors_is_an_error(tmp_path):
    bad = tmp_path / "bad.npz"
    for write in (
        lambda: bad.write_bytes(b""),
        lambda: bad.write_text("words"),
        lambda: np.savez(bad, words=np.array("[]")),
        lambda: np.savez(bad, words=np.array("no json"), vectors=np.eye(2)),
        lambda: np.savez(bad, words=np.array(["a", None], object), vectors=np.eye(2)),
    ):
        write()
        with pytest.raises(ValueError, match="path must be an NPZ file of word vectors"):
            WordVectors.load(bad)
    whole = tmp_path / "whole.npz"
    WordVectors(["a", "b"], np.eye(2)).save(whole)
    bad.write_bytes(whole.read_bytes()[:200])
    with pytest.raises(ValueError, match="path must be an NPZ file of word vectors"):
        WordVectors.load(bad)
    with np.load(whole) as arrays:
        np.save(bad.with_suffix(".npy"), arrays["vectors"])
    with pytest.raises(ValueError, match="path must be an NPZ file of word vectors"):
        WordVectors.load(bad.with_suffix(".npy"))
    with pytest.raises(FileNotFoundError):
        WordVectors.load(tmp_path / "missing.npz")


def test_unknown_words_are_all_named_with_words_of_similar_spelling():
    vectors = WordVectors(["king", "queen", "tuple"], np.eye(3))
    with pytest.raises(ValueError) as error:
        vectors.analogy("kign", "queen", "xyz")
    assert str(error.value) == (
        "Unknown word 'kign'; did you mean 'king'? Unknown word 'xyz'. The vocabulary has 3 words"
    )
    for call in (
        lambda: vectors.nearest("King"),
        lambda: vectors.similarity("king", "King"),
        lambda: vectors["King"],
        lambda: vectors.nearest_to(np.ones(3), exclude=["King"]),
    ):
        with pytest.raises(ValueError, match="Unknown word 'King'; did you mean 'king'"):
            call()
    with pytest.raises(ValueError, match="Unknown word 3"):
        vectors.nearest(3)


@pytest.mark.parametrize(
    ("words", "array", "message"),
    [
        ("ab", np.eye(2), "words must be a list of words, got 'ab'"),
        (["a", 2], np.eye(2), r"words\[1\] must be a word, got 2"),
        (["a", ""], np.eye(2), r"words\[1\] must be a word, got ''"),
        (["a", "b", "a"], np.eye(3), "words must be distinct, got 'a' more than once"),
        (["a", "b"], np.eye(3), r"vectors must have shape \(2, D\), one row per word, got \(3, 3\)"),
        (["a", "b"], np.ones((2, 0)), r"vectors must have shape \(2, D\)"),
        (["a"], [[np.nan]], r"vectors\[0, 0\] must be finite"),
    ],
)
def test_words_and_vectors_that_do_not_match_are_errors(words, array, message):
    with pytest.raises(ValueError, match=message):
        WordVectors(words, array)


def test_invalid_counts_and_vectors_are_errors(vectors):
    with pytest.raises(ValueError, match="n must be an integer of at least 1, got 0"):
        vectors.nearest("word1", n=0)
    with pytest.raises(ValueError, match=r"vector must have shape \(6,\), got \(5,\)"):
        vectors.nearest_to(np.ones(5))
