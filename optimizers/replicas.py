"""Sums over the replicas of a strategy, called within one of them."""

import tensorflow as tf


def number():
    """Returns the number of replicas in training."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def total(tensors):
    """Returns the sums of tensors over the replicas. It must not be called inside control flow.

    Args:
        tensors: A tensor, or a nest of them.
    """
    if number() == 1:
        return tensors
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tensors)
