"""Newton's method, damped and optionally saddle-free."""

import keras
import numpy as np
import tensorflow as tf

from .. import arguments
from .curvature import products
from .schedules import LearningRate
from .trials import DampedOptimizer
from .vectors import flat, precision, unflat


@keras.saving.register_keras_serializable("curvezoo")
class Newton(DampedOptimizer):
    r"""Steps to the stationary point of the loss's quadratic model, or away from it if it is a saddle.

    With gradient g and Hessian \(H = \sum_i h_i u_i u_i^T\) of the batch's loss, regularization included,

        theta <-  theta - eps sum_i u_i (u_i^T g) / (h_i + lambda)        (Eq. 4.1.2, damped)
        theta <-  theta - eps sum_i u_i (u_i^T g) / (|h_i| + lambda)      with saddle_free

    The rate is dimensionless: on a quadratic loss, without damping, a step multiplies the distance to the
    stationary point by 1 - eps (Eq. 4.1.3). For lambda far above all eigenvalues the step is that of gradient
    descent with the rate eps / lambda.

    Where eigenvalues are negative, the first rule climbs along their eigenvectors, towards saddles and
    maxima; the notes say that the meaning of such a step is unclear. The second descends along every
    eigenvector. With `monotone` the first is safe, too: steps that raise the loss are rejected, and lambda
    grows past the negative eigenvalues.

    Up to `dense_limit` parameters H is formed and diagonalized: a step costs one Hessian-vector product for
    each parameter. Above that limit, H is replaced by its projection on the Krylov space spanned by g, H g,
    H^2 g ..., of `steps` dimensions (Lanczos).

    Args:
        learning_rate: The rate eps, dimensionless; a number of at least 0, a schedule, or a callable without
            arguments. Above 1 the step overshoots.
        damping: The initial lambda, in units of loss / theta^2, not negative; eigenvalues far below it have
            little effect. Without damping, directions of zero curvature are left out.
        saddle_free: Whether eigenvalues are replaced by their absolute values.
        steps: Dimension of the Krylov space, at least 1.
        dense_limit: Number of parameters up to which the full Hessian is used, not negative.
        adaptive: Whether to adapt lambda to the reduction ratio by the Levenberg-Marquardt rule. Otherwise
            lambda is constant, except that a rejected step raises it temporarily.
        monotone: Whether to reject steps that raise the loss of their batch. Otherwise only steps to a
            non-finite loss are rejected.
        damping_factor: The factor by which lambda changes, above 1.
        damping_bounds: The smallest and the largest adapted lambda.
        name: Name of the optimizer.
        **kwargs: As in `keras.optimizers.Optimizer`, such as `weight_decay`, `clipnorm` and `use_ema`, except
            for `gradient_accumulation_steps` and `loss_scale_factor`.

    Raises:
        ValueError: If an argument is out of range; on `compile`, if the model or its loss is not supported.

    Example:
        Least squares in one step.

        >>> import numpy as np
        >>> x = np.array([[0.0], [1.0], [2.0]], "float32")
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> model.compile(Newton(damping=0.0, adaptive=False), "mse")
        >>> _ = model.fit(x, 3 * x + 1, verbose=0)
        >>> np.concatenate([w.ravel() for w in model.get_weights()]).round(3).tolist()
        [3.0, 1.0]

    References:
        Kaplan, "Notes on Contemporary Machine Learning for Physicists", section 4.1.
        Dauphin et al., "Identifying and attacking the saddle point problem in high-dimensional non-convex
        optimization" (2014).
    """

    def __init__(
        self,
        learning_rate: LearningRate = 1.0,
        damping: float = 1e-2,
        saddle_free: bool = False,
        steps: int = 30,
        dense_limit: int = 500,
        adaptive: bool = True,
        monotone: bool = True,
        damping_factor: float = 1.5,
        damping_bounds: tuple[float, float] = (1e-8, 1e8),
        name: str = "newton",
        **kwargs,
    ):
        super().__init__(
            learning_rate, damping, adaptive, monotone, damping_factor, damping_bounds, name, **kwargs
        )
        self.saddle_free = bool(saddle_free)
        self.steps = arguments.integer("steps", steps, 1)
        self.dense_limit = arguments.integer("dense_limit", dense_limit, 0)

    def product(self, objective, values, tangents):
        """Returns H v of the whole batch.

        Args:
            objective: The `Objective` of this replica's batch.
            values: The current values.
            tangents: The vector v, a tensor for each value.
        """
        return self.total(products.hessian_product(objective, values, tangents))

    def solve(self, objective, values, gradient, damping):
        """Returns the direction of the damped Newton step; there is no state for the next one.

        Args:
            objective: The `Objective` of this replica's batch.
            values: The current values.
            gradient: The gradient of the whole batch.
            damping: The damping lambda.
        """
        g = flat(gradient)
        if g.shape[0] <= self.dense_limit:
            hessian = self.total(_dense(lambda v: products.hessian_product(objective, values, v), values))
            return unflat(self._divide(hessian, g, damping), values), []

        def product(vector):
            return flat(self.product(objective, values, unflat(vector, values)))

        # A collective operation inside a graph loop could deadlock the replicas.
        basis, projected = _krylov(product, g, min(self.steps, g.shape[0]), unroll=self.replicas() > 1)
        coefficients = self._divide(projected, tf.linalg.matvec(basis, g), damping)
        return unflat(tf.linalg.matvec(basis, coefficients, transpose_a=True), values), []

    def _divide(self, matrix, vector, damping):
        """The vector with each eigencomponent divided by the damped eigenvalue."""
        usable = tf.reduce_all(tf.math.is_finite(matrix))
        matrix = tf.where(usable, matrix, tf.eye(vector.shape[0], dtype=matrix.dtype))
        eigenvalues, vectors = tf.linalg.eigh(matrix)
        divisor = (tf.abs(eigenvalues) if self.saddle_free else eigenvalues) + tf.cast(damping, matrix.dtype)
        # Rounding turns zero eigenvalues, and the components of g along them, into small nonzero numbers.
        floor = vector.shape[0] * _epsilon(matrix) * tf.reduce_max(tf.abs(eigenvalues))
        inverse = tf.where(tf.abs(divisor) > floor, 1 / divisor, tf.zeros_like(divisor))
        result = tf.linalg.matvec(vectors, inverse * tf.linalg.matvec(vectors, vector, transpose_a=True))
        # A Hessian that is not finite gives a step that is not finite, which is rejected.
        return tf.where(usable, result, tf.fill(tf.shape(result), tf.constant(float("nan"), result.dtype)))

    def get_config(self):
        """Returns the arguments that rebuild this optimizer."""
        return {
            **super().get_config(),
            "saddle_free": self.saddle_free,
            "steps": self.steps,
            "dense_limit": self.dense_limit,
        }


def _dense(product, values, rows=32):
    """The symmetric matrix [P, P] of a product, a few rows at a time."""
    size = sum(v.shape.num_elements() for v in values)
    padded = -(-size // rows) * rows
    units = tf.reshape(tf.eye(padded, size, dtype=precision(values)), [-1, rows, size])
    matrix = tf.map_fn(
        lambda block: tf.vectorized_map(lambda unit: flat(product(unflat(unit, values))), block), units
    )
    matrix = tf.reshape(matrix, [padded, size])[:size]
    return (matrix + tf.transpose(matrix)) / 2


def _krylov(product, start, steps, unroll):
    """An orthonormal basis [steps, P] of the Krylov space and the operator's projection [steps, steps].

    Each new vector is orthogonalized twice against the whole basis. If the space has fewer dimensions, the
    remaining rows are zero, and the projection is the identity there.
    """
    tiny = _epsilon(start) ** 0.75

    def extend(i, basis, images):
        image = product(basis[i])
        images = tf.tensor_scatter_nd_update(images, [[i]], [image])
        rest = image
        for _ in range(2):
            rest -= tf.linalg.matvec(basis, tf.linalg.matvec(basis, rest), transpose_a=True)
        return (
            i + 1,
            tf.tensor_scatter_nd_update(basis, [[i + 1]], [_unit(rest, tiny * tf.norm(image))]),
            images,
        )

    images = tf.zeros([steps, start.shape[0]], start.dtype)
    state = (0, tf.concat([[_unit(start, tf.zeros([], start.dtype))], images], axis=0), images)
    if unroll:
        for _ in range(steps):
            state = extend(*state)
    else:
        state = tf.while_loop(lambda i, *_: i < steps, extend, state)
    basis, images = state[1][:steps], state[2]
    projected = tf.matmul(basis, images, transpose_b=True)
    absent = tf.cast(tf.norm(basis, axis=1) == 0, start.dtype)
    return basis, (projected + tf.transpose(projected)) / 2 + tf.linalg.diag(absent)


def _unit(vector, smallest):
    """The vector divided by its length, or zero if it is not longer than `smallest`."""
    return tf.where(
        tf.norm(vector) > smallest, tf.math.divide_no_nan(vector, tf.norm(vector)), tf.zeros_like(vector)
    )


def _epsilon(tensor):
    return np.finfo(tensor.dtype.as_numpy_dtype).eps
