"""Invertible layers of normalizing flows (Sec. 7.2).

A flow maps data x to latents z = f(x) through bijections whose Jacobian determinants are cheap. The change of
variables gives the density of the data, log p(x) = log q(z) + log |det dz/dx|, and the inverse draws from it.

Legend: B batch, H height, W width, C channels; images are [B, H, W, C] on every backend.
"""

import keras
from keras import ops


def sides(input_shape):
    """Returns the height and width in a shape of images, [B, H, W, C].

    Raises:
        ValueError: If it is not a shape of images, or a side is not known.
    """
    if len(input_shape) != 4 or None in input_shape[1:3]:
        raise ValueError(f"inputs must be images [B, H, W, C] of known size, got shape {tuple(input_shape)}")
    return input_shape[1:3]


class Bijection(keras.layers.Layer):
    """Base class of layers with an inverse and a log-determinant.

    `call(x)` returns y, as large as x for each example, and log |det dy/dx| of each example, `[B]`;
    `inverse(y)` returns x. Without a `dtype` a bijection computes in `floatx`, but at least in float32, also
    under a mixed-precision policy: the rounding errors of half precision would enter the density.

    Args:
        dtype: As in `keras.layers.Layer`.
        **kwargs: Further arguments of `keras.layers.Layer`.
    """

    def __init__(self, dtype=None, **kwargs):
        if dtype is None:
            dtype = "float64" if keras.config.floatx() == "float64" else "float32"
        super().__init__(dtype=dtype, **kwargs)

    def inverse(self, outputs):
        """Returns x for y = `call(x)[0]`.

        Args:
            outputs: y, a tensor `[B, ...]`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no inverse")

    def sum_of_entries(self, terms):
        """Returns the sum over all axes but the first, `[B]`.

        Args:
            terms: A tensor `[B, ...]`, such as the logarithms of a diagonal Jacobian.
        """
        return ops.sum(terms, axis=tuple(range(1, len(terms.shape))))

    def repeated(self, log_det, inputs):
        """Returns a log-determinant that is the same for all examples as a vector `[B]`.

        Args:
            log_det: A scalar.
            inputs: The inputs, `[B, ...]`.
        """
        return ops.broadcast_to(ops.cast(log_det, self.compute_dtype), ops.shape(inputs)[:1])
