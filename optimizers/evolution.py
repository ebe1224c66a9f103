"""Evolution: descent that uses only the losses of random neighbors, the baseline of section 4.1."""

import random

import keras
import tensorflow as tf
from keras import ops

from .. import arguments
from .keras_bridge.attachment import ModelOptimizer
from .schedules import LearningRate
from .vectors import scaled

# Use the same generator on every device, so that a seed gives the same noise.
_GENERATOR = "philox"


@keras.saving.register_keras_serializable("curvezoo")
class Evolution(ModelOptimizer):
    r"""Explores random directions in pairs and moves by their combination, weighted by success (Sec. 4.1).

    The rule is that of evolution strategies with antithetic pairs. With n standard normal vectors \(e_i\) of
    the dimension D of all parameters together, and the loss L of the batch,

        g      =  1 / (2 n sigma) sum_i [L(theta + sigma e_i) - L(theta - sigma e_i)] e_i
        v     <-  m v + g
        theta <-  theta - eps v.

    No derivative is taken, and the loss need not have one. The expectation of g is the gradient of the
    smoothed loss \(\langle L(\theta + \sigma e) \rangle\), which equals that of L for polynomials of
    degree two. For these the covariance of g is \((|\nabla L|^2 + \nabla L \nabla L^T) / n\), so that
    \(\langle |g|^2 \rangle = (1 + (D + 1) / n) |\nabla L|^2\). In an isotropic bowl the best rate is below
    gradient descent's by that factor, and more updates are needed: "a lot worse", as the notes expect.

    With `ranks` the losses of a step are replaced by their ranks, mapped to [-1/2, 1/2]; equal losses share
    their mean rank. Then only the order of the losses matters, not their unit or the size of outliers, and a
    trial whose loss is NaN ranks among the worst.

    One update costs 2 n forward passes in addition to Keras's own for the metrics, one after the other in one
    compiled loop. Noise is drawn again from its seed where it is needed, so that memory does not depend on
    n. Trials of one update share the batch and the dropout masks. Replicas draw the same noise and sum their
    losses, so that two of them are equivalent to one.

    Args:
        learning_rate: The rate eps, in units of theta^2 / loss (Eq. 4.2.2); with `ranks`, of theta^2. A
            number of at least 0, a schedule, or a callable without arguments.
        sigma: Standard deviation of the trials, in units of theta, positive.
        pairs: Number n of pairs, at least 1.
        ranks: Whether ranks replace the losses.
        momentum: The m above, dimensionless, in [0, 1). If g is not finite, it counts as
            zero, and the velocity still moves the parameters.
        seed: Seed of the noise, an integer of at least 0; None draws one from Python's generator, which
            `keras.utils.set_random_seed` seeds. Update k draws the same noise in every run. XLA draws other
            noise from the same seed.
        name: Name of the optimizer.
        **kwargs: As in `ModelOptimizer`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        The number of errors has no gradient, but evolution lowers it.

        >>> x = keras.random.normal((100, 2), seed=0)
        >>> y = keras.ops.cast(x[:, :1] > x[:, 1:], "float32")
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, kernel_initializer="ones")])
        >>> def errors(y, logits):
        ...     return keras.ops.cast((logits > 0) != (y > 0.5), "float32")
        >>> model.compile(optimizer=Evolution(0.05, sigma=0.2, pairs=20, seed=0), loss=errors)
        >>> history = model.fit(x, y, batch_size=100, epochs=20, verbose=0)
        >>> history.history["loss"][0] > 0.2 and history.history["loss"][-1] < 0.05
        True

    References:
        Kaplan, "Notes on Contemporary Machine Learning for Physicists", section 4.1.
        Salimans, Ho, Chen, Sidor and Sutskever, "Evolution Strategies as a Scalable Alternative to
        Reinforcement Learning" (2017), arXiv:1703.03864.
        Nesterov and Spokoiny, "Random Gradient-Free Minimization of Convex Functions" (2017).
    """

    direction_is_final = True

    def __init__(
        self,
        learning_rate: LearningRate = 0.01,
        sigma: float = 0.1,
        pairs: int = 32,
        ranks: bool = True,
        momentum: float = 0.9,
        seed: int | None = None,
        name: str = "evolution",
        **kwargs,
    ):
        super().__init__(learning_rate, name, **kwargs)
        self.sigma = float(arguments.positive("sigma", sigma, 0))
        self.pairs = arguments.integer("pairs", pairs, 1)
        self.ranks = bool(ranks)
        self.momentum = arguments.fraction("momentum", momentum)
        self.seed = random.randrange(2**31) if seed is None else arguments.seed("seed", seed)

    def build(self, variables):
        """Creates v for each variable if there is momentum."""
        if self.built:
            return
        super().build(variables)
        variables = self._trainable_variables
        self._velocities = self.add_optimizer_variables(variables, "velocity") if self.momentum else []

    def apply(self, grads, trainable_variables=None):
        """Applies an update; the gradients are ignored, and a compiled step does not compute them.

        Args:
            grads: Keras's gradients, or None for each variable.
            trainable_variables: The variables.
        """
        super().apply([None] * len(grads), trainable_variables)

    def direction(self, objective, gradients):
        """Returns this replica's share of g.

        Args:
            objective: The `Objective` of this replica's batch.
            gradients: Ignored.
        """
        values = objective.values
        losses = self.total(self._losses(objective, values))
        measured = tf.reduce_any(tf.math.is_finite(losses))
        if self.ranks:
            losses = centered_ranks(losses)
        weights = (losses[:, 0] - losses[:, 1]) / (2 * self.pairs * self.sigma)
        # Skip the step if every trial loss is non-finite.
        weights = tf.where(measured, weights, float("nan"))

        def add(total, trial):
            index, weight = trial
            noise = self._noise(values, index)
            return [t + tf.cast(weight, t.dtype) * e for t, e in zip(total, noise, strict=True)]

        start = [tf.zeros_like(v) for v in values]
        direction = tf.foldl(add, (tf.range(self.pairs), weights), start, parallel_iterations=1)
        # Clipping acts on the sum over replicas, not on each replica's share.
        return scaled(1 / self.replicas(), self.clip(direction))

    def update_step(self, gradient, variable, learning_rate):
        """Updates one variable.

        Args:
            gradient: g of this variable.
            variable: The variable.
            learning_rate: The rate of this update.
        """
        if self.momentum:
            velocity = self._velocities[self._get_variable_index(variable)]
            self.assign(velocity, ops.add(self.momentum * ops.convert_to_tensor(velocity), gradient))
            gradient = ops.convert_to_tensor(velocity)
        super().update_step(gradient, variable, learning_rate)

    def get_config(self):
        """Returns the arguments that rebuild this optimizer."""
        return {
            **super().get_config(),
            "sigma": self.sigma,
            "pairs": self.pairs,
            "ranks": self.ranks,
            "momentum": self.momentum,
            "seed": self.seed,
        }

    def _losses(self, objective, values):
        """Returns this replica's share of the losses at theta + sigma e_i and theta - sigma e_i, [n, 2]."""

        def pair(index):
            noise = self._noise(values, index)
            ends = [
                [v + sign * self.sigma * e for v, e in zip(values, noise, strict=True)] for sign in (1, -1)
            ]
            return tf.stack([tf.cast(objective.loss(end), dtype) for end in ends])

        dtype = tf.as_dtype(keras.config.floatx())
        return tf.map_fn(pair, tf.range(self.pairs), fn_output_signature=dtype, parallel_iterations=1)

    def _noise(self, values, index):
        """Returns e_i for i = index of this update: a function of the seed, the update and i."""
        fold = tf.random.experimental.stateless_fold_in
        update = tf.cast(ops.convert_to_tensor(self.iterations), tf.int32)
        noise = []
        for k, value in enumerate(values):
            key = fold(fold(tf.constant([self.seed, k]), update, _GENERATOR), index, _GENERATOR)
            noise.append(tf.random.stateless_normal(value.shape, key, dtype=value.dtype, alg=_GENERATOR))
        return noise


def centered_ranks(losses):
    """Returns the ranks of numbers from -1/2, the smallest, to 1/2; equal numbers share their mean rank.

    Args:
        losses: A tensor of any shape with at least two entries; NaN counts as infinite.
    """
    infinite = tf.constant(float("inf"), losses.dtype)
    flat = tf.reshape(tf.where(tf.math.is_nan(losses), infinite, losses), [-1])
    ordered = tf.sort(flat)
    below, upto = (tf.searchsorted(ordered, flat, side) for side in ("left", "right"))
    ranks = tf.cast(below + upto - 1, losses.dtype) / 2
    return tf.reshape(ranks / tf.cast(tf.size(flat) - 1, losses.dtype) - 0.5, tf.shape(losses))
