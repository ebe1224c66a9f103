"""Words between white space as tokens."""

import collections

import numpy as np

from .... import arguments
from .tokenizer import Tokenizer


class WordTokenizer(Tokenizer):
    """Makes each word between white space a token, and each line break the token `end`.

    Words that are not in the vocabulary become `unknown`. `decode` puts one space between words, so it
    restores text with single spaces and known words. This is how the Penn Treebank's files are read.

    Args:
        words: The V distinct words in the order of their tokens. If `unknown` or `end` is missing, it is put
            before them.
        unknown: The word that stands for all others.
        end: The word that stands for a line break.
        reserved: As for `Tokenizer`.

    Raises:
        ValueError: If the words are not distinct strings without white space.

    Example:
        >>> from curvezoo.data.text import WordTokenizer
        >>> tokenizer = WordTokenizer(["<unk>", "<eos>", "the", "cat"])
        >>> tokenizer.encode("the black cat\\n").tolist()
        [2, 0, 3, 1]
    """

    kind = "words"

    def __init__(self, words, unknown="<unk>", end="<eos>", reserved=0):
        super().__init__(reserved)
        if isinstance(words, str) or not all(isinstance(word, str) for word in words):
            raise ValueError(f"words must be a list of strings, got {arguments.described(words)}")
        missing = [word for word in (unknown, end) if word not in words]
        self.words = (*missing, *words)
        self.unknown, self.end = unknown, end
        for word in self.words:
            if word.split() != [word]:
                raise ValueError(f"words must be without white space and not empty, got {word!r}")
        self._tokens = {word: token for token, word in enumerate(self.words)}
        if len(self._tokens) < len(self.words):
            repeated = [word for word, n in collections.Counter(self.words).items() if n > 1]
            raise ValueError(f"words must not repeat a word, got {repeated[0]!r} more than once")

    @classmethod
    def train(cls, text, vocabulary=None, unknown="<unk>", end="<eos>", reserved=0):
        """Makes the vocabulary of the most frequent words of a text, the most frequent first.

        Words that occur equally often are in alphabetical order.

        Args:
            text: The training text.
            vocabulary: Largest number V of tokens, with `unknown`, `end` and the reserved ones; `None` for
                all words.
            unknown: As for `WordTokenizer`.
            end: As for `WordTokenizer`.
            reserved: As for `Tokenizer`.

        Returns:
            A `WordTokenizer`.
        """
        counts = collections.Counter(text.split())
        counts[end] += text.count("\n")
        # Without occurrences, the word for unknown words is the last.
        counts[unknown] += 0
        ordered = sorted(counts, key=lambda word: (-counts[word], word))
        if vocabulary is not None:
            vocabulary = arguments.integer("vocabulary", vocabulary, reserved + 3) - reserved
            others = [word for word in ordered if word not in (unknown, end)][: vocabulary - 2]
            included = {unknown, end, *others}
            ordered = [word for word in ordered if word in included]
        return cls(ordered, unknown, end, reserved)

    def _size(self):
        return len(self.words)

    def _encode(self, text):
        words = text.replace("\n", f" {self.end} ").split()
        unknown = self._tokens[self.unknown]
        return np.fromiter((self._tokens.get(word, unknown) for word in words), np.int32, len(words))

    def _decode(self, ids):
        end = self._tokens[self.end]
        # Each line begins with an end, the first with one that is put before it.
        lines = np.split(np.insert(ids, 0, end), np.flatnonzero(ids == end) + 1)
        return "\n".join(" ".join([self.words[token] for token in line[1:]]) for line in lines)

    def _settings(self):
        return {"words": list(self.words), "unknown": self.unknown, "end": self.end}
