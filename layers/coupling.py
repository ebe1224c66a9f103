"""Affine coupling, the invertible layer of RealNVP (Sec. 7.2).

One part of the variables is left unchanged, and determines the scale and the shift of the other part:

    y_1 = x_1,    y_2 = x_2 exp(s(x_1)) + t(x_1),    log |det dy/dx| = sum s(x_1)

The Jacobian is triangular whatever s and t are, and the inverse evaluates the same networks.

Legend: B batch, H height, W width, C channels; images are [B, H, W, C] on every backend.
"""

import keras
import numpy as np
from keras import ops

from .. import arguments
from .bijection import Bijection, sides

MASKS = ("checkerboard", "channel")


@keras.saving.register_keras_serializable("curvezoo")
class CouplingNetwork(keras.layers.Layer):
    """The network of s and t: [B, H, W, C] to [B, H, W, outputs].

    A convolution, then dense layers at each pixel, with ReLUs between them. The last layer starts at zero, so
    that the coupling starts as the identity. Only the first layer looks at neighbors, where the channels are
    few: a 3x3 convolution of 64 channels would take longer than all other layers together.

    Args:
        outputs: Number of output channels.
        width: Number of hidden channels.
        depth: Number of hidden dense layers.
        kernel_size: Height and width of the filters of the first layer.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(self, outputs, width=32, depth=1, kernel_size=5, **kwargs):
        super().__init__(**kwargs)
        self.outputs = arguments.integer("outputs", outputs, 1)
        self.width = arguments.integer("width", width, 1)
        self.depth = arguments.integer("depth", depth, 0)
        self.kernel_size = arguments.integer("kernel_size", kernel_size, 1)
        settings = {"kernel_initializer": "he_normal", "activation": "relu", "dtype": self.dtype_policy}
        self.sublayers = [
            keras.layers.Conv2D(
                width, kernel_size, padding="same", data_format="channels_last", name="first", **settings
            ),
            *(keras.layers.Dense(width, name=f"hidden_{i}", **settings) for i in range(depth)),
            keras.layers.Dense(outputs, kernel_initializer="zeros", dtype=self.dtype_policy, name="last"),
        ]

    def build(self, input_shape):
        """Creates the weights for inputs of this shape."""
        for layer in self.sublayers:
            layer.build(input_shape)
            input_shape = (*input_shape[:-1], self.width)

    def call(self, inputs):
        """Applies the network."""
        x = inputs
        for layer in self.sublayers:
            x = layer(x)
        return x

    def compute_output_shape(self, input_shape):
        """Returns the shape of the outputs."""
        return (*input_shape[:-1], self.outputs)

    def get_config(self):
        """Returns the arguments that rebuild this layer."""
        names = ("outputs", "width", "depth", "kernel_size")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable("curvezoo")
class AffineCoupling(Bijection):
    """Affine coupling with convolutional networks: [B, H, W, C] to the same shape.

    The logarithm of the scale is s = a tanh(r), with r an output of the network and a factor a, learned for
    each channel, which bounds it: an unbounded scale makes training diverge.

    Args:
        mask: `checkerboard`: the pixels of one colour determine those of the other, the network sees the
            image with zeros for the others. `channel`: the first half of the channels (rounded up) determines
            the rest.
        swapped: Whether the two parts are exchanged.
        width: Hidden channels of the network.
        depth: Hidden dense layers of the network.
        kernel_size: Height and width of the network's filters.
        bound: Initial value of a, the largest |s|.
        **kwargs: Arguments of `Bijection`.

    Raises:
        ValueError: If an argument is not valid, or a channel mask meets a single channel.

    References:
        Dinh, Sohl-Dickstein and Bengio, "Density estimation using Real NVP" (2017), arXiv:1605.08803.
    """

    def __init__(self, mask="channel", swapped=False, width=32, depth=1, kernel_size=5, bound=1.0, **kwargs):
        super().__init__(**kwargs)
        self.mask = arguments.one_of("mask", mask, MASKS)
        self.swapped = arguments.boolean("swapped", swapped)
        self.width = arguments.integer("width", width, 1)
        self.depth = arguments.integer("depth", depth, 0)
        self.kernel_size = arguments.integer("kernel_size", kernel_size, 1)
        self.bound = arguments.positive_number("bound", bound)

    def build(self, input_shape):
        """Creates the network and the factors for inputs of this shape."""
        channels = input_shape[-1]
        changed = condition = channels
        if self.mask == "channel":
            if channels < 2:
                raise ValueError(f"mask='channel' must have at least 2 channels, got {channels}")
            first = (channels + 1) // 2
            changed, condition = (first, channels - first) if self.swapped else (channels - first, first)
        else:
            colour = np.indices(sides(input_shape)).sum(0) % 2 == int(self.swapped)
            self.kept = colour[:, :, None].astype(self.compute_dtype)
        self.network = CouplingNetwork(
            2 * changed,
            self.width,
            self.depth,
            self.kernel_size,
            dtype=self.dtype_policy,
            name="network",
        )
        self.network.build((*input_shape[:-1], condition))
        self.factor = self.add_weight(
            name="factor", shape=(changed,), initializer=keras.initializers.Constant(self.bound)
        )

    def call(self, inputs):
        """Returns y, [B, H, W, C], and the log-determinant, [B]."""
        kept, changed = self._parts(inputs)
        log_scale, shift = self._log_scale_and_shift(kept)
        return self._joined(kept, changed * ops.exp(log_scale) + shift), self.sum_of_entries(log_scale)

    def inverse(self, outputs):
        """Returns x for y, both [B, H, W, C]."""
        kept, changed = self._parts(outputs)
        log_scale, shift = self._log_scale_and_shift(kept)
        return self._joined(kept, (changed - shift) * ops.exp(-log_scale))

    def get_config(self):
        """Returns the arguments that rebuild this layer."""
        names = ("mask", "swapped", "width", "depth", "kernel_size", "bound")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def _log_scale_and_shift(self, kept):
        raw, shift = ops.split(self.network(kept), 2, axis=-1)
        log_scale = self.factor * ops.tanh(raw)
        if self.mask == "checkerboard":
            log_scale, shift = log_scale * (1 - self.kept), shift * (1 - self.kept)
        return log_scale, shift

    def _parts(self, images):
        """Returns the part that is left unchanged and the part that is transformed."""
        images = ops.cast(images, self.compute_dtype)
        if self.mask == "checkerboard":
            return images * self.kept, images * (1 - self.kept)
        first, second = ops.split(images, [(images.shape[-1] + 1) // 2], axis=-1)
        return (second, first) if self.swapped else (first, second)

    def _joined(self, kept, changed):
        if self.mask == "checkerboard":
            return kept + changed
        return ops.concatenate([changed, kept] if self.swapped else [kept, changed], axis=-1)
