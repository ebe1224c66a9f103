"""The data of one batch that the three parts of a K-FAC step share."""

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from ..objective import Objective


@dataclasses.dataclass(frozen=True, eq=False)
class Batch:
    """One batch at the current weights.

    Args:
        objective: The `Objective` of this replica's batch.
        examples: The `Objective` of the subsample of this batch on which F is measured.
        values: The trainable values, a list of tensors.
        gradients: The gradient g over all replicas, a tensor for each value; zero if it is not finite.
        grads_finite: Whether the gradient is finite. Otherwise the batch is ignored.
        iteration: The number of steps before this one.
        draw: Function of the predictive distribution and its parameters that returns labels.
        relative_size: The number of examples in units of the average over recent batches.
    """

    objective: Objective
    examples: Objective
    values: list
    gradients: list
    grads_finite: tf.Tensor
    iteration: tf.Tensor
    draw: Callable
    relative_size: tf.Tensor | float = 1.0
