"""Causal convolutions of images, and the gated block of two stacks of them (Sec. 7.2).

Pixels are ordered by rows, from left to right. The vertical stack sees whole rows, the horizontal stack the
row of the pixel to its left; together they see every earlier pixel, without the blind spot of a single stack
of masked convolutions. The masked k by k kernel of the literature is split in two, and only the entries that
its mask keeps are stored: a mask needs no product then, and hidden entries no memory.

    vertical      o o o    horizontal    . . .     o seen, . not seen
                  o x o                  o x .     x seen unless the convolution is strict: a strict vertical
                  . . .                  . . .     convolution sees nothing of the row of x

Every layer also computes one row or one pixel from the latest part of its inputs, its window. So an image is
drawn without computing anything twice.

Legend: B batch, H height, W width, C channels, F filters, r rows and c columns of a kernel.
"""

import keras
from keras import ops

from .. import arguments

_STACKS = ("vertical", "horizontal")


@keras.saving.register_keras_serializable("curvezoo")
class CausalConv2D(keras.layers.Layer):
    r"""The causal part of a k by k convolution: [B, H, W, C] to [B, H, W, F].

    With \(j = \lfloor k/2 \rfloor\), the output at (y, x) is an affine function of the inputs at

    - rows y - j to y and columns x - j to x + j for the vertical stack (strict: rows y - j to y - 1),
    - row y and columns x - j to x for the horizontal stack (strict: columns x - j to x - 1),

    with zeros outside of the image.

    Args:
        filters: Number F of output channels.
        kernel_size: The odd size k.
        stack: `vertical` or `horizontal`.
        strict: Whether the output does not see the current row (vertical) or pixel (horizontal).
        kernel_initializer: Any Keras initializer identifier.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: If `kernel_size` is not an odd integer, or leaves nothing to see; if `filters` is not a
            positive integer; or if `stack` is unknown.

    References:
        van den Oord et al., "Conditional Image Generation with PixelCNN Decoders" (2016), arXiv:1606.05328.
    """

    def __init__(
        self,
        filters,
        kernel_size=3,
        stack="vertical",
        strict=False,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters = arguments.integer("filters", filters, 1)
        self.kernel_size = _odd("kernel_size", kernel_size, 3 if strict else 1)
        self.stack = arguments.one_of("stack", stack, _STACKS)
        self.strict = arguments.boolean("strict", strict)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        side = kernel_size // 2
        self.rows = side + (not strict) if stack == "vertical" else 1
        self.columns = kernel_size if stack == "vertical" else side + (not strict)

    def build(self, input_shape):
        """Creates the weights for inputs of this shape."""
        self.channels = input_shape[-1]
        shape = (self.rows, self.columns, self.channels, self.filters)
        self.kernel = self.add_weight(shape=shape, initializer=self.kernel_initializer, name="kernel")
        self.bias = self.add_weight(shape=(self.filters,), initializer="zeros", name="bias")

    def call(self, inputs):
        """Applies the convolution."""
        height, width = inputs.shape[1:3]
        side = self.kernel_size // 2
        if self.stack == "vertical":
            seen, padding = inputs[:, : height - self.strict], ((side, 0), (side, side))
        else:
            seen, padding = inputs[:, :, : width - self.strict], ((0, 0), (side, 0))
        return self._convolved(seen, padding)

    def row(self, window):
        """Returns one row of the output of a vertical convolution, [B, W, F].

        Args:
            window: The r rows of the input that it sees, [B, r, W, C].
        """
        side = self.kernel_size // 2
        return self._convolved(window, ((0, 0), (side, side)))[:, 0]

    def pixel(self, window):
        """Returns one pixel of the output of a horizontal convolution, [B, F].

        Args:
            window: The c pixels of the input that it sees, [B, c, C].
        """
        size = self.columns * self.channels
        flat = ops.reshape(window, (-1, size))
        kernel, bias = self._weights()
        return ops.matmul(flat, ops.reshape(kernel, (size, self.filters))) + bias

    def compute_output_shape(self, input_shape):
        """Returns the shape of the output."""
        return (*input_shape[:-1], self.filters)

    def get_config(self):
        """Returns the arguments that rebuild this layer."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "stack": self.stack,
            "strict": self.strict,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }

    def _convolved(self, inputs, padding):
        if any(map(any, padding)):
            inputs = ops.pad(inputs, ((0, 0), *padding, (0, 0)))
        kernel, bias = self._weights()
        return ops.conv(inputs, kernel, padding="valid", data_format="channels_last") + bias

    def _weights(self):
        # Keras casts weights within `call` only, and not within `row` and `pixel`.
        return [ops.cast(weight, self.compute_dtype) for weight in (self.kernel, self.bias)]


@keras.saving.register_keras_serializable("curvezoo")
class GatedCausalBlock(keras.layers.Layer):
    r"""Gated block of a vertical and a horizontal stack: a pair of [B, H, W, F] to a pair of [B, H, W, F].

    With causal convolutions \(*\), matrices U and P, and the gate \(g(a, b) = \tanh a \, \sigma(b)\) of the
    two halves of 2 F channels,

    \[ a = W_v * v + c_v, \quad v' = g(a), \qquad h' = h + P \, g(W_h * h + U a + c_h), \]

    where \(c_v\) and \(c_h\) are embeddings of the class, if there are classes.

    Args:
        filters: Number F of channels.
        kernel_size: Odd size of the kernels.
        classes: Number of classes, whose labels are then a third input, int32 [B]; `None` for none.
        dropout: Dropout rate of the gated features of the horizontal stack.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: If an argument is not valid.

    References:
        van den Oord et al., "Conditional Image Generation with PixelCNN Decoders" (2016), arXiv:1606.05328.
    """

    def __init__(self, filters, kernel_size=3, classes=None, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.kernel_size = arguments.integer("filters", filters, 1), kernel_size
        self.classes = None if classes is None else arguments.integer("classes", classes, 1)
        self.dropout_rate = arguments.fraction("dropout", dropout)
        policy = {"dtype": self.dtype_policy}
        self.vertical = CausalConv2D(2 * filters, kernel_size, "vertical", name="vertical", **policy)
        self.horizontal = CausalConv2D(2 * filters, kernel_size, "horizontal", name="horizontal", **policy)
        self.link = keras.layers.Dense(2 * filters, use_bias=False, name="link", **policy)
        self.projection = keras.layers.Dense(
            filters, kernel_initializer=keras.initializers.VarianceScaling(0.3), name="projection", **policy
        )
        self.dropout = keras.layers.Dropout(dropout, name="dropout", **policy)
        if classes is not None:
            self.embedding = keras.layers.Embedding(
                classes, 4 * filters, embeddings_initializer="zeros", name="embedding", **policy
            )

    def build(self, input_shape):
        """Creates the weights for inputs of these shapes."""
        shape = tuple(input_shape[0])
        for layer in (self.vertical, self.horizontal, self.projection):
            layer.build(shape)
        self.link.build((*shape[:-1], 2 * self.filters))
        if self.classes is not None:
            self.embedding.build((None,))

    def call(self, inputs, training=None):
        """Applies the block to [v, h] or to [v, h, labels]."""
        v, h, *labels = inputs
        biases = self.biases(*labels)
        if biases is not None:
            biases = [bias[:, None, None] for bias in biases]
        after = self._linked(self.vertical(v), biases)
        return [after[0], self._residual(h, self.horizontal(h), after[1], training)]

    def biases(self, labels=None):
        """Returns the biases of the two stacks for labels [B], each [B, 2 F]; `None` without classes."""
        if self.classes is None:
            return None
        return ops.split(self.embedding(labels), 2, axis=-1)

    def row(self, window, biases=None):
        """Returns one row of the vertical stack, [B, W, F], and what the horizontal stack adds, [B, W, 2 F].

        Args:
            window: The latest rows of v, [B, r, W, F].
            biases: As `biases` returns them.
        """
        if biases is not None:
            biases = [bias[:, None] for bias in biases]
        return self._linked(self.vertical.row(window), biases)

    def pixel(self, window, added):
        """Returns one pixel of the horizontal stack, [B, F].

        Args:
            window: The latest pixels of h, [B, c, F].
            added: What `row` returned, at this pixel, [B, 2 F].
        """
        return self._residual(window[:, -1], self.horizontal.pixel(window), added, False)

    def compute_output_shape(self, input_shape):
        """Returns the shapes of the outputs."""
        return [tuple(input_shape[0]), tuple(input_shape[1])]

    def get_config(self):
        """Returns the arguments that rebuild this layer."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "classes": self.classes,
            "dropout": self.dropout_rate,
        }

    def _linked(self, a, biases):
        if biases is None:
            return _gate(a), self.link(a)
        a = a + biases[0]
        return _gate(a), self.link(a) + biases[1]

    def _residual(self, h, convolved, added, training):
        return h + self.projection(self.dropout(_gate(convolved + added), training=training))


def _gate(x):
    a, b = ops.split(x, 2, axis=-1)
    return ops.tanh(a) * ops.sigmoid(b)


def _odd(name, value, low):
    value = arguments.integer(name, value, low)
    if value % 2 == 0:
        raise ValueError(f"{name} must be an odd integer, got {value}")
    return value
