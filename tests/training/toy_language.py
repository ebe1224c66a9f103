"""A language model of one matrix and a translator that looks words up: the smallest models of tokens."""

import keras
import numpy as np
import tensorflow as tf

from curvezoo.data.text import (
    CharacterTokenizer,
    PairSpec,
    decode_targets,
    encode_sources,
    encode_targets,
    pairs,
)
from curvezoo.training import Supervised
from curvezoo.training.parts import Architecture, NextToken, Optimizer, Pairs, Text, Translate


@keras.saving.register_keras_serializable("curvezoo_tests")
class Bigram(keras.Model):
    """Logits of the next token that depend on the last token only."""

    tokenizer = None

    def __init__(self, vocabulary, context=None, width=8, dropout=0.0):
        self.settings = {"vocabulary": vocabulary, "context": context, "width": width, "dropout": dropout}
        tokens = keras.Input((None,), dtype="int32", name="tokens")
        hidden = keras.layers.Dropout(dropout)(keras.layers.Embedding(vocabulary, width)(tokens))
        super().__init__(tokens, keras.layers.Dense(vocabulary, name="logits")(hidden))
        self.vocabulary, self.context = vocabulary, context

    def get_config(self):
        return dict(self.settings)

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**config)

    def generate_tokens(self, tokens, lengths, max_new_tokens, temperature, seed):
        """Repeats the last token: enough to see an endpoint's arguments arrive."""
        last = tf.gather(tokens, lengths - 1, batch_dims=1)
        new = tf.tile(last[:, None], [1, max_new_tokens]) + 0 * seed + tf.cast(0 * temperature, tf.int32)
        return tf.concat([tokens, new], axis=1)

    def generate(self, prompt, max_new_tokens=200, *, temperature=1.0, seed=0, **settings):
        """Draws from the model token by token, in NumPy."""
        single = isinstance(prompt, str)
        rows = [self.tokenizer.encode(prompt)] if single else prompt
        generator, table = np.random.default_rng(seed), self.table()
        written = []
        for row in rows:
            tokens = [int(row[-1])]
            for _ in range(max_new_tokens):
                logits = table[tokens[-1]] / temperature
                tokens.append(int(np.argmax(logits + generator.gumbel(size=len(logits)))))
            written.append(np.array(tokens[1:], "int32"))
        return self.tokenizer.decode(written[0]) if single else written

    def stream(self, prompt, max_new_tokens=200, **settings):
        """Yields what `generate` returns, three tokens at a time."""
        new = self.generate([self.tokenizer.encode(prompt)], max_new_tokens, **settings)[0]
        for start in range(0, len(new), 3):
            yield new[start : start + 3]

    def table(self):
        """Returns the logits after each token, [V, V]."""
        return self(np.arange(self.vocabulary, dtype="int32")[None])[0].numpy()


def bigram(spec, width: int = 8, dropout: float = 0.0):
    return Bigram(spec.vocabulary, spec.context, width, dropout)


BIGRAM = Supervised(
    name="bigram",
    section="5.2",
    summary="one matrix",
    model=Architecture(bigram),
    data=Text("text", context=16, batch_size=32),
    objective=NextToken(),
    optimizer=Optimizer("adam", learning_rate=1e-2),
    epochs=2,
)


LENGTH, LETTERS = 4, CharacterTokenizer("abc", 3)


@keras.saving.register_keras_serializable("curvezoo_tests")
class Speller(keras.Model):
    """Translates a letter into itself, repeated: the logits depend on the source and the position."""

    source_tokenizer = target_tokenizer = None

    def __init__(self, source_vocabulary, target_vocabulary, length):
        self.settings = {
            "source_vocabulary": source_vocabulary,
            "target_vocabulary": target_vocabulary,
            "length": length,
        }
        source = keras.Input((2,), dtype="int32", name="source")
        start = keras.Input((length,), dtype="int32", name="target_start")
        embedded = keras.layers.Flatten()(keras.layers.Embedding(source_vocabulary, 8)(source))
        read = keras.layers.Dense(8)(embedded)
        logits = keras.layers.Dense(length * target_vocabulary)(read)
        logits = keras.layers.Reshape((length, target_vocabulary))(logits)
        before = keras.layers.Embedding(target_vocabulary, target_vocabulary)(start)
        super().__init__([source, start], keras.layers.Add(name="logits")([logits, before]))
        self.source_vocabulary, self.target_vocabulary = source_vocabulary, target_vocabulary
        self.length = length

    def get_config(self):
        return dict(self.settings)

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**config)

    def translate(self, source):
        """Returns the most probable tokens, one after the other."""
        start = tf.fill([tf.shape(source)[0], 1], 1)
        for position in range(self.length):
            padded = tf.pad(start, [[0, 0], [0, self.length - 1 - position]])
            logits = self([source, padded], training=False)[:, position]
            start = tf.concat([start, tf.argmax(logits, axis=-1, output_type=tf.int32)[:, None]], axis=1)
        return start[:, 1:]

    def generate(self, sources, beam=None):
        """Translates texts."""
        single = isinstance(sources, str)
        tokens = encode_sources(self.source_tokenizer, [sources] if single else sources, 2)
        texts = decode_targets(self.target_tokenizer, self.translate(tf.constant(tokens)))
        return texts[0] if single else texts


def speller(spec):
    return Speller(spec.source_vocabulary, spec.target_vocabulary, spec.target_length)


def repeated_letters(batch_size=16):
    """Returns splits of letters with their repetitions, such as ("b", "bb"); all splits are the same."""
    letters = [letter for letter in LETTERS.alphabet for _ in range(16)]
    targets = [letter * (1 + LETTERS.alphabet.index(letter)) for letter in letters]
    split = (encode_sources(LETTERS, letters, 2), *encode_targets(LETTERS, targets, LENGTH))
    spec = PairSpec(
        "letters", 2, LENGTH, LETTERS.size, LETTERS.size, 48, 48, 48, "CC0", "made", "", LETTERS, LETTERS
    )
    return pairs.splits(spec, split, split, split, batch_size, 0)


SPELLER = Supervised(
    name="speller",
    section="5.4",
    summary="letters repeated",
    model=Architecture(speller),
    data=Pairs("letters", batch_size=16),
    objective=Translate(),
    optimizer=Optimizer("adam", learning_rate=0.05),
    epochs=10,
)
