"""The prompts of a language model: texts or tokens, one or several, of any lengths."""

import dataclasses
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Prompts:
    """Prompts as rows of tokens.

    Args:
        rows: The tokens of each prompt, a list of int32 arrays.
        single: Whether one prompt was given on its own.
        tokenizer: The tokenizer if texts were given, else `None`.
    """

    rows: list[np.ndarray]
    single: bool
    tokenizer: Any

    @property
    def lengths(self):
        """The length of each prompt, int32 [B]."""
        return np.array([len(row) for row in self.rows], np.int32)

    def padded(self, length):
        """Returns the tokens with zeros after them, int32 [B, length].

        Args:
            length: Number of columns.
        """
        tokens = np.zeros((len(self.rows), length), np.int32)
        for padded, row in zip(tokens, self.rows, strict=True):
            padded[: len(row)] = row
        return tokens

    def continuations(self, tokens, ends):
        """Returns what follows the prompts, in their form.

        Args:
            tokens: Prompts with their continuations, [B, N].
            ends: One past the last token of each row, [B].
        """
        bounds = zip(tokens, self.lengths, ends, strict=True)
        return self.written([row[start:end] for row, start, end in bounds])

    def written(self, rows):
        """Returns rows of tokens in the form in which the prompts were given.

        Args:
            rows: A list of int32 arrays, one for each prompt.
        """
        rows = [self.tokenizer.decode(row) for row in rows] if self.tokenizer else rows
        return rows[0] if self.single else rows


def read(prompts, vocabulary, tokenizer=None, longest=None, name="prompt"):
    """Reads texts or tokens.

    Args:
        prompts: A text; a sequence of integers; or a list of several of either.
        vocabulary: Size of the vocabulary.
        tokenizer: The model's tokenizer; texts need one.
        longest: Largest length of a prompt; `None` for any.
        name: What a prompt is called in messages.

    Returns:
        The `Prompts`.

    Raises:
        ValueError: If a prompt is empty or too long, or has a token out of range, or texts and tokens are
            mixed, or texts are given to a model without a tokenizer or with that of another model.
    """
    if not hasattr(prompts, "__getitem__") or isinstance(prompts, bytes | dict):
        raise ValueError(f"{name} must be a text, a sequence of tokens or a list of them, got {prompts!r}")
    if len(prompts) == 0:
        raise ValueError(f"{name} must have at least one token, got {prompts!r}")
    single = isinstance(prompts, str) or _is_token(prompts[0])
    each = [prompts] if single else list(prompts)
    texts = [isinstance(one, str) for one in each]
    if any(texts) and not all(texts):
        raise ValueError(f"{name} must be texts or tokens, not both in one list, got {prompts!r}")
    if any(texts) and tokenizer is None:
        raise ValueError(f"{name} must be tokens for a model without a tokenizer, got the text {each[0]!r}")
    if any(texts) and tokenizer.size != vocabulary:
        raise ValueError(
            f"tokenizer must have the {vocabulary} tokens of the model, got {tokenizer!r}: "
            "it is that of another model"
        )
    encode = tokenizer.encode if any(texts) else np.asarray
    rows = [_checked(encode(one), vocabulary, longest, name) for one in each]
    return Prompts(rows, single, tokenizer if any(texts) else None)


def _is_token(value):
    return not isinstance(value, str) and np.ndim(value) == 0


def _checked(row, vocabulary, longest, name):
    """Returns the tokens of one prompt after checking them."""
    if row.ndim != 1:
        raise ValueError(f"{name} must have one axis, got tokens of shape {row.shape}")
    if not row.size:
        raise ValueError(f"{name} must have at least one token, got none")
    if not np.issubdtype(row.dtype, np.integer):
        raise ValueError(f"{name} must hold integers, got {row[0].item()!r}")
    wrong = row[(row < 0) | (row >= vocabulary)]
    if wrong.size:
        raise ValueError(f"{name} must hold tokens in 0 to {vocabulary - 1}, got {wrong[0]}")
    if longest is not None and row.size > longest:
        raise ValueError(f"{name} must have at most {longest} tokens, the model's context, got {row.size}")
    return row.astype(np.int32)
