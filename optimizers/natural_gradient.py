"""The natural gradient, by conjugate gradients on Fisher-vector products (section 4.6)."""

from typing import Literal

import keras
import tensorflow as tf

from .. import arguments
from .curvature import products
from .curvature.solvers import conjugate_gradients
from .schedules import LearningRate
from .trials import DampedOptimizer
from .vectors import dot, scaled, shifted

FISHERS = ("exact", "sampled")


@keras.saving.register_keras_serializable("curvezoo")
class NaturalGradient(DampedOptimizer):
    r"""Steepest descent in the divergence between predictions instead of the distance between parameters.

    With the gradient g of the batch's loss and the Fisher matrix F of the model's predictions on the batch
    (Eq. 4.6.16),

        d     =  (F + lambda)^-1 g            by conjugate gradients on products F v
        u    <-  m u + d                      with momentum m
        u    <-  u min(1, sqrt(kl_limit / D)),           D = eps^2 u^T F u / 2   (Eq. 4.6.15)
        theta <-  theta - eps u               (Eq. 4.6.17 at m = lambda = 0)

    F is the metric of Eq. 4.6.15. Without damping, the change of the model as a function therefore does not
    depend on its parametrization, to first order in eps (Eq. 4.6.1-4.6.5), and the rate is dimensionless. F
    has the scale of the loss: if the loss is the negative log-likelihood times a factor, as Keras's mean
    squared error is, F has the same factor, and D is in the unit of the loss. Labels are averaged over the
    model's distribution and never taken from the data, unlike in the empirical Fisher matrix (Eq. 4.6.18).

    The loss of the batch is evaluated after each step, before the step is accepted: see `monotone`. The
    current damping is `optimizer.damping`.

    Args:
        learning_rate: The rate eps, dimensionless: a rate of 1 goes to the minimum of the quadratic model of
            the batch, which suits large batches; small batches need shorter steps because of their noise. A
            number of at least 0, a schedule, or a callable without arguments.
        damping: The initial lambda, in units of loss / theta^2, not negative.
        momentum: The m above, dimensionless, in [0, 1).
        kl_limit: The maximum D of a step, in nats per example (times the factor of the loss); None for no
            limit.
        steps: The maximum number of conjugate gradient steps, each with one Fisher-vector product.
        tolerance: Conjugate gradients stop when the norm of the residual is below this fraction of |g|.
        warm_start: Conjugate gradients start from this multiple of the last step's d, in [0, 1].
        fisher: `exact`, the closed form of the loss's distribution; or `sampled`, from one label per position
            drawn from it, for distributions without a closed form, such as Laplace's.
        seed: Seed of the sampled labels, an integer in [0, 2^31).
        adaptive: Whether to adapt lambda to the reduction ratio by the Levenberg-Marquardt rule. This suits
            rates near 1 and large batches, since short steps are predicted well with any damping. Otherwise
            lambda is constant, except that a rejected step raises it temporarily.
        monotone: Whether to reject steps that raise the loss of their batch. Otherwise only steps to a
            non-finite loss are rejected.
        damping_factor: The factor by which lambda changes, above 1.
        damping_bounds: The smallest and the largest adapted lambda.
        name: Name of the optimizer.
        **kwargs: As in `keras.optimizers.Optimizer`, such as `weight_decay`, `clipnorm` and `use_ema`, except
            for `gradient_accumulation_steps` and `loss_scale_factor`.

    Raises:
        ValueError: If an argument is out of range. On `compile`: if the loss has no distribution, or the
            model is not supported.

    Example:
        One step of logistic regression changes the predictions by the same amount in any unit of length.

        >>> import numpy as np
        >>> x, y = np.array([[-2.0], [1.0], [0.5]], "float32"), np.array([[0.0], [1.0], [0.0]], "float32")
        >>> def prediction(unit):
        ...     dense = keras.layers.Dense(1, "sigmoid", use_bias=False, kernel_initializer="zeros")
        ...     model = keras.Sequential([keras.Input((1,)), dense])
        ...     model.compile(NaturalGradient(0.5, damping=0.0), "binary_crossentropy")
        ...     model.fit(x * unit, y, verbose=0)
        ...     return model(x * unit).numpy().ravel().round(3).tolist()
        >>> prediction(unit=1.0) == prediction(unit=1000.0)
        True

    References:
        Kaplan, "Notes on Contemporary Machine Learning for Physicists", section 4.6.
        Amari, "Natural Gradient Works Efficiently in Learning" (1998).
        Martens, "New insights and perspectives on the natural gradient method" (2014).
        Pascanu and Bengio, "Revisiting Natural Gradient for Deep Networks" (2013).
    """

    needs_distribution = True

    def __init__(
        self,
        learning_rate: LearningRate = 0.3,
        damping: float = 1e-2,
        momentum: float = 0.0,
        kl_limit: float | None = None,
        steps: int = 10,
        tolerance: float = 1e-3,
        warm_start: float = 0.0,
        fisher: Literal["exact", "sampled"] = "exact",
        seed: int = 0,
        adaptive: bool = False,
        monotone: bool = True,
        damping_factor: float = 1.5,
        damping_bounds: tuple[float, float] = (1e-8, 1e8),
        name: str = "natural_gradient",
        **kwargs,
    ):
        super().__init__(
            learning_rate, damping, adaptive, monotone, damping_factor, damping_bounds, name, **kwargs
        )
        if fisher not in FISHERS:
            raise ValueError(
                f"fisher must be one of {', '.join(FISHERS)}, got {fisher!r}: the empirical Fisher is "
                "not the metric of the natural gradient"
            )
        self.momentum = arguments.fraction("momentum", momentum)
        self.warm_start = arguments.unit_interval("warm_start", warm_start)
        self.kl_limit = None if kl_limit is None else float(arguments.positive("kl_limit", kl_limit, 0))
        self.steps = arguments.integer("steps", steps, 1)
        self.tolerance = float(arguments.nonnegative("tolerance", tolerance, 0))
        self.fisher, self.seed = fisher, arguments.seed("seed", seed)

    def build(self, variables):
        """Creates the variables for u and the last d, if momentum and the warm start need them.

        Args:
            variables: The trainable variables.
        """
        if self.built:
            return
        super().build(variables)
        variables = self._trainable_variables
        self._velocities = self.add_states(variables, "velocity") if self.momentum else []
        self._solutions = self.add_states(variables, "solution") if self.warm_start else []

    def product(self, objective, values, tangents):
        """Returns F v of the whole batch.

        Args:
            objective: The `Objective` of this replica's batch.
            values: The current values.
            tangents: The vector v, a tensor for each value.
        """
        if self.fisher == "exact":
            return self.total(products.fisher_product(objective, values, tangents))
        seed = tf.stack([self.seed, tf.cast(self.iterations, tf.int32)])
        if self.replicas() > 1:
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            seed = tf.random.experimental.stateless_fold_in(seed, replica)
        return self.total(products.sampled_fisher_product(objective, values, tangents, seed))

    def solve(self, objective, values, gradient, damping):
        """Returns u, shortened to the limit, and the next velocity and starting point.

        Args:
            objective: The `Objective` of this replica's batch.
            values: The current values.
            gradient: The gradient of the whole batch.
            damping: The damping lambda.
        """

        def product(vector):
            return self.product(objective, values, vector)

        d = conjugate_gradients(
            product,
            gradient,
            x0=scaled(self.warm_start, self._solutions) if self.warm_start else None,
            damping=damping,
            steps=self.steps,
            tolerance=self.tolerance,
            # A collective operation inside a graph loop could deadlock the replicas.
            unroll=self.replicas() > 1,
        ).solution
        u = shifted(d, self.momentum, self._velocities) if self.momentum else d
        if self.kl_limit is not None:
            divergence = tf.cast(self.learning_rate, damping.dtype) ** 2 * dot(u, product(u)) / 2
            # The maximum avoids division by a divergence of zero.
            u = scaled(tf.sqrt(self.kl_limit / tf.maximum(divergence, self.kl_limit)), u)
        return u, [*zip(self._solutions, d, strict=False), *zip(self._velocities, u, strict=False)]

    def get_config(self):
        """Returns the arguments that rebuild this optimizer."""
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "kl_limit": self.kl_limit,
            "steps": self.steps,
            "tolerance": self.tolerance,
            "warm_start": self.warm_start,
            "fisher": self.fisher,
            "seed": self.seed,
        }
