"""Windows of a text of sentences that is too large for memory, streamed from its shards.

Legend: B batch, T context.
"""

import dataclasses
import functools

import numpy as np
import tensorflow as tf

from ... import arguments
from ..prepared import builder as prepared_builder
from ..shards import Shards
from ..splits import Splits
from . import windows
from .tokenizers import BytePairTokenizer, Tokenizer, WordTokenizer

# Sentences from which the tokenizer is made, and by which the windows of an epoch are counted.
_SAMPLE = 100_000
# Largest number of sentences, from the end of the training split, that are for validation.
_VALIDATION = 20_000
_BLOCK = 2048
_SHARDS_AT_ONCE = 16


class SentenceStream:
    """The sentences of a prepared data set, joined by line breaks and tokenized while they are read.

    Args:
        source: The `Source` of the text.
        data_dir: Folder of prepared data sets, or `None`.
        tokenizer: A `Tokenizer`; or `words` or `bpe`, made from the first training sentences.
        vocabulary: Largest number of tokens of `words` or `bpe`.
    """

    def __init__(self, source, data_dir, tokenizer, vocabulary):
        self.builder = prepared_builder(source.name, data_dir)
        sentences = self.builder.info.splits["train"].num_examples
        held_out = max(1, min(_VALIDATION, sentences // 20))
        self.sentences = sentences - held_out
        self.train = Shards.of(self.builder, f"train[:{self.sentences}]")
        sample = _in_order(self.train).take(_SAMPLE)
        if isinstance(tokenizer, Tokenizer):
            self.tokenizer = tokenizer
        else:
            train = WordTokenizer.train if tokenizer == "words" else BytePairTokenizer.train
            self.tokenizer = train(_joined(sample), vocabulary)
        blocks = list(sample.batch(_BLOCK).map(_parsed).as_numpy_iterator())
        self.sampled = sum(map(len, blocks))
        self.block_tokens = [len(self.encode(block)) for block in blocks]
        self.validation = self._read(f"train[{self.sentences}:]")
        self.test = self._read("test")

    def windows(self, context):
        """Returns the number of training windows in one pass, as the sample suggests.

        Args:
            context: Length T of a window.
        """
        sampled = sum((tokens - 1) // context for tokens in self.block_tokens)
        return max(1, sampled * self.sentences // self.sampled)

    def encode(self, sentences):
        """Returns the tokens of sentences, each with a line break behind it.

        Args:
            sentences: UTF-8 strings, an array of bytes.

        Returns:
            Tokens [N], int32.
        """
        return self.tokenizer.encode("".join([sentence.decode().strip() + "\n" for sentence in sentences]))

    def _read(self, split):
        """Returns all tokens of a split."""
        blocks = _in_order(Shards.of(self.builder, split)).batch(_BLOCK).map(_parsed)
        return np.concatenate([self.encode(block) for block in blocks.as_numpy_iterator()])


@functools.lru_cache(maxsize=1)
def stream_of(source, data_dir, tokenizer, vocabulary):
    """Returns the `SentenceStream`; the last one is cached.

    Args:
        source: As in `SentenceStream`.
        data_dir: As in `SentenceStream`.
        tokenizer: As in `SentenceStream`.
        vocabulary: As in `SentenceStream`.
    """
    return SentenceStream(source, data_dir, tokenizer, vocabulary)


def splits(spec, stream, sampling):
    """Builds the splits: a streamed training split, and validation and test splits in memory.

    An epoch is about one pass: as many windows as the average sentence of the sample suggests. It reads the
    shards in a shuffled order, several at once, cuts blocks of sentences into windows from a random offset,
    and shuffles the windows of each block. Memory holds only a few blocks for any number of sentences.

    Args:
        spec: The `TextSpec`.
        stream: The `SentenceStream`.
        sampling: The `windows.Sampling`.

    Returns:
        The `Splits` of (inputs [B, T], targets [B, T]), int32.

    Raises:
        ValueError: If the order is not `shuffled`.
    """
    arguments.one_of("order", sampling.order, ("shuffled",))

    def rebuild(**settings):
        return splits(spec, stream, sampling.replaced(spec.train, **settings))

    return Splits(
        dataclasses.replace(spec, train=sampling.windows or spec.train),
        sampling.batch_size,
        _shuffled(spec, stream, sampling),
        windows.in_order(stream.validation, spec.validation, spec),
        windows.in_order(stream.test, spec.test, spec),
        rebuild,
    )


def _shuffled(spec, stream, sampling):
    """Returns the function from epoch numbers to batches that `Splits` expects."""
    steps = (sampling.windows or spec.train) // sampling.batch_size
    shards = stream.train

    def epoch(number):
        key = tf.stack([tf.constant(sampling.seed, tf.int64), number])
        files_key, windows_key = tf.unstack(tf.random.split(key, 2))

        def cut(index, records):
            tokens = tf.numpy_function(stream.encode, [_parsed(records)], tf.int32, stateful=False)
            tokens = tf.ensure_shape(tokens, [None])
            offset_key, order_key = tf.unstack(tf.random.split(tf.random.fold_in(windows_key, index), 2))
            count = (tf.size(tokens) - 1) // spec.context
            spare = tf.size(tokens) - count * spec.context
            offset = tf.random.stateless_uniform([], offset_key, 0, tf.maximum(spare, 1), tf.int32)
            rows = tf.random.experimental.stateless_shuffle(tf.range(count), order_key)
            return windows.gathered(tokens, offset + rows * spec.context, spec.context)

        files = tf.random.experimental.stateless_shuffle(tf.range(len(shards.files)), files_key)
        records = tf.data.Dataset.from_tensor_slices(files).interleave(
            lambda shard: shards.read(shard).map(lambda _, record: record),
            _SHARDS_AT_ONCE,
            block_length=16,
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        blocks = records.batch(_BLOCK).enumerate().map(cut, num_parallel_calls=tf.data.AUTOTUNE)
        batches = blocks.unbatch().batch(sampling.batch_size, drop_remainder=True)
        # The number of windows is an estimate: if the pass ends early, it begins again.
        return batches.repeat().take(steps)

    return lambda epochs: epochs.flat_map(epoch)


def _in_order(shards):
    """Returns the serialized records of a split."""
    return tf.data.Dataset.range(len(shards.files)).flat_map(shards.read).map(lambda _, record: record)


def _parsed(records):
    """Returns the sentences of serialized records [N], as strings."""
    return tf.io.parse_example(records, {"text": tf.io.FixedLenFeature([], tf.string)})["text"]


def _joined(records):
    blocks = records.batch(_BLOCK).map(_parsed).as_numpy_iterator()
    return "".join(sentence.decode().strip() + "\n" for block in blocks for sentence in block)
