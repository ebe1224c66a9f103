"""The Transformer's block: attention and a feed-forward network, each with a residual sum and a layer norm.

Legend: B batch, T positions, S positions of a memory, D features.
"""

import keras
from keras import ops

from .. import arguments
from .attention import MultiHeadAttention, first_given
from .feed_forward import FeedForward
from .normalization import layer_normalization

_NORMS = ("pre", "post")


@keras.saving.register_keras_serializable("curvezoo")
class TransformerBlock(keras.layers.Layer):
    r"""One block: [B, T, D] to [B, T, D].

    With `norm="post"`, as the notes print (Eqs. 5.4.14 and 5.4.15),

    \[ X_n = \mathrm{LN}(V_n + \mathrm{MHA}(V_n)), \qquad V_{n+1} = \mathrm{LN}(X_n + \mathrm{FC}(X_n)). \]

    With `norm="pre"`, which trains without a warm-up,

    \[ X_n = V_n + \mathrm{MHA}(\mathrm{LN}(V_n)), \qquad V_{n+1} = X_n + \mathrm{FC}(\mathrm{LN}(X_n)), \]

    and a network needs one more layer norm after the last block. With `cross`, attention to a memory comes
    between the two, with a residual sum and a layer norm of its own.

    Args:
        heads: As for `MultiHeadAttention`.
        units: Hidden features of the feed-forward network; `None` for 4 D.
        causal: Whether a position attends only to itself and to earlier ones.
        cross: Whether the block attends to a memory, such as an encoder's outputs.
        norm: `pre` or `post`.
        rotary: Whether queries and keys of self-attention are rotated by their positions.
        activation: Activation of the feed-forward network.
        dropout: Probability that a feature of each branch is set to zero while training.
        attention_dropout: Probability that an attention weight is; slow on a CPU, which draws T random
            numbers for each head and position.
        use_bias: Whether the maps have biases.
        head_size: As for `MultiHeadAttention`.
        remat: Whether the activations of each branch are computed again in the backward pass, which saves
            memory. Excludes `attention_dropout`, whose random numbers would be drawn again.
        kernel_initializer: Any Keras initializer identifier.
        output_initializer: Initializer of the last map of each branch; `None` for `kernel_initializer`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: If an argument is not valid.

    References:
        Vaswani et al., "Attention Is All You Need" (2017), arXiv:1706.03762.
        Xiong et al., "On Layer Normalization in the Transformer Architecture" (2020), arXiv:2002.04745.
    """

    def __init__(
        self,
        heads,
        units=None,
        causal=False,
        cross=False,
        norm="pre",
        rotary=False,
        activation="relu",
        dropout=0.0,
        attention_dropout=0.0,
        use_bias=True,
        head_size=None,
        remat=False,
        kernel_initializer="glorot_uniform",
        output_initializer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.heads, self.units, self.head_size = heads, units, head_size
        self.causal, self.cross, self.rotary, self.use_bias = causal, cross, rotary, use_bias
        self.norm = arguments.one_of("norm", norm, _NORMS)
        self.activation = keras.activations.get(activation)
        self.dropout = arguments.fraction("dropout", dropout)
        self.attention_dropout = arguments.fraction("attention_dropout", attention_dropout)
        self.remat = arguments.boolean("remat", remat)
        if remat and attention_dropout:
            raise ValueError(f"attention_dropout must be 0 with remat, got {attention_dropout}")
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.output_initializer = keras.initializers.get(output_initializer)

    def build(self, inputs_shape, memory_shape=None):
        """Creates the branches for inputs [B, T, D] and a memory [B, S, D']."""
        policy = self.dtype_policy
        maps = {
            "use_bias": self.use_bias,
            "kernel_initializer": self.kernel_initializer,
            "output_initializer": self.output_initializer,
            "dtype": policy,
        }
        attention = {
            "heads": self.heads,
            "head_size": self.head_size,
            "dropout": self.attention_dropout,
            **maps,
        }
        self.attention = MultiHeadAttention(
            causal=self.causal, rotary=self.rotary, name="attention", **attention
        )
        self.attention.build(inputs_shape)
        self.attention_norm = layer_normalization(dtype=policy, name="attention_norm")
        self.attention_norm.build(inputs_shape)
        if self.cross:
            self.cross_attention = MultiHeadAttention(name="cross_attention", **attention)
            self.cross_attention.build(inputs_shape, memory_shape)
            self.cross_norm = layer_normalization(dtype=policy, name="cross_norm")
            self.cross_norm.build(inputs_shape)
        units = 4 * inputs_shape[-1] if self.units is None else self.units
        self.feed_forward = FeedForward(units, self.activation, name="feed_forward", **maps)
        self.feed_forward.build(inputs_shape)
        self.feed_forward_norm = layer_normalization(dtype=policy, name="feed_forward_norm")
        self.feed_forward_norm.build(inputs_shape)
        self.drop = keras.layers.Dropout(self.dropout, dtype=policy, name="drop")

    def call(
        self,
        inputs,
        memory=None,
        attention_mask=None,
        padding_mask=None,
        memory_padding_mask=None,
        training=None,
        mask=None,
        inputs_mask=None,
        memory_mask=None,
    ):
        """Returns the block's outputs, [B, T, D].

        Args:
            inputs: [B, T, D].
            memory: [B, S, D'], for a block with `cross`.
            attention_mask: Boolean [T, T] or [B, T, T]: True where a position may attend to another.
            padding_mask: Boolean [B, T]: True at the positions that are not padding; by default the mask that
                an earlier layer, such as `Embedding(mask_zero=True)`, attached to the inputs.
            memory_padding_mask: Boolean [B, S], likewise.
            training: Whether to apply dropout.
            mask: The mask that Keras found on the inputs, if they are the only tensor.
            inputs_mask: The mask that Keras found on the inputs, if there are further tensors.
            memory_mask: The mask that Keras found on the memory.

        Raises:
            ValueError: If a mask's shape does not fit, or just one of `memory` and `cross` is given.
        """
        if self.cross and memory is None:
            raise ValueError("memory must be given to a block with cross=True, got None")
        if memory is not None and not self.cross:
            raise ValueError(f"memory must be None without cross=True, got shape {tuple(memory.shape)}")
        padding_mask = first_given(padding_mask, mask, inputs_mask)
        memory_padding_mask = first_given(memory_padding_mask, memory_mask)

        def attend(x):
            masks = {"attention_mask": attention_mask, "padding_mask": padding_mask}
            return self.attention(x, **masks, training=training)

        def attend_to_memory(x, memory):
            return self.cross_attention(x, memory, padding_mask=memory_padding_mask, training=training)

        x = self._residual(inputs, attend, self.attention_norm, training)
        if self.cross:
            x = self._residual(x, attend_to_memory, self.cross_norm, training, memory)
        return self._residual(x, self.feed_forward, self.feed_forward_norm, training)

    def initial_cache(self, batch, length, memory=None):
        """Returns the cache for decoding.

        Args:
            batch: Number B of sequences.
            length: Number P of positions.
            memory: [B, S, D'], for a block with `cross`.
        """
        cache = {"self": self.attention.initial_cache(batch, length)}
        if self.cross:
            cache["memory"] = self.cross_attention.memory_cache(memory)
        return cache

    def extend(self, inputs, cache, position, memory_padding_mask=None):
        """Returns the outputs of T further positions, [B, T, D], and the extended cache.

        Args:
            inputs: [B, T, D].
            cache: What `initial_cache` or this method returned.
            position: Position of the first input.
            memory_padding_mask: Boolean [B, S]: True at the memory's positions that are not padding.
        """
        inputs, extended = ops.cast(inputs, self.compute_dtype), dict(cache)

        def attend(x):
            outputs, extended["self"] = self.attention.extend(x, cache["self"], position)
            return outputs

        def attend_to_memory(x):
            return self.cross_attention.read(x, cache["memory"], memory_padding_mask)

        x = self._residual(inputs, attend, self.attention_norm)
        if self.cross:
            x = self._residual(x, attend_to_memory, self.cross_norm)
        return self._residual(x, self.feed_forward, self.feed_forward_norm), extended

    def _residual(self, x, branch, norm, training=False, *memory):
        """Returns the sum of x and a branch, normalized before the branch or after the sum."""

        def normalized_branch(x, *memory):
            return branch(norm(x), *memory)

        function = normalized_branch if self.norm == "pre" else branch
        if self.remat and training:
            # Tensors that are not arguments get no gradient. Dropout must not be drawn again.
            function = keras.remat(function)
        x = x + self.drop(function(x, *memory), training=training)
        return x if self.norm == "pre" else norm(x)

    def compute_output_shape(self, inputs_shape, *_):
        """Returns the shape of the inputs."""
        return inputs_shape

    def get_config(self):
        """Returns the arguments that rebuild this layer."""
        return {
            **super().get_config(),
            "heads": self.heads,
            "units": self.units,
            "causal": self.causal,
            "cross": self.cross,
            "norm": self.norm,
            "rotary": self.rotary,
            "activation": keras.activations.serialize(self.activation),
            "dropout": self.dropout,
            "attention_dropout": self.attention_dropout,
            "use_bias": self.use_bias,
            "head_size": self.head_size,
            "remat": self.remat,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "output_initializer": keras.initializers.serialize(self.output_initializer),
        }
