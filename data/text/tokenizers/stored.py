"""Tokenizers made from their JSON."""

import json

from .... import arguments
from .byte_pairs import BytePairTokenizer
from .characters import CharacterTokenizer
from .words import WordTokenizer

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
