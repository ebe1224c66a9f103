"""Quasi-Newton methods, which estimate the Hessian from gradients (Sec. 4.7.3): BFGS and L-BFGS.

With d = theta_{k+1} - theta_k and y = g_{k+1} - g_k, both maintain an estimate of the inverse Hessian that
satisfies the secant equation H^-1 y = d (Eq. 4.7.15), by the update of Eq. 4.7.22. `theory.quasi_newton` has
the same mathematics in NumPy. docs/errata.md lists the differences from the printed equations.

Legend: D parameters, m pairs of differences in the memory of L-BFGS.
"""

import collections
import dataclasses
from typing import ClassVar

import keras
import tensorflow as tf

from ... import arguments
from ..vectors import dot
from .optimizer import FullBatchOptimizer


@keras.saving.register_keras_serializable("curvezoo")
@dataclasses.dataclass(frozen=True, kw_only=True)
class LBFGS(FullBatchOptimizer):
    r"""Limited-memory BFGS, which stores the last m pairs of differences instead of the matrix.

    The direction is -H^-1 g, where H^-1 starts as gamma times the identity and is updated m times by
    Eq. 4.7.22,

        H^-1 <- (1 - d y^T / (d.y)) H^-1 (1 - y d^T / (d.y)) + d d^T / (d.y),    gamma = d.y / y.y,

    with gamma from the newest pair. Two loops over the pairs compute the product in 4 m D multiplications,
    without a matrix. Before the first pair, the direction is the negative gradient. Then
    theta <- theta + t direction, where t = 1 is tried first and t satisfies the strong Wolfe conditions (1e-4
    and 0.9), which imply d.y > 0.

    The line search is TensorFlow Probability's. Its `lbfgs_minimize` is not used, because it is a single
    graph without callbacks or interruption, evaluates at least three points per iteration, and copies its
    memory of 2 m D numbers in each. The directions are the same.

    Args:
        history: The number of pairs m, at least 0; usually 5 to 20.
        max_iterations: Maximum number of iterations.
        gradient_tolerance: Converged if no component of the gradient is larger.
        loss_tolerance: Converged if the relative decrease of the loss is at most this in each of the last
            five iterations.
        max_line_search: Maximum number of rounds of a line search.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> import tensorflow as tf
        >>> def rosenbrock(x):
        ...     return 100.0 * (x[1] - x[0] ** 2) ** 2 + (1.0 - x[0]) ** 2
        >>> result = LBFGS(gradient_tolerance=1e-8).minimize_function(rosenbrock, [-1.2, 1.0])
        >>> result.converged, result.position.round(6).tolist()
        (True, [1.0, 1.0])

    References:
        Kaplan, "Notes on Contemporary Machine Learning for Physicists", section 4.7.3.
        Nocedal, "Updating Quasi-Newton Matrices with Limited Storage" (1980).
        Hager and Zhang, "Algorithm 851: CG_DESCENT" (2006), for the line search.
    """

    history: int = 10

    def __post_init__(self):
        super().__post_init__()
        arguments.integer("history", self.history, 0)

    def memory(self, dimension, dtype):
        """Returns the pairs of differences.

        Args:
            dimension: The number of parameters D.
            dtype: The type of all vectors.
        """
        return _Pairs(self.history, dtype, dimension)


@keras.saving.register_keras_serializable("curvezoo")
@dataclasses.dataclass(frozen=True, kw_only=True)
class BFGS(FullBatchOptimizer):
    r"""The method of Broyden, Fletcher, Goldfarb and Shanno with the full matrix, for small models.

        theta <- theta - t H^-1 g
        H^-1  <- (1 - d y^T / (d.y)) H^-1 (1 - y d^T / (d.y)) + d d^T / (d.y)        (Eq. 4.7.22)

    with d and y the differences of parameters and gradients, and t as in `LBFGS`. H^-1 starts as the identity
    and is multiplied by gamma = d.y / y.y before the first update. The update is multiplied out, as the notes
    recommend; it takes 2 D^2 multiplications and D^2 numbers of memory.

    Args:
        max_iterations: Maximum number of iterations.
        gradient_tolerance: Converged if no component of the gradient is larger.
        loss_tolerance: Converged if the relative decrease of the loss is at most this in each of the last
            five iterations.
        max_line_search: Maximum number of rounds of a line search.

    Raises:
        ValueError: If a number is out of range; from `minimize`, if there are more than 10,000 parameters.

    Example:
        >>> import tensorflow as tf
        >>> def himmelblau(x):
        ...     return (x[0] ** 2 + x[1] - 11.0) ** 2 + (x[0] + x[1] ** 2 - 7.0) ** 2
        >>> BFGS(gradient_tolerance=1e-8).minimize_function(himmelblau, [1.0, 1.0]).position.round(6).tolist()
        [3.0, 2.0]

    References:
        Kaplan, "Notes on Contemporary Machine Learning for Physicists", section 4.7.3.
        Nocedal and Wright, "Numerical Optimization" (2006), chapter 6.
    """

    largest_dimension: ClassVar[int] = 10_000

    def memory(self, dimension, dtype):
        """Returns the estimate of the inverse Hessian.

        Args:
            dimension: The number of parameters D.
            dtype: The type of all vectors.

        Raises:
            ValueError: If there are too many parameters for the matrix.
        """
        if dimension > self.largest_dimension:
            raise ValueError(
                f"BFGS stores D^2 numbers and supports at most {self.largest_dimension} parameters, got "
                f"{dimension}: use LBFGS"
            )
        return _Matrix(dimension, dtype)


def fit_lbfgs(
    model,
    data,
    loss=None,
    *,
    history=10,
    batch_size=4096,
    training=False,
    verbose=True,
    callback=None,
    **settings,
):
    """Trains a model with L-BFGS on all data at once, instead of `compile` and `fit`.

    Args:
        model: A Keras model; compiled if `loss` is None.
        data: Arrays (x, y) or (x, y, sample_weight), or a finite `tf.data.Dataset` or `keras.utils.PyDataset`
            of batches of these, with the same examples in every pass.
        loss: A Keras loss, its name or a function; None for the compiled loss.
        history: Number of pairs of differences in memory.
        batch_size: Number of examples in a microbatch, for arrays; see `FullBatchOptimizer.minimize`.
        training: Whether layers run in training mode.
        verbose: Whether to show a progress bar on stderr.
        callback: A function of (iteration, loss, gradient norm).
        **settings: The other arguments of `LBFGS`: `max_iterations`, `gradient_tolerance`, `loss_tolerance`,
            `max_line_search`.

    Returns:
        A `full_batch.Result`: `converged`, `reason`, `iterations`, `evaluations`, `loss`, `gradient_norm`,
        `losses`.

    Raises:
        ValueError: As `LBFGS` and `FullBatchOptimizer.minimize`.

    Example:
        Least squares for a line through three points, with slope 2 and intercept 1.

        >>> import keras, numpy as np
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> x = np.array([[0.0], [1.0], [2.0]])
        >>> result = fit_lbfgs(model, (x, 2 * x + 1), "mse", gradient_tolerance=1e-5, verbose=False)
        >>> [np.round(float(weight.squeeze()), 2) for weight in model.get_weights()] == [2.0, 1.0]
        True
    """
    optimizer = LBFGS(history=history, **settings)
    return optimizer.minimize(
        model, data, loss, batch_size=batch_size, training=training, verbose=verbose, callback=callback
    )


class _Pairs:
    """The last pairs of differences, newest first, padded with zeros so that the loops compile only once."""

    def __init__(self, length, dtype, dimension):
        self.dtype, self.empty = dtype.as_numpy_dtype, tf.zeros([dimension], dtype)
        self.pairs = collections.deque(maxlen=length)
        self.scale = 1.0
        self.product = _two_loops_xla if dimension >= 10_000 else _two_loops

    def direction(self, gradient):
        """Returns the direction and a trial step, at first a short one along the gradient."""
        if not self.pairs:
            return -gradient, first_step(gradient)
        padding = self.pairs.maxlen - len(self.pairs)
        padded = [*self.pairs, *[(self.empty, self.empty, 0.0)] * padding]
        steps, changes, inverses = zip(*padded, strict=True)
        inverses = tf.constant(inverses, self.dtype)
        return self.product(
            gradient, list(steps), list(changes), inverses, tf.constant(self.scale, self.dtype)
        ), 1.0

    def update(self, displacement, change, gradient, step, product):
        """Adds a pair, if its curvature is positive."""
        squared = float(dot(change, change))
        # In single precision the square may underflow even if the product does not.
        if product and squared and self.pairs.maxlen:
            self.pairs.appendleft((displacement, change, 1 / product))
            self.scale = product / squared

    def reset(self):
        """Forgets all pairs; returns whether there were none."""
        was_empty = not self.pairs
        self.pairs.clear()
        return was_empty


class _Matrix:
    """The estimate of the inverse Hessian, None before the first update."""

    def __init__(self, dimension, dtype):
        self.inverse, self.dimension, self.dtype = None, dimension, dtype

    def direction(self, gradient):
        """Returns the direction and a trial step, at first a short one along the gradient."""
        if self.inverse is None:
            return -gradient, first_step(gradient)
        return -tf.linalg.matvec(self.inverse, gradient), 1.0

    def update(self, displacement, change, gradient, step, product):
        """Updates the matrix, if the curvature is positive."""
        if product:
            if self.inverse is None:
                self.inverse = tf.eye(self.dimension, dtype=self.dtype) * (product / dot(change, change))
            self.inverse = _inverse_update(self.inverse, displacement, change)

    def reset(self):
        """Forgets the matrix; returns whether there was none."""
        was_empty = self.inverse is None
        self.inverse = None
        return was_empty


def two_loops(gradient, steps, changes, inverses, scale):
    """Returns -H^-1 g by the two-loop recursion, which applies Eq. 4.7.22 to `scale` times the identity.

    Args:
        gradient: The gradient g [D].
        steps: Differences d of parameters, a list of m tensors [D], newest first.
        changes: Differences y of gradients, in the same form.
        inverses: 1 / (d.y) of each pair, [m]; a pair with 0 has no effect.
        scale: gamma.
    """
    product, coefficients = gradient, []
    for index, (step, change) in enumerate(zip(steps, changes, strict=True)):
        coefficients.append(inverses[index] * dot(step, product))
        product -= coefficients[-1] * change
    product *= scale
    for index in reversed(range(len(steps))):
        product += (coefficients[index] - inverses[index] * dot(changes[index], product)) * steps[index]
    return -product


def inverse_update(inverse, step, change):
    """Returns the update of Eq. 4.7.22, multiplied out to avoid matrix products.

    Args:
        inverse: H_k^-1, [D, D].
        step: d_k, [D].
        change: y_k, [D].
    """
    product, moved = dot(step, change), tf.linalg.matvec(inverse, change)
    half = (1 + dot(change, moved) / product) / 2 * step - moved
    outer = step[:, None] * (half / product)
    return inverse + outer + tf.transpose(outer)


# For short vectors, compiling with XLA takes longer than it saves.
_two_loops = tf.function(two_loops, autograph=False)
_two_loops_xla = tf.function(two_loops, jit_compile=True, autograph=False)
_inverse_update = tf.function(inverse_update, autograph=False)


def first_step(gradient):
    """Returns a step size that changes theta by at most 1, since the gradient does not set a scale for theta.

    Args:
        gradient: The gradient [D].
    """
    return min(1.0, 1.0 / max(float(tf.norm(gradient)), 1e-300))
