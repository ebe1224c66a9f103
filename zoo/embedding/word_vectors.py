"""Words as vectors: nearest words, similarities and analogies (Sec. 7.1).

Legend: V words, D dimensions.
"""

import json
import os
import zipfile

import numpy as np

from ... import arguments

_SUGGESTIONS = 3


class WordVectors:
    """Vectors of words, compared by the cosine of the angle between them.

    The cosine with a zero vector counts as 0.

    Args:
        words: The V distinct words.
        vectors: Their vectors, [V, D].

    Attributes:
        words: The words, a tuple.
        vectors: The vectors, [V, D], float64 and read-only.
        unit: The vectors scaled to length one, [V, D], float64 and read-only.

    Raises:
        ValueError: If the words are not distinct strings, or `vectors` is not V rows of finite numbers.

    Example:
        >>> from curvezoo.zoo.embedding import WordVectors
        >>> vectors = WordVectors(["cat", "cats", "dog", "dogs"], [[3, 0], [3, 1], [2, 0], [2, 1]])
        >>> vectors.nearest("cat", n=1)
        [('dog', 1.0)]
        >>> [word for word, _ in vectors.analogy("cat", "cats", "dog", n=1)]
        ['dogs']
    """

    def __init__(self, words, vectors):
        self.words = _check_words(words)
        self.vectors = arguments.finite("vectors", vectors, ndim=2).copy()
        if len(self.vectors) != len(self.words) or not self.vectors.size:
            raise ValueError(
                f"vectors must have shape ({len(self.words)}, D), one row per word, got {self.vectors.shape}"
            )
        self.unit = np.stack([_unit(vector) for vector in self.vectors])
        for array in (self.vectors, self.unit):
            array.setflags(write=False)
        self._rows = {word: row for row, word in enumerate(self.words)}

    @property
    def dimensions(self):
        """The number D of dimensions."""
        return self.vectors.shape[1]

    def __len__(self):
        return len(self.words)

    def __contains__(self, word):
        return word in self._rows

    def __getitem__(self, word):
        """Returns the vector of a word, [D]."""
        return self.vectors[self._find(word)[0]]

    def __repr__(self):
        return f"<WordVectors of {len(self)} words in {self.dimensions} dimensions>"

    def similarity(self, a, b):
        """Returns the cosine of the angle between the vectors of two words.

        Args:
            a: A word.
            b: A word.

        Returns:
            A number from -1 to 1.

        Raises:
            ValueError: If a word is unknown; the message suggests words of similar spelling.
        """
        a, b = self.unit[self._find(a, b)]
        return float(np.clip(a @ b, -1.0, 1.0))

    def nearest(self, word, n=10):
        """Returns the words with the largest cosine with a word.

        Args:
            word: A word.
            n: Number of words to return; fewer if the vocabulary has fewer.

        Returns:
            A list of (word, cosine) without the word itself, the nearest first.

        Raises:
            ValueError: If the word is unknown; the message suggests words of similar spelling.
        """
        return self.nearest_to(self.unit[self._find(word)[0]], n, exclude=(word,))

    def nearest_to(self, vector, n=10, exclude=()):
        """Returns the words with the largest cosine with a vector.

        Args:
            vector: Any vector, [D].
            n: Number of words to return; fewer if the vocabulary has fewer.
            exclude: Words to leave out.

        Returns:
            A list of (word, cosine), the nearest first; words at the same distance in the order of `words`.

        Raises:
            ValueError: If the shape of `vector` is not [D], or a word to leave out is unknown.
        """
        n = arguments.integer("n", n, 1)
        vector = arguments.finite("vector", vector, ndim=1)
        arguments.has_shape("vector", vector, (self.dimensions,))
        cosines = np.clip(self.unit @ _unit(vector), -1.0, 1.0)
        excluded = set(self._find(*exclude))
        ranked = [row for row in np.argsort(-cosines, kind="stable") if row not in excluded][:n]
        return [(self.words[row], float(cosines[row])) for row in ranked]

    def analogy(self, a, b, c, n=5):
        """Answers "a is to b as c is to which word?" by the offset of vectors.

        The answer is the word whose vector has the largest cosine with b - a + c, where all vectors are
        scaled to length one. The three given words, which would often come first, are excluded.

        Args:
            a: A word.
            b: The word to which `a` is related.
            c: The word whose counterpart is sought.
            n: Number of answers to return; fewer if the vocabulary has fewer.

        Returns:
            A list of (word, cosine with the sum), the best first.

        Raises:
            ValueError: If a word is unknown; the message suggests words of similar spelling.

        References:
            Mikolov, Yih and Zweig, "Linguistic regularities in continuous space word representations",
            NAACL (2013) 746.
        """
        from_a, to_b, from_c = self.unit[self._find(a, b, c)]
        return self.nearest_to(to_b - from_a + from_c, n, exclude=(a, b, c))

    def save(self, path):
        """Writes the words and vectors to an NPZ file, which `numpy.load` reads without pickle.

        Its arrays are `vectors` [V, D] and `words`, the words as JSON.

        Args:
            path: The file to write; an existing one is replaced.
        """
        with open(path, "wb") as file:
            np.savez_compressed(file, words=np.array(json.dumps(self.words)), vectors=self.vectors)

    @classmethod
    def load(cls, path):
        """Reads what `save` wrote.

        Args:
            path: The NPZ file.

        Returns:
            A `WordVectors`.

        Raises:
            ValueError: If the file does not hold word vectors.
        """
        try:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
                words, vectors = json.loads(str(arrays["words"])), arrays["vectors"]
        # A file of another format, without the arrays, or cut short.
        except (ValueError, KeyError, TypeError, IndexError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"path must be an NPZ file of word vectors, got {os.fspath(path)!r} ({error})"
            ) from error
        return cls(words, vectors)

    def _find(self, *words):
        """Returns the rows of words, after checking that all are known."""
        unknown = [word for word in dict.fromkeys(words) if not isinstance(word, str) or word not in self]
        if unknown:
            found = (
                f"Unknown word {arguments.described(word)}"
                + (arguments.did_you_mean(word, self.words, _SUGGESTIONS) or ".")
                for word in unknown
            )
            raise ValueError(f"{' '.join(found)} The vocabulary has {len(self):,} words")
        return [self._rows[word] for word in words]


def _unit(vector):
    """Returns a vector scaled to length one; a zero vector stays as it is."""
    # The largest entry becomes one first, because the square of a tiny or huge one may not be representable.
    largest = np.abs(vector).max()
    if largest == 0:
        return vector
    vector = vector / largest
    return vector / np.linalg.norm(vector)


def _check_words(words):
    if isinstance(words, str):
        raise ValueError(f"words must be a list of words, got {arguments.described(words)}")
    words = tuple(words)
    for index, word in enumerate(words):
        if not isinstance(word, str) or not word:
            raise ValueError(f"words[{index}] must be a word, got {arguments.described(word)}")
    if len(set(words)) < len(words):
        repeated = next(word for index, word in enumerate(words) if word in words[:index])
        raise ValueError(f"words must be distinct, got {repeated!r} more than once")
    return words
