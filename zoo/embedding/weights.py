"""Weights of counts: pointwise mutual information, log-entropy and tf-idf.

Legend: V words, N documents.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.special import xlogy

from ... import arguments


def ppmi(counts, smoothing=0.75):
    """Returns the positive pointwise mutual information of words and the words near them.

    With the counts n_ij, p(i, j) = n_ij / sum n, p(i) = sum_j p(i, j) and q(j) ~ p(j)^smoothing, normalized,

        PPMI_ij = max(0, log(p(i, j) / (p(i) q(j)))).

    The expected value of the logarithm, for `smoothing` 1 and without the maximum, is the mutual information
    of the two words (Eq. 2.5.3). A smoothing below 1 lowers the large values that rare words have by chance.

    Args:
        counts: Counts n [V, V], a sparse array without negative entries.
        smoothing: Exponent of the probabilities of context words, above 0 and at most 1.

    Returns:
        A sparse array [V, V], in nats.

    References:
        Church and Hanks, "Word association norms, mutual information, and lexicography", Computational
        Linguistics 16 (1990) 22.
        Levy, Goldberg and Dagan, "Improving distributional similarity with lessons learned from word
        embeddings", TACL 3 (2015) 211.
    """
    smoothing = arguments.number("smoothing", smoothing, 0, 1, bounds="(]")
    counts = sparse.coo_array(counts)
    word = counts.sum(axis=1)
    context = counts.sum(axis=0) ** smoothing
    context /= context.sum() or 1.0
    values = np.log(counts.data / (word[counts.row] * context[counts.col]))
    positive = values > 0
    entries = values[positive], (counts.row[positive], counts.col[positive])
    return sparse.coo_array(entries, counts.shape).tocsr()


@dataclass(frozen=True)
class Weighting:
    """A weighting of the matrix of words and documents: L(n_ij) G_i for a count n_ij > 0, otherwise 0.

    Args:
        local: The function L of positive counts.
        of_words: Function from counts [V, N] to the weights G of words, [V].
    """

    local: Callable
    of_words: Callable


def entropy_weights(counts):
    """Returns the weights of words of log-entropy weighting.

    G_i = 1 + sum_j p_ij log(p_ij) / log(N) with p_ij = n_ij / sum_j n_ij: one minus the entropy of the
    documents in which the word occurs, in units of its largest value (Eq. 2.1.4). It is 1 for a word of a
    single document and 0 for a word that is spread evenly.

    Args:
        counts: Counts n [V, N], a sparse array.

    Returns:
        Weights [V] from 0 to 1.

    References:
        Dumais, "Improving the retrieval of information from external sources", Behavior Research Methods,
        Instruments, & Computers 23 (1991) 229.
    """
    counts = sparse.coo_array(counts)
    shares = counts.data / counts.sum(axis=1)[counts.row]
    entropies = np.bincount(counts.row, -xlogy(shares, shares), minlength=counts.shape[0])
    return np.maximum(1 - entropies / np.log(counts.shape[1]), 0.0)


def inverse_document_frequency(counts):
    """Returns the weights of words of tf-idf: G_i = 1 + log((1 + N) / (1 + N_i)), as in scikit-learn.

    Args:
        counts: Counts n [V, N], a sparse array; N_i is the number of documents with word i.

    Returns:
        Weights [V], at least 1.
    """
    in_documents = np.bincount(sparse.coo_array(counts).row, minlength=counts.shape[0])
    return 1 + np.log((1 + counts.shape[1]) / (1 + in_documents))


WEIGHTINGS = {
    "log_entropy": Weighting(np.log1p, entropy_weights),
    "tf_idf": Weighting(lambda counts: 1 + np.log(counts), inverse_document_frequency),
}
"""The weightings of latent semantic analysis by name."""


def weigh(counts, local, of_words):
    """Returns the weighted counts.

    Args:
        counts: Counts [V, N], a sparse array.
        local: The function of a `Weighting`.
        of_words: The weights of words, [V].

    Returns:
        A sparse array [V, N].
    """
    counts = sparse.coo_array(counts)
    entries = local(counts.data) * of_words[counts.row], (counts.row, counts.col)
    return sparse.coo_array(entries, counts.shape).tocsr()
