"""Gradient descent with position, velocity and acceleration, the three stages asked about in section 4.3."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from .. import arguments
from ..theory import descent
from .schedules import LearningRate
from .vectors import finite, select


@keras.saving.register_keras_serializable("curvezoo")
class Acceleration(keras.optimizers.Optimizer):
    r"""Momentum with an additional stage: a linear rule with two state variables for each parameter.

    With velocity v and acceleration a, both zero at first, and the gradient g at theta, an update is

        u      =  v + g
        theta <-  theta - eps u
        v     <-  m u + a
        a     <-  n u + c g

    so that \(u^{(k)} = m u^{(k-1)} + n u^{(k-2)} + g^{(k)} + c\,g^{(k-2)}\). At n = c = 0 it is Eq. 4.3.1
    with the corrected Eq. 4.3.2, \(\theta^{(k+1)} = \theta^{(k)} - \epsilon v^{(k+1)}\). As there, the rate
    is outside the sums; `keras.optimizers.SGD` has it inside, which is the same while the rate is constant.

    If a variable's gradient has a non-finite entry, the whole gradient of that variable is replaced by zero.

    In a quadratic potential \(\lambda \theta^2 / 2\) the rule multiplies (theta, v, a) by the matrix

        [ 1 - eps lambda     -eps   0 ]
        [ m lambda            m     1 ]
        [ (n + c) lambda      n     0 ]

    with the characteristic polynomial

        p(z) = (z - 1)(z^2 - m z - n) + eps lambda (z^2 + c).

    The rule converges if all three roots lie inside the unit circle; its rate is the largest absolute value
    of a root. The signs of p(1) and p(-1) require 0 < eps < 2 (1 + m - n) / (lambda (1 + c)), which
    generalizes Eq. 4.3.9.

    **Does convergence depend on the cube root of the condition number?** For two eigenvalues, yes. p(1) is
    proportional to lambda and lies between \((1 - r)^3\) and \((1 + r)^3\) if all roots are within r. So no
    three-stage rule has a better rate than \(r = (\sqrt[3]{\kappa} - 1) / (\sqrt[3]{\kappa} + 1)\), and
    `for_two_eigenvalues` gives the only rule that attains it. Between the two eigenvalues that rule is
    slower: at their mean its rate is \(\sqrt 3\,r\), and it diverges there if \(\kappa\) is above
    \((2 + \sqrt 3)^3 = 52\). For eigenvalues anywhere in an interval, no rule that combines gradients, with
    any number of stages, has a better rate than momentum (Eq. 4.3.14): see `for_interval`. For three or more
    known eigenvalues no closed form is given here.

    Args:
        learning_rate: The rate eps, in units of theta^2 / loss (Eq. 4.2.2). A number of at least 0, a
            schedule, or a callable without arguments.
        momentum: m, dimensionless.
        acceleration: n, dimensionless, in (-1, 1). The required |m| < 1 - n makes the velocity decay.
        delayed_gradient: c, dimensionless, above -1: the fraction of each gradient that is added again two
            updates later.
        name: Name of the optimizer.
        **kwargs: As in `keras.optimizers.Optimizer`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        For the eigenvalues 1 and 1000, the cube root of the condition number beats the square root.

        >>> def distance(optimizer, updates=150):
        ...     theta = keras.Variable([1.0, 1.0])
        ...     for _ in range(updates):
        ...         optimizer.apply([theta * keras.ops.array([1.0, 1000.0])], [theta])
        ...     return float(keras.ops.norm(theta))
        >>> distance(Acceleration.for_two_eigenvalues(1.0, 1000.0)) < 1e-6
        True
        >>> distance(Acceleration.for_interval(1.0, 1000.0)) < 1e-6
        False

    References:
        Kaplan, "Notes on Contemporary Machine Learning for Physicists", section 4.3.
        Polyak, "Some methods of speeding up the convergence of iteration methods" (1964).
        Nemirovsky and Yudin, "Problem Complexity and Method Efficiency in Optimization" (1983).
        Arjevani, Shalev-Shwartz and Shamir, "On Lower and Upper Bounds in Smooth and Strongly Convex
        Optimization" (2016).
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.01,
        momentum: float = 0.9,
        acceleration: float = 0.0,
        delayed_gradient: float = 0.0,
        name: str = "acceleration",
        **kwargs,
    ):
        if not callable(learning_rate):
            learning_rate = float(arguments.nonnegative("learning_rate", learning_rate, 0))
        if not abs(arguments.finite("acceleration", acceleration, 0)) < 1:
            raise ValueError(f"acceleration must be in (-1, 1), got {acceleration!r}")
        if not abs(arguments.finite("momentum", momentum, 0)) < 1 - acceleration:
            valid = f"({acceleration - 1:g}, {1 - acceleration:g}) at acceleration={acceleration!r}"
            raise ValueError(f"momentum must be in {valid}, got {momentum!r}")
        if not arguments.finite("delayed_gradient", delayed_gradient, 0) > -1:
            raise ValueError(f"delayed_gradient must be above -1, got {delayed_gradient!r}")
        super().__init__(learning_rate, name=name, **kwargs)
        self.momentum = float(momentum)
        self.acceleration = float(acceleration)
        self.delayed_gradient = float(delayed_gradient)

    @classmethod
    def for_two_eigenvalues(cls, smallest, largest, **kwargs):
        r"""Returns the fastest three-stage rule for a Hessian whose only eigenvalues are the two.

        With \(s = \sqrt[3]{\kappa}\) and \(r = (s - 1) / (s + 1)\), all roots are r at the smallest
        eigenvalue and -r at the largest, so that the distance falls like k^2 r^k, if

            eps = 6 / (smallest (s + 1) (s^2 + s + 1))      m = 2 r (s^2 - 1) / (s^2 + s + 1)
            c   = r^2 / 3                                   n = -r^2 (s^2 - s + 1) / (s^2 + s + 1).

        Args:
            smallest: The smaller eigenvalue of the Hessian, in units of loss / theta^2, positive.
            largest: The larger one, in the same units.
            **kwargs: The other arguments of the class.

        Returns:
            An `Acceleration`.

        Raises:
            ValueError: If the eigenvalues are not positive or not in order.
        """
        smallest, largest = _spectrum(smallest, largest)
        s = np.cbrt(largest / smallest)
        r, p = (s - 1) / (s + 1), s**2 + s + 1
        return cls(
            6 / (smallest * (s + 1) * p),
            momentum=2 * r * (s**2 - 1) / p,
            acceleration=-(r**2) * (s**2 - s + 1) / p,
            delayed_gradient=r**2 / 3,
            **kwargs,
        )

    @classmethod
    def for_interval(cls, smallest, largest, **kwargs):
        r"""Returns the fastest rule for eigenvalues anywhere in an interval: momentum by Eq. 4.3.13.

        Its rate is \((\sqrt\kappa - 1) / (\sqrt\kappa + 1)\) at every eigenvalue of the interval.

        Args:
            smallest: The lower end, in units of loss / theta^2, positive.
            largest: The upper end, in the same units.
            **kwargs: The other arguments of the class.

        Returns:
            An `Acceleration` without the third stage.

        Raises:
            ValueError: If the eigenvalues are not positive or not in order.
        """
        best = descent.best_momentum(*_spectrum(smallest, largest))
        return cls(best.learning_rate, momentum=best.momentum, **kwargs)

    def build(self, variables):
        """Creates v, and a if there is a third stage, for each variable."""
        if self.built:
            return
        super().build(variables)
        self._velocities = self.add_optimizer_variables(variables, "velocity")
        third = self.acceleration or self.delayed_gradient
        self._accelerations = self.add_optimizer_variables(variables, "acceleration") if third else []

    def update_step(self, gradient, variable, learning_rate):
        """Updates one variable.

        Args:
            gradient: The gradient, in the variable's shape.
            variable: The variable.
            learning_rate: The rate of this update.
        """
        rate = ops.cast(learning_rate, variable.dtype)
        gradient = tf.cast(tf.convert_to_tensor(gradient), variable.dtype)
        (gradient,) = select(finite([gradient]), [gradient])
        index = self._get_variable_index(variable)
        velocity = self._velocities[index]
        step = ops.add(velocity, gradient)
        self.assign_sub(variable, rate * step)
        if not self._accelerations:
            self.assign(velocity, self.momentum * step)
            return
        acceleration = self._accelerations[index]
        self.assign(velocity, ops.add(self.momentum * step, acceleration))
        self.assign(acceleration, self.acceleration * step + self.delayed_gradient * gradient)

    def get_config(self):
        """Returns the arguments that rebuild this optimizer."""
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "acceleration": self.acceleration,
            "delayed_gradient": self.delayed_gradient,
        }


def _spectrum(smallest, largest):
    """Returns two eigenvalues as floats after checking that they are positive and in order."""
    smallest = float(arguments.positive("smallest", smallest, 0))
    largest = float(arguments.positive("largest", largest, 0))
    if smallest > largest:
        raise ValueError(f"largest must be at least smallest={smallest:g}, got {largest:g}")
    return smallest, largest
