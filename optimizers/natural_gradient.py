"""The natural gradient, by conjugate gradients on Fisher-vector products (section 4.6)."""

from typing import Literal

import keras
import tensorflow as tf

from .. import arguments
from .curvature import products
from .curvature.solvers import conjugate_gradients
from .levenberg_marquardt import DampedOptimizer
from .objective import Objective
from .schedules import LearningRate
from .vectors import dot, scaled, shifted

FISHERS = ("exact", "sampled")


@keras.saving.register_keras_serializable("curvezoo")
class NaturalGradient(DampedOptimizer):
    r"""Steepest descent where distance is the divergence of the predictions, not that of the parameters.

    With the gradient g of the batch's loss and the Fisher matrix F of the model's predictions on the batch
    (Eq. 4.6.16),

        d     =  (F + lambda)^-1 g            by conjugate gradients on products F v
        u    <-  m u + d                      with momentum m
        u    <-  u min(1, sqrt(kl_limit / D)),           D = eps^2 u^T F u / 2   (Eq. 4.6.15)
        theta <-  theta - eps u               (Eq. 4.6.17 at m = lambda = 0)

    F is the metric of Eq. 4.6.15, so that without damping the model as a function changes, to first order in
    eps, in the same way whatever its parameters are (Eq. 4.6.1-4.6.5), and the rate is dimensionless. F is
    that of the loss: where the loss is the negative log-likelihood times a factor, as Keras's mean squared
    error is, F has the factor too, and D is in the unit of the loss. Labels are averaged by the model's
    distribution, never taken from the data: the empirical Fisher (Eq. 4.6.18) is another matrix.

    Each step is tried on its batch: see `monotone`. The damping in use is `optimizer.damping`.

    Args:
        learning_rate: The rate eps, dimensionless: 1 goes to the minimum of the quadratic model of the batch,
            which suits large batches; small ones leave each step to noise unless it is shorter. A number of
            at least 0, a schedule, or a callable without arguments.
        damping: The first lambda, in units of loss / theta^2, not negative.
        momentum: The m above, dimensionless, in [0, 1).
        kl_limit: Largest D of a step, in nats per example (times the factor of the loss); None for no limit.
        steps: The largest number of steps of conjugate gradients, each of one Fisher-vector product.
        tolerance: They stop where the residual is below this share of g.
        warm_start: They start at this share of the last step's d, in [0, 1]: at 0 from zero.
        fisher: `exact`, the closed form of the loss's distribution, or `sampled`, from one label drawn from
            it for each position: for distributions without closed form, such as Laplace's.
        seed: Seed of the sampled labels, an integer in [0, 2^31).
        adaptive: Whether lambda follows the reduction ratio, by Levenberg and Marquardt: for rates near 1 and
            large batches, as any damping predicts short steps well. Otherwise it is constant, but for a
            while after a rejected step, from which it returns to its value.
        monotone: Whether steps that raise the loss of their batch are rejected, rather than those alone that
            lead to an infinite or undefined loss.
        damping_factor: By how much lambda changes at a time, above 1.
        damping_bounds: The smallest and the largest lambda of the adaptation.
        name: Name of the optimizer.
        **kwargs: As in `keras.optimizers.Optimizer`: `weight_decay`, `clipnorm`, `use_ema` and so on, but
            neither `gradient_accumulation_steps` nor `loss_scale_factor`.

    Raises:
        ValueError: If an argument is outside the above; by `compile` if the loss has no distribution, or the
            model can't be served.

    Example:
        One step of logistic regression in another unit of length: the predictions move as they did.

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
        self.warm_start = arguments.share("warm_start", warm_start)
        self.kl_limit = None if kl_limit is None else float(arguments.positive("kl_limit", kl_limit, 0))
        self.steps = arguments.integer("steps", steps, 1)
        self.tolerance = float(arguments.nonnegative("tolerance", tolerance, 0))
        self.fisher, self.seed = fisher, arguments.seed("seed", seed)

    def attach(self, model):
        """Binds the optimizer to a model; `compile` calls it.

        Args:
            model: The model that is compiled.

        Raises:
            ValueError: As `ModelOptimizer`, and if the loss has no distribution.
        """
        super().attach(model)
        Objective(model, None).require_distribution()

    def build(self, variables):
        """Makes u and the last d, where momentum and the warm start need them.

        Args:
            variables: The trainable variables.
        """
        if self.built:
            return
        super().build(variables)
        self._velocities = self.add_states("velocity", variables) if self.momentum else []
        self._solutions = self.add_states("solution", variables) if self.warm_start else []

    def product(self, objective, values, tangents):
        """Returns F v of the whole batch.

        Args:
            objective: The `Objective` of this replica's batch.
            values: The current values.
            tangents: The vector v, a tensor for each value.
        """
        if self.fisher == "exact":
            return self.total(products.fisher_product(objective, values, tangents))
        seed = tf.stack([self.seed, tf.cast(self._iterations, tf.int32)])
        if self.replicas() > 1:
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            seed = tf.random.experimental.stateless_fold_in(seed, replica)
        return self.total(products.sampled_fisher_product(objective, values, tangents, seed))

    def solve(self, objective, values, gradient, damping):
        """Returns u, shortened to the limit, and the next velocity and start.

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
            # A collective in a loop of the graph could deadlock the replicas.
            unroll=self.replicas() > 1,
        ).solution
        u = shifted(d, self.momentum, self._velocities) if self.momentum else d
        if self.kl_limit is not None:
            divergence = tf.cast(self.learning_rate, damping.dtype) ** 2 * dot(u, product(u)) / 2
            # Written so that a divergence of zero divides nothing.
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
