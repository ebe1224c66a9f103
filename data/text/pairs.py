"""Pairs of texts, a source and the target that is its translation, for models that map one to the other.

Legend: B batch, N pairs, S source length, T target length.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

from ... import arguments
from ..prepared_folder import prepared_folder
from . import dates, numbers, specs, ted
from .padding import encode_sources, encode_targets
from .tokenizers import RESERVED, CharacterTokenizer

if TYPE_CHECKING:
    from ..splits import Splits

BATCH_SIZE = 64

_EVALUATION_BATCH = 512
_GENERATED = {"numbers": numbers, "dates": dates}
_FACTS = {
    "numbers": {
        "licence": "CC0 1.0",
        "source": "generated: curvezoo.data.text.numbers",
        "note": "Numbers below a million in words and in digits. No number is in two splits; all numbers "
        "with one or two digits are for training.",
    },
    "dates": {
        "licence": "CC0 1.0",
        "source": "generated: curvezoo.data.text.dates",
        "note": f"Each day from 1900 to 2099 in one of {dates.FORMS} forms, and in ISO 8601; in digits "
        "day.month.year or year/month/day. No day is in two splits.",
    },
    "ted_hrlr_translate/pt_to_en": {
        "licence": "CC BY-NC-ND 4.0",
        "source": "Qi et al. (2018), https://github.com/neulab/word-embeddings-for-nmt",
        "note": "Talks from Portuguese to English. Training pairs that are too long are dropped; validation "
        "and test sentences that are too long are cut.",
    },
}


def pair_names() -> list[str]:
    """Returns the names that `load_pairs` accepts."""
    return list(_FACTS)


def load_pairs(
    name: str,
    batch_size: int = BATCH_SIZE,
    data_dir: str | os.PathLike | None = None,
    seed: int = 0,
    *,
    vocabulary: int | None = None,
    length: int | None = None,
) -> Splits:
    """Loads pairs as splits of ((sources [B, S], target inputs [B, T]), targets [B, T]), all int32.

    In sources and targets alike 0 is padding, 1 start and 2 end. A source ends with 2; target inputs begin
    with 1; targets end with 2 and are the target inputs shifted by one. Epoch e shuffles the training pairs,
    a pure function of (seed, e).

    Args:
        name: One of `pair_names()`.
        batch_size: Pairs B per training batch.
        data_dir: Folder of data sets prepared by TensorFlow Datasets, as for `load`; not needed for
            `numbers` and `dates`.
        seed: Key of the order; the splits do not depend on it.
        vocabulary: Largest number of byte pairs of either language of `ted_hrlr_translate`, 8,192 by default;
            `None` for the others, whose tokens are characters.
        length: Lengths S and T for `ted_hrlr_translate`, 64 by default; `None` for the others.

    Returns:
        The `Splits`, whose spec is a `PairSpec` with the tokenizers.

    Raises:
        ValueError: If an argument is not valid, or the data set is not prepared and cannot be.
    """
    arguments.known_name("set of pairs", name, _FACTS)
    arguments.integer("batch_size", batch_size, 1)
    arguments.seed("seed", seed)
    spec, tokens = _prepared(name, data_dir, vocabulary, length)
    return splits(spec, *tokens, batch_size, seed)


def pair_spec(
    name: str,
    *,
    vocabulary: int | None = None,
    length: int | None = None,
    data_dir: str | os.PathLike | None = None,
) -> specs.PairSpec:
    """Returns the properties of a set of pairs; those of `ted_hrlr_translate` are known after reading it.

    Args:
        name: One of `pair_names()`.
        vocabulary: As for `load_pairs`.
        length: As for `load_pairs`.
        data_dir: As for `load_pairs`.

    Returns:
        The `PairSpec`.

    Raises:
        ValueError: As for `load_pairs`.
    """
    arguments.known_name("set of pairs", name, _FACTS)
    if name in _GENERATED:
        _check_generated(name, vocabulary, length)
        return _generated_spec(name)
    return _prepared(name, data_dir, vocabulary, length)[0]


def pair_provenance(name, data_dir=None):
    """Returns how the pairs are stored: `generated`, or `text, as published`.

    Args:
        name: One of `pair_names()`.
        data_dir: Not needed.

    Raises:
        ValueError: If the name is unknown.
    """
    arguments.known_name("set of pairs", name, _FACTS)
    return "generated" if name in _GENERATED else "text, as published"


def splits(spec, train, validation, test, batch_size, seed):
    """Builds the splits of pairs held in memory.

    Args:
        spec: The `PairSpec`.
        train: Tokens (sources [N, S], target inputs [N, T], targets [N, T]).
        validation: As for `train`.
        test: As for `train`.
        batch_size: Pairs B per training batch.
        seed: Key of the order.

    Returns:
        The `Splits`.

    Raises:
        ValueError: If `batch_size` or `seed` is not valid.
    """
    arguments.integer("batch_size", batch_size, 1, spec.train)
    arguments.seed("seed", seed)
    # TensorFlow is imported only here, so that an invalid argument is reported at once.
    import tensorflow as tf

    from ..splits import Splits

    # On a machine with an accelerator the tokens stay on the host, where tf.data runs.
    with tf.device("CPU:0"):
        train, validation, test = (
            tuple(tf.cast(tokens, tf.int32) for tokens in split) for split in (train, validation, test)
        )

    def rebuild(batch_size=batch_size, seed=seed):
        return splits(spec, train, validation, test, batch_size, seed)

    return Splits(
        spec,
        batch_size,
        _shuffled(train, batch_size, seed),
        _in_order(validation),
        _in_order(test),
        rebuild,
    )


def _shuffled(split, batch_size, seed):
    """Returns the function from epoch numbers to batches that `Splits` expects."""
    import tensorflow as tf

    size = len(split[0])
    steps = size // batch_size

    def order(epoch):
        key = tf.stack([tf.constant(seed, tf.int64), epoch])
        rows = tf.random.experimental.stateless_shuffle(tf.range(size), key)[: steps * batch_size]
        return tf.data.Dataset.from_tensor_slices(tf.reshape(rows, [steps, batch_size]))

    def batch(rows):
        sources, inputs, targets = (tf.gather(tokens, rows) for tokens in split)
        return (sources, inputs), targets

    return lambda epochs: epochs.flat_map(order).map(batch, num_parallel_calls=tf.data.AUTOTUNE)


def _in_order(split):
    import tensorflow as tf

    sources, inputs, targets = split
    batches = tf.data.Dataset.from_tensor_slices(((sources, inputs), targets)).batch(_EVALUATION_BATCH)
    return batches.prefetch(tf.data.AUTOTUNE)


def _prepared(name, data_dir, vocabulary, length):
    """Returns the `PairSpec` and the tokens of the three splits."""
    folder = prepared_folder(data_dir)
    if name in _GENERATED:
        _check_generated(name, vocabulary, length)
        return _generated_spec(name), _generated_tokens(name)
    vocabulary = ted.VOCABULARY if vocabulary is None else vocabulary
    length = ted.LENGTH if length is None else length
    arguments.integer("vocabulary", vocabulary, 256 + RESERVED)
    arguments.integer("length", length, 2)
    source, target, *tokens = ted.prepared_pairs(name, folder, vocabulary, length)
    return _spec(name, (source, target), (length, length), [len(split[0]) for split in tokens]), tokens


def _check_generated(name, vocabulary, length):
    for argument, value in {"vocabulary": vocabulary, "length": length}.items():
        if value is not None:
            raise ValueError(
                f"{argument} must be None for {name!r}, got {value!r}: its tokens are characters, and its "
                "lengths fixed"
            )


@functools.cache
def _generated_tokenizers(name):
    module = _GENERATED[name]
    return tuple(
        CharacterTokenizer(alphabet, RESERVED)
        for alphabet in (module.SOURCE_ALPHABET, module.TARGET_ALPHABET)
    )


def _generated_spec(name):
    module = _GENERATED[name]
    lengths = module.LONGEST_SOURCE + 1, module.LONGEST_TARGET + 1
    return _spec(name, _generated_tokenizers(name), lengths, (module.TRAIN, module.VALIDATION, module.TEST))


@functools.cache
def _generated_tokens(name):
    """Returns the tokens of the three splits (sources, target inputs, targets)."""
    source, target = _generated_tokenizers(name)
    spec = _generated_spec(name)
    return tuple(
        (
            encode_sources(source, sources, spec.source_length),
            *encode_targets(target, targets, spec.target_length),
        )
        for sources, targets in _GENERATED[name].pairs()
    )


def _spec(name, tokenizers, lengths, sizes):
    return specs.PairSpec(
        name=name,
        source_length=lengths[0],
        target_length=lengths[1],
        source_vocabulary=tokenizers[0].size,
        target_vocabulary=tokenizers[1].size,
        train=sizes[0],
        validation=sizes[1],
        test=sizes[2],
        source_tokenizer=tokenizers[0],
        target_tokenizer=tokenizers[1],
        **_FACTS[name],
    )
