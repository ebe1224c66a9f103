"""Oracles: brute-force loops, the mutual information of theory/, and scikit-learn's tf-idf."""

import math

import numpy as np
import pytest
from scipy import sparse
from sklearn.feature_extraction.text import TfidfTransformer

from curvezoo.theory import information
from curvezoo.zoo.embedding import weights


@pytest.fixture(scope="module")
def table():
    """Counts of which a third are zero."""
    rng = np.random.default_rng(1)
    return rng.integers(1, 9, (7, 5)) * (rng.random((7, 5)) > 0.3).astype(float)


@pytest.mark.parametrize("smoothing", [0.75, 1.0])
def test_ppmi_equals_a_loop_over_pairs(smoothing):
    rng = np.random.default_rng(2)
    counts = rng.poisson(1.0, (6, 6)).astype(float)
    counts += counts.T
    total = counts.sum()
    powers = [(counts[:, j].sum() / total) ** smoothing for j in range(6)]
    expected = np.zeros((6, 6))
    for i in range(6):
        for j in range(6):
            if counts[i, j] > 0:
                joint, word, context = counts[i, j] / total, counts[i].sum() / total, powers[j] / sum(powers)
                expected[i, j] = max(0.0, math.log(joint / (word * context)))
    result = weights.ppmi(sparse.csr_array(counts), smoothing)
    np.testing.assert_allclose(result.toarray(), expected, rtol=1e-12, atol=1e-12)
    assert result.data.min() > 0


def test_mean_pointwise_mutual_information_is_the_mutual_information():
    # Equal diagonal blocks: pairs within a block have PMI log 2, and no pair has a negative one.
    counts = np.kron(np.eye(2), np.full((3, 3), 2.0))
    joint = counts / counts.sum()
    mean = np.sum(joint * weights.ppmi(sparse.csr_array(counts), 1.0).toarray())
    assert mean == pytest.approx(information.mutual_information(joint), abs=1e-12)
    assert mean == pytest.approx(math.log(2), abs=1e-12)


@pytest.mark.parametrize("smoothing", [0, 1.5])
def test_a_smoothing_outside_its_interval_is_an_error(smoothing):
    with pytest.raises(ValueError, match=r"smoothing must be a number in \(0, 1\]"):
        weights.ppmi(sparse.csr_array(np.eye(2)), smoothing)


def test_entropy_weights_are_one_minus_the_normalized_entropy_of_the_documents(table):
    expected = 1 - information.entropy(table / table.sum(axis=1, keepdims=True)) / math.log(5)
    np.testing.assert_allclose(weights.entropy_weights(sparse.csr_array(table)), expected, atol=1e-12)


def test_a_word_of_one_document_has_weight_one_and_an_even_word_zero():
    counts = sparse.csr_array([[0.0, 3.0, 0.0], [2.0, 2.0, 2.0]])
    np.testing.assert_allclose(weights.entropy_weights(counts), [1.0, 0.0], atol=1e-12)


def test_tf_idf_is_that_of_scikit_learn(table):
    weighting = weights.WEIGHTINGS["tf_idf"]
    counts = sparse.csr_array(table)
    result = weights.weigh(counts, weighting.local, weighting.of_words(counts))
    expected = TfidfTransformer(norm=None, sublinear_tf=True).fit_transform(table.T).T
    np.testing.assert_allclose(result.toarray(), expected.toarray(), rtol=1e-12)


def test_log_entropy_is_the_logarithm_of_the_counts_times_the_weights_of_words(table):
    weighting = weights.WEIGHTINGS["log_entropy"]
    result = weights.weigh(sparse.csr_array(table), weighting.local, np.arange(1.0, 8.0))
    np.testing.assert_allclose(result.toarray(), np.log1p(table) * np.arange(1, 8)[:, None], rtol=1e-12)
