"""The Transformer of an encoder and a decoder, which translates (section 5.4.2).

The notes say that the decoder "obtains keys and queries from the Encoder, but values from the outputs". In
Vaswani et al., and here, the queries come from the decoder, and keys and values from the encoder.

B batch, S source length, T target length, D features, V vocabulary of the target.
"""

import keras
import numpy as np
from keras import ops

from ... import arguments, layers
from ...data.text.padding import decode_targets
from ..programs import Programs
from . import decoding, prompts

_PADDING, _START, _END = 0, 1, 2
_POSITIONS = {"sinusoidal": layers.SinusoidalPositions, "learned": layers.LearnedPositions}


@keras.saving.register_keras_serializable("curvezoo")
class Translator(keras.Model):
    """Maps a source [B, S] and the start of its translation [B, T] to logits [B, T, V] of each next token.

    Token 0 is padding, which the encoder and the decoder do not attend to, 1 the start, 2 the end.

    Args:
        source_vocabulary: Size of the vocabulary of the source.
        target_vocabulary: Size V of the vocabulary of the target.
        source_length: Length S of all sources, with the end.
        target_length: Length T of all targets, with the start.
        num_layers: Number of blocks of the encoder, and of the decoder.
        width: Number D of features.
        heads: Number of attention heads.
        feed_forward: Hidden features of the feed-forward networks; `None` for 4 D.
        positions: `sinusoidal`, as in the original paper, or `learned`.
        norm: `pre`, or `post` as the notes print.
        activation: Activation of the feed-forward networks.
        dropout: Dropout rate of the embeddings and of the blocks' branches.
        name: Name of the model.

    Attributes:
        source_vocabulary: Size of the vocabulary of the source.
        target_vocabulary: Size V of the vocabulary of the target.
        source_tokenizer: The tokenizer of the sources; `None` if the model only knows tokens.
        target_tokenizer: The tokenizer of the targets, likewise.

    Raises:
        ValueError: If an argument is not valid.

    References:
        Vaswani et al., "Attention Is All You Need" (2017), arXiv:1706.03762.
    """

    source_tokenizer = None
    target_tokenizer = None
    reads_in_parallel = False

    def __init__(
        self,
        source_vocabulary,
        target_vocabulary,
        source_length,
        target_length,
        num_layers=2,
        width=128,
        heads=4,
        feed_forward=None,
        positions="sinusoidal",
        norm="pre",
        activation="relu",
        dropout=0.0,
        name="translator",
    ):
        source_vocabulary = arguments.integer("source_vocabulary", source_vocabulary, 1)
        target_vocabulary = arguments.integer("target_vocabulary", target_vocabulary, 1)
        source_length = arguments.integer("source_length", source_length, 1)
        target_length = arguments.integer("target_length", target_length, 1)
        num_layers = arguments.integer("num_layers", num_layers, 1)
        width = arguments.integer("width", width, 1)
        config = {key: value for key, value in locals().items() if key not in ("self", "__class__")}
        arguments.fraction("dropout", dropout)
        arguments.one_of("positions", positions, _POSITIONS)
        block = {
            "heads": heads,
            "units": feed_forward,
            "norm": norm,
            "activation": activation,
            "dropout": dropout,
        }
        source = keras.Input((source_length,), dtype="int32", name="source")
        target = keras.Input((target_length,), dtype="int32", name="target_in")
        visible = source != _PADDING
        x = keras.layers.Embedding(source_vocabulary, width, name="source_embedding")(source)
        x = _POSITIONS[positions](source_length, name="source_positions")(x)  # [B, S, D]
        x = keras.layers.Dropout(dropout, name="source_dropout")(x)
        for index in range(num_layers):
            x = layers.TransformerBlock(name=f"encoder_{index}", **block)(x, padding_mask=visible)
        memory = layers.layer_normalization(name="encoder_norm")(x) if norm == "pre" else x
        y = keras.layers.Embedding(target_vocabulary, width, name="target_embedding")(target)
        y = _POSITIONS[positions](target_length, name="target_positions")(y)  # [B, T, D]
        y = keras.layers.Dropout(dropout, name="target_dropout")(y)
        for index in range(num_layers):
            decoder = layers.TransformerBlock(causal=True, cross=True, name=f"decoder_{index}", **block)
            y = decoder(y, memory=memory, memory_padding_mask=visible)
        y = layers.layer_normalization(name="decoder_norm")(y) if norm == "pre" else y
        logits = keras.layers.Dense(target_vocabulary, name="logits")(y)  # [B, T, V]
        super().__init__(inputs=[source, target], outputs=logits, name=name)
        self.source_vocabulary, self.target_vocabulary = source_vocabulary, target_vocabulary
        self._config = config
        self._programs = Programs(self)
        self._encoder = keras.Model(source, memory, name="encoder")

    def get_config(self):
        """Returns the arguments of the constructor."""
        return dict(self._config)

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Returns a model with new weights."""
        return cls(**config)

    def generate(self, source, *, beam=None):
        """Translates one or several sources, each token the most probable one or by a beam search.

        Args:
            source: A text, if the model has its tokenizers; a sequence of tokens without an end; or a list of
                several.
            beam: Number of beams; `None` takes the most probable token at each step.

        Returns:
            The translation, of the source's kind: a text, or an array of tokens without an end. A list of
            sources gives a list.

        Raises:
            ValueError: If a source is empty, too long, or has unknown characters or tokens, or `beam` is not
                a positive integer.
        """
        if beam is not None:
            arguments.integer("beam", beam, 1)
        vocabulary, longest = self._config["source_vocabulary"], self._config["source_length"] - 1
        request = prompts.read(source, vocabulary, self.source_tokenizer, longest, "source")
        tokens = request.padded(self._config["source_length"])
        tokens[np.arange(len(tokens)), request.lengths] = _END
        found = np.asarray(self._programs.run(Translator.translate, tokens, beam=beam))
        if request.tokenizer is None:
            translations = [row[: int(np.argmax(np.append(row, _END) == _END))] for row in found]
        else:
            translations = decode_targets(self.target_tokenizer, found)
        return translations[0] if request.single else translations

    def translate(self, source, beam=None):
        """Translates sources within a graph; the endpoint of a SavedModel.

        Args:
            source: Tokens with an end and padding, int32 [B, S].
            beam: As for `generate`.

        Returns:
            Translations with an end and padding, int32 [B, T].
        """
        length = self._config["target_length"]
        rows = ops.zeros_like(source[:, 0])
        start = ops.cast(ops.arange(length + 1) == 0, "int32") * _START
        tokens, lengths = rows[:, None] + start, ops.ones_like(rows)
        visible = source != _PADDING
        memory = self._encoder(source, training=False)
        loop = decoding.begin(self, tokens, lengths, 1, length, (memory, visible))
        if beam is None:
            limit = ops.convert_to_tensor(length + 1, "int32")
            loop = decoding.sample(self, loop, lengths, None, limit, length, 0.0, length, stops=((_END,),))
            return loop["tokens"][:, 1:]
        found = decoding.beam_search(self, loop, lengths, length, beams=beam, stops=((_END,),))
        return found["tokens"][:, 0, 1:]

    def initial_state(self, batch, length, memory, visible):
        """Returns the cache of every block of the decoder, and the mask of the source.

        Args:
            batch: Number B of sources.
            length: Number of positions.
            memory: The encoder's outputs, [B, S, D].
            visible: Boolean [B, S]: True at tokens that are not padding.
        """
        caches = [block.initial_cache(batch, length, memory) for block in self._decoder()]
        return {"caches": caches, "visible": visible}

    def step(self, tokens, position, state):
        """Returns the logits [B, V] after one more token of the translation, and the state.

        Args:
            tokens: int32 [B].
            position: The tokens' position, a scalar.
            state: What `initial_state` or this method returned.
        """
        y, caches = self.get_layer("target_embedding")(tokens[:, None]), []
        y = self.get_layer("target_positions")(y, position=position)
        for block, cache in zip(self._decoder(), state["caches"], strict=True):
            y, cache = block.extend(y, cache, position, state["visible"])
            caches.append(cache)
        if self._config["norm"] == "pre":
            y = self.get_layer("decoder_norm")(y)
        return self.get_layer("logits")(y)[:, 0], {"caches": caches, "visible": state["visible"]}

    def _decoder(self):
        return [self.get_layer(f"decoder_{index}") for index in range(self._config["num_layers"])]
