"""Attention: each query averages the values, weighted by how well its key matches (Sec. 5.4).

Masks are boolean and True where a query may attend to a key.

Legend: B batch, T queries, S keys, D features, H heads, d size of a head, P positions in a cache.
"""

import functools

import keras
from keras import ops

from .. import arguments
from .dot_product_attention import attention_weights, causal_mask
from .positions import rotate


@keras.saving.register_keras_serializable("curvezoo")
class MultiHeadAttention(keras.layers.Layer):
    r"""Multi-head attention: [B, T, D] to [B, T, D], Eqs. 5.4.3 to 5.4.9.

    \[ Q^h = W_Q^h V, \quad K^h = W_K^h M, \quad
       \mathrm{head}^h = \mathrm{softmax}\left(\frac{Q^h K^{h\dagger}}{\sqrt{d_h}}\right) W_V^h M, \quad
       Z = W_O \, \mathrm{Concat}(\mathrm{head}^1, \ldots, \mathrm{head}^H) \]

    In self-attention M is V itself, in cross-attention the memory, such as an encoder's outputs.

    Args:
        heads: The number H of heads, or a tuple with the size d of each.
        head_size: Size d of each head if `heads` is a number; `None` for D / H.
        value_sizes: Size of the values of each head, an integer or a tuple; `None` for d.
        causal: Whether a query attends only to its own and earlier positions.
        rotary: Whether queries and keys are rotated by their positions (`rotate`); d must be even.
        dropout: Probability that an attention weight is set to zero while training.
        use_bias: Whether the four maps have biases; the notes have none.
        kernel_initializer: Any Keras initializer identifier.
        output_initializer: Initializer of W_O; `None` for `kernel_initializer`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: If a size is not a positive integer, H does not divide D, or `rotary` heads have odd
            sizes.

    References:
        Vaswani et al., "Attention Is All You Need" (2017), arXiv:1706.03762.
    """

    def __init__(
        self,
        heads,
        head_size=None,
        value_sizes=None,
        causal=False,
        rotary=False,
        dropout=0.0,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        output_initializer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.heads, self.head_size, self.value_sizes = heads, head_size, value_sizes
        self.causal, self.rotary, self.use_bias = causal, rotary, use_bias
        self.dropout = arguments.fraction("dropout", dropout)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.output_initializer = keras.initializers.get(output_initializer)
        self._key_sizes = None
        if isinstance(heads, tuple | list):
            if head_size is not None:
                raise ValueError(f"head_size must be None if heads lists the sizes, got {head_size!r}")
            self._number = arguments.integer("the number of heads", len(heads), 1)
            self._key_sizes = _sizes("heads", heads, self._number)
        else:
            self._number = arguments.integer("heads", heads, 1)
            if head_size is not None:
                self._key_sizes = _sizes("head_size", head_size, self._number)
        self._value_sizes = None if value_sizes is None else _sizes("value_sizes", value_sizes, self._number)
        self.drop = keras.layers.Dropout(dropout, dtype=self.dtype_policy, name="drop")

    def build(self, inputs_shape, memory_shape=None):
        """Creates the maps for inputs [B, T, D] and a memory [B, S, D'], by default the inputs."""
        features, memory_shape = inputs_shape[-1], memory_shape or inputs_shape
        if self._key_sizes is None:
            if features % self._number:
                raise ValueError(f"heads must divide the {features} features, got {self._number}")
            self._key_sizes = (features // self._number,) * self._number
        if self.rotary and any(size % 2 for size in self._key_sizes):
            raise ValueError(f"rotary heads must have even sizes, got {self._key_sizes}")
        self._value_sizes = self._value_sizes or self._key_sizes
        keys, values = sum(self._key_sizes), sum(self._value_sizes)
        self.query = self._map("query", keys, inputs_shape)
        self.key = self._map("key", keys, memory_shape)
        self.value = self._map("value", values, memory_shape)
        concatenated = (*inputs_shape[:-1], values)
        self.output_map = self._map("output", features, concatenated, self.output_initializer)

    def call(
        self,
        inputs,
        memory=None,
        attention_mask=None,
        padding_mask=None,
        training=None,
        mask=None,
        inputs_mask=None,
        memory_mask=None,
    ):
        """Returns the outputs Z, [B, T, D].

        Args:
            inputs: V, [B, T, D].
            memory: M, [B, S, D']; `None` for the inputs.
            attention_mask: Boolean [T, S] or [B, T, S]: True where a query may attend to a key.
            padding_mask: Boolean [B, S]: True at the keys that are not padding; by default the mask that an
                earlier layer, such as `Embedding(mask_zero=True)`, attached to the keys.
            training: Whether to drop attention weights.
            mask: The mask that Keras found on V, if V is the only tensor.
            inputs_mask: The mask that Keras found on V, if there are further tensors.
            memory_mask: The mask that Keras found on M.

        Raises:
            ValueError: If a mask's shape does not fit.
        """
        if padding_mask is None:
            padding_mask = memory_mask if memory is not None else first_given(mask, inputs_mask)
        queries = self._queries(inputs, 0)
        keys, values = self._keys_and_values(inputs if memory is None else memory, 0)
        mask = self._mask(inputs, keys[0], attention_mask, padding_mask)
        return self._attend(queries, keys, values, mask, training)

    def weights_of(self, inputs, memory=None, attention_mask=None, padding_mask=None):
        """Returns the attention weights of every head, [B, H, T, S], Eq. 5.4.6.

        Args:
            inputs: As for `call`.
            memory: As for `call`.
            attention_mask: As for `call`.
            padding_mask: As for `call`.
        """
        queries = self._queries(inputs, 0)
        keys, _ = self._keys_and_values(inputs if memory is None else memory, 0)
        mask = self._mask(inputs, keys[0], attention_mask, padding_mask)
        heads = [attention_weights(q, k, mask) for q, k in zip(queries, keys, strict=True)]
        return ops.concatenate(heads, axis=1)

    def initial_cache(self, batch, length):
        """Returns an empty cache of self-attention for P positions.

        Args:
            batch: Number B of sequences.
            length: Number P of positions.

        Returns:
            A dictionary of `keys` and `values`, each a list of tensors [B, H, P, d]: one tensor if all heads
            have the same sizes, else a tensor [B, 1, P, d] for each head.
        """
        keys = [(batch, n, length, size) for n, size in self._groups(self._key_sizes)]
        values = [(batch, n, length, size) for n, size in self._groups(self._value_sizes)]
        zeros = {"keys": keys, "values": values}
        return {name: [ops.zeros(s, self.compute_dtype) for s in shapes] for name, shapes in zeros.items()}

    def extend(self, inputs, cache, position):
        """Attends to the cached positions and to the inputs, as `call` does to a whole sequence if causal.

        The cost does not depend on the position.

        Args:
            inputs: V of T consecutive positions, [B, T, D].
            cache: Keys and values of earlier positions, as `initial_cache` or this method returns them.
            position: Position of the first input, an integer or a tensor; at most P - T.

        Returns:
            The outputs Z, [B, T, D], and the cache with the keys and values of the inputs.
        """
        queries = self._queries(inputs, position)
        keys, values = self._keys_and_values(inputs, position)
        new = {"keys": keys, "values": values}
        cache = {
            name: [_written(old, part, position) for old, part in zip(cache[name], new[name], strict=True)]
            for name in new
        }
        mask = causal_mask(ops.shape(inputs)[1], ops.shape(cache["keys"][0])[-2], position)
        return self._attend(queries, cache["keys"], cache["values"], mask), cache

    def memory_cache(self, memory):
        """Returns the keys and values of a memory, for `read`.

        Args:
            memory: M, [B, S, D'].
        """
        keys, values = self._keys_and_values(memory, 0)
        return {"keys": keys, "values": values}

    def read(self, inputs, cache, padding_mask=None):
        """Attends to a memory, as `call` does.

        Args:
            inputs: V, [B, T, D].
            cache: Keys and values, as `memory_cache` returns them.
            padding_mask: Boolean [B, S]: True at the keys that are not padding.

        Returns:
            The outputs Z, [B, T, D].
        """
        mask = None if padding_mask is None else padding_mask[:, None, None, :]
        return self._attend(self._queries(inputs, 0), cache["keys"], cache["values"], mask)

    def compute_output_shape(self, inputs_shape, *_):
        """Returns the shape of the inputs."""
        return inputs_shape

    def get_config(self):
        """Returns the arguments that rebuild this layer."""
        return {
            **super().get_config(),
            "heads": self.heads,
            "head_size": self.head_size,
            "value_sizes": self.value_sizes,
            "causal": self.causal,
            "rotary": self.rotary,
            "dropout": self.dropout,
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "output_initializer": keras.initializers.serialize(self.output_initializer),
        }

    def _map(self, name, units, shape, initializer=None):
        """Returns a built dense layer."""
        layer = keras.layers.Dense(
            units,
            use_bias=self.use_bias,
            kernel_initializer=(initializer or self.kernel_initializer).clone(),
            dtype=self.dtype_policy,
            name=name,
        )
        layer.build(shape)
        return layer

    def _queries(self, inputs, position):
        heads = self._split(self.query(inputs), self._key_sizes)
        return [rotate(head, position) for head in heads] if self.rotary else heads

    def _keys_and_values(self, memory, position):
        keys = self._split(self.key(memory), self._key_sizes)
        keys = [rotate(head, position) for head in keys] if self.rotary else keys
        return keys, self._split(self.value(memory), self._value_sizes)

    def _attend(self, queries, keys, values, mask, training=False):
        """Returns W_O applied to the concatenated heads."""
        heads = [
            ops.matmul(self.drop(attention_weights(q, k, mask), training=training), v)
            for q, k, v in zip(queries, keys, values, strict=True)
        ]
        return self.output_map(self._joined(heads))

    def _uniform(self):
        return len(set(self._key_sizes)) == 1 and len(set(self._value_sizes)) == 1

    def _groups(self, sizes):
        """Returns pairs (heads, size) of the tensors that together hold all heads."""
        return [(self._number, sizes[0])] if self._uniform() else [(1, size) for size in sizes]

    def _split(self, x, sizes):
        """Splits features into heads: a list of tensors [B, heads, T, d]."""
        if self._uniform():
            x = ops.reshape(x, (-1, ops.shape(x)[1], self._number, sizes[0]))
            return [ops.transpose(x, (0, 2, 1, 3))]
        ends = [sum(sizes[: i + 1]) for i in range(len(sizes) - 1)]
        return [part[:, None] for part in ops.split(x, ends, axis=-1)]

    def _joined(self, heads):
        """Concatenates the heads' outputs: [B, T, sum of the value sizes]."""
        if not self._uniform():
            return ops.concatenate([head[:, 0] for head in heads], axis=-1)
        x = ops.transpose(heads[0], (0, 2, 1, 3))
        return ops.reshape(x, (-1, ops.shape(x)[1], sum(self._value_sizes)))

    def _mask(self, inputs, keys, attention_mask, padding_mask):
        """Returns all masks together, broadcastable to [B, H, T, S]; `None` if there are none."""
        size = (inputs.shape[0], inputs.shape[1], keys.shape[-2])
        masks = []
        if attention_mask is not None:
            mask = ops.cast(attention_mask, "bool")
            _check_shape("attention_mask", mask, "[T, S] or [B, T, S]", size[1:], size)
            masks.append(mask[:, None] if len(mask.shape) == 3 else mask)
        if padding_mask is not None:
            mask = ops.cast(padding_mask, "bool")
            _check_shape("padding_mask", mask, "[B, S]", size[::2])
            masks.append(mask[:, None, None, :])
        if self.causal:
            masks.append(causal_mask(ops.shape(inputs)[1], ops.shape(keys)[-2]))
        return functools.reduce(ops.logical_and, masks) if masks else None


def first_given(*values):
    """Returns the first value that is not None, else None."""
    return next((value for value in values if value is not None), None)


def _sizes(name, value, number):
    """Returns a size for each head as a tuple."""
    sizes = tuple(value) if isinstance(value, tuple | list) else (value,) * number
    if len(sizes) != number:
        raise ValueError(f"{name} must have a size for each of the {number} heads, got {value!r}")
    return tuple(arguments.integer(name, size, 1) for size in sizes)


def _written(cache, new, position):
    """Returns a cache [B, H, P, d] with new entries [B, H, T, d] at a position."""
    return ops.slice_update(cache, (0, 0, position, 0), ops.cast(new, cache.dtype))


def _check_shape(name, mask, rule, *shapes):
    """Raises a ValueError unless a mask has one of some shapes, in which `None` is any size."""
    given = tuple(mask.shape)
    if not any(_fits(given, shape) for shape in shapes):
        valid = " or ".join(map(str, shapes))
        raise ValueError(f"{name} must have shape {rule}, here {valid}, got {given}")


def _fits(given, shape):
    """Returns whether two shapes agree where both are known."""
    return len(given) == len(shape) and all(
        None in pair or pair[0] == pair[1] for pair in zip(given, shape, strict=True)
    )
