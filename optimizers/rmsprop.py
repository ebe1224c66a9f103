"""RMSProp with bias correction."""

import math

import keras
import tensorflow as tf
from keras import ops

from .. import arguments
from .schedules import LearningRate
from .vectors import finite, select


@keras.saving.register_keras_serializable("curvezoo")
class RMSProp(keras.optimizers.Optimizer):
    r"""Divides each component of the gradient by the root of its mean square (Eq. 4.4.1, 4.4.2, 4.4.4).

    With the gradient \(g^{(n)}\) of update n = 0, 1, 2 ... and \(V^{(0)} = 0\), each parameter i follows

        V_i     <-  beta V_i + (1 - beta) g_i^2                            (Eq. 4.4.1)
        V^_i     =  V_i / (1 - beta^(n+1))                                 (Eq. 4.4.2, corrected)
        theta_i <-  theta_i - eps g_i / (sqrt(V^_i) + epsilon / sqrt(1 - beta^(n+1)))     (Eq. 4.4.4)

    The notes print the power n in Eq. 4.4.2, which divides by zero at the first update: \(V^{(n+1)}\) has
    n + 1 squares, whose weights sum to 1 - beta^(n+1). Eq. 4.4.4 means the \(\hat V^{(n+1)}\) that already
    contains \(g^{(n)}\). See docs/errata.md.

    The small `epsilon` is outside the root and is added to it before the correction: it is the "epsilon hat"
    of Kingma and Ba and of `keras.optimizers.Adam`, which is the same rule at `beta_1=0`.
    `keras.optimizers.RMSprop` has no correction and has its epsilon inside the root.

    If the square of an entry of a variable's gradient is not finite, the whole gradient of that variable is
    replaced by zero.

    With `momentum` m the quotient replaces the gradient in Eq. 4.3.1 and 4.3.2: u <- m u + quotient and
    theta <- theta - eps u. Adam differs, as it averages before it divides.

    Args:
        learning_rate: The rate eps, in units of theta (Eq. 4.4.5): the length of each step under a constant
            gradient. A number of at least 0, a schedule, or a callable without arguments.
        beta: Decay rate of the mean square, dimensionless, in [0, 1); it averages over about 1 / (1 - beta)
            updates.
        epsilon: Gradients far below it are not amplified; in units of the gradient, positive.
        momentum: The m above, dimensionless, in [0, 1).
        bias_correction: Whether V is divided by 1 - beta^(n+1). Without it the first step is longer by
            1 / sqrt(1 - beta), a factor of 32 at the default `beta`.
        name: Name of the optimizer.
        **kwargs: As in `keras.optimizers.Optimizer`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        The length of the first step is the rate, whatever the size of the gradient.

        >>> theta = keras.Variable([1.0, 1.0])
        >>> RMSProp(learning_rate=0.25).apply([keras.ops.array([3000.0, -0.003])], [theta])
        >>> theta.numpy().round(3).tolist()
        [0.75, 1.25]

    References:
        Kaplan, "Notes on Contemporary Machine Learning for Physicists", section 4.4.
        Tieleman and Hinton, "Lecture 6.5: RMSProp", Neural Networks for Machine Learning (2012).
        Kingma and Ba, "Adam: A Method for Stochastic Optimization" (2015), sections 2 and 3.
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta: float = 0.999,
        epsilon: float = 1e-7,
        momentum: float = 0.0,
        bias_correction: bool = True,
        name: str = "rmsprop",
        **kwargs,
    ):
        if not callable(learning_rate):
            learning_rate = float(arguments.nonnegative("learning_rate", learning_rate, 0))
        super().__init__(learning_rate, name=name, **kwargs)
        self.beta = arguments.fraction("beta", beta)
        self.epsilon = float(arguments.positive("epsilon", epsilon, 0))
        self.momentum = arguments.fraction("momentum", momentum)
        self.bias_correction = bool(bias_correction)

    def build(self, variables):
        """Creates V, and u if there is momentum, for each variable."""
        if self.built:
            return
        super().build(variables)
        self._mean_squares = self.add_optimizer_variables(variables, "mean_square")
        self._velocities = self.add_optimizer_variables(variables, "velocity") if self.momentum else []

    def update_step(self, gradient, variable, learning_rate):
        """Updates one variable.

        Args:
            gradient: The gradient, in the variable's shape.
            variable: The variable.
            learning_rate: The rate of this update.
        """
        rate = ops.cast(learning_rate, variable.dtype)
        # A sparse gradient may contain an index twice; its parts must be added before they are squared.
        gradient = tf.cast(tf.convert_to_tensor(gradient), variable.dtype)
        (gradient,) = select(finite([tf.square(gradient)]), [gradient])
        index = self._get_variable_index(variable)
        mean_square = self._mean_squares[index]
        change = ops.subtract(ops.square(gradient), mean_square)
        self.assign_add(mean_square, (1 - self.beta) * change)
        step = gradient / (ops.sqrt(mean_square) + self.epsilon)
        if self.bias_correction:
            step = step * ops.sqrt(self._sum_of_weights(variable.dtype))
        if self.momentum:
            velocity = self._velocities[index]
            self.assign(velocity, ops.add(self.momentum * ops.convert_to_tensor(velocity), step))
            step = ops.convert_to_tensor(velocity)
        self.assign_sub(variable, rate * step)

    def _sum_of_weights(self, dtype):
        """Returns 1 - beta^(n+1), using expm1, since the difference loses four digits in single precision."""
        updates = ops.cast(self.iterations + 1, dtype)
        return -ops.expm1(updates * (math.log(self.beta) if self.beta else -math.inf))

    def get_config(self):
        """Returns the arguments that rebuild this optimizer."""
        return {
            **super().get_config(),
            "beta": self.beta,
            "epsilon": self.epsilon,
            "momentum": self.momentum,
            "bias_correction": self.bias_correction,
        }
