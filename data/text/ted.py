"""Pairs of sentences from translated TED talks, as TensorFlow Datasets prepares them."""

import functools

from .padding import encode_sources, encode_targets
from .tokenizers import RESERVED, BytePairTokenizer

VOCABULARY, LENGTH = 8192, 64


@functools.lru_cache(maxsize=1)
def prepared_pairs(name, data_dir, vocabulary, length):
    """Reads and encodes the pairs, with byte-pair tokenizers made from the training sentences.

    Training pairs with a sentence of `length` or more tokens are dropped, so that no sentence that is cut
    is learned. In the validation and test splits, such sentences are cut to `length` tokens.

    Args:
        name: `ted_hrlr_translate/SOURCE_to_TARGET`.
        data_dir: Folder of prepared data sets, or `None`.
        vocabulary: Largest number of tokens of both tokenizers.
        length: Length of sources and targets.

    Returns:
        The source tokenizer, the target tokenizer, and three triples of tokens (sources, target inputs,
        targets).

    Raises:
        ValueError: If the data set is not prepared and cannot be, or no training pair is short enough.
    """
    from .. import prepared
    from . import reading

    builder = prepared.builder(name, data_dir)
    languages = name.partition("/")[2].split("_to_")
    texts = {
        split: [reading.texts(builder, split, language) for language in languages]
        for split in ("train", "validation", "test")
    }
    tokenizers = [BytePairTokenizer.train(side, vocabulary, RESERVED) for side in texts["train"]]
    texts["train"] = _short(tokenizers, texts["train"], length)
    if not texts["train"][0]:
        raise ValueError(f"length must leave training pairs of {name!r}, got {length}: all are longer")
    return *tokenizers, *(_tokens(tokenizers, sides, length) for sides in texts.values())


def _short(tokenizers, sides, length):
    """Returns the pairs both of whose sentences have fewer than `length` tokens."""
    pairs = [
        pair
        for pair in zip(*sides, strict=True)
        if all(len(t.encode(text)) < length for t, text in zip(tokenizers, pair, strict=True))
    ]
    return [[pair[side] for pair in pairs] for side in (0, 1)]


def _tokens(tokenizers, sides, length):
    sources = encode_sources(tokenizers[0], sides[0], length, truncate=True)
    return sources, *encode_targets(tokenizers[1], sides[1], length, truncate=True)
