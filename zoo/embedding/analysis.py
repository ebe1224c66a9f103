"""Word vectors and latent semantic analysis: truncated SVD of weighted counts of words (Sec. 7.1).

The two differ in which words count as correlated. `latent_semantic_analysis` takes words that occur in the
same documents, so that its neighbors share a topic (*float* and *precision*). `ppmi_vectors` takes words that
have the same words next to them, so that its neighbors can replace each other (*float* and *complex*). Both
decompose a matrix A, whose rows belong to words, as

    A ≈ U diag(s) W^T,    with the singular values s_1 >= s_2 >= ... >= s_D,

and represent word i by row i of U diag(s). These are its principal components without subtraction of the
mean, which would make A dense. They have the least squared error of A that D dimensions allow (Eckart and
Young, 1936).

Legend: V words, N documents, D dimensions.
"""

from dataclasses import dataclass

import numpy as np
import threadpoolctl
from sklearn.decomposition import TruncatedSVD

from ... import arguments
from . import counts, weights
from .word_vectors import WordVectors


def ppmi_vectors(text, dimensions=100, *, window=2, min_count=5, smoothing=0.75, seed=0):
    """Returns word vectors from the words near each word.

    They are the principal components of the matrix of positive pointwise mutual information (PPMI) of all
    pairs of words that occur at most `window` words apart in a document; see `weights.ppmi` for its equation.

    Args:
        text: A string, whose paragraphs are the documents, with empty lines between them; or an iterable of
            documents, each a string.
        dimensions: Number D of dimensions, less than V.
        window: Largest distance between two words that count as near; two words at distance d count 1 / d.
        min_count: Least number of occurrences of a word that gets a vector.
        smoothing: Exponent of the probabilities of context words.
        seed: Seed of the solver's start; it affects rounding errors only, unless singular values coincide.

    Returns:
        A `WordVectors` of V words in lower case, the most frequent first.

    Raises:
        ValueError: If an argument is not valid, fewer than two words occur `min_count` times, or no two words
            are near each other, as in a list of words.

    References:
        Bullinaria and Levy, "Extracting semantic representations from word co-occurrence statistics: A
        computational study", Behavior Research Methods 39 (2007) 510.
        Levy, Goldberg and Dagan, "Improving distributional similarity with lessons learned from word
        embeddings", TACL 3 (2015) 211.

    Example:
        >>> from curvezoo.zoo.embedding import ppmi_vectors
        >>> text = ["the cat sleeps", "the dog sleeps", "a red car", "a blue car"]
        >>> vectors = ppmi_vectors(text, dimensions=4, window=1, min_count=1)
        >>> vectors.nearest("cat", n=1)[0][0]
        'dog'
    """
    documents = counts.documents(text)
    words = counts.vocabulary(documents, min_count)
    matrix = weights.ppmi(counts.cooccurrences(documents, words, window), smoothing)
    if not matrix.nnz:
        raise ValueError(
            "text must be documents with words that are near each other more often than by chance, got none; "
            "a list is one of documents, not of words"
        )
    scores, _, _ = _decompose(matrix, dimensions, seed)
    return WordVectors(words, scores)


@dataclass(frozen=True)
class LatentSemanticAnalysis:
    """Words and documents in the same space of D dimensions.

    Args:
        words: The `WordVectors`: U diag(s), [V, D].
        documents: Vectors of the documents, W diag(s), [N, D].
        singular_values: Singular values s, [D], the largest first.
        axes: The axes U of the space, [V, D]: the weight of each word in each dimension.
        weighting: Name of the weighting of counts.
        word_weights: Weights of the words in this weighting, [V].
    """

    words: WordVectors
    documents: np.ndarray
    singular_values: np.ndarray
    axes: np.ndarray
    weighting: str
    word_weights: np.ndarray

    def embed(self, text):
        """Returns the vector of a text, as if it were a document.

        A document that was analyzed gets its vector in `documents` again.

        Args:
            text: A string; words without a vector are ignored.

        Returns:
            The vector, [D].

        Raises:
            ValueError: If `text` is not a string, or none of its words has a vector.
        """
        if not isinstance(text, str):
            raise ValueError(f"text must be a string, got {arguments.described(text)}")
        counted = counts.occurrences([counts.split_words(text)], self.words.words)
        if not counted.nnz:
            raise ValueError(
                f"text must have at least one of the {len(self.words):,} words that have a vector, got "
                f"{arguments.described(text)}"
            )
        weighted = weights.weigh(counted, weights.WEIGHTINGS[self.weighting].local, self.word_weights)
        return (weighted.T @ self.axes)[0]

    def nearest_documents(self, text, n=10):
        """Returns the documents with the largest cosine with a text.

        A document can be near without sharing a word with the text.

        Args:
            text: A string, as for `embed`.
            n: Number of documents to return; fewer if there are no more.

        Returns:
            A list of (index of the document, cosine), the nearest first.

        Raises:
            ValueError: As for `embed`, or if `n` is not a positive integer.
        """
        names = [str(index) for index in range(len(self.documents))]
        found = WordVectors(names, self.documents).nearest_to(self.embed(text), n)
        return [(int(index), cosine) for index, cosine in found]


def latent_semantic_analysis(text, dimensions=50, *, weighting="log_entropy", min_count=5, seed=0):
    """Returns vectors of words and documents from the words of each document.

    They are the principal components of the weighted matrix of words and documents, [V, N].

    Args:
        text: A string, whose paragraphs are the documents, with empty lines between them; or an iterable of
            documents, each a string. Documents without words are left out.
        dimensions: Number D of dimensions, less than V and N.
        weighting: `log_entropy`, log(1 + n) times one minus the normalized entropy of a word's documents; or
            `tf_idf`, (1 + log(n)) times the inverse document frequency.
        min_count: Least number of occurrences of a word that gets a vector.
        seed: Seed of the solver's start; it affects rounding errors only, unless singular values coincide.

    Returns:
        A `LatentSemanticAnalysis`.

    Raises:
        ValueError: If an argument is not valid, there are fewer than two documents, or fewer than two words
            occur `min_count` times.

    References:
        Deerwester, Dumais, Furnas, Landauer and Harshman, "Indexing by latent semantic analysis", Journal of
        the American Society for Information Science 41 (1990) 391.
    """
    arguments.one_of("weighting", weighting, weights.WEIGHTINGS)
    documents = counts.documents(text)
    if len(documents) < 2:
        raise ValueError(f"text must have at least two documents with words, got {len(documents)}")
    words = counts.vocabulary(documents, min_count)
    counted = counts.occurrences(documents, words)
    chosen = weights.WEIGHTINGS[weighting]
    word_weights = chosen.of_words(counted)
    matrix = weights.weigh(counted, chosen.local, word_weights)
    scores, singular_values, right = _decompose(matrix.T.tocsr(), dimensions, seed)
    vectors = WordVectors(words, right * singular_values)
    return LatentSemanticAnalysis(vectors, scores, singular_values, right, weighting, word_weights)


def _decompose(matrix, dimensions, seed):
    """Returns (U diag(s), s, W) of the truncated decomposition of a sparse matrix."""
    dimensions = arguments.integer("dimensions", dimensions, 1, min(matrix.shape) - 1)
    # ARPACK is exact to rounding; the randomized algorithm is not, because these spectra decay slowly.
    svd = TruncatedSVD(dimensions, algorithm="arpack", random_state=arguments.seed("seed", seed))
    # ARPACK makes many small BLAS calls, which several threads slow down where other work keeps a core busy.
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        scores = svd.fit_transform(matrix)
    return scores, svd.singular_values_, svd.components_.T
