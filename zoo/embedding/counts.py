"""Words of a text and how often they occur: in documents, and near each other.

Legend: V words, N documents.
"""

import collections
import re

import numpy as np
from scipy import sparse

from ... import arguments

# Letters, with single hyphens, underscores and apostrophes between them; digits separate words.
_WORD = re.compile(r"[^\W\d_]+(?:[-_'’][^\W\d_]+)*")
_PARAGRAPH = re.compile(r"\n\s*\n")


def split_words(text):
    """Returns the words of a text in order, in lower case and without a possessive 's.

    Args:
        text: A string.

    Returns:
        A list of strings.

    Example:
        >>> from curvezoo.zoo.embedding.counts import split_words
        >>> split_words("An object's built-in __getitem__ (3.11)")
        ['an', 'object', 'built-in', 'getitem']
    """
    words = (word.replace("’", "'").removesuffix("'s") for word in _WORD.findall(text.lower()))
    return [word for word in words if word]


def documents(text):
    """Returns the words of each document.

    Args:
        text: A string, whose paragraphs are the documents, with empty lines between them; or an iterable of
            documents, each a string.

    Returns:
        A list of lists of words, one for each document that has words.

    Raises:
        ValueError: If `text` is neither.
    """
    parts = _PARAGRAPH.split(text) if isinstance(text, str) else text
    try:
        parts = list(parts)
    except TypeError:
        raise ValueError(
            f"text must be a string or a list of strings, got {arguments.described(text)}"
        ) from None
    for index, part in enumerate(parts):
        if not isinstance(part, str):
            raise ValueError(f"text[{index}] must be a string, got {arguments.described(part)}")
    return [words for words in map(split_words, parts) if words]


def vocabulary(documents, min_count):
    """Returns the words that occur at least `min_count` times, the most frequent first.

    Words that occur equally often are in alphabetical order.

    Args:
        documents: Lists of words.
        min_count: Least number of occurrences.

    Returns:
        A tuple of V words.

    Raises:
        ValueError: If `min_count` is not a positive integer, or fewer than two words occur as often.
    """
    min_count = arguments.integer("min_count", min_count, 1)
    counts = collections.Counter(word for document in documents for word in document)
    frequent = [word for word, count in counts.items() if count >= min_count]
    if len(frequent) < 2:
        raise ValueError(
            f"text must have at least two words that occur min_count={min_count} times, got {len(frequent)}"
        )
    return tuple(sorted(frequent, key=lambda word: (-counts[word], word)))


def occurrences(documents, words):
    """Counts the words of each document.

    Args:
        documents: N lists of words.
        words: The V words to count.

    Returns:
        Counts [V, N], a sparse array of float64.
    """
    lengths = [len(document) for document in documents]
    rows, columns = _rows(documents, words), np.repeat(np.arange(len(documents)), lengths)
    counted = rows >= 0
    return _count(rows[counted], columns[counted], None, (len(words), len(documents)))


def cooccurrences(documents, words, window):
    """Counts pairs of words that stand near each other in a document.

    Two words at distance d from 1 to `window` count 1 / d for each other (Pennington et al., 2014). Words
    that are not counted keep their places. The result is symmetric.

    Args:
        documents: Lists of words.
        words: The V words to count.
        window: Largest distance between two words, in words.

    Returns:
        Counts [V, V], a sparse array of float64.

    Raises:
        ValueError: If `window` is not a positive integer.

    References:
        Pennington, Socher and Manning, "GloVe: Global vectors for word representation", EMNLP (2014) 1532.
    """
    window = arguments.integer("window", window, 1)
    # Places without a word between the documents keep the windows within them.
    rows = _rows([[*document, *[None] * window] for document in documents], words)
    left, right, weights = [], [], []
    for distance in range(1, window + 1):
        first, second = rows[:-distance], rows[distance:]
        counted = (first >= 0) & (second >= 0)
        left.append(first[counted])
        right.append(second[counted])
        weights.append(np.full(counted.sum(), 1 / distance))
    counts = _count(*map(np.concatenate, (left, right, weights)), (len(words), len(words)))
    return (counts + counts.T).tocsr()


def _rows(documents, words):
    """Returns the places in `words` of all words of the documents in one array, -1 for other words."""
    places = {word: row for row, word in enumerate(words)}
    return np.array([places.get(word, -1) for document in documents for word in document], np.int64)


def _count(rows, columns, weights, shape):
    weights = np.ones(len(rows)) if weights is None else weights
    return sparse.coo_array((weights, (rows, columns)), shape).tocsr()
