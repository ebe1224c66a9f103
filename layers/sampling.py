"""Layers that draw random samples and pass gradients: Gaussian, Gumbel-softmax, straight-through (Sec. 3.5).

Noise is drawn and transformed in float32 even under half precision, because uniform noise of eight bits would
cut off the tail of the Gumbel distribution at 5.5. A saved model does not store the state of the random
generator: a loaded model starts from the seed again, as with `keras.layers.Dropout`.

Legend: B batch, D features, K categories, ... further axes.
"""

import math

import keras
from keras import ops

from .. import arguments

_TINY = 2.0**-126  # The smallest normal float32: -log(-log u) stays finite.
_SURROGATES = ("softmax", "identity")
_SPREADS = ("log_variance", "log_scale")


@keras.saving.register_keras_serializable("curvezoo")
class GaussianSampling(keras.layers.Layer):
    """Draws mu + sigma z with z from N(0, 1): a pair of [B, ...] to [B, ...], Eq. 3.5.1.

    The inputs are the mean mu and the logarithm of the variance, log sigma^2, or of the scale, log sigma,
    which a network can output without a constraint. The log-scale is half the log variance, and is what
    `curvezoo.losses.GaussianNLL` reads. The layer samples in training and in inference; the mode is the mean
    itself.

    Args:
        seed: Seed of the noise; `None` for a random one.
        spread: What the second input is: `"log_variance"` or `"log_scale"`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: If `spread` is unknown or, when it is built, the inputs are not two tensors of one shape.

    Example:
        >>> mean = log_variance = keras.ops.zeros((2, 3))
        >>> GaussianSampling(seed=0)([mean, log_variance]).shape
        TensorShape([2, 3])

    References:
        Kingma and Welling, "Auto-Encoding Variational Bayes" (2013), arXiv:1312.6114.
    """

    def __init__(self, seed=None, spread="log_variance", **kwargs):
        super().__init__(**kwargs)
        self.seed = seed
        self.spread = arguments.one_of("spread", spread, _SPREADS)
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape):
        """Checks that the inputs are a mean and a spread of one shape."""
        shapes = [tuple(shape) for shape in input_shape if isinstance(shape, (tuple, list))]
        if len(shapes) != 2 or len(input_shape) != 2 or shapes[0] != shapes[1]:
            raise ValueError(f"inputs must be [mean, {self.spread}] of one shape, got shapes {input_shape}")
        self.built = True

    def call(self, inputs):
        """Returns one draw for each entry of the mean."""
        mean, spread = (ops.cast(x, _at_least_float32(self.compute_dtype)) for x in inputs)
        log_scale = spread / 2 if self.spread == "log_variance" else spread
        noise = keras.random.normal(ops.shape(mean), dtype=mean.dtype, seed=self.seed_generator)
        return ops.cast(mean + ops.exp(log_scale) * noise, self.compute_dtype)

    def compute_mask(self, inputs, previous_mask):
        """Returns the mask of the mean."""
        return previous_mask[0]

    def compute_output_shape(self, input_shape):
        """Returns the shape of the mean."""
        return input_shape[0]

    def get_config(self):
        """Returns the arguments that rebuild this layer."""
        return {**super().get_config(), "seed": self.seed, "spread": self.spread}


@keras.saving.register_keras_serializable("curvezoo")
class GumbelSoftmax(keras.layers.Layer):
    """Draws a differentiable, almost one-hot sample: logits [B, ..., K] to [B, ..., K].

    In training the output is the softened argmax of Eq. 3.5.7, a point inside the simplex,

        f_i = e^(beta (x_i + z_i)) / sum_j e^(beta (x_j + z_j)),

    with Gumbel noise z. The argmax of f is an exact sample from p = softmax(x), but f itself is not: at
    finite beta its mean differs from p (docs/errata.md), so its gradients are biased. A larger beta reduces
    the bias and increases the variance in proportion to beta. In inference the output is an exact one-hot
    sample from p, Eq. 3.5.3; the mode is the argmax of the logits.

    The notes' beta multiplies x + z and is the inverse of the temperature of Jang et al.

    Args:
        beta: Inverse temperature, positive.
        final_beta: Inverse temperature at the end of annealing; `None` for a constant one.
        annealing_steps: Number of training calls over which log beta changes linearly to log `final_beta`.
            The calls are counted in a weight, so that checkpoints store the count.
        straight_through: Whether the output in training is the one-hot argmax of f, with the gradient of f.
        seed: Seed of the noise; `None` for a random one.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: If `beta` or `final_beta` is not positive, `annealing_steps` is not a positive integer,
            only one of the last two is given, or (when it is built) K is below 2.

    References:
        Jang, Gu and Poole, "Categorical Reparameterization with Gumbel-Softmax" (2017), arXiv:1611.01144.
        Maddison, Mnih and Teh, "The Concrete Distribution" (2017), arXiv:1611.00712.
    """

    def __init__(
        self,
        beta=1.0,
        final_beta=None,
        annealing_steps=None,
        straight_through=False,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.initial_beta = arguments.positive_number("beta", beta)
        if final_beta is not None:
            final_beta = arguments.positive_number("final_beta", final_beta)
        self.final_beta = final_beta
        if (final_beta is None) != (annealing_steps is None):
            raise ValueError(
                "final_beta and annealing_steps must be given together, "
                f"got final_beta={final_beta!r} and annealing_steps={annealing_steps!r}"
            )
        if annealing_steps is not None:
            annealing_steps = arguments.integer("annealing_steps", annealing_steps, 1)
        self.annealing_steps = annealing_steps
        self.straight_through = straight_through
        self.supports_masking = True
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape):
        """Creates the counter of training calls if beta is annealed."""
        _check_categories(input_shape)
        if self.final_beta is not None:
            self.calls = self.add_weight(
                (),
                initializer="zeros",
                dtype="int32",
                trainable=False,
                aggregation="only_first_replica",
                name="calls",
            )
        self.built = True

    @property
    def beta(self):
        """The current inverse temperature: a number, or a float32 scalar if it is annealed."""
        if self.final_beta is None:
            return self.initial_beta
        progress = ops.cast(ops.minimum(self.calls, self.annealing_steps), "float32") / self.annealing_steps
        return self.initial_beta * ops.exp(progress * math.log(self.final_beta / self.initial_beta))

    def call(self, inputs, training=None):
        """Returns a relaxed sample in training (one-hot if `straight_through`), else a one-hot sample."""
        logits = ops.cast(inputs, _at_least_float32(self.compute_dtype))
        noisy = logits + self._gumbel(logits)
        if not training:
            return _one_hot_argmax(noisy, self.compute_dtype)
        relaxed = ops.softmax(ops.cast(self.beta, noisy.dtype) * noisy)
        if self.final_beta is not None:
            self.calls.assign_add(1)
        if self.straight_through:
            relaxed = _with_gradient_of(_one_hot_argmax(noisy, noisy.dtype), relaxed)
        return ops.cast(relaxed, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        """Returns the shape of the logits."""
        return input_shape

    def get_config(self):
        """Returns the arguments that rebuild this layer."""
        return {
            **super().get_config(),
            "beta": self.initial_beta,
            "final_beta": self.final_beta,
            "annealing_steps": self.annealing_steps,
            "straight_through": self.straight_through,
            "seed": self.seed,
        }

    def _gumbel(self, logits):
        uniform = keras.random.uniform(
            ops.shape(logits), minval=_TINY, maxval=1.0, dtype=logits.dtype, seed=self.seed_generator
        )
        return -ops.log(-ops.log(uniform))


@keras.saving.register_keras_serializable("curvezoo")
class StraightThrough(keras.layers.Layer):
    """One-hot argmax of logits, [B, ..., K] to [B, ..., K], with the gradient of a smooth surrogate.

    There is no noise: the forward pass is the limit beta -> infinity of Eq. 3.5.7 at z = 0. The true gradient
    is zero almost everywhere, and the surrogate's gradient is a biased substitute.

    Args:
        surrogate: The function whose gradient is used: `softmax` of the logits, or their `identity`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: If `surrogate` is unknown, or (when it is built) K is below 2.

    References:
        Bengio, Leonard and Courville, "Estimating or Propagating Gradients Through Stochastic Neurons for
            Conditional Computation" (2013), arXiv:1308.3432.
    """

    def __init__(self, surrogate="softmax", **kwargs):
        super().__init__(**kwargs)
        self.surrogate = arguments.one_of("surrogate", surrogate, _SURROGATES)
        self.supports_masking = True

    def build(self, input_shape):
        """Checks the number of categories."""
        _check_categories(input_shape)
        self.built = True

    def call(self, inputs):
        """Returns the one-hot argmax."""
        surrogate = ops.softmax(inputs) if self.surrogate == "softmax" else inputs
        return _with_gradient_of(_one_hot_argmax(inputs, self.compute_dtype), surrogate)

    def compute_output_shape(self, input_shape):
        """Returns the shape of the logits."""
        return input_shape

    def get_config(self):
        """Returns the arguments that rebuild this layer."""
        return {**super().get_config(), "surrogate": self.surrogate}


def _at_least_float32(dtype):
    return "float64" if dtype == "float64" else "float32"


def _one_hot_argmax(x, dtype):
    return ops.one_hot(ops.argmax(x, axis=-1), x.shape[-1], dtype=dtype)


def _with_gradient_of(value, surrogate):
    """Returns `value` with the gradient of `surrogate`."""
    difference = surrogate - ops.stop_gradient(surrogate)
    # A logit of -inf, which excludes a category, would make the difference NaN.
    return ops.stop_gradient(value) + ops.where(
        ops.isfinite(surrogate), difference, ops.zeros_like(surrogate)
    )


def _check_categories(shape):
    if not shape or shape[-1] is None or shape[-1] < 2:
        raise ValueError(f"inputs must hold the logits of at least 2 categories, got shape {tuple(shape)}")
