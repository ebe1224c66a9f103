"""The properties of each text set and set of pairs. This module imports nothing heavy.

Legend: T context, S and T lengths of source and target, V vocabulary.
"""

import dataclasses

from ... import arguments
from .tokenizers import Tokenizer

# The 95 printable characters of ASCII and the line break, in the order of their codes.
ASCII = "\n" + "".join(map(chr, range(32, 127)))
SHAKESPEARE = "\n !$&',-.3:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@dataclasses.dataclass(frozen=True)
class TextSpec:
    """The properties of a text, cut into windows for a language model.

    Args:
        name: Name or path that `load` takes.
        context: Length T of the windows, in tokens.
        vocabulary: Number V of tokens of the vocabulary.
        train: Training windows per epoch.
        validation: Validation windows.
        test: Test windows.
        licence: Terms under which the text may be used.
        source: Whom to cite and where the text comes from.
        note: What to know before citing results on this text.
        tokenizer: The `Tokenizer` between text and tokens; `None` if there is none.
    """

    name: str
    context: int
    vocabulary: int
    train: int
    validation: int
    test: int
    licence: str
    source: str
    note: str
    tokenizer: Tokenizer | None = None

    def facts(self):
        """Returns {name: value} for the `repr` of `Splits`."""
        return _fields(self, "context", "vocabulary", "train", "validation", "test")

    def details(self):
        """Returns {name: value} for the table of `Splits`."""
        kind = {} if self.tokenizer is None else {"tokenizer": self.tokenizer.kind}
        return self.facts() | kind


@dataclasses.dataclass(frozen=True)
class PairSpec:
    """The properties of a set of pairs of texts: a source, and the target that is its translation.

    Both vocabularies begin with 0 padding, 1 start, 2 end.

    Args:
        name: Name that `load_pairs` takes.
        source_length: Length S of every source with its end token and padding, in tokens.
        target_length: Length T of every target likewise.
        source_vocabulary: Number of tokens of the sources' vocabulary.
        target_vocabulary: Number of tokens of the targets' vocabulary.
        train: Training pairs.
        validation: Validation pairs.
        test: Test pairs.
        licence: Terms under which the pairs may be used.
        source: Whom to cite and where the pairs come from.
        note: What to know before citing results on these pairs.
        source_tokenizer: The `Tokenizer` of the sources; `None` if there is none.
        target_tokenizer: The `Tokenizer` of the targets; `None` if there is none.
    """

    name: str
    source_length: int
    target_length: int
    source_vocabulary: int
    target_vocabulary: int
    train: int
    validation: int
    test: int
    licence: str
    source: str
    note: str
    source_tokenizer: Tokenizer | None = None
    target_tokenizer: Tokenizer | None = None

    def facts(self):
        """Returns {name: value} for the `repr` of `Splits`."""
        sides = (f"{side}_{size}" for size in ("length", "vocabulary") for side in ("source", "target"))
        return _fields(self, *sides, "train", "validation", "test")

    def details(self):
        """Returns {name: value} for the table of `Splits`."""
        return self.facts()


def _fields(spec, *names):
    return {name: getattr(spec, name) for name in names}


@dataclasses.dataclass(frozen=True)
class Source:
    """What is fixed about a text before it is tokenized and cut into windows.

    Args:
        name: Name or path that `load` takes.
        tokenizer: Kind of tokenizer by default.
        vocabulary: Largest numbers of tokens of words and of byte pairs by default.
        licence: As for `TextSpec`.
        source: As for `TextSpec`.
        note: As for `TextSpec`.
        alphabet: Characters in the order of their tokens; `None` for those that the text has.
        characters: Characters of the training, validation and test text; `None` if not known beforehand.
        streamed: Whether the text consists of sentences that are read while a model trains.
    """

    name: str
    tokenizer: str
    vocabulary: tuple[int, int]
    licence: str
    source: str
    note: str
    alphabet: str | None = None
    characters: tuple[int, int, int] | None = None
    streamed: bool = False

    def limit(self, kind, vocabulary):
        """Returns the largest number of tokens of a kind of tokenizer, `None` for characters."""
        return (
            {"words": self.vocabulary[0], "bpe": self.vocabulary[1]}.get(kind)
            if vocabulary is None
            else vocabulary
        )


VOCABULARY = (10000, 1024)

_SOURCES = {
    source.name: source
    for source in (
        Source(
            name="text",
            tokenizer="characters",
            vocabulary=VOCABULARY,
            licence="PSF-2.0",
            source="The Python Language Reference, as pydoc_data.topics of Python's standard library",
            note="Topics in alphabetical order, each paragraph once; typographic characters are replaced by "
            "ASCII. The first 90 % are for training, the next 5 % for validation, the last 5 % for testing. "
            "The text differs between versions of Python, and so do results: data.provenance('text') says "
            "which is read. Comes with Python: needs no download.",
            alphabet=ASCII,
        ),
        Source(
            name="tiny_shakespeare",
            tokenizer="characters",
            vocabulary=VOCABULARY,
            licence="public domain",
            source="Karpathy (2015), https://github.com/karpathy/char-rnn, data/tinyshakespeare/input.txt",
            note="The splits of TensorFlow Datasets: the first 90 % of the characters, and 5 % each.",
            alphabet=SHAKESPEARE,
            characters=(1003854, 55770, 55770),
        ),
        Source(
            name="lm1b",
            tokenizer="bpe",
            vocabulary=(10000, 8192),
            licence="none stated; for research, with citation",
            source="Chelba et al. (2013), https://www.statmt.org/lm-benchmark/",
            note="One sentence a line, streamed. The last 20,000 training sentences are for validation. The "
            "tokenizer is made from the first 100,000; a training epoch is about one pass.",
            streamed=True,
        ),
    )
}


def names() -> list[str]:
    """Returns the names of texts that `load` accepts, the smallest first."""
    return list(_SOURCES)


def source(name: str) -> Source:
    """Looks up the fixed properties of a text.

    Args:
        name: One of `names()`.

    Returns:
        Its `Source`.

    Raises:
        ValueError: If the name is unknown.
    """
    return _SOURCES[arguments.known_name("text", name, _SOURCES)]
