"""Loading a text by name or path, in windows for a language model.

Legend: B batch, T context, V vocabulary.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

from ... import arguments
from ..prepared_folder import prepared_folder
from . import files, specs, topics
from . import windows as packing
from .tokenizers import KINDS, BytePairTokenizer, CharacterTokenizer, Tokenizer, WordTokenizer

if TYPE_CHECKING:
    from ..splits import Splits

CONTEXT, BATCH_SIZE = 128, 32


def load(
    name: str | os.PathLike,
    batch_size: int = BATCH_SIZE,
    data_dir: str | os.PathLike | None = None,
    seed: int = 0,
    *,
    context: int = CONTEXT,
    tokenizer: str | Tokenizer | None = None,
    vocabulary: int | None = None,
    order: str = "shuffled",
    windows: int | None = None,
) -> Splits:
    """Loads a text as training, validation and test windows of (inputs, targets), each int32 [B, T].

    The targets are the inputs shifted by one token. Epoch e cuts the training text into consecutive windows
    from a random offset and shuffles them, a pure function of (seed, e). Validation and test windows are
    consecutive and in order, so that each target counts once; fewer than T targets at the end are dropped.

    Args:
        name: One of `names()`; or the path of a UTF-8 text file, or of a folder with the files `train.txt`,
            `validation.txt` (or `valid.txt`) and `test.txt`, or with the Penn Treebank's `ptb.train.txt`,
            `ptb.valid.txt` and `ptb.test.txt`.
        batch_size: Windows B per training batch.
        data_dir: Folder of data sets prepared by TensorFlow Datasets; `None` for the environment variable
            `TFDS_DATA_DIR`, or the default of tfds if that is not set.
        seed: Key of the offset and the order; the splits do not depend on it.
        context: Length T of the windows, in tokens.
        tokenizer: `characters`, `words` or `bpe`, made from the training text; or a `Tokenizer`, such as that
            of a trained model; `None` for the default of the text. `lm1b` takes no `characters`.
        vocabulary: Largest number V of tokens of `words` (10,000 by default) or `bpe` (1,024 by default, for
            `lm1b` 8,192).
        order: `shuffled`; or `contiguous`, in which each row of a batch continues the same row of the
            previous batch. `lm1b`, which is streamed, is always shuffled.
        windows: Number of windows in an epoch; `None` for all, about the training tokens over T.

    Returns:
        The `Splits`, whose spec is a `TextSpec` with the tokenizer.

    Raises:
        ValueError: If an argument is not valid, a file is missing or not text, or the data set is not
            prepared and cannot be.
    """
    sampling = packing.Sampling(batch_size, seed, order, windows)
    sampling.check()
    source = _source(name)
    if source.streamed:
        arguments.one_of("order", order, ("shuffled",))
    spec, tokens = _prepared(source, data_dir, context, tokenizer, vocabulary)
    sampling.check(spec.train)
    if source.streamed:
        from . import stream

        return stream.splits(spec, tokens, sampling)
    # TensorFlow is imported only here, so that an invalid argument is reported at once.
    return packing.splits(spec, *tokens, sampling)


def spec(
    name: str | os.PathLike,
    *,
    context: int = CONTEXT,
    tokenizer: str | Tokenizer | None = None,
    vocabulary: int | None = None,
    data_dir: str | os.PathLike | None = None,
) -> specs.TextSpec:
    """Returns the properties of a text as `load` cuts it into windows.

    With characters, `text` and `tiny_shakespeare` have fixed alphabets, and their properties are known
    without reading a data set. Otherwise the text is read and the tokenizer made.

    Args:
        name: As for `load`.
        context: As for `load`.
        tokenizer: As for `load`.
        vocabulary: As for `load`.
        data_dir: As for `load`.

    Returns:
        The `TextSpec`.

    Raises:
        ValueError: As for `load`.
    """
    source = _source(name)
    made = _fixed_tokenizer(source, tokenizer, vocabulary)
    if isinstance(made, CharacterTokenizer) and source.characters:
        return _spec(source, context, made, packing.counts(source.name, context, *source.characters))
    return _prepared(source, data_dir, context, tokenizer, vocabulary)[0]


def provenance(name, data_dir=None):
    """Returns how the text that `load` reads is stored, for the card of a model that is trained on it.

    Args:
        name: As for `load`.
        data_dir: As for `load`.

    Returns:
        `embedded, Python VERSION` for `text`, whose content depends on the version; `text, as published`; or
        `the user's own`.

    Raises:
        ValueError: If the text is unknown.
    """
    _source(name)
    if name == "text":
        return topics.provenance()
    return "text, as published" if name in specs.names() else "the user's own"


def from_texts(
    train: str,
    validation: str,
    test: str,
    *,
    name: str = "texts",
    batch_size: int = BATCH_SIZE,
    seed: int = 0,
    context: int = CONTEXT,
    tokenizer: str | Tokenizer = "characters",
    vocabulary: int | None = None,
    order: str = "shuffled",
    windows: int | None = None,
) -> Splits:
    """Builds splits from a user's own texts.

    Args:
        train: Training text.
        validation: Validation text.
        test: Test text.
        name: Name of the set.
        batch_size: As for `load`.
        seed: As for `load`.
        context: As for `load`.
        tokenizer: As for `load`.
        vocabulary: As for `load`.
        order: As for `load`.
        windows: As for `load`.

    Returns:
        The `Splits`.

    Raises:
        ValueError: If an argument is not valid.
    """
    for split, text in {"train": train, "validation": validation, "test": test}.items():
        if not isinstance(text, str) or not text:
            raise ValueError(f"{split} must be a text, got {arguments.described(text)}")
    sampling = packing.Sampling(batch_size, seed, order, windows)
    sampling.check()
    source = specs.Source(
        name, "characters", specs.VOCABULARY, "the user's own", "the user's own texts", note=""
    )
    made = _tokenizer(source, tokenizer, vocabulary, (train, validation, test))
    tokens = [made.encode(text) for text in (train, validation, test)]
    spec = _spec(source, context, made, packing.counts(name, context, *map(len, tokens)))
    sampling.check(spec.train)
    return packing.splits(spec, *tokens, sampling)


def _source(name):
    """Returns the `Source` of a name or path."""
    if isinstance(name, str) and name in specs.names():
        return specs.source(name)
    if files.is_text_source(name):
        return files.source(name)
    path = os.path.expanduser(os.fspath(name))
    if os.path.isdir(path):
        raise ValueError(f"folder {path!r} must hold train.txt or ptb.train.txt; got neither")
    if name == "ptb":
        raise ValueError(
            "data must be a folder with the Penn Treebank's ptb.train.txt, ptb.valid.txt and ptb.test.txt, "
            "which may not be distributed; there is no folder 'ptb'"
        )
    try:
        return specs.source(name)
    except ValueError as error:
        raise ValueError(f"{error}; or the path of a text file or folder") from None


def _prepared(source, data_dir, context, tokenizer, vocabulary):
    """Returns the `TextSpec`, and the tokens of the three splits, int32, or the `SentenceStream`."""
    arguments.integer("context", context, 1)
    fixed = _fixed_tokenizer(source, tokenizer, vocabulary)
    folder = prepared_folder(data_dir)
    if source.streamed:
        from .stream import stream_of

        kind = tokenizer or source.tokenizer
        stream = stream_of(source, folder, fixed or kind, source.limit(kind, vocabulary))
        held_out = packing.held_out_counts(source.name, context, len(stream.validation), len(stream.test))
        counts = {"train": stream.windows(context), **held_out}
        return _spec(source, context, stream.tokenizer, counts), stream
    if source.name in specs.names():
        made, tokens = _known_tokens(source.name, tokenizer, vocabulary, folder)
    else:
        texts = files.texts(source.name)
        made = _tokenizer(source, tokenizer, vocabulary, texts)
        tokens = [made.encode(text) for text in texts]
    counts = packing.counts(source.name, context, *map(len, tokens))
    return _spec(source, context, made, counts), tokens


@functools.lru_cache(maxsize=2)
def _known_tokens(name, tokenizer, vocabulary, data_dir):
    """Returns the tokenizer and the tokens of a text with a name; the last two are cached."""
    texts = _texts(name, data_dir)
    made = _tokenizer(specs.source(name), tokenizer, vocabulary, texts)
    tokens = [made.encode(text) for text in texts]
    for split in tokens:
        split.setflags(write=False)
    return made, tokens


def _texts(name, data_dir):
    """Returns the training, validation and test text with a name."""
    if name == "text":
        return files.split(topics.text())
    from .. import prepared
    from . import reading

    builder = prepared.builder(name, data_dir)
    texts = ["".join(reading.texts(builder, split)) for split in ("train", "validation", "test")]
    sizes = tuple(map(len, texts))
    published = specs.source(name).characters
    if published not in (None, sizes):
        raise ValueError(
            f"data set {name!r} under {builder.data_dir} must have the published {published} characters, got "
            f"{sizes}; prepare it again"
        )
    return texts


def _fixed_tokenizer(source, tokenizer, vocabulary):
    """Checks the arguments; returns the tokenizer if it is known without the text, else `None`."""
    if isinstance(tokenizer, Tokenizer):
        if vocabulary is not None:
            raise ValueError(f"vocabulary must be None for a given tokenizer, got {vocabulary!r}")
        return tokenizer
    kind = source.tokenizer if tokenizer is None else arguments.one_of("tokenizer", tokenizer, KINDS)
    if source.streamed:
        # Characters that the first sentences lack would end the training.
        arguments.one_of("tokenizer", kind, ("words", "bpe"))
    if kind != "characters":
        least = {"words": 3, "bpe": 256}[kind]
        if vocabulary is not None:
            arguments.integer("vocabulary", vocabulary, least)
        return None
    if vocabulary is not None:
        raise ValueError(f"vocabulary must be None for the tokenizer 'characters', got {vocabulary!r}")
    return CharacterTokenizer(source.alphabet) if source.alphabet else None


def _tokenizer(source, tokenizer, vocabulary, texts):
    """Returns the tokenizer of a text, made from its training split if necessary."""
    made = _fixed_tokenizer(source, tokenizer, vocabulary)
    if made is not None:
        return made
    kind = tokenizer or source.tokenizer
    if kind == "characters":
        # Every split counts, so that a character that only the test text has is no error.
        return CharacterTokenizer("".join(sorted(set().union(*texts))))
    train = WordTokenizer.train if kind == "words" else BytePairTokenizer.train
    return train(texts[0], source.limit(kind, vocabulary))


def _spec(source, context, tokenizer, counts):
    return specs.TextSpec(
        name=source.name,
        context=context,
        vocabulary=tokenizer.size,
        **counts,
        licence=source.licence,
        source=source.source,
        note=source.note,
        tokenizer=tokenizer,
    )
