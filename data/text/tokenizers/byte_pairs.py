"""Byte-level byte-pair encoding with the `tokenizers` library, which is imported when it is first used."""

import functools
import json

import numpy as np

from .... import arguments
from .tokenizer import Tokenizer


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
        return self._encode_all([text])[0]

    def _encode_all(self, texts):
        # A lone surrogate has no UTF-8 bytes; the library rejects it without saying where.
        try:
            "".join(texts).encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"text must be valid Unicode, got the lone surrogate {error.object[error.start]!r}"
            ) from None
        return [np.array(encoding.ids, np.int32) for encoding in self._model.encode_batch_fast(list(texts))]

    def _decode(self, ids):
        return self._model.decode(ids.tolist(), skip_special_tokens=False)

    def _settings(self):
        return {"merges": list(self.merges)}


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
