r"""The damping of a step: its initial value, and the lower bounds that the noise of batches requires.

In a direction where F has the eigenvalue f, the gradient of a batch of B positions is f Delta, where Delta is
the distance to the optimum, plus noise of variance f / B, if labels scatter as the model predicts. If Delta
has the prior variance \(\sigma^2\), its best estimate (Wiener's filter) is

    Delta ~ gradient / (f + lambda)        lambda = 1 / (B sigma^2)

With less damping, steps fit the noise. The distance is not known: in each block of F, \(\sigma^2\) is set to
`PRIOR` / |F|, with the Frobenius norm of the block, which is at least its largest eigenvalue. This value
works for many networks and batch sizes. One variance for all blocks would hold back those with a small F.

Where positions have weights w in the loss, F is the sum of w F_i, and the noise has the variance
sum w^2 F_i. In units of the sum of w this is the above with B = (sum w)^2 / sum w^2. For several outputs with
sums W_h of their weights, B = sum_h W_h^2 / sum w^2: outputs of equal weight do not count as more examples.
"""

import dataclasses
import math

import tensorflow as tf

from ..vectors import dot

# The initial damping, in units of the mean eigenvalue of F.
FIRST = 0.1
# The variance sigma^2, in units of 1 / |F|.
PRIOR = 20.0


@dataclasses.dataclass(frozen=True, eq=False)
class Damping:
    r"""The damping of a step, \(\lambda_l = \max(\lambda, \mathrm{floor}_l)\) for each block l of F.

    Args:
        common: The damping lambda that trials adapt.
        of_blocks: The damping of each block, a list of scalars.
        of_variables: The damping of each trainable variable's block, a list of scalars.
    """

    common: tf.Tensor
    of_blocks: list
    of_variables: list

    def forms(self, vectors):
        """Returns the sum over variables of lambda_l u^T w for all pairs of vectors, a matrix.

        Args:
            vectors: A list of vectors, each a list with a tensor for each trainable variable.
        """

        def form(u, w):
            parts = zip(self.of_variables, u, w, strict=True)
            # Weighting the scalar products needs no weighted copy of a vector.
            return tf.add_n([damping * tf.cast(dot(a, b), damping.dtype) for damping, a, b in parts])

        return tf.stack([tf.stack([form(u, w) for w in vectors]) for u in vectors])


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


def noise_floors(preconditioners, states, positions):
    """Returns |F| / (`PRIOR` B) of each block, or zero where that is not finite.

    Args:
        preconditioners: The `Preconditioner`s.
        states: A state for each.
        positions: The number B of a batch's positions.
    """
    norms = [tf.cast(p.norm(s), positions.dtype) for p, s in zip(preconditioners, states, strict=True)]
    floors = tf.math.divide_no_nan(tf.stack(norms), PRIOR * positions)
    return tf.where(tf.math.is_finite(floors), floors, tf.zeros_like(floors))


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
