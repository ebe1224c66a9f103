"""The distribution whose negative log-likelihood a loss is, and its Fisher matrix in the outputs' space.

A likelihood of `losses` has its own `distribution`. Keras's losses are likelihoods too, up to constants and a
factor, because several of them take the mean over the last axis where a log-likelihood is a sum:

    loss of one position = scale * (-log p(y | outputs)) + terms without the outputs

    (Sparse)CategoricalCrossentropy    scale 1      Categorical, of logits or of probabilities
    BinaryCrossentropy                 scale 1/D    Bernoulli, of logits or of probabilities
    MeanSquaredError                   scale 2/D    Gaussian with unit variance
    Poisson                            scale 1/D    Poisson, of rates

Label smoothing is a property of the targets: the distribution is that without it.

Legend: B batch, ... further axes such as positions, D outputs of a position (its logits or parameters).
"""

import dataclasses
from collections.abc import Callable

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from .derivatives import second_derivative

DRAW = "draw labels instead, by samples=n of an operator or fisher='sampled' of an optimizer"


@dataclasses.dataclass(frozen=True)
class OutputDistribution:
    """The law p(y | outputs) of a loss.

    Args:
        name: Name of the loss, for messages.
        make: Function of the outputs [B, ..., D] that returns a distribution of TensorFlow Probability with
            the batch shape [B, ...].
        factor: The loss of a position over -log p, or D times that if `averaged`.
        averaged: Whether the loss is a mean over the last axis.
    """

    name: str
    make: Callable
    factor: float = 1.0
    averaged: bool = False

    def distribution(self, outputs):
        """Returns the distribution of the targets.

        Args:
            outputs: Outputs of the model, [B, ..., D].
        """
        return self.make(outputs)

    def scale(self, outputs):
        """Returns the loss of a position over -log p, a number.

        Args:
            outputs: Outputs of the model, [B, ..., D].
        """
        return self.factor / outputs.shape[-1] if self.averaged else self.factor

    def sample(self, outputs, seed):
        """Returns targets drawn from the distribution, in the form that the loss takes.

        Args:
            outputs: Outputs of the model, [B, ..., D].
            seed: Two integers, a seed of `tf.random.stateless_uniform`.
        """
        # Labels drawn from undefined probabilities may not exist, which would end the program.
        outputs = tf.where(tf.math.is_finite(outputs), outputs, tf.zeros_like(outputs))
        return tf.stop_gradient(self.make(tf.stop_gradient(outputs)).sample(seed=seed))

    def nll(self, targets, outputs):
        """Returns -log p(targets | outputs) in nats, [B, ...].

        Args:
            targets: Targets in the form that the loss takes.
            outputs: Outputs of the model, [B, ..., D].

        Raises:
            ValueError: If the targets have another shape.
        """
        distribution = self.make(outputs)
        targets = tf.cast(targets, distribution.dtype)
        shape = distribution.batch_shape + distribution.event_shape
        given = targets.shape
        if given.rank == shape.rank + 1 and given[-1] == 1:
            targets = tf.squeeze(targets, -1)
        elif given.rank == shape.rank - 1 and shape[-1] == 1:
            targets = tf.expand_dims(targets, -1)
        if not targets.shape.is_compatible_with(shape):
            raise ValueError(
                f"targets must have shape {shape} to match the outputs of {self.name}, got {given}"
            )
        return -distribution.log_prob(targets)

    def fisher_product(self, outputs, tangents, weights=None):
        r"""Returns the outputs' Fisher matrix times a vector, the Hessian of a divergence (Eq. 4.6.15).

        \(F_{ij} = \partial_i \partial_j D_{KL}(p_{\text{outputs}} || p_q)\) at q = outputs, block-diagonal
        over the positions: by automatic differentiation of TensorFlow Probability's closed form of the
        divergence.

        Args:
            outputs: Outputs of the model, [B, ..., D].
            tangents: The vector, [B, ..., D].
            weights: Factors of the positions' blocks, [B, ...]; None for 1.

        Returns:
            The product, [B, ..., D].

        Raises:
            ValueError: If the divergence has no closed form, or one that cannot be differentiated twice.
        """
        fixed = self.make(tf.stop_gradient(outputs))

        def divergence(outputs):
            values = self._divergence(fixed, self.make(outputs))
            return tf.reduce_sum(values if weights is None else weights * values)

        return second_derivative(divergence, outputs, tangents)

    def has_closed_form(self, outputs):
        """Returns whether `fisher_product` exists.

        Args:
            outputs: Outputs of the model, [B, ..., D].
        """
        law = self.make(outputs)
        try:
            self._divergence(law, law)
        except ValueError:
            return False
        return True

    def _divergence(self, p, q):
        """Returns D_KL(p || q) for each member of the batch."""
        law = _elementwise(q)
        if isinstance(law, tfd.Poisson):
            # Not in TensorFlow Probability: the log-likelihood is linear in y, so that its mean is at E y.
            return -q.log_prob(p.mean())
        if isinstance(law, tfd.Laplace):
            raise ValueError(
                f"{self.name} has a kink, so that automatic differentiation finds no Fisher matrix: {DRAW}"
            )
        try:
            return tfd.kl_divergence(p, q)
        except NotImplementedError:
            raise ValueError(
                f"{self.name} has no closed form of the Kullback-Leibler divergence of its distribution "
                f"{law.name}: {DRAW}"
            ) from None


def output_distribution(loss):
    """Returns the distribution whose negative log-likelihood a loss is.

    Args:
        loss: A loss as `compile` takes it: a name, a function, a `keras.losses.Loss`, or any object with a
            method `distribution(outputs)`, such as the likelihoods of `losses`.

    Returns:
        An `OutputDistribution`.

    Raises:
        ValueError: If the loss is none of the supported ones, or one of their options is not supported.
    """
    if isinstance(loss, str) or (callable(loss) and not isinstance(loss, keras.losses.Loss)):
        loss = keras.losses.get(loss)
    if hasattr(loss, "distribution"):
        return OutputDistribution(getattr(loss, "name", type(loss).__name__), loss.distribution)
    function = getattr(loss, "fn", loss)
    options = getattr(loss, "_fn_kwargs", {})
    for supported, build in _KERAS_LOSSES.items():
        if function is supported:
            return build(function.__name__, options)
    names = ", ".join(supported.__name__ for supported in _KERAS_LOSSES)
    raise ValueError(
        f"loss must be the negative log-likelihood of a distribution, got {loss!r}; supported are Keras's "
        f"{names}, and losses with a method distribution(outputs): CategoricalNLL, BernoulliNLL, "
        "GaussianNLL, LaplaceNLL, CauchyNLL, StudentTNLL, MixtureNLL, NegativeLogLikelihood"
    )


def _elementwise(distribution):
    """Returns the law under `Independent`."""
    while isinstance(distribution, tfd.Independent):
        distribution = distribution.distribution
    return distribution


def _check_options(name, options):
    for option, valid in (("axis", -1), ("ignore_class", None)):
        if options.get(option, valid) != valid:
            raise ValueError(f"{option} of {name} must be {valid} for curvature, got {options[option]!r}")


def _inside(probabilities):
    """Returns probabilities clipped as Keras's losses clip them."""
    epsilon = keras.config.epsilon()
    return tf.clip_by_value(probabilities, epsilon, 1 - epsilon)


def _categorical(law):
    """Returns a builder for a law of classes."""

    def build(name, options):
        _check_options(name, options)
        if options.get("from_logits", False):
            return OutputDistribution(name, lambda outputs: law(logits=outputs))

        # As logits, which TensorFlow Probability normalizes like Keras.
        return OutputDistribution(name, lambda outputs: law(logits=tf.math.log(_inside(outputs))))

    return build


def _bernoulli(name, options):
    _check_options(name, options)

    def make(outputs):
        if options.get("from_logits", False):
            law = tfd.Bernoulli(logits=outputs, dtype=outputs.dtype)
        else:
            law = tfd.Bernoulli(probs=_inside(outputs), dtype=outputs.dtype)
        return tfd.Independent(law, 1)

    return OutputDistribution(name, make, averaged=True)


def _gaussian(name, options):
    def make(outputs):
        return tfd.Independent(tfd.Normal(outputs, tf.ones_like(outputs)), 1)

    return OutputDistribution(name, make, factor=2.0, averaged=True)


def _poisson(name, options):
    def make(outputs):
        # The loss adds this inside its logarithm.
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
