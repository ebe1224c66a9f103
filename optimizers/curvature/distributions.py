"""Losses as negative log-likelihoods: the distribution of a loss, and its Fisher matrix in output space.

A likelihood of `losses` has its own `distribution`. Keras's losses are likelihoods, too, up to constants and
a factor, because several of them average over the last axis where a log-likelihood is a sum:

    loss of one position = scale * (-log p(y | outputs)) + terms that do not depend on the outputs

    (Sparse)CategoricalCrossentropy    scale 1      Categorical, of logits or of probabilities
    BinaryCrossentropy                 scale 1/D    Bernoulli, of logits or of probabilities
    MeanSquaredError                   scale 2/D    Gaussian with unit variance
    Poisson                            scale 1/D    Poisson, of rates

Label smoothing changes only the targets, not the distribution.

Legend: B batch, ... further axes such as positions, D outputs of a position (its logits or parameters).
"""

import dataclasses
from collections.abc import Callable

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from ..keras_bridge.internals import ignored_class, wrapped_function
from .derivatives import second_derivative

DRAW_LABELS = "draw labels instead, by samples=n of an operator or fisher='sampled' of an optimizer"


@dataclasses.dataclass(frozen=True)
class OutputDistribution:
    """The distribution p(y | outputs) of a loss.

    Args:
        name: Name of the loss, for error messages.
        make: Function of the outputs [B, ..., D] that returns a TensorFlow Probability distribution with
            batch shape [B, ...].
        factor: The ratio of the loss of a position to -log p, or D times that ratio if `averaged`.
        averaged: Whether the loss is a mean over the last axis.
        ignored_class: Positions with this class as their target do not count; None for none.
    """

    name: str
    make: Callable
    factor: float = 1.0
    averaged: bool = False
    ignored_class: int | None = None

    def distribution(self, outputs):
        """Returns the distribution of the targets.

        Args:
            outputs: Outputs of the model, [B, ..., D].
        """
        return self.make(outputs)

    def scale(self, outputs):
        """Returns the ratio of the loss of a position to -log p, a number.

        Args:
            outputs: Outputs of the model, [B, ..., D].
        """
        return self.factor / outputs.shape[-1] if self.averaged else self.factor

    def sample(self, outputs, seed):
        """Returns targets drawn from the distribution, in the form that the loss expects.

        Args:
            outputs: Outputs of the model, [B, ..., D].
            seed: Two integers, a seed of `tf.random.stateless_uniform`.
        """
        # Labels drawn from non-finite probabilities may be out of range, which would crash the program.
        outputs = tf.where(tf.math.is_finite(outputs), outputs, tf.zeros_like(outputs))
        return tf.stop_gradient(self.make(tf.stop_gradient(outputs)).sample(seed=seed))

    def nll(self, targets, outputs):
        """Returns -log p(targets | outputs) in nats, [B, ...].

        Args:
            targets: Targets in the form that the loss expects.
            outputs: Outputs of the model, [B, ..., D].

        Raises:
            ValueError: If the shape of the targets does not match.
        """
        distribution = self.make(outputs)
        targets = tf.cast(targets, distribution.dtype)
        shape = distribution.batch_shape + distribution.event_shape
        target_shape = targets.shape
        if target_shape.rank == shape.rank + 1 and target_shape[-1] == 1:
            targets = tf.squeeze(targets, -1)
        elif target_shape.rank == shape.rank - 1 and shape[-1] == 1:
            targets = tf.expand_dims(targets, -1)
        if not targets.shape.is_compatible_with(shape):
            raise ValueError(
                f"targets must have shape {shape} to match the outputs of {self.name}, got {target_shape}"
            )
        return -distribution.log_prob(targets)

    def valid_targets(self, targets):
        """Returns the targets of data with class 0 for ignored ones, whose weights in the loss are 0.

        Args:
            targets: Targets in the form that the loss expects.
        """
        if self.ignored_class is None:
            return targets
        targets = tf.convert_to_tensor(targets)
        return tf.where(
            targets == tf.cast(self.ignored_class, targets.dtype), tf.zeros_like(targets), targets
        )

    def fisher_product(self, outputs, tangents, weights=None):
        r"""Returns the Fisher matrix of the outputs times a vector, a divergence's Hessian (Eq. 4.6.15).

        \(F_{ij} = \partial_i \partial_j D_{KL}(p_{\text{outputs}} || p_q)\) at q = outputs; it is
        block-diagonal over positions. TensorFlow Probability's closed form of the divergence is
        differentiated automatically.

        Args:
            outputs: Outputs of the model, [B, ..., D].
            tangents: The vector, [B, ..., D].
            weights: Factors of the positions' blocks, [B, ...]; None for 1.

        Returns:
            The product, [B, ..., D].

        Raises:
            ValueError: If the divergence has no closed form, or cannot be differentiated twice.
        """
        fixed = self.make(tf.stop_gradient(outputs))

        def divergence(outputs):
            values = self._divergence(fixed, self.make(outputs))
            return tf.reduce_sum(values if weights is None else weights * values)

        return second_derivative(divergence, outputs, tangents)

    def has_closed_form(self, outputs):
        """Returns whether `fisher_product` is available.

        Args:
            outputs: Outputs of the model, [B, ..., D].
        """
        distribution = self.make(outputs)
        try:
            self._divergence(distribution, distribution)
        except ValueError:
            return False
        return True

    def _divergence(self, p, q):
        """Returns D_KL(p || q) for each member of the batch."""
        base = _base(q)
        if isinstance(base, tfd.Poisson):
            # TensorFlow Probability lacks this divergence. Up to terms without q, the log-likelihood is
            # linear in y, so that its mean is its value at the mean of y.
            return -q.log_prob(p.mean())
        if isinstance(base, tfd.Laplace):
            raise ValueError(f"{self.name} has a kink, where autodiff gives no Fisher matrix: {DRAW_LABELS}")
        try:
            return tfd.kl_divergence(p, q)
        except NotImplementedError:
            raise ValueError(
                f"{self.name} has no closed form of the Kullback-Leibler divergence of its distribution "
                f"{base.name}: {DRAW_LABELS}"
            ) from None


def output_distribution(loss):
    """Returns the distribution of a loss that is a negative log-likelihood.

    Args:
        loss: A loss as accepted by `compile`: a name, a function, a `keras.losses.Loss`, or any object with a
            method `distribution(outputs)`, such as the likelihoods of `losses`.

    Returns:
        An `OutputDistribution`.

    Raises:
        ValueError: If the loss or one of its options is not supported.
    """
    if isinstance(loss, str) or (callable(loss) and not isinstance(loss, keras.losses.Loss)):
        loss = keras.losses.get(loss)
    if hasattr(loss, "distribution"):
        name = getattr(loss, "name", type(loss).__name__)
        return OutputDistribution(name, loss.distribution, ignored_class=ignored_class(loss))
    function, options = wrapped_function(loss)
    for supported, build in _KERAS_LOSSES.items():
        if function is supported:
            return build(function.__name__, options)
    names = ", ".join(supported.__name__ for supported in _KERAS_LOSSES)
    raise ValueError(
        f"loss must be the negative log-likelihood of a distribution, got {loss!r}; valid are Keras's "
        f"{names}, and losses with a method distribution(outputs): CategoricalNLL, BernoulliNLL, "
        "GaussianNLL, LaplaceNLL, CauchyNLL, StudentTNLL, MixtureNLL, NegativeLogLikelihood"
    )


def _base(distribution):
    """Returns the distribution inside `Independent`."""
    while isinstance(distribution, tfd.Independent):
        distribution = distribution.distribution
    return distribution


def _check_options(name, options):
    if options.get("axis", -1) != -1:
        raise ValueError(f"axis of {name} must be -1 for curvature, got {options['axis']!r}")


def _clipped(probabilities):
    """Returns probabilities clipped as in Keras's losses."""
    epsilon = keras.config.epsilon()
    return tf.clip_by_value(probabilities, epsilon, 1 - epsilon)


def _categorical(distribution):
    """Returns a builder for a distribution of classes."""

    def build(name, options):
        _check_options(name, options)

        def make(outputs):
            # TensorFlow Probability normalizes logits as Keras normalizes probabilities.
            from_logits = options.get("from_logits", False)
            return distribution(logits=outputs if from_logits else tf.math.log(_clipped(outputs)))

        return OutputDistribution(name, make, ignored_class=options.get("ignore_class"))

    return build


def _bernoulli(name, options):
    _check_options(name, options)

    def make(outputs):
        if options.get("from_logits", False):
            bernoulli = tfd.Bernoulli(logits=outputs, dtype=outputs.dtype)
        else:
            bernoulli = tfd.Bernoulli(probs=_clipped(outputs), dtype=outputs.dtype)
        return tfd.Independent(bernoulli, 1)

    return OutputDistribution(name, make, averaged=True)


def _gaussian(name, options):
    def make(outputs):
        return tfd.Independent(tfd.Normal(outputs, tf.ones_like(outputs)), 1)

    return OutputDistribution(name, make, factor=2.0, averaged=True)


def _poisson(name, options):
    def make(outputs):
        # Keras's loss adds epsilon inside its logarithm.
        return tfd.Independent(tfd.Poisson(rate=outputs + keras.config.epsilon()), 1)

    return OutputDistribution(name, make, averaged=True)


def _one_hot(logits):
    return tfd.OneHotCategorical(logits=logits, dtype=logits.dtype)


_KERAS_LOSSES = {
    keras.losses.categorical_crossentropy: _categorical(_one_hot),
    keras.losses.sparse_categorical_crossentropy: _categorical(tfd.Categorical),
    keras.losses.binary_crossentropy: _bernoulli,
    keras.losses.mean_squared_error: _gaussian,
    keras.losses.poisson: _poisson,
}
