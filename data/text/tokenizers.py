"""Tokenizers: characters, words and byte-level byte-pair encoding, each stored as JSON.

Legend: N tokens, V tokens of the vocabulary. A token is an integer in 0 .. V - 1. If `reserved` is positive,
the first tokens stand for no text: with 3, 0 is padding, 1 the start and 2 the end of a sequence.
"""

import abc
import collections
import functools
import json
from typing import ClassVar

import numpy as np

from ... import arguments

PADDING, START, END = 0, 1, 2
RESERVED = 3

_SHOWN = 5


class Tokenizer(abc.ABC):
    """Maps text to tokens and back.

    Two tokenizers are equal if they map every text to the same tokens, that is if their JSON is the same.

    Args:
        reserved: Number of tokens, from 0 on, that stand for no text; `encode` never yields them, and
            `decode` skips them.
    """

    kind: ClassVar[str]

    def __init__(self, reserved=0):
        self.reserved = arguments.integer("reserved", reserved, 0, 255)

    @property
    def size(self):
        """The number V of tokens of the vocabulary, with the reserved ones."""
        return self.reserved + self._size()

    def encode(self, text):
        """Returns the tokens of a text.

        Args:
            text: A string.

        Returns:
            Tokens [N], int32.

        Raises:
            ValueError: If `text` is not a string, or has characters or words that are not in the vocabulary.
        """
        if not isinstance(text, str):
            raise ValueError(f"text must be a string, got {arguments.described(text)}")
        return (self._encode(text) + self.reserved).astype(np.int32)

    def decode(self, ids):
        """Returns the text of tokens, without the reserved ones.

        Args:
            ids: Tokens [N], integers.

        Returns:
            A string.

        Raises:
            ValueError: If `ids` is not a list of integers from 0 to V - 1.
        """
        ids = np.asarray(ids)
        if ids.ndim != 1 or (ids.size and ids.dtype.kind not in "iu"):
            raise ValueError(f"ids must be a list of integers, got shape {ids.shape} of dtype {ids.dtype}")
        valid = (ids >= 0) & (ids < self.size)
        arguments.require("ids", ids, valid, f"be a token from 0 to {self.size - 1}")
        ids = ids.astype(np.int64)
        return self._decode(ids[ids >= self.reserved] - self.reserved)

    def to_json(self):
        """Returns the tokenizer as JSON, from which `tokenizer_from_json` makes an equal one."""
        return json.dumps({"kind": self.kind, "reserved": self.reserved, **self._settings()})

    def __eq__(self, other):
        if not isinstance(other, Tokenizer):
            return NotImplemented
        return self is other or self.to_json() == other.to_json()

    def __hash__(self):
        return hash((self.kind, self.size, self.reserved))

    def __repr__(self):
        reserved = f", reserved={self.reserved}" if self.reserved else ""
        return f"<{type(self).__name__} of {self.size} tokens{reserved}>"

    @abc.abstractmethod
    def _size(self):
        """Returns the number of tokens that stand for text."""

    @abc.abstractmethod
    def _encode(self, text):
        """Returns the tokens of a text, counted from 0, as an integer array [N]."""

    @abc.abstractmethod
    def _decode(self, ids):
        """Returns the text of tokens [N], int64, which are valid and counted from 0."""

    @abc.abstractmethod
    def _settings(self):
        """Returns the arguments of the constructor except `reserved`, as JSON can hold them."""


class CharacterTokenizer(Tokenizer):
    """Makes each character a token; `decode(encode(text))` equals `text`.

    Args:
        alphabet: The characters in the order of their tokens.
        reserved: As for `Tokenizer`.

    Raises:
        ValueError: If the alphabet is not a string of distinct characters.

    Example:
        >>> from curvezoo.data.text import CharacterTokenizer
        >>> CharacterTokenizer("abc").encode("cab").tolist()
        [2, 0, 1]
    """

    kind = "characters"

    def __init__(self, alphabet, reserved=0):
        super().__init__(reserved)
        if not isinstance(alphabet, str) or not alphabet:
            raise ValueError(f"alphabet must be a string of characters, got {arguments.described(alphabet)}")
        repeated = [character for character, n in collections.Counter(alphabet).items() if n > 1]
        if repeated:
            raise ValueError(f"alphabet must not repeat a character, got {repeated[0]!r} more than once")
        self.alphabet = alphabet
        self._codes = _code_points(alphabet)
        # The last entry is for code points above all of the alphabet.
        self._tokens = np.full(self._codes.max() + 2, -1, np.int32)
        self._tokens[self._codes] = np.arange(len(alphabet))

    def _size(self):
        return len(self.alphabet)

    def _encode(self, text):
        tokens = self._tokens[np.minimum(_code_points(text), len(self._tokens) - 1)]
        if tokens.size and tokens.min() < 0:
            unknown = dict.fromkeys(text[position] for position in np.flatnonzero(tokens < 0))
            raise ValueError(
                f"text must consist of the tokenizer's {len(self.alphabet)} characters, got "
                f"{_listed(unknown)}; valid are {_ranges(self.alphabet)}"
            )
        return tokens

    def _decode(self, ids):
        return self._codes[ids].tobytes().decode("utf-32-le", "surrogatepass")

    def _settings(self):
        return {"alphabet": self.alphabet}


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


class BytePairTokenizer(Tokenizer):
    """Byte-pair encoding of the text's UTF-8 bytes; `decode(encode(text))` equals `text`, whatever the text.

    The first 256 tokens are the bytes, and each merge adds the concatenation of two tokens. Merges never
    cross the borders of words and runs of white space, as in GPT-2.

    Args:
        merges: Pairs of tokens in the order in which they are merged, each written as in GPT-2's merges file:
            the bytes as printable characters, the two tokens separated by a space.
        reserved: As for `Tokenizer`.

    Raises:
        ValueError: If a merge is not a pair of tokens that the bytes and the earlier merges make.

    References:
        Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units" (2016).
        Radford et al., "Language Models are Unsupervised Multitask Learners" (2019), section 2.2.
    """

    kind = "bpe"

    def __init__(self, merges, reserved=0):
        super().__init__(reserved)
        self.merges = tuple(merges)
        self._tokens = {character: token for token, character in enumerate(_byte_characters())}
        for merge in self.merges:
            pair = merge.split(" ") if isinstance(merge, str) else []
            if len(pair) != 2 or not all(token in self._tokens for token in pair):
                raise ValueError(
                    "merges must be pairs of known tokens separated by a space, got "
                    f"{arguments.described(merge)}"
                )
            self._tokens.setdefault("".join(pair), len(self._tokens))

    @classmethod
    def train(cls, text, vocabulary, reserved=0):
        """Learns the merges from a text with the `tokenizers` library: always the most frequent pair.

        Args:
            text: The training text, a string or an iterable of strings.
            vocabulary: Largest number V of tokens, with the bytes and the reserved ones; a short text may not
                have as many pairs.
            reserved: As for `Tokenizer`.

        Returns:
            A `BytePairTokenizer`.

        Raises:
            ValueError: If `vocabulary` is less than the 256 bytes and the reserved tokens.
        """
        arguments.integer("vocabulary", vocabulary, 256 + reserved)
        from tokenizers import trainers

        model = _library_tokenizer({}, [])
        trainer = trainers.BpeTrainer(
            vocab_size=vocabulary - reserved,
            initial_alphabet=list(_byte_characters()),
            show_progress=False,
        )
        model.train_from_iterator([text] if isinstance(text, str) else text, trainer)
        merges = json.loads(model.to_str())["model"]["merges"]
        return cls([merge if isinstance(merge, str) else " ".join(merge) for merge in merges], reserved)

    @functools.cached_property
    def _model(self):
        """The tokenizer of the library, made when it is first used."""
        return _library_tokenizer(self._tokens, [tuple(merge.split(" ")) for merge in self.merges])

    def _size(self):
        return len(self._tokens)

    def _encode(self, text):
        # A lone surrogate has no UTF-8 bytes; the library rejects it without saying where.
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"text must be valid Unicode, got the lone surrogate {text[error.start]!r} at {error.start}"
            ) from None
        return np.array(self._model.encode(text).ids, np.int32)

    def _decode(self, ids):
        return self._model.decode(ids.tolist(), skip_special_tokens=False)

    def _settings(self):
        return {"merges": list(self.merges)}


_KINDS = {cls.kind: cls for cls in (CharacterTokenizer, WordTokenizer, BytePairTokenizer)}
KINDS = tuple(_KINDS)


def tokenizer_from_json(text):
    """Makes a tokenizer from the JSON of `Tokenizer.to_json`.

    Args:
        text: The JSON.

    Returns:
        The `Tokenizer`.

    Raises:
        ValueError: If `text` is not the JSON of a tokenizer.
    """
    try:
        settings = dict(json.loads(text))
    except (TypeError, ValueError):
        raise ValueError(f"text must be the JSON of a tokenizer, got {arguments.described(text)}") from None
    kind = arguments.one_of("kind", settings.pop("kind", None), KINDS)
    try:
        return _KINDS[kind](**settings)
    except TypeError as error:
        raise ValueError(f"text must be the JSON of a tokenizer of {kind}: {error}") from None


def _code_points(text):
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


def _listed(characters):
    """Returns the first few characters for a message."""
    shown = ", ".join(map(repr, list(characters)[:_SHOWN]))
    more = len(characters) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def _ranges(alphabet):
    """Returns the characters of an alphabet for a message, runs of three and more as `a-z`."""
    codes = np.sort(_code_points(alphabet))
    runs = np.split(codes, np.flatnonzero(np.diff(codes) != 1) + 1)
    parts = []
    for run in runs:
        first, last = chr(run[0]), chr(run[-1])
        parts += [f"{first!r} to {last!r}"] if len(run) > 2 else [repr(chr(code)) for code in run]
    shown = ", ".join(parts[:12])
    return f"{shown}, …" if len(parts) > 12 else shown


@functools.cache
def _byte_characters():
    """Returns the 256 printable characters that stand for the bytes, as GPT-2 writes them, sorted."""
    printable = [
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    ]
    others = [chr(256 + n) for n in range(256 - len(printable))]
    return tuple(sorted([*map(chr, printable), *others]))


def _library_tokenizer(tokens, merges):
    """Returns a byte-level byte-pair tokenizer of the `tokenizers` library."""
    import tokenizers
    from tokenizers import decoders, models, pre_tokenizers

    model = tokenizers.Tokenizer(models.BPE(vocab=tokens, merges=merges))
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = decoders.ByteLevel()
    return model
