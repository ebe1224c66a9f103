"""Sequences of one length: texts with start, end and padding tokens.

Legend: B texts, S source length, T target length.
"""

import numpy as np

from ... import arguments
from .tokenizers import END, PADDING, START


def encode_sources(tokenizer, texts, length, truncate=False):
    """Encodes source texts: their tokens, 2 (end), and 0 (padding) up to the length.

    Args:
        tokenizer: A `Tokenizer` with the reserved tokens 0, 1 and 2.
        texts: B strings.
        length: Length S of all sources, with the end.
        truncate: Whether to cut longer sources to S tokens, without an end.

    Returns:
        Tokens [B, S], int32.

    Raises:
        ValueError: If a text is longer than S - 1 tokens, or has unknown characters.
    """
    return _padded("texts", _encoded(tokenizer, texts), length, truncate)


def encode_targets(tokenizer, texts, length, truncate=False):
    """Encodes target texts, once behind a start token and once with an end token.

    Args:
        tokenizer: As for `encode_sources`.
        texts: B strings.
        length: Length T of all targets, with the start or the end.
        truncate: Whether to cut longer targets to T tokens, without an end.

    Returns:
        Tokens ([B, T], [B, T]), int32: 1 (start) and the text's tokens; and the text's tokens and 2 (end),
        which are the inputs shifted by one. Both are padded with 0.

    Raises:
        ValueError: As for `encode_sources`.
    """
    targets = _padded("texts", _encoded(tokenizer, texts), length, truncate)
    # Behind the end is padding, so that the input at the end's place and later must be padding, too.
    inputs = np.where(targets[:, :-1] == END, PADDING, targets[:, :-1])
    return np.insert(inputs, 0, START, axis=1), targets


def decode_targets(tokenizer, ids):
    """Decodes targets up to their end tokens.

    Args:
        tokenizer: As for `encode_sources`.
        ids: Tokens [B, T].

    Returns:
        A list of B strings.

    Raises:
        ValueError: If a token is not in the vocabulary.
    """
    ids = np.asarray(ids)
    ends = ids == END
    # The first end, or the whole row if there is none.
    lengths = np.where(ends.any(axis=1), ends.argmax(axis=1), ids.shape[1])
    return [tokenizer.decode(row[:length]) for row, length in zip(ids, lengths, strict=True)]


def _encoded(tokenizer, texts):
    if isinstance(texts, str):
        raise ValueError(f"texts must be a list of strings, got {arguments.described(texts)}")
    return [tokenizer.encode(text) for text in texts]


def _padded(name, rows, length, truncate):
    """Returns rows of tokens with an end and padding, [B, length]."""
    padded = np.full((len(rows), length), PADDING, np.int32)
    for index, tokens in enumerate(rows):
        if len(tokens) >= length and not truncate:
            raise ValueError(f"{name}[{index}] must have at most {length - 1} tokens, got {len(tokens)}")
        padded[index, : len(tokens)] = tokens[:length]
        if len(tokens) < length:
            padded[index, len(tokens)] = END
    return padded
