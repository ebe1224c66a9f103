r"""Priors on weights as Keras regularizers: the maximum a posteriori estimate (Eq. 3.4.7 and 3.4.21).

With the loss as a mean over N training examples, Eq. 3.4.7 with its sign reversed is

    L(W) = -(1 / N) sum_i log p(x_i | W) - (1 / N) log p_prior(W),

so a prior adds its -log p / N, which decreases as more data come in. The usual regularization, Eq. 3.4.21,
instead adds lambda |W|^alpha with a fixed lambda. The two agree at a single N,

    Gaussian of standard deviation sigma:  lambda = 1 / (2 N sigma^2), alpha = 2,
    Laplace of scale b:                    lambda = 1 / (N b),         alpha = 1,

so a fixed lambda is a prior whose width shrinks as more data come in: sigma = 1 / sqrt(2 N lambda),
b = 1 / (N lambda). N counts distinct training examples: a second epoch repeats the data and keeps N.

The absolute value is missing in the printed Eq. 3.4.21 (docs/errata.md).
"""

import keras
from keras import ops

from .. import arguments


@keras.saving.register_keras_serializable("curvezoo")
class PowerPenalty(keras.regularizers.Regularizer):
    """Adds lambda sum |W|^alpha to the loss, with a fixed lambda (Eq. 3.4.21).

    alpha = 1 and 2 are `keras.regularizers.L1` and `L2`.

    Args:
        strength: Factor lambda, nonnegative; the `l1` or `l2` of Keras and of a recipe.
        exponent: Power alpha, at least 1.

    Raises:
        ValueError: If an argument is out of range.

    References:
        Kaplan, "Notes on Contemporary Machine Learning for Physicists", section 3.4.5.
    """

    def __init__(self, strength, exponent=2.0):
        self.strength = arguments.nonnegative_number("strength", strength)
        self.exponent = arguments.number("exponent", exponent, 1)

    def __call__(self, x):
        """Returns the penalty of a weight of any shape, a scalar."""
        return _penalty(x, self.strength, self.exponent)

    def get_config(self):
        """Returns the arguments that rebuild this penalty."""
        return {"strength": self.strength, "exponent": self.exponent}


class _Prior(keras.regularizers.Regularizer):
    """A prior exp(-c |W / scale|^alpha) on every entry of a weight, for N examples."""

    exponent: float
    factor: float

    def __init__(self, scale, examples):
        self.scale = arguments.positive_number("scale", scale)
        self.examples = arguments.integer("examples", examples, 1)

    @classmethod
    def from_strength(cls, strength, examples):
        """Returns the prior that is equivalent to a fixed lambda in training on N examples.

        Args:
            strength: The lambda of Eq. 3.4.21, positive.
            examples: Number N of training examples.

        Raises:
            ValueError: If an argument is out of range.
        """
        strength = arguments.positive_number("strength", strength)
        examples = arguments.integer("examples", examples, 1)
        return cls((cls.factor / (strength * examples)) ** (1 / cls.exponent), examples)

    @property
    def strength(self):
        """The lambda of Eq. 3.4.21 that is equivalent to this prior at its N."""
        return self.factor / (self.scale**self.exponent * self.examples)

    def __call__(self, x):
        """Returns -log p(x) / N up to a constant for a weight of any shape, a scalar."""
        return _penalty(x, self.strength, self.exponent)

    def get_config(self):
        """Returns the arguments that rebuild this prior."""
        return {"scale": self.scale, "examples": self.examples}


@keras.saving.register_keras_serializable("curvezoo")
class GaussianPrior(_Prior):
    """Adds -log p(W) / N of independent Gaussians of mean zero (Eq. 3.4.7): sum W^2 / (2 N sigma^2).

    For a linear model with Gaussian noise of standard deviation s this is ridge regression; scikit-learn's
    `Ridge(alpha)` has alpha = s^2 / sigma^2. The constant log(sigma sqrt(2 pi)) / N per entry is left out.

    Args:
        scale: Standard deviation sigma of the prior, in units of the weight.
        examples: Number N of training examples over which the loss is a mean.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> layer = keras.layers.Dense(10, kernel_regularizer=GaussianPrior(scale=1.0, examples=60_000))
    """

    exponent = 2.0
    factor = 0.5


@keras.saving.register_keras_serializable("curvezoo")
class LaplacePrior(_Prior):
    """Adds -log p(W) / N of independent Laplace distributions of mean zero (Eq. 3.4.7): sum |W| / (N b).

    For a linear model with Gaussian noise of standard deviation s this is the lasso; scikit-learn's
    `Lasso(alpha)` has alpha = s^2 / (N b). The penalty's gradient does not vanish towards W = 0, so the
    estimate has exact zeros; plain gradient descent only oscillates around them. The constant log(2 b) / N
    per entry is left out.

    Args:
        scale: Scale b of the prior, in units of the weight; its standard deviation is sqrt(2) b.
        examples: Number N of training examples over which the loss is a mean.

    Raises:
        ValueError: If an argument is out of range.
    """

    exponent = 1.0
    factor = 1.0


def _penalty(x, strength, exponent):
    """Returns strength sum |x|^exponent."""
    size = ops.absolute(x)
    if exponent == 2.0:
        size = ops.square(x)
    elif exponent != 1.0:
        size = ops.power(size, exponent)
    return strength * ops.sum(size)
