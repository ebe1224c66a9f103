"""What all tokenizers have in common: checked arguments, reserved tokens, equality.

Legend: N tokens, V tokens of the vocabulary. A token is an integer in 0 .. V - 1. If `reserved` is positive,
the first tokens stand for no text: with 3, 0 is padding, 1 the start and 2 the end of a sequence.
"""

import abc
import json
from typing import ClassVar

import numpy as np

from .... import arguments

PADDING, START, END = 0, 1, 2
RESERVED = 3


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

    def encode_all(self, texts):
        """Returns the tokens of each of several texts, faster than one by one.

        Args:
            texts: A list of B strings.

        Returns:
            A list of B arrays of tokens, int32.

        Raises:
            ValueError: As for `encode`.
        """
        if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
            raise ValueError(f"texts must be a list of strings, got {arguments.described(texts)}")
        return [(tokens + self.reserved).astype(np.int32) for tokens in self._encode_all(texts)]

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

    def _encode_all(self, texts):
        """Returns the tokens of texts, counted from 0, as integer arrays."""
        return [self._encode(text) for text in texts]

    @abc.abstractmethod
    def _decode(self, ids):
        """Returns the text of tokens [N], int64, which are valid and counted from 0."""

    @abc.abstractmethod
    def _settings(self):
        """Returns the arguments of the constructor except `reserved`, as JSON can hold them."""
