"""The Transformer as a language model: a decoder of masked self-attention (section 5.4).

B batch, T positions, D features, V vocabulary.
"""

import keras

from ... import arguments, layers
from .model import LanguageModel

_ADDED = {"learned": layers.LearnedPositions, "sinusoidal": layers.SinusoidalPositions}
_POSITIONS = (*_ADDED, "rotary", "none")
_STDDEV = 0.02


@keras.saving.register_keras_serializable("curvezoo")
class TransformerLanguageModel(LanguageModel):
    r"""A decoder: embedded tokens with their positions, Transformer blocks, and a map to logits.

    The last map of each branch starts smaller by \(1/\sqrt{2L}\) for L layers, so that the sum of all
    branches has the scale of one.

    Args:
        vocabulary: Size V of the vocabulary.
        context: The longest input.
        num_layers: Number L of blocks.
        width: Number D of features.
        heads: Number of attention heads, or a tuple with the size of each.
        feed_forward: Hidden features of the feed-forward networks; `None` for 4 D.
        positions: `learned`, `sinusoidal`, `rotary`, or `none`.
        norm: `pre`, or `post` as the notes print.
        activation: Activation of the feed-forward networks.
        dropout: Dropout rate of the embeddings and of the blocks' branches.
        tied: Whether the logits are products with the embedding matrix.
        use_bias: Whether the maps have biases.
        remat: Whether the blocks' activations are computed again in the backward pass, which saves memory.
        name: Name of the model.

    Raises:
        ValueError: If an argument is not valid.

    References:
        Radford et al., "Language Models are Unsupervised Multitask Learners" (2019).
    """

    reads_in_parallel = True

    def __init__(
        self,
        vocabulary,
        context,
        num_layers=4,
        width=128,
        heads=4,
        feed_forward=None,
        positions="rotary",
        norm="pre",
        activation="gelu",
        dropout=0.0,
        tied=False,
        use_bias=False,
        remat=False,
        name="transformer",
    ):
        vocabulary = arguments.integer("vocabulary", vocabulary, 1)
        context = arguments.integer("context", context, 1)
        num_layers = arguments.integer("num_layers", num_layers, 1)
        width = arguments.integer("width", width, 1)
        config = {key: value for key, value in locals().items() if key not in ("self", "__class__")}
        arguments.fraction("dropout", dropout)
        arguments.one_of("positions", positions, _POSITIONS)
        self_attention = {
            "heads": heads,
            "units": feed_forward,
            "causal": True,
            "norm": norm,
            "rotary": positions == "rotary",
            "activation": activation,
            "dropout": dropout,
            "use_bias": use_bias,
            "remat": remat,
            "kernel_initializer": keras.initializers.RandomNormal(stddev=_STDDEV),
            "output_initializer": keras.initializers.RandomNormal(stddev=_STDDEV / (2 * num_layers) ** 0.5),
        }
        tokens = keras.Input((None,), dtype="int32", name="tokens")
        embedding = _embedding(vocabulary, width, tied)
        x = embedding(tokens)  # [B, T, D]
        if positions in _ADDED:
            x = _ADDED[positions](context, name="positions")(x)
        x = keras.layers.Dropout(dropout, name="dropout")(x)
        for index in range(num_layers):
            block = layers.TransformerBlock(name=f"block_{index}", **self_attention)
            x = block(x)
        if norm == "pre":
            x = layers.layer_normalization(name="norm")(x)
        super().__init__(inputs=tokens, outputs=_logits(x, embedding, vocabulary, tied), name=name)
        self.vocabulary, self.context = vocabulary, context
        self._config = config

    def initial_state(self, batch, length):
        """Returns an empty cache of keys and values for each block.

        Args:
            batch: Number B of sequences.
            length: Number of positions.
        """
        return [block.initial_cache(batch, length) for block in self._blocks()]

    def prefill(self, tokens, state):
        """Returns the cache after reading tokens [B, T] from position 0.

        Args:
            tokens: int32 [B, T].
            state: The cache.
        """
        return self._extend(tokens, 0, state)[1]

    def step(self, tokens, position, state):
        """Returns the logits [B, V] after one more token, and the cache.

        Args:
            tokens: int32 [B].
            position: The tokens' position, a scalar.
            state: The cache.
        """
        x, state = self._extend(tokens[:, None], position, state)
        if self._config["norm"] == "pre":
            x = self.get_layer("norm")(x)
        if self._config["tied"]:
            return self.get_layer("embedding")(x, reverse=True)[:, 0], state
        return self.get_layer("logits")(x)[:, 0], state

    def attention_weights(self, tokens):
        """Returns the attention weights of every block and head (Eq. 5.4.6), a list of arrays [B, H, T, T].

        Args:
            tokens: int32 [B, T].
        """
        x, weights = self._embedded(tokens, 0), []
        for block in self._blocks():
            inputs = block.attention_norm(x) if block.norm == "pre" else x
            weights.append(block.attention.weights_of(inputs))
            x = block(x)
        return weights

    def _blocks(self):
        return [self.get_layer(f"block_{index}") for index in range(self._config["num_layers"])]

    def _embedded(self, tokens, position):
        x = self.get_layer("embedding")(tokens)
        return self.get_layer("positions")(x, position=position) if self._config["positions"] in _ADDED else x

    def _extend(self, tokens, position, state):
        """Returns the outputs of the last block, [B, T, D], and the cache."""
        x, extended = self._embedded(tokens, position), []
        for block, cache in zip(self._blocks(), state, strict=True):
            x, cache = block.extend(x, cache, position)
            extended.append(cache)
        return x, extended


def _embedding(vocabulary, width, tied):
    """Returns the embedding layer, which computes logits, too, if it is tied."""
    kind = keras.layers.ReversibleEmbedding if tied else keras.layers.Embedding
    initializer = keras.initializers.RandomNormal(stddev=_STDDEV)
    return kind(vocabulary, width, embeddings_initializer=initializer, name="embedding")


def _logits(x, embedding, vocabulary, tied):
    """Returns the logits [B, T, V]."""
    if tied:
        return embedding(x, reverse=True)
    initializer = keras.initializers.RandomNormal(stddev=_STDDEV)
    dense = keras.layers.Dense(vocabulary, use_bias=False, kernel_initializer=initializer, name="logits")
    return dense(x)
