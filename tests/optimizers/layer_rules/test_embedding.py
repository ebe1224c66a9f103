"""Counts of indices, and an embedding as a dense layer on one-hot vectors."""

import numpy as np
import tensorflow as tf
from keras import layers

from curvezoo.optimizers.layer_rules.blocks import blocks_of

INDICES = tf.constant([[0, 1, 1, 5], [2, 2, 2, 0], [3, 0, 0, 0]])


def test_factors_are_those_of_a_dense_layer_on_one_hot_vectors(record_blocks):
    embedding, dense = layers.Embedding(6, 3), layers.Dense(3, use_bias=False)
    one_hot = tf.one_hot(INDICES, 6, dtype=tf.float64)
    embedding(INDICES), dense(one_hot)
    dense.set_weights(embedding.get_weights())
    statistics = []
    for layer, inputs in ((embedding, INDICES), (dense, one_hot)):
        blocks = blocks_of(layer)
        [pair], _ = record_blocks(blocks, lambda layer=layer, inputs=inputs: layer(inputs))
        statistics.append(blocks[0].statistics(*pair))
    np.testing.assert_allclose(statistics[0]["A"], np.array([5, 2, 3, 1, 0, 1]) / 3, rtol=1e-12)
    np.testing.assert_allclose(np.diag(statistics[0]["A"]), statistics[1]["A"], rtol=1e-12)
    np.testing.assert_allclose(statistics[0]["G"], statistics[1]["G"], rtol=1e-12)


def test_masked_positions_do_not_count(record_blocks):
    """7 of 12 positions count, or 8 if the loss depends on a masked one."""
    layer = layers.Embedding(6, 3, mask_zero=True)
    layer(INDICES)
    blocks = blocks_of(layer)
    for count in (7, 8):
        mask = np.array(INDICES != 0, float)
        mask[0, 0] = count - 7

        def loss(outputs, mask=mask):
            return tf.reduce_sum(outputs**2 * mask[..., None], (1, 2))

        [(calls, [g])], _ = record_blocks(blocks, lambda: layer(INDICES), loss=loss)
        statistics, rows = blocks[0].statistics(calls, [g]), tf.reshape(g, (-1, 3)).numpy()
        np.testing.assert_allclose(statistics["A"], np.array([count - 7, 2, 3, 1, 0, 1]) / 3, rtol=1e-12)
        np.testing.assert_allclose(statistics["G"], rows.T @ rows / (count / 3), rtol=1e-12)


def test_sparse_gradients_become_dense_matrices():
    layer = layers.Embedding(6, 3)
    layer(INDICES)
    [block] = blocks_of(layer)
    sparse = tf.IndexedSlices(tf.constant([[1.0, 2, 3], [4, 5, 6]], tf.float64), tf.constant([2, 2]), (6, 3))
    expected = np.zeros((6, 3))
    expected[2] = [5, 7, 9]
    np.testing.assert_array_equal(block.matrix([sparse]), expected)
