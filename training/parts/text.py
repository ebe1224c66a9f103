"""Text, for language models, and pairs of texts, for translators."""

import dataclasses
import os
from typing import ClassVar

from ... import arguments
from ...data import text
from ...data.text import specs
from .data import Data

TOKENIZERS = ("characters", "words", "bpe")


@dataclasses.dataclass(frozen=True)
class Text(Data):
    """A text as windows of tokens, each with the tokens that follow.

    Args:
        name: A text's name, as `curvezoo.data.text.names()` lists them, or the path of the user's own text,
            as `curvezoo.data.text.load` takes it.
        tokenizer: `characters`, `words` between white space, or `bpe` (byte-pair encoding).
        vocabulary: Largest number of tokens of `words` or `bpe`; `None` for the text's default.
        context: Tokens in a window.
        batch_size: Windows per step, over all replicas together.
        windows: Windows in an epoch; `None` for the whole text once.

    Raises:
        ValueError: If a value is not valid.
    """

    kind: ClassVar[str] = "text"
    noun: ClassVar[str] = "text"
    own_form: ClassVar[str] = "the path of a text file or folder"
    maker: ClassVar[str] = "data.text.from_texts"
    name: str
    tokenizer: str = "characters"
    vocabulary: int | None = None
    context: int = 128
    batch_size: int = 32
    windows: int | None = None

    def __post_init__(self):
        arguments.one_of("tokenizer", self.tokenizer, TOKENIZERS)
        if self.vocabulary is not None:
            arguments.integer("vocabulary", self.vocabulary, 2)
        arguments.integer("context", self.context, 1)
        arguments.integer("batch_size", self.batch_size, 1)
        if self.windows is not None:
            arguments.integer("windows", self.windows, 1)

    def load(self, seed, data_dir=None, splits=None):
        """Returns the `Splits`.

        Args:
            seed: Seed of the windows' offsets and order.
            data_dir: The folder of TensorFlow Datasets; `None` for its default.
            splits: The caller's own `Splits`, used instead of the text `name`; their tokens and the length of
                their windows remain.

        Raises:
            ValueError: If the text is unknown or missing, or a setting is not valid for it.
        """
        batches = {"batch_size": self.batch_size, "seed": seed, "windows": self.windows}
        if splits is not None:
            return self.of_kind(splits).with_batches(**batches)
        return text.load(self.name, **self._reading(), **batches, data_dir=data_dir)

    def load_to_measure(self, data_dir=None, splits=None, model=None):
        """Returns the `Splits` for measuring a trained model, as tokens of its own tokenizer.

        Args:
            data_dir: The folder of TensorFlow Datasets; `None` for its default.
            splits: The caller's own `Splits`, returned unchanged.
            model: The trained model; without a `tokenizer`, the text's is made as for training.

        Raises:
            ValueError: If the text has characters that the model's tokenizer lacks.
        """
        if splits is not None:
            return self.of_kind(splits)
        return text.load(self.name, 1, **self._reading(model), data_dir=data_dir)

    @staticmethod
    def known():
        """Returns the names of the texts."""
        return text.names()

    @staticmethod
    def is_own(path):
        """Returns whether a path is a file or a folder."""
        return os.path.exists(path)

    @staticmethod
    def describes(spec):
        """Returns whether a `TextSpec` is given."""
        return isinstance(spec, text.TextSpec)

    def is_known(self, spec):
        """Returns whether a text comes from where the text of its name does."""
        return spec.source == specs.source(spec.name).source

    def spec(self, model=None, data_dir=None):
        """Returns the `TextSpec`.

        Args:
            model: A trained model whose tokenizer is used; `None` for a new tokenizer.
            data_dir: The folder of TensorFlow Datasets; `None` for its default.
        """
        return text.spec(self.name, **self._reading(model), data_dir=data_dir)

    def describe(self, spec, data_dir=None):
        """Returns the `data` section of a card.

        Args:
            spec: The `TextSpec` of the splits.
            data_dir: The folder of TensorFlow Datasets.
        """
        return _described(self, spec, text.provenance, data_dir) | {
            "vocabulary": spec.vocabulary,
            "context": spec.context,
        }

    def files(self, spec):
        """Returns the tokenizer's file, if there is a tokenizer."""
        return {} if spec.tokenizer is None else {"tokenizer.json": spec.tokenizer.to_json()}

    def example(self, spec, any_size):
        """Returns the length of a window in words."""
        del any_size
        return f"a window of {spec.context} tokens"

    def _reading(self, model=None):
        """Returns how the text is cut into windows of tokens; a model's tokenizer takes precedence."""
        tokenizer = getattr(model, "tokenizer", None)
        if tokenizer is not None:
            return {"context": self.context, "tokenizer": tokenizer}
        return {"context": self.context, "tokenizer": self.tokenizer, "vocabulary": self.vocabulary}


@dataclasses.dataclass(frozen=True)
class Pairs(Data):
    """Pairs of texts, a source and its translation.

    Args:
        name: A name, as `curvezoo.data.text.pair_names()` lists them.
        batch_size: Pairs per step, over all replicas together.
        vocabulary: Largest number of byte pairs of either language; `None` for the default, and for pairs
            whose tokens are characters.
        length: Tokens of the longest source and target; `None` for the default.

    Raises:
        ValueError: If a value is not valid.
    """

    kind: ClassVar[str] = "pairs"
    noun: ClassVar[str] = "pairs of texts"
    own_form: ClassVar[str] = "the user's own pairs"
    maker: ClassVar[str] = "data.text.load_pairs"
    name: str
    batch_size: int = 64
    vocabulary: int | None = None
    length: int | None = None

    def __post_init__(self):
        arguments.integer("batch_size", self.batch_size, 1)
        for name in ("vocabulary", "length"):
            if getattr(self, name) is not None:
                arguments.integer(name, getattr(self, name), 2)

    def load(self, seed, data_dir=None, splits=None):
        """Returns the `Splits` of ((sources, starts of the targets), targets).

        Args:
            seed: Seed of the order.
            data_dir: The folder of TensorFlow Datasets; `None` for its default.
            splits: The caller's own `Splits`, used instead of the pairs `name`.

        Raises:
            ValueError: If the pairs are unknown or missing, or a setting is not valid for them.
        """
        if splits is not None:
            return self.of_kind(splits).with_batches(batch_size=self.batch_size, seed=seed)
        return text.load_pairs(self.name, self.batch_size, data_dir, seed, **self._sizes())

    def load_to_measure(self, data_dir=None, splits=None, model=None):
        """Returns the `Splits` for measuring a trained model.

        Args:
            data_dir: The folder of TensorFlow Datasets; `None` for its default.
            splits: The caller's own `Splits`, returned unchanged.
            model: The trained model, whose tokenizers must be those of the pairs.
        """
        return self.load(0, data_dir) if splits is None else self.of_kind(splits)

    @staticmethod
    def known():
        """Returns the names of the sets of pairs."""
        return text.pair_names()

    @staticmethod
    def is_own(path):
        """Returns False, since pairs are not read from files."""
        return False

    @staticmethod
    def describes(spec):
        """Returns whether a `PairSpec` is given."""
        return isinstance(spec, text.PairSpec)

    def is_known(self, spec):
        """Returns whether the pairs come from where those of their name do."""
        return spec.source == text.pair_spec(spec.name).source

    def spec(self, model=None, data_dir=None):
        """Returns the `PairSpec`.

        Args:
            model: A trained model, whose tokenizers must be those of the pairs.
            data_dir: The folder of TensorFlow Datasets; `None` for its default.
        """
        return text.pair_spec(self.name, **self._sizes(), data_dir=data_dir)

    def describe(self, spec, data_dir=None):
        """Returns the `data` section of a card.

        Args:
            spec: The `PairSpec` of the splits.
            data_dir: The folder of TensorFlow Datasets.
        """
        return _described(self, spec, text.pair_provenance, data_dir)

    def files(self, spec):
        """Returns the files of both tokenizers, as far as there are any."""
        tokenizers = {"source": spec.source_tokenizer, "target": spec.target_tokenizer}
        return {f"{side}.tokenizer.json": t.to_json() for side, t in tokenizers.items() if t is not None}

    def example(self, spec, any_size):
        """Returns the lengths of a pair in words."""
        del any_size
        return f"a source of {spec.source_length} tokens and a target of {spec.target_length}"

    def _sizes(self):
        return {"vocabulary": self.vocabulary, "length": self.length}


def _described(part, spec, provenance, data_dir):
    """Returns what the `data` sections of all texts have in common."""
    known = spec.name in part.known() and part.is_known(spec)
    return {
        "name": spec.name,
        "provenance": provenance(spec.name, data_dir) if known else "the user's own",
        "source": spec.source,
        "licence": spec.licence,
        "note": spec.note,
        "train": spec.train,
        "validation": spec.validation,
        "test": spec.test,
    }
