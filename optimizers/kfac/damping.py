r"""The initial damping, and the lower bound that the noise of batches requires.

In a direction where F has the eigenvalue f, the gradient of a batch of B positions is f Delta, where Delta is
the distance to the optimum, plus noise of variance f / B, if labels scatter as the model predicts. If Delta
has the prior variance \(\sigma^2\), its best estimate (Wiener's filter) is

    Delta ~ gradient / (f + lambda)        lambda = 1 / (B sigma^2)

With less damping, steps fit the noise. The distance is not known: \(\sigma^2\) is set to `PRIOR` / |F|, with
the Frobenius norm, which is at least F's largest eigenvalue. This value works for many networks and batch
sizes.

Where positions have weights w in the loss, F is the sum of w F_i, and the noise has the variance
sum w^2 F_i. In units of the sum of w this is the above with B = (sum w)^2 / sum w^2. For several outputs with
sums W_h of their weights, B = sum_h W_h^2 / sum w^2: outputs of equal weight do not count as more examples.
"""

import math

import tensorflow as tf

# The initial damping, in units of the mean eigenvalue of F.
FIRST = 0.1
# The variance sigma^2, in units of 1 / |F|.
PRIOR = 20.0


def averaged_positions(positions, weights, weight):
    """Returns the average of B after one more batch; unchanged if all weights of that batch are zero.

    Args:
        positions: The average before.
        weights: The sums of w and of w^2 for each output, [..., 2].
        weight: The weight of the new batch in the average.
    """
    totals, squares = tf.unstack(tf.cast(weights, positions.dtype), axis=-1)
    count = tf.math.divide_no_nan(tf.reduce_sum(totals**2), tf.reduce_sum(squares))
    usable = tf.math.is_finite(count) & (count > 0)
    return tf.where(usable, positions + weight * (count - positions), positions)


def noise_floor(preconditioners, states, positions):
    """Returns |F| / (`PRIOR` B), or zero where that is not finite.

    Args:
        preconditioners: The `Preconditioner`s.
        states: A state for each.
        positions: The number B of a batch's positions.
    """
    norms = [tf.cast(p.norm(s), positions.dtype) for p, s in zip(preconditioners, states, strict=True)]
    floor = tf.math.divide_no_nan(tf.norm(norms), PRIOR * positions)
    return tf.where(tf.math.is_finite(floor), floor, tf.zeros_like(floor))


def first_damping(preconditioners, states, dtype):
    """Returns `FIRST` times F's mean eigenvalue, or 1 where F is zero.

    Args:
        preconditioners: The `Preconditioner`s.
        states: A state for each.
        dtype: Type of the result.
    """
    traces = [tf.cast(p.trace(s), dtype) for p, s in zip(preconditioners, states, strict=True)]
    mean = tf.add_n(traces) / sum(math.prod(v.shape) for p in preconditioners for v in p.block.variables)
    return tf.where(mean > 0, FIRST * mean, tf.ones_like(mean))
