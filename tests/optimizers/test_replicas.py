"""Rows of the whole batch that the replicas of a strategy take."""

import numpy as np
import pytest
import tensorflow as tf

from curvezoo.optimizers import replicas


def taken(strategy, count):
    """Returns the rows of each replica, in order."""

    def rows():
        whole = tf.range(count * replicas.number(), dtype=tf.float32)
        return replicas.own_rows({"a": whole, "b": tf.stack([whole, -whole], 1)}, count)

    parts = strategy.run(tf.function(rows))
    return [strategy.experimental_local_results(parts[name]) for name in "ab"]


def test_replicas_take_consecutive_rows_that_together_are_the_whole(mirrored):
    first, second = taken(mirrored, 3)
    np.testing.assert_array_equal(first, [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(np.array(second)[..., 1], [[0, -1, -2], [-3, -4, -5]])


def test_a_single_replica_takes_all():
    [rows], _ = taken(tf.distribute.get_strategy(), 4)
    np.testing.assert_array_equal(rows, np.arange(4))


def test_a_batch_that_replicas_cannot_share_is_rejected(mirrored):
    replicas.check_divisible("minibatch", 6, mirrored)
    replicas.check_divisible("minibatch", 7, tf.distribute.get_strategy())
    with pytest.raises(ValueError, match=r"^minibatch must be a multiple of the 2 replicas, got 7$"):
        replicas.check_divisible("minibatch", 7, mirrored)
