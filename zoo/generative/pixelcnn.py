r"""The gated PixelCNN, an autoregressive model of images (section 7.2).

The image is a grid of symbols, in the order of rows, and the model is the product of their probabilities,

\[ \log P_\theta(x) = \sum_i \log P_\theta(s_i | s_1 \ldots s_{i-1}). \]

A symbol is a pixel, or a square patch of pixels. Patches of 2x2 binary pixels, which have 16 values, make the
grid four times smaller and the network as much cheaper, and the likelihood stays exact.

Legend: B batch, H height, W width, C channels, L levels of a pixel, P side of a patch; M rows and N columns
of symbols with D pixels and K values each, as in `symbols`; F filters.
"""

import math

import keras
import numpy as np
from keras import ops

from ... import arguments, layers
from ..programs import uniform_numbers
from . import raster
from .model import DensityModel
from .symbols import Symbols


@keras.saving.register_keras_serializable("curvezoo")
class PixelCNN(DensityModel):
    r"""Maps images [B, H, W, C], and labels [B] if it has classes, to \(\log p_\theta(x)\) in nats, [B, 1].

    With two levels the pixels are 0 and 1, and p is their probability P. With more, pixel k stands for the
    interval from k/L to (k + 1)/L, as in `data.images.dequantized`, and p is a density of images on [0, 1]
    that is constant on each interval: \(p(x) = L^{HWC} P(\lfloor L x \rfloor)\).

    Args:
        shape: Shape (H, W, C) of an image.
        levels: Number L of levels of a pixel.
        patch: Side P of a patch, which divides H and W.
        filters: Number F of channels of each stack.
        blocks: Number of gated blocks.
        first_kernel_size: Odd kernel size of the first convolutions, which see the symbols.
        kernel_size: Odd kernel size of the blocks.
        hidden: Channels of a hidden layer before the logits; 0 for none.
        classes: Number of classes on whose labels the model depends; `None` for none.
        dropout: Dropout rate in the blocks.
        name: Name of the model.

    Raises:
        ValueError: If an argument is not valid.

    References:
        van den Oord et al., "Conditional Image Generation with PixelCNN Decoders" (2016), arXiv:1606.05328.
    """

    def __init__(
        self,
        shape,
        levels=2,
        patch=1,
        filters=32,
        blocks=6,
        first_kernel_size=7,
        kernel_size=3,
        hidden=0,
        classes=None,
        dropout=0.0,
        name="pixelcnn",
    ):
        shape = arguments.sizes("shape", shape, 3)
        filters = arguments.integer("filters", filters, 1)
        blocks = arguments.integer("blocks", blocks, 1)
        hidden = arguments.integer("hidden", hidden, 0)
        config = {key: value for key, value in locals().items() if key not in ("self", "__class__")}
        symbols = Symbols(shape, levels, patch)
        network = Network(symbols, filters, blocks, first_kernel_size, kernel_size, hidden, classes, dropout)
        images = keras.Input(symbols.shape, name="images")
        labels = [] if classes is None else [keras.Input((), dtype="int32", name="labels")]
        numbers, logits = network([images, *labels])
        nats = -ops.sum(ops.sparse_categorical_crossentropy(numbers, logits, from_logits=True), (1, 2))
        if levels > 2:
            nats = nats + math.prod(symbols.shape) * math.log(levels)
        super().__init__(inputs=[images, *labels] if labels else images, outputs=nats[:, None], name=name)
        self.image_shape, self.binary, self.classes = symbols.shape, levels == 2, classes
        self._config = config

    def log_prob(self, images, labels=None):
        """Returns log p of each image in nats, [N].

        Args:
            images: Images [N, H, W, C] in [0, 1].
            labels: The class of each image, integers [N], or one for all; needed if there are classes.

        Raises:
            ValueError: If the images have another shape or range, or the labels do not fit the model.
        """
        if self.classes is None and labels is None:
            return super().log_prob(images)
        images = self.checked_images(images)
        if labels is None:
            raise ValueError(f"labels must be given for {self.name}, which depends on the class, got None")
        return self._by_chunks(_log_density, images, self._checked_labels(labels, len(images)))

    def logits(self, images, labels=None):
        """Returns the logits of each symbol given those before it, [B, M, N, K].

        Args:
            images: Images [B, H, W, C], a tensor or an array.
            labels: int32 [B], if there are classes.
        """
        inputs = [images] if labels is None else [images, labels]
        return self.network([ops.convert_to_tensor(x) for x in inputs])[1]

    def sample(self, count, seed=0, labels=None):
        """Returns images that the model draws, [N, H, W, C] in [0, 1].

        Args:
            count: Number N of images.
            seed: Integer seed; the same seed gives the same images.
            labels: Class of each image, integers [N], or one for all; `None` to draw classes uniformly.

        Raises:
            ValueError: If an argument is not valid, or `labels` are given to a model without classes.
        """
        if labels is None:
            return super().sample(count, seed)
        count, seed = arguments.integer("count", count, 1), arguments.seed("seed", seed)
        return self._run(PixelCNN.draw, np.int32(count), np.int32(seed), self._checked_labels(labels, count))

    def complete(self, images, rows, seed=0, labels=None):
        """Returns images that keep their first rows and have new pixels below, [N, H, W, C] in [0, 1].

        Args:
            images: Images [N, H, W, C] in [0, 1].
            rows: Number of rows to keep, a multiple of P.
            seed: Integer seed.
            labels: As for `sample`.

        Raises:
            ValueError: If an argument is not valid.
        """
        images, seed = self.checked_images(images), arguments.seed("seed", seed)
        patch = self.network.symbols.patch
        if arguments.integer("rows", rows, 0, self.image_shape[0]) % patch:
            raise ValueError(f"rows must be a multiple of {patch}, the side of a patch, got {rows}")
        more = [] if labels is None else [self._checked_labels(labels, len(images))]
        return self._run(_completed, images, np.int32(rows // patch), np.int32(seed), *more)

    def draw(self, count, seed, labels=None):
        """Returns images [count, H, W, C]; image i depends on the seed and on i alone.

        Args:
            count: Number of images, a scalar int32.
            seed: Scalar int32.
            labels: int32 [count]; `None` to draw them, too.
        """
        nothing = ops.zeros((count, *self.network.symbols.grid), "int32")
        return self.filled(nothing, 0, seed, labels)

    def filled(self, known, rows, seed, labels=None):
        """Returns images [B, H, W, C] whose first rows of symbols are known.

        Args:
            known: Numbers of symbols, int32 [B, M, N].
            rows: Number of rows of symbols to keep, a scalar int32.
            seed: Scalar int32.
            labels: int32 [B]; `None` to draw them, too.
        """
        symbols = self.network.symbols
        uniforms = uniform_numbers(1 + math.prod(symbols.grid), ops.shape(known)[0], seed)
        if self.classes is not None and labels is None:
            labels = ops.cast(uniforms[:, 0] * self.classes, "int32")
        return symbols.images(raster.fill(self.network, known, rows, uniforms[:, 1:], labels))

    @property
    def network(self):
        """The `Network` of all layers."""
        return self.get_layer("network")

    def _checked_labels(self, labels, count):
        if self.classes is None:
            raise ValueError(f"labels must be left out for {self.name}, which has no classes")
        array = np.asarray(labels)
        if array.dtype.kind not in "iu" or array.shape not in ((), (count,)):
            raise ValueError(
                f"labels must be an integer or {count} integers, got {arguments.described(labels)}"
            )
        inside = (array >= 0) & (array < self.classes)
        arguments.require("labels", array, inside, f"be a class from 0 to {self.classes - 1}")
        return np.broadcast_to(array, (count,)).astype(np.int32)


class Network(keras.layers.Layer):
    """Maps images to the numbers of their symbols, [B, M, N], and the logits of each, [B, M, N, K].

    Its layers are also called one row or one symbol at a time, by `raster.fill`.

    Args:
        symbols: The `Symbols`.
        filters: As for `PixelCNN`, likewise the others.
        blocks: Number of blocks.
        first_kernel_size: Odd kernel size of the first convolutions.
        kernel_size: Odd kernel size of the blocks.
        hidden: Channels of a hidden layer, or 0.
        classes: Number of classes, or `None`.
        dropout: Dropout rate.
    """

    def __init__(self, symbols, filters, blocks, first_kernel_size, kernel_size, hidden, classes, dropout):
        super().__init__(name="network")
        self.symbols, self.filters = symbols, filters
        first = {"kernel_size": first_kernel_size, "strict": True}
        self.first_vertical = layers.CausalConv2D(filters, stack="vertical", name="first_vertical", **first)
        self.first_horizontal = layers.CausalConv2D(
            filters, stack="horizontal", name="first_horizontal", **first
        )
        self.first_link = keras.layers.Dense(filters, use_bias=False, name="first_link")
        self.blocks = [
            layers.GatedCausalBlock(filters, kernel_size, classes, dropout, name=f"block_{index}")
            for index in range(blocks)
        ]
        self.hidden = keras.layers.Dense(hidden, "relu", name="hidden") if hidden else None
        dtype = "float64" if self.compute_dtype == "float64" else "float32"
        # Zeros make the untrained model uniform.
        self.last = keras.layers.Dense(symbols.values, kernel_initializer="zeros", dtype=dtype, name="logits")

    @property
    def size(self):
        """Channels of the inputs."""
        return self.symbols.size

    def build(self, input_shape):
        """Creates the weights."""
        grid = (None, *self.symbols.grid)
        inputs, features = (*grid, self.size), (*grid, self.filters)
        self.first_vertical.build(inputs)
        self.first_horizontal.build(inputs)
        self.first_link.build(features)
        for block in self.blocks:
            block.build([features, features])
        if self.hidden is not None:
            self.hidden.build(features)
            features = (*grid, self.hidden.units)
        self.last.build(features)

    def call(self, inputs, training=None):
        """Returns numbers and logits."""
        images, *labels = inputs
        numbers = self.symbols.numbers(self.symbols.pixels(images))
        return numbers, self.logits(self.inputs_of(numbers), *labels, training=training)

    def logits(self, inputs, *labels, training=None):
        """Returns the logits [B, M, N, K] of what `inputs_of` returns, [B, M, N, D], and labels, if any."""
        v = self.first_vertical(inputs)
        h = self.first_horizontal(inputs) + self.first_link(v)
        for block in self.blocks:
            v, h = block([v, h, *labels], training=training)
        return self.head(h)

    def head(self, h):
        """Returns the logits [..., K] of features [..., F] of the horizontal stack."""
        h = ops.relu(h)
        return self.last(h if self.hidden is None else self.hidden(h))

    def inputs_of(self, numbers):
        """Returns the pixels, [..., D] in [-1, 1], that the first convolutions see of symbols [...]."""
        levels = ops.cast(self.symbols.pixels_of(numbers), self.compute_dtype)
        return 2 * levels / (self.symbols.levels - 1) - 1

    def compute_output_spec(self, inputs, training=None):
        """Returns the shapes and types of the outputs."""
        grid = (inputs[0].shape[0], *self.symbols.grid)
        logits = keras.KerasTensor((*grid, self.symbols.values), self.last.compute_dtype)
        return keras.KerasTensor(grid, "int32"), logits


def _log_density(model, images, labels):
    return model([images, labels], training=False)[:, 0]


def _completed(model, images, rows, seed, labels=None):
    symbols = model.network.symbols
    return model.filled(symbols.numbers(symbols.pixels(images)), rows, seed, labels)
