"""Invertible 1x1 convolution: a learned linear map of the channels, in place of a permutation (Sec. 7.2).

Legend: B batch, H height, W width, C channels; images are [B, H, W, C] on every backend.
"""

import math

import keras
from keras import ops

from .bijection import Bijection


@keras.saving.register_keras_serializable("curvezoo")
class InvertibleConvolution(Bijection):
    """y = x W at each pixel, with W = L (U + diag(exp d)), [C, C], and log-determinant H W sum d.

    L is unit lower triangular, U strictly upper triangular. W starts as the identity, and stays invertible
    for all values of the parameters.

    Args:
        **kwargs: Arguments of `Bijection`.

    References:
        Kingma and Dhariwal, "Glow: Generative Flow with Invertible 1x1 Convolutions" (2018).
    """

    def build(self, input_shape):
        """Creates the factors of W for inputs of this shape."""
        channels = input_shape[-1]
        self.triangles = self.add_weight(name="triangles", shape=(channels, channels), initializer="zeros")
        self.log_diagonal = self.add_weight(name="log_diagonal", shape=(channels,), initializer="zeros")

    def kernel(self):
        """Returns W, [C, C]."""
        lower, diagonal, upper = self._factors()
        return ops.matmul(lower, upper + diagonal)

    def call(self, inputs):
        """Returns y, [B, H, W, C], and the log-determinant, [B]."""
        pixels = ops.cast(math.prod(ops.shape(inputs)[1:-1]), self.compute_dtype)
        return ops.matmul(inputs, self.kernel()), self.repeated(pixels * ops.sum(self.log_diagonal), inputs)

    def inverse(self, outputs):
        """Returns x for y, both [B, H, W, C]."""
        return ops.matmul(outputs, ops.inv(self.kernel()))

    def _factors(self):
        triangles = ops.convert_to_tensor(self.triangles)
        lower = ops.tril(triangles, -1) + ops.eye(triangles.shape[0], dtype=triangles.dtype)
        return lower, ops.diag(ops.exp(self.log_diagonal)), ops.triu(triangles, 1)
