"""Squeezing: blocks of 2x2 pixels become channels (Sec. 7.2).

Legend: B batch, H height, W width, C channels; images are [B, H, W, C] on every backend.
"""

import keras
from keras import ops

from .bijection import Bijection, sides

# Positions (row, column) in a block. The first two and the last two are the colours of a checkerboard.
_POSITIONS = ((0, 0), (1, 1), (0, 1), (1, 0))


@keras.saving.register_keras_serializable("curvezoo")
class Squeeze(Bijection):
    """Moves each 2x2 block of pixels into the channels: [B, H, W, C] to [B, H / 2, W / 2, 4C].

    The channels are ordered such that their two halves are the two colours of a checkerboard on the image. A
    coupling with a channel mask after the layer thus has the checkerboard mask before it, and costs a quarter
    as much. The map is a permutation, so the log-determinant is zero.

    Args:
        **kwargs: Arguments of `Bijection`.

    Raises:
        ValueError: If a side of the images is odd, when the layer is built.

    References:
        Dinh, Sohl-Dickstein and Bengio, "Density estimation using Real NVP" (2017), arXiv:1605.08803.
    """

    def build(self, input_shape):
        """Checks the shape of the images."""
        height, width = sides(input_shape)
        if height % 2 or width % 2:
            raise ValueError(f"Squeeze must have images with even sides, got {height} x {width}")

    def call(self, inputs):
        """Returns the squeezed images and the log-determinant zero, [B]."""
        parts = [inputs[:, row::2, column::2, :] for row, column in _POSITIONS]
        return ops.concatenate(parts, axis=-1), self.repeated(0.0, inputs)

    def inverse(self, outputs):
        """Returns the images [B, H, W, C] of squeezed ones [B, H / 2, W / 2, 4C]."""
        parts = dict(zip(_POSITIONS, ops.split(outputs, 4, axis=-1), strict=True))
        rows = [ops.stack([parts[row, 0], parts[row, 1]], axis=3) for row in (0, 1)]
        # [B, H/2, 2, W/2, 2, C]
        blocks = ops.stack(rows, axis=2)
        _, height, width, channels = outputs.shape
        return ops.reshape(blocks, (-1, 2 * height, 2 * width, channels // 4))
