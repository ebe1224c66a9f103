"""Maps of dequantized pixels from the unit interval to the real line (Sec. 7.2).

A flow with a Gaussian base needs variables on the whole real line. Pixels of K levels are dequantized to
x = (k + u) / K, with u uniform in [0, 1), and each is mapped to the real line by the same increasing
function.

Legend: B batch, H height, W width, C channels, K levels; images are [B, H, W, C] on every backend.
"""

import math

import keras
from keras import ops

from .. import arguments
from .bijection import Bijection


@keras.saving.register_keras_serializable("curvezoo")
class Logit(Bijection):
    """y = logit(p) with p = alpha + (1 - 2 alpha) x, which keeps y finite at x = 0 and x = 1.

    The log-determinant is the sum over pixels of log(1 - 2 alpha) - log p - log(1 - p).

    Args:
        alpha: Distance of p from 0 and 1, in (0, 0.5).
        **kwargs: Arguments of `Bijection`.

    Raises:
        ValueError: If `alpha` is not in (0, 0.5).

    References:
        Dinh, Sohl-Dickstein and Bengio, "Density estimation using Real NVP" (2017), arXiv:1605.08803.
    """

    def __init__(self, alpha=0.05, **kwargs):
        super().__init__(**kwargs)
        self.alpha = arguments.number("alpha", alpha, 0, 0.5, bounds="()")

    def call(self, inputs):
        """Returns y, of the shape of x in [0, 1], and the log-determinant, [B]."""
        p = self.alpha + (1 - 2 * self.alpha) * inputs
        log_p, log_q = ops.log(p), ops.log1p(-p)
        return log_p - log_q, self.sum_of_entries(math.log1p(-2 * self.alpha) - log_p - log_q)

    def inverse(self, outputs):
        """Returns x for y; it is in [0, 1] if |y| is at most logit(1 - alpha)."""
        return (ops.sigmoid(outputs) - self.alpha) / (1 - 2 * self.alpha)

    def get_config(self):
        """Returns the arguments that rebuild this layer."""
        return {**super().get_config(), "alpha": self.alpha}


@keras.saving.register_keras_serializable("curvezoo")
class Gaussianization(Bijection):
    r"""y = Phi^{-1}(p), with p = alpha + (1 - 2 alpha) F(x) and a learned distribution function F of pixels.

    F is linear within each of the K levels and rises by the probability of the level, a softmax of trained
    logits. If these are the frequencies of the levels, y is standard normal over all pixels, up to alpha. The
    noise of dequantization is uniform within a level. An affine coupling cannot change the shape of its
    distribution, but here most of it, that of the dark pixels, becomes a large part of a Gaussian.

    The log-determinant is the sum over pixels of log(1 - 2 alpha) + log F'(x) + y^2 / 2 + log(2 pi) / 2.

    Args:
        levels: Number K of gray levels.
        zeros: Initial probability of level 0; the others share the rest.
        alpha: Distance of p from 0 and 1, in (0, 0.5).
        **kwargs: Arguments of `Bijection`.

    Raises:
        ValueError: If an argument is not valid.

    References:
        Chen and Gopinath, "Gaussianization" (2000).
    """

    def __init__(self, levels=256, zeros=0.5, alpha=1e-5, **kwargs):
        super().__init__(**kwargs)
        self.levels = arguments.integer("levels", levels, 2)
        self.zeros = arguments.number("zeros", zeros, 0, 1, bounds="()")
        self.alpha = arguments.number("alpha", alpha, 0, 0.5, bounds="()")

    def build(self, input_shape):
        """Creates the logits of the levels."""
        odds = self.zeros / (1 - self.zeros) * (self.levels - 1)
        self.logits = self.add_weight(
            name="logits",
            shape=(self.levels,),
            initializer=lambda shape, dtype: ops.cast(ops.log([odds] + [1.0] * (self.levels - 1)), dtype),
        )

    def call(self, inputs):
        """Returns y, of the shape of x in [0, 1], and the log-determinant, [B]."""
        masses, below = self._masses()
        position = inputs * self.levels
        level = ops.clip(ops.floor(position), 0, self.levels - 1)
        index = ops.cast(level, "int32")
        mass = ops.take(masses, index)
        p = self.alpha + (1 - 2 * self.alpha) * (ops.take(below, index) + mass * (position - level))
        y = ops.erfinv(2 * p - 1) * math.sqrt(2)
        constant = math.log1p(-2 * self.alpha) + math.log(self.levels) + 0.5 * math.log(2 * math.pi)
        return y, self.sum_of_entries(constant + ops.log(mass) + ops.square(y) / 2)

    def inverse(self, outputs):
        """Returns x for y; it is in [0, 1] if Phi(y) is in [alpha, 1 - alpha]."""
        masses, below = self._masses()
        outputs = ops.cast(outputs, self.compute_dtype)
        p = 0.5 * (1 + ops.erf(outputs / math.sqrt(2)))
        f = (p - self.alpha) / (1 - 2 * self.alpha)
        index = ops.searchsorted(below[1:], ops.reshape(f, (-1,)), side="right")
        index = ops.reshape(ops.cast(index, "int32"), ops.shape(f))
        level = ops.cast(index, self.compute_dtype)
        return (level + (f - ops.take(below, index)) / ops.take(masses, index)) / self.levels

    def get_config(self):
        """Returns the arguments that rebuild this layer."""
        config = {"levels": self.levels, "zeros": self.zeros, "alpha": self.alpha}
        return {**super().get_config(), **config}

    def _masses(self):
        """Returns the probability of each level, and of all levels below it."""
        masses = ops.softmax(self.logits)
        return masses, ops.cumsum(masses) - masses
