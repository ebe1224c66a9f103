"""Hessian-free optimization: Gauss-Newton products, truncated conjugate gradients, adaptive damping."""

import keras
import tensorflow as tf

from .. import arguments
from .curvature import products
from .curvature.derivatives import second_derivative
from .curvature.solvers import conjugate_gradients
from .schedules import LearningRate
from .trials import DampedOptimizer
from .vectors import scaled, shifted

# The ratio of successive step numbers after which an iterate is stored.
SPACING = 1.3


@keras.saving.register_keras_serializable("curvezoo")
class HessianFree(DampedOptimizer):
    r"""Minimizes a quadratic model of the loss in each step, as far as this lowers the loss itself.

    With the gradient g of the batch's loss and B its Gauss-Newton matrix (the first term of Eq. 4.7.4, plus
    the Hessian of the regularization), a step is

        d_1, d_2 ...  =  conjugate gradients on (B + lambda) d = g, from `warm_start` times the last solution,
                         until the model gains too little (`relative_progress`)
        d     =  the stored iterate with the lowest loss L(theta - eps d) (backtracking)
        theta <- theta - eps d                   if L falls; otherwise theta is unchanged
        rho   =  (L(theta - eps d) - L(theta)) / (-eps g^T d + eps^2 d^T B d / 2)
        lambda <- lambda * factor if rho < 1/4,  lambda / factor if rho > 3/4  (Levenberg and Marquardt)

    The Gauss-Newton matrix replaces the Hessian because it is positive semidefinite wherever the loss is
    convex in the model's outputs. The loss should be convex in them: cross-entropies of logits, squared
    errors and negative log-likelihoods in natural parameters are, and for these the Gauss-Newton matrix is
    also the Fisher matrix. Iterates are stored at steps spaced by factors of 1.3, and after the last step.

    The optimizer is meant for large batches, of hundreds of examples or all of them, since a step fits its
    batch closely. The current damping is `optimizer.damping`.

    Args:
        learning_rate: The rate eps, dimensionless: a rate of 1 goes to the minimum of the quadratic model. A
            number of at least 0, a schedule, or a callable without arguments.
        damping: The initial lambda, in units of loss / theta^2, not negative.
        steps: The maximum number of conjugate gradient steps, each with one product B v.
        relative_progress: Conjugate gradients stop when the quadratic model decreased by less than k times
            this fraction of its value in the last k = max(10, steps / 10) steps; positive.
        warm_start: Conjugate gradients start from this multiple of their last result, in [0, 1].
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
        ValueError: If an argument is out of range; on `compile`, if the model is not supported.

    Example:
        Least squares in one step.

        >>> import numpy as np
        >>> x = np.array([[0.0], [1.0], [2.0]], "float32")
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> model.compile(HessianFree(damping=1e-6), "mse")
        >>> _ = model.fit(x, 3 * x + 1, verbose=0)
        >>> np.concatenate([w.ravel() for w in model.get_weights()]).round(3).tolist()
        [3.0, 1.0]

    References:
        Kaplan, "Notes on Contemporary Machine Learning for Physicists", sections 4.7.1 and 4.7.2.
        Martens, "Deep learning via Hessian-free optimization" (2010).
        Martens and Sutskever, "Training Deep and Recurrent Networks with Hessian-Free Optimization" (2012).
    """

    def __init__(
        self,
        learning_rate: LearningRate = 1.0,
        damping: float = 1e-2,
        steps: int = 50,
        relative_progress: float = 5e-4,
        warm_start: float = 0.95,
        adaptive: bool = True,
        monotone: bool = True,
        damping_factor: float = 1.5,
        damping_bounds: tuple[float, float] = (1e-8, 1e8),
        name: str = "hessian_free",
        **kwargs,
    ):
        super().__init__(
            learning_rate, damping, adaptive, monotone, damping_factor, damping_bounds, name, **kwargs
        )
        self.warm_start = arguments.unit_interval("warm_start", warm_start)
        self.steps = arguments.integer("steps", steps, 1)
        self.relative_progress = float(arguments.positive("relative_progress", relative_progress, 0))

    def build(self, variables):
        """Creates the variables for the last result of conjugate gradients, if the warm start needs them.

        Args:
            variables: The trainable variables.
        """
        if self.built:
            return
        super().build(variables)
        variables = self._trainable_variables
        self._solutions = self.add_states(variables, "solution") if self.warm_start else []

    def product(self, objective, values, tangents):
        """Returns B v of the whole batch.

        Args:
            objective: The `Objective` of this replica's batch.
            values: The current values.
            tangents: The vector v, a tensor for each value.
        """
        product = products.gauss_newton_product(objective, values, tangents)
        if objective.model.losses:
            extra = second_derivative(objective.regularization, values, tangents)
            product = shifted(product, 1.0, extra)
        return self.total(product)

    def solve(self, objective, values, gradient, damping):
        """Returns the best stored iterate of conjugate gradients, and the last one as the next start.

        Args:
            objective: The `Objective` of this replica's batch.
            values: The current values.
            gradient: The gradient of the whole batch.
            damping: The damping lambda.
        """
        result = conjugate_gradients(
            lambda vector: self.product(objective, values, vector),
            gradient,
            x0=scaled(self.warm_start, self._solutions) if self.warm_start else None,
            damping=damping,
            steps=self.steps,
            tolerance=0.0,
            relative_progress=self.relative_progress,
            keep=stored_steps(self.steps),
            # A collective operation inside a graph loop could deadlock the replicas.
            unroll=self.replicas() > 1,
        )
        rate = tf.cast(self.learning_rate, damping.dtype)
        losses = self.total(
            tf.map_fn(
                lambda d: tf.cast(objective.loss(shifted(values, -rate, d)), damping.dtype),
                result.iterates,
                fn_output_signature=damping.dtype,
            )
        )
        best = tf.argmin(tf.where(tf.math.is_finite(losses), losses, losses.dtype.max))
        memory = list(zip(self._solutions, result.solution, strict=False))
        return [tf.gather(d, best) for d in result.iterates], memory

    def get_config(self):
        """Returns the arguments that rebuild this optimizer."""
        return {
            **super().get_config(),
            "steps": self.steps,
            "relative_progress": self.relative_progress,
            "warm_start": self.warm_start,
        }


def stored_steps(steps):
    """Returns the numbers of the steps after which the iterate is stored: 1, 2, 3, 4, 5, 7 ... and the last.

    Args:
        steps: The largest number of steps.
    """
    stored, last = {steps}, 1.0
    while last < steps:
        stored.add(round(last))
        last = max(last * SPACING, last + 1)
    return sorted(stored)
