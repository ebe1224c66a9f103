"""Images as grids of symbols, the alphabet of an autoregressive model.

A symbol is a pixel, or a square patch of pixels, with all its channels. Its number has the pixels' levels as
digits: the sum of L^d k_d over its pixels d, in the order of rows.

Legend: B batch, H height, W width, C channels, L levels of a pixel, P side of a patch, M = H/P rows and
N = W/P columns of symbols, D = P P C pixels of a symbol, K = L^D values of a symbol.
"""

import dataclasses

import numpy as np
from keras import ops

from ... import arguments

# Values of a symbol, at most: each has a logit.
_VALUES = 1024


@dataclasses.dataclass(frozen=True)
class Symbols:
    """The grid of symbols of images of one shape.

    Args:
        shape: Shape (H, W, C) of an image.
        levels: Number L of levels of a pixel.
        patch: Side P of a patch, which divides H and W.

    Raises:
        ValueError: If an argument is not valid, or a symbol has more than 1024 values.
    """

    shape: tuple[int, int, int]
    levels: int = 2
    patch: int = 1

    def __post_init__(self):
        arguments.sizes("shape", self.shape, 3)
        arguments.integer("levels", self.levels, 2)
        arguments.integer("patch", self.patch, 1)
        if self.shape[0] % self.patch or self.shape[1] % self.patch:
            raise ValueError(f"patch must divide the sides of an image {self.shape}, got {self.patch}")
        if self.values > _VALUES:
            raise ValueError(
                f"a symbol must have at most {_VALUES} values, got {self.levels}^{self.size}: choose fewer "
                "levels or a smaller patch"
            )

    @property
    def grid(self):
        """The numbers M of rows and N of columns."""
        return self.shape[0] // self.patch, self.shape[1] // self.patch

    @property
    def size(self):
        """The number D of pixels of a symbol."""
        return self.patch**2 * self.shape[2]

    @property
    def values(self):
        """The number K of values of a symbol."""
        return self.levels**self.size

    def pixels(self, images):
        """Returns the levels of the pixels of each symbol, int32 [B, M, N, D], of images [B, H, W, C].

        Levels k / (L - 1) and dequantized levels (k + u) / L with 0 <= u < 1 both have level k.
        """
        (rows, columns), patch = self.grid, self.patch
        levels = ops.clip(ops.cast(ops.floor(images * self.levels), "int32"), 0, self.levels - 1)
        split = ops.reshape(levels, (-1, rows, patch, columns, patch, self.shape[2]))
        return ops.reshape(ops.transpose(split, (0, 1, 3, 2, 4, 5)), (-1, rows, columns, self.size))

    def numbers(self, pixels):
        """Returns the numbers of symbols, int32 [...], of the levels of their pixels, [..., D]."""
        return ops.sum(pixels * self._place_values(), axis=-1)

    def pixels_of(self, numbers):
        """Returns the levels of the pixels, int32 [..., D], of the numbers of symbols, [...]."""
        return numbers[..., None] // self._place_values() % self.levels

    def images(self, numbers):
        """Returns images [B, H, W, C] with pixels k / (L - 1), of the numbers of symbols, [B, M, N]."""
        (rows, columns), patch = self.grid, self.patch
        pixels = ops.reshape(self.pixels_of(numbers), (-1, rows, columns, patch, patch, self.shape[2]))
        levels = ops.reshape(ops.transpose(pixels, (0, 1, 3, 2, 4, 5)), (-1, *self.shape))
        return ops.cast(levels, "float32") / (self.levels - 1)

    def _place_values(self):
        return ops.convert_to_tensor(self.levels ** np.arange(self.size), "int32")
