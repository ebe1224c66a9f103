"""Oracles: numpy.linalg.svd, and texts made of topics and of interchangeable words."""

import re

import numpy as np
import pytest

from curvezoo.zoo.embedding import counts, latent_semantic_analysis, ppmi_vectors, weights

TOPICS = ("sun star moon comet", "fish crab whale squid", "oak elm fir ash")


@pytest.fixture(scope="module")
def topical():
    """60 documents of 3 topics in turn, each of 12 random words of its topic."""
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(TOPICS[n % 3].split(), 12)) for n in range(60)]


@pytest.fixture(scope="module")
def mixed():
    """30 documents of random words of all topics, whose singular values are all different."""
    rng = np.random.default_rng(1)
    return [" ".join(rng.choice(" ".join(TOPICS).split(), 9)) for _ in range(30)]


def topic_of(word):
    return next(n for n, topic in enumerate(TOPICS) if word in topic.split())


def test_vectors_are_the_principal_components_of_the_ppmi_matrix(mixed):
    vectors = ppmi_vectors(mixed, 5, window=3, min_count=2, smoothing=0.9)
    documents = counts.documents(mixed)
    words = counts.vocabulary(documents, 2)
    matrix = weights.ppmi(counts.cooccurrences(documents, words, 3), 0.9).toarray()
    left, values, _ = np.linalg.svd(matrix)
    assert vectors.words == words
    best = (left[:, :5] * values[:5]) @ (left[:, :5] * values[:5]).T
    np.testing.assert_allclose(vectors.vectors @ vectors.vectors.T, best, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(vectors.vectors, axis=0), values[:5], rtol=1e-9)


def test_singular_values_that_decay_slowly_are_exact():
    # For such a matrix, the randomized algorithm with its usual iterations is not exact.
    words = [a + b for a in "abcdefghijklmnopqrst" for b in "abcdefghij"]
    text = " ".join(np.random.default_rng(0).choice(words, 4000))
    documents = counts.documents(text)
    matrix = weights.ppmi(counts.cooccurrences(documents, counts.vocabulary(documents, 1), 2)).toarray()
    vectors = ppmi_vectors(text, 40, min_count=1).vectors
    values = np.linalg.svd(matrix, compute_uv=False)[:40]
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=0), values, rtol=1e-9)


@pytest.mark.parametrize("weighting", list(weights.WEIGHTINGS))
def test_analysis_is_the_best_approximation_of_the_weighted_counts(mixed, weighting):
    analysis = latent_semantic_analysis(mixed, 6, weighting=weighting, min_count=1)
    counted = counts.occurrences(counts.documents(mixed), analysis.words.words)
    chosen = weights.WEIGHTINGS[weighting]
    matrix = weights.weigh(counted, chosen.local, chosen.of_words(counted)).toarray()
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    best = (left[:, :6] * values[:6]) @ right[:6]
    np.testing.assert_allclose(analysis.axes @ analysis.documents.T, best, atol=1e-9)
    np.testing.assert_allclose(analysis.singular_values, values[:6], rtol=1e-9)
    np.testing.assert_allclose(analysis.words.vectors, analysis.axes * values[:6], atol=1e-9)


def test_analysis_separates_topics_exactly(topical):
    analysis = latent_semantic_analysis(topical, 3, weighting="tf_idf", min_count=1)
    for word in analysis.words.words:
        found = analysis.words.nearest(word, n=11)
        assert {topic_of(near) for near, _ in found[:3]} == {topic_of(word)}
        # One dimension for each topic: words of the same topic are parallel, others orthogonal.
        np.testing.assert_allclose([cosine for _, cosine in found], [1] * 3 + [0] * 8, atol=1e-9)


def test_a_query_finds_the_documents_of_its_topic_even_without_a_common_word(topical):
    analysis = latent_semantic_analysis(["sun star", "star moon", "crab fish", "fish squid"], 2, min_count=1)
    assert [index for index, _ in analysis.nearest_documents("Sun", n=2)] == [0, 1]
    analysis = latent_semantic_analysis(topical, 3, min_count=1)
    found = analysis.nearest_documents("the whale and the squid", n=20)
    assert {index % 3 for index, _ in found} == {1}


def test_a_document_as_query_has_its_own_vector(mixed):
    analysis = latent_semantic_analysis(mixed, 4, min_count=1)
    for index in (0, 17):
        np.testing.assert_allclose(analysis.embed(mixed[index]), analysis.documents[index], atol=1e-9)


def test_words_with_the_same_neighbors_are_nearest_even_if_they_never_meet():
    rng = np.random.default_rng(2)
    patterns = ("the cat|dog sleeps", "a red|blue car", "we eat|drink here", "old tom|ann sang")
    sentences = [re.sub(r"(\w+)\|(\w+)", rf"\{rng.integers(1, 3)}", p) for p in patterns for _ in range(25)]
    vectors = ppmi_vectors(sentences, 8, window=1, min_count=3)
    for one, other in (("cat", "dog"), ("red", "blue"), ("eat", "drink"), ("tom", "ann")):
        assert vectors.nearest(one, n=1)[0][0] == other


def test_equal_seeds_give_equal_vectors(mixed):
    one, same = (ppmi_vectors(mixed, 4, min_count=1, seed=5).vectors for _ in range(2))
    np.testing.assert_array_equal(one, same)
    other = ppmi_vectors(mixed, 4, min_count=1, seed=6).vectors
    np.testing.assert_allclose(one, other, atol=1e-9)


def test_errors_name_the_argument_and_its_limits(mixed):
    for call, message in (
        (lambda: ppmi_vectors(mixed, 12, min_count=1), "dimensions must be an integer from 1 to 11, got 12"),
        (lambda: ppmi_vectors(mixed, 0, min_count=1), "dimensions must be an integer from 1 to 11, got 0"),
        (lambda: ppmi_vectors(mixed, 2, min_count=1, seed=-1), "seed must be an integer of at least 0"),
        (lambda: ppmi_vectors("", 2), "at least two words"),
        (
            lambda: latent_semantic_analysis(mixed[:5], 5, min_count=1),
            "dimensions must be an integer from 1 to 4",
        ),
        (
            lambda: ppmi_vectors(["cat", "dog", "cow"], 1, min_count=1),
            "a list is one of documents, not of words",
        ),
        (lambda: latent_semantic_analysis("one document", 1), "at least two documents with words, got 1"),
        (lambda: latent_semantic_analysis(mixed, 2, weighting="tfidf"), "did you mean 'tf_idf'"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    analysis = latent_semantic_analysis(mixed, 2, min_count=1)
    with pytest.raises(ValueError, match="text must have at least one of the 12 words that have a vector"):
        analysis.embed("nothing known")
    with pytest.raises(ValueError, match="text must be a string, got 3"):
        analysis.nearest_documents(3)
