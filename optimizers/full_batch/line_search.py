"""The line search of the full-batch optimizers: a trial step, and Hager-Zhang where it fails.

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
    """Returns a search along a direction for a step that satisfies the Wolfe conditions, to be compiled.

    Args:
        function: A function of a tensor [D] to the loss and its gradient [D].
        curvature: The part of the slope that may remain, between 1e-4 and 1.
        rounds: Most rounds of the Hager-Zhang search.
        dtype: The type of the vectors.
        resolution: The relative rounding of the loss; None for the vectors'.

    Returns:
        A function of (position [D], loss, gradient [D], direction [D], trial step) that returns the change of
        the position [D], the gradient there [D], its change [D] and, in float64, [loss, largest component of
        the gradient, step, evaluations, whether it is accepted, product of both changes or zero
        where that is not positive]. Nothing that is not finite is accepted.
    """
    # Below this part of the loss a difference is rounding, and the slopes alone decide.
    rounding = vectors.ROUNDING * (resolution or vectors.resolution(dtype))

    def search(position, loss, gradient, direction, trial):
        def along(step):
            value, slopes = function(position + step * direction)
            # The search steps back from infinity, but gives up at NaN.
            sound = tf.math.is_finite(value) & tf.reduce_all(tf.math.is_finite(slopes))
            value = tf.where(sound, value, tf.constant(np.inf, dtype))
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
        found, more, accepted = tf.cond(wolfe, lambda: (first, evaluations, wolfe), hager_zhang)
        product = found.x * (found.df - start.df)
        # A curvature that is lost in the rounding of the slopes teaches nothing.
        product = tf.where(product > -rounding * found.x * start.df, product, tf.zeros_like(product))
        numbers = found.f, largest(found.full_gradient), found.x, 1 + more, accepted, product
        return summary(found.x * direction, found.full_gradient, gradient, numbers)

    return search


def summary(displacement, gradient, before, numbers):
    """Returns what a search returns.

    Args:
        displacement: The change of the position [D].
        gradient: The gradient at the new point [D].
        before: The gradient at the old one [D].
        numbers: The scalars that `line_search` lists.
    """
    numbers = tf.stack([tf.cast(number, tf.float64) for number in numbers])
    return displacement, gradient, gradient - before, numbers


def largest(vector):
    """Returns the largest component in size.

    Args:
        vector: A tensor [D].
    """
    return tf.reduce_max(tf.abs(vector))
