"""The line search of the full-batch optimizers: a trial step, and Hager-Zhang's search if that fails.

Legend: D parameters.
"""

import collections

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from .. import vectors
from ..vectors import dot

SUFFICIENT_DECREASE = 1e-4

_Point = collections.namedtuple("_Point", ["x", "f", "df", "full_gradient"])


def line_search(function, curvature, rounds, dtype, resolution=None):
    """Returns a function that searches along a direction for a step with the strong Wolfe conditions.

    Args:
        function: A function from a tensor [D] to the loss and its gradient [D].
        curvature: The fraction of the slope that may remain, between 1e-4 and 1.
        rounds: Maximum number of rounds of the Hager-Zhang search.
        dtype: The type of the vectors.
        resolution: The relative rounding error of the loss; None for that of the vectors.

    Returns:
        A function, to be compiled, of (position [D], loss, gradient [D], direction [D], trial step). It
        returns the change of the position [D], the new gradient [D], the change of the gradient [D] and, in
        float64, [loss, largest component of the gradient, step, evaluations, whether the step is accepted,
        scalar product of both changes, or zero if that is not positive]. A step to a non-finite loss or
        gradient is never accepted.
    """
    # Smaller relative differences of the loss are rounding errors, so that only the slopes decide.
    rounding = vectors.ROUNDING * (resolution or vectors.resolution(dtype))

    def search(position, loss, gradient, direction, trial):
        def along(step):
            value, slopes = function(position + step * direction)
            # The search steps back from infinity, but gives up at NaN.
            finite = tf.math.is_finite(value) & tf.reduce_all(tf.math.is_finite(slopes))
            value = tf.where(finite, value, tf.constant(np.inf, dtype))
            return _Point(step, value, dot(slopes, direction), slopes)

        start = _Point(tf.zeros_like(trial), loss, dot(gradient, direction), gradient)
        first = along(trial)
        decrease = first.f <= loss + SUFFICIENT_DECREASE * trial * start.df
        wolfe = decrease & (tf.abs(first.df) <= -curvature * start.df) & tf.math.is_finite(first.f)

        def hager_zhang():
            result = tfp.optimizer.linesearch.hager_zhang(
                along,
                value_at_initial_step=first,
                value_at_zero=start,
                threshold_use_approximate_wolfe_condition=rounding,
                curvature_param=curvature,
                max_iterations=rounds,
            )
            lower = result.left.f < loss
            flat = result.converged & (result.left.f <= loss + rounding * tf.abs(loss))
            accepted = (lower | flat) & (result.left.x > 0) & tf.math.is_finite(result.left.f)
            return result.left, result.func_evals, accepted

        evaluations = tf.constant(0)
        point, more, accepted = tf.cond(wolfe, lambda: (first, evaluations, wolfe), hager_zhang)
        product = point.x * (point.df - start.df)
        # A curvature below the rounding error of the slopes carries no information.
        product = tf.where(product > -rounding * point.x * start.df, product, tf.zeros_like(product))
        numbers = point.f, largest(point.full_gradient), point.x, 1 + more, accepted, product
        return summary(point.x * direction, point.full_gradient, gradient, numbers)

    return search


def summary(displacement, gradient, before, numbers):
    """Returns the results of a search.

    Args:
        displacement: The change of the position [D].
        gradient: The gradient at the new point [D].
        before: The gradient at the old point [D].
        numbers: The scalars that `line_search` lists.
    """
    numbers = tf.stack([tf.cast(number, tf.float64) for number in numbers])
    return displacement, gradient, gradient - before, numbers


def largest(vector):
    """Returns the largest absolute value of the components.

    Args:
        vector: A tensor [D].
    """
    return tf.reduce_max(tf.abs(vector))
