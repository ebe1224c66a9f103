"""Recurrent networks as language models, of characters and of words (section 5.2).

B batch, T positions, D features of a token, H units, V vocabulary.
"""

import keras

from ... import arguments, layers
from .model import LanguageModel

CELLS = {"rnn": layers.ReLURNN, "lstm": layers.LSTM, "layer_norm_lstm": layers.LayerNormLSTM}


@keras.saving.register_keras_serializable("curvezoo")
class RecurrentLanguageModel(LanguageModel):
    """Embedded tokens, recurrent layers one on top of the other, and a map from the last one to the logits.

    Dropout acts on what enters each layer and the map to the logits, and not on what passes from one time
    step to the next (Zaremba et al., 2014).

    Args:
        vocabulary: Size V of the vocabulary.
        cell: `rnn` (Eq. 5.2.1), `lstm`, or `layer_norm_lstm`.
        num_layers: Number of recurrent layers.
        width: Number H of units of each.
        embedding: Number D of features of an embedded token; `None` for `width`.
        dropout: Dropout rate.
        tied: Whether the logits are products with the embedding matrix, for which D must be H.
        initial_range: Draw all matrices uniformly between minus and plus this; `None` for Keras's defaults.
        name: Name of the model.

    Raises:
        ValueError: If an argument is not valid.

    References:
        Zaremba, Sutskever and Vinyals, "Recurrent Neural Network Regularization" (2014), arXiv:1409.2329.
    """

    def __init__(
        self,
        vocabulary,
        cell="lstm",
        num_layers=2,
        width=256,
        embedding=None,
        dropout=0.0,
        tied=False,
        initial_range=None,
        name="recurrent",
    ):
        vocabulary = arguments.integer("vocabulary", vocabulary, 1)
        num_layers = arguments.integer("num_layers", num_layers, 1)
        width = arguments.integer("width", width, 1)
        config = {key: value for key, value in locals().items() if key not in ("self", "__class__")}
        arguments.one_of("cell", cell, CELLS)
        arguments.fraction("dropout", dropout)
        features = width if embedding is None else arguments.integer("embedding", embedding, 1)
        if tied and features != width:
            raise ValueError(f"embedding must be width={width} for tied=True, got {embedding}")
        drawn = _uniform(initial_range)
        tokens = keras.Input((None,), dtype="int32", name="tokens")
        embedding_kind = keras.layers.ReversibleEmbedding if tied else keras.layers.Embedding
        embed = embedding_kind(vocabulary, features, name="embedding", **drawn("embeddings"))
        x = keras.layers.Dropout(dropout, name="dropout")(embed(tokens))  # [B, T, D]
        for index in range(num_layers):
            initializers = drawn("kernel", "recurrent")
            x = CELLS[cell](width, name=f"recurrent_{index}", **initializers)(x)  # [B, T, H]
            x = keras.layers.Dropout(dropout, name=f"dropout_{index}")(x)
        dense = None if tied else keras.layers.Dense(vocabulary, name="logits", **drawn("kernel"))
        logits = embed(x, reverse=True) if tied else dense(x)
        super().__init__(inputs=tokens, outputs=logits, name=name)
        self.vocabulary = vocabulary
        self._config = config

    def initial_state(self, batch, length):
        """Returns the state before the first token, zeros: a list for each layer.

        Args:
            batch: Number B of sequences.
            length: Number of positions, on which the state does not depend.
        """
        return [layer.initial_state(batch) for layer in self._recurrent_layers()]

    def step(self, tokens, position, state):
        """Returns the logits [B, V] after one more token, and the state.

        Args:
            tokens: int32 [B].
            position: The tokens' position, on which a recurrent network does not depend.
            state: The state.
        """
        x, advanced = self.get_layer("embedding")(tokens), []
        for layer, state_of_layer in zip(self._recurrent_layers(), state, strict=True):
            x, state_of_layer = layer.step(x, state_of_layer)
            advanced.append(state_of_layer)
        if self._config["tied"]:
            return self.get_layer("embedding")(x, reverse=True), advanced
        return self.get_layer("logits")(x), advanced

    def _recurrent_layers(self):
        return [self.get_layer(f"recurrent_{index}") for index in range(self._config["num_layers"])]


def _uniform(limit):
    """Returns a function that makes the arguments of a layer that draw its matrices, none for `None`."""
    if limit is None:
        return lambda *matrices: {}
    limit = arguments.positive_number("initial_range", limit)

    def drawn(*matrices):
        return {f"{name}_initializer": keras.initializers.RandomUniform(-limit, limit) for name in matrices}

    return drawn
