r"""The first damping, and the least that the noise of a batch calls for.

In a direction where F has the eigenvalue f, the gradient of a batch is f Delta, with the distance Delta to
the best value, and noise of the variance n f: n = sum w^2 / sum w with the positions' weights w in the loss,
1/B for a mean over B examples. Where Delta has the variance \(\sigma^2\) beforehand, its best estimate
(Wiener's filter) is

    Delta ~ gradient / (f + lambda)        lambda = n / sigma^2

so that less damping fits noise. How far there is to go is not known. `PRIOR` units of 1/|F|, with the
Frobenius norm, about F's largest eigenvalue, are a number that serves many networks and batch sizes.
"""

import math

import tensorflow as tf

# The first damping, in units of the mean eigenvalue of F.
SHARE = 0.1
# The variance sigma^2, in units of 1 / |F|.
PRIOR = 20.0


def noise_floor(preconditioners, states, noise, dtype):
    """Returns n |F| / `PRIOR`, and zero if a number in it is infinite.

    Args:
        preconditioners: The `Preconditioner`s.
        states: A state for each.
        noise: The sums of w^2 and of w over the batch, [2].
        dtype: Type of the result.
    """
    norms = [tf.cast(p.squared_norm(s), dtype) for p, s in zip(preconditioners, states, strict=True)]
    squares, weights = tf.unstack(tf.cast(noise, dtype))
    floor = tf.math.divide_no_nan(squares, weights) * tf.sqrt(tf.add_n(norms)) / PRIOR
    return tf.where(tf.math.is_finite(floor), floor, tf.zeros_like(floor))


def first_damping(preconditioners, states, floor):
    """Returns `SHARE` of F's mean eigenvalue, or the floor if it is above; 1 where F is zero.

    Args:
        preconditioners: The `Preconditioner`s.
        states: A state for each.
        floor: The least damping.
    """
    traces = [tf.cast(p.trace(s), floor.dtype) for p, s in zip(preconditioners, states, strict=True)]
    mean = tf.add_n(traces) / sum(math.prod(v.shape) for p in preconditioners for v in p.block.variables)
    return tf.where(mean > 0, tf.maximum(SHARE * mean, floor), tf.ones_like(mean))
