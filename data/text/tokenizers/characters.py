"""Characters as tokens."""

import collections

import numpy as np

from .... import arguments
from .tokenizer import Tokenizer

_SHOWN = 5


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

    def _encode_all(self, texts):
        # Characters are encoded one by one, so that the texts can be encoded as one.
        ends = np.cumsum([len(text) for text in texts], dtype=np.int64)
        return np.split(self._encode("".join(texts)), ends)[:-1]

    def _decode(self, ids):
        return self._codes[ids].tobytes().decode("utf-32-le", "surrogatepass")

    def _settings(self):
        return {"alphabet": self.alphabet}


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
