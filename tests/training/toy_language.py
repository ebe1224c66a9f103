"""A language model of one matrix and a translator that looks words up: the smallest models of tokens."""

import keras
import numpy as np
import tensorflow as tf

from curvezoo.training import Supervised
from curvezoo.training.parts import Architecture, NextToken, Optimizer, Text


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


RECIPE = Supervised(
    name="bigram",
    section="5.2",
    summary="one matrix",
    model=Architecture(bigram),
    data=Text("text", context=16, batch_size=32),
    objective=NextToken(),
    optimizer=Optimizer("adam", learning_rate=1e-2),
    epochs=2,
)
