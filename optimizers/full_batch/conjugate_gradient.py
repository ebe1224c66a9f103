"""Linear and nonlinear conjugate gradients (Sec. 4.7.2) on the loss over all data.

`theory.conjugate_directions` has the linear method for matrices, by Gram-Schmidt as in the notes.

Legend: D parameters.
"""

import dataclasses
from typing import ClassVar

import keras
import tensorflow as tf

from ..vectors import ROUNDING, dot, resolution
from .line_search import largest, summary
from .optimizer import FullBatchOptimizer
from .quasi_newton import first_step

METHODS = ("polak-ribiere", "fletcher-reeves", "linear")


@keras.saving.register_keras_serializable("curvezoo")
@dataclasses.dataclass(frozen=True, kw_only=True)
class ConjugateGradient(FullBatchOptimizer):
    r"""Conjugate gradients: each step is orthogonal to the earlier ones in the metric of the Hessian.

        delta_k = -g_k + beta_k delta_{k-1}                                         (Eq. 4.7.11)
        theta_{k+1} = theta_k + alpha_k delta_k                                     (Eq. 4.7.12)

        beta_k = g_k.g_k / g_{k-1}.g_{k-1}                        "fletcher-reeves" and "linear"
        beta_k = max(0, g_k.(g_k - g_{k-1}) / g_{k-1}.g_{k-1})    "polak-ribiere"

    -g_k is the residual r_k of Eq. 4.7.10. On a quadratic loss with exact steps, only this one term of the
    sum over earlier directions in Eq. 4.7.11 is nonzero, the three methods are the same, and D steps (one for
    each distinct eigenvalue) reach the minimum. "linear" takes the exact step for such a loss,

        alpha_k = -delta_k.g_k / delta_k.H delta_k,    H delta_k = g(theta_k + delta_k) - g(theta_k)

    (Eqs. 4.7.13 and 4.7.14), with two gradients per iteration. It stops with the reason "curvature" if the
    loss is not convex along a direction, or is so far from quadratic that the step increases it. The other
    two search for a step that satisfies the strong Wolfe conditions (1e-4 and 0.1). All restart along the
    gradient after D iterations, and when a direction is not a descent direction.

    Args:
        method: "polak-ribiere" (which restarts automatically, with beta = 0, when progress stalls),
            "fletcher-reeves" or "linear".
        max_iterations: Maximum number of iterations.
        gradient_tolerance: Converged if no component of the gradient is larger.
        loss_tolerance: Converged if the relative decrease of the loss is at most this in each of the last
            five iterations.
        max_line_search: Maximum number of rounds of a line search.

    Raises:
        ValueError: If the method is unknown or a number is out of range.

    Example:
        Two distinct eigenvalues take two steps.

        >>> import tensorflow as tf
        >>> def bowl(x):
        ...     return tf.reduce_sum([1.0, 100.0, 100.0] * (x - 1.0) ** 2) / 2.0
        >>> optimizer = ConjugateGradient(method="linear", gradient_tolerance=1e-4)
        >>> optimizer.minimize_function(bowl, [3.0, 2.0, 4.0]).iterations
        2

    References:
        Kaplan, "Notes on Contemporary Machine Learning for Physicists", section 4.7.2.
        Fletcher and Reeves, "Function Minimization by Conjugate Gradients" (1964).
        Polak and Ribière, "Note sur la convergence de méthodes de directions conjuguées" (1969).
    """

    method: str = "polak-ribiere"
    curvature: ClassVar[float] = 0.1

    def __post_init__(self):
        super().__post_init__()
        if self.method not in METHODS:
            raise ValueError(f"method must be one of {', '.join(map(repr, METHODS))}, got {self.method!r}")

    @property
    def failure(self):
        """The reason in the `Result` if there is no next step."""
        return "curvature" if self.method == "linear" else "line search"

    def search(self, function, dtype):
        """Returns a function that finds the next point along a direction.

        Args:
            function: A function from a tensor [D] to the loss and its gradient [D].
            dtype: The type of all vectors.
        """
        return exact_step(function) if self.method == "linear" else super().search(function, dtype)

    @property
    def search_settings(self):
        """The settings that `search` depends on."""
        return self.method if self.method == "linear" else super().search_settings

    def memory(self, dimension, dtype):
        """Returns the last direction.

        Args:
            dimension: The number of parameters D.
            dtype: The type of all vectors.
        """
        return _LastDirection(self.method, dimension)


class _LastDirection:
    """The last direction, and the numbers of its iteration that the next coefficient needs."""

    def __init__(self, method, dimension):
        self.method, self.dimension = method, dimension
        self.last, self.age = None, 0

    def direction(self, gradient):
        """Returns the direction and a trial step, with the same first-order loss change as the last one."""
        if self.last is None:
            self.last, self.slope = -gradient, -float(dot(gradient, gradient))
            self.squared, self.age = -self.slope, 0
            return self.last, 1.0 if self.method == "linear" else first_step(gradient)
        direction = self.coefficient * self.last - gradient
        slope = float(dot(direction, gradient))
        if not slope < 0:
            self.reset()
            return self.direction(gradient)
        trial = 1.0 if self.method == "linear" else min(self.step * self.slope / slope, 1e10)
        self.last, self.slope = direction, slope
        return direction, trial

    def update(self, displacement, change, gradient, step, product):
        """Computes the coefficient of the next direction, and restarts after D of them."""
        squared = float(dot(gradient, gradient))
        numerator = float(dot(gradient, change)) if self.method == "polak-ribiere" else squared
        # In single precision the last square may underflow to zero.
        self.coefficient = max(0.0, numerator / self.squared) if self.squared else 0.0
        self.squared, self.step, self.age = squared, step, self.age + 1
        if self.age >= self.dimension:
            self.reset()

    def reset(self):
        """Forgets the direction; returns whether it was along the gradient already."""
        was_first = self.last is None or self.age == 0
        self.last, self.age = None, 0
        return was_first


def exact_step(function):
    """Returns a function that takes the step of Eq. 4.7.13, to the minimum of a quadratic loss.

    Args:
        function: A function from a tensor [D] to the loss and its gradient [D].

    Returns:
        A function like that of `line_search`, to be compiled. A step is accepted if the curvature is positive
        and the loss does not increase.
    """

    def search(position, loss, gradient, direction, trial):
        _, ahead = function(position + trial * direction)
        curvature = dot(direction, ahead - gradient) / trial
        step = tf.math.divide_no_nan(-dot(direction, gradient), curvature)
        value, after = function(position + step * direction)
        allowed = ROUNDING * (function.resolution or resolution(loss.dtype))
        finite = tf.math.is_finite(value) & tf.reduce_all(tf.math.is_finite(after))
        accepted = (curvature > 0) & finite & (value <= loss + allowed * tf.abs(loss))
        product = step * (dot(after, direction) - dot(gradient, direction))
        return summary(step * direction, after, gradient, (value, largest(after), step, 2, accepted, product))

    return search
