"""The replicas of a strategy: their number, their rows of a batch, and sums over them."""

import tensorflow as tf


def number():
    """Returns the number of replicas in training."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def check_divisible(name, size, strategy):
    """Checks that the replicas of a strategy can have equal parts of a batch.

    Args:
        name: The argument's name, for the message.
        size: Number of examples in the batch.
        strategy: The `tf.distribute.Strategy`.

    Raises:
        ValueError: If the size is not a multiple of the number of replicas.
    """
    count = strategy.num_replicas_in_sync
    if size % count:
        raise ValueError(f"{name} must be a multiple of the {count} replicas, got {size}")


def own_rows(tensors, count):
    """Returns this replica's rows of tensors that hold those of all replicas, of the first one first.

    What is drawn for the whole batch, of which each replica takes its rows, does not depend on the number of
    replicas. It is called within a replica.

    Args:
        tensors: A tensor, or a nest of them, with rows along the first axis.
        count: Number of rows of each replica.
    """
    if number() == 1:
        return tensors
    first = tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, tf.int32) * count
    return tf.nest.map_structure(lambda tensor: tensor[first : first + count], tensors)


def total(tensors):
    """Returns the sums of tensors over the replicas. It must not be called inside control flow.

    Args:
        tensors: A tensor, or a nest of them.
    """
    if number() == 1:
        return tensors
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tensors)
