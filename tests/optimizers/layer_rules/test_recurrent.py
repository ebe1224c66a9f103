"""Factors of recurrent kernels: time steps are positions, and inputs and states are rows."""

import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from curvezoo.optimizers.layer_rules.blocks import blocks_of


def test_factors_of_a_linear_recurrent_layer_match_its_recursion(random_values, record_blocks):
    """h_t = x_t W + h_(t-1) R + b; states and backpropagated gradients by recursion."""
    layer, x = layers.SimpleRNN(2, activation=None, bias_initializer="normal"), random_values((4, 3, 5))
    layer(x)
    blocks = blocks_of(layer)
    pairs, _ = record_blocks(blocks, lambda: layer(x), loss=lambda y: tf.reduce_sum(y**2, 1) / 2)
    kernel, recurrent, bias = layer.get_weights()
    states = [np.zeros((4, 2))]
    for t in range(3):
        states.append(x.numpy()[:, t] @ kernel + states[-1] @ recurrent + bias)
    g = [states[-1]]
    for _ in range(2):
        g.insert(0, g[0] @ recurrent.T)
    statistics = [block.statistics(*pair) for block, pair in zip(blocks, pairs, strict=True)]
    expected_g = sum(one.T @ one for one in g) / 3
    rows = np.concatenate([x, np.ones((4, 3, 1))], -1)
    np.testing.assert_allclose(statistics[0]["A"], np.einsum("bti,btj->ij", rows, rows) / 4, rtol=1e-10)
    np.testing.assert_allclose(statistics[1]["A"], sum(h.T @ h for h in states[:3]) / 4, rtol=1e-10)
    for factors in statistics:
        np.testing.assert_allclose(factors["G"], expected_g, rtol=1e-10)


def test_masked_time_steps_have_no_gradient(random_values, record_blocks):
    """A padded sequence has the gradients of the sequence without its padding."""
    layer, x = layers.LSTM(3), random_values((1, 5, 2))
    layer(x)
    blocks = blocks_of(layer)
    mask = tf.constant([[True, True, True, False, False]])
    padded, _ = record_blocks(blocks, lambda: layer(x, mask=mask))
    short, _ = record_blocks(blocks, lambda: layer(x[:, :3]))
    for block, one, other in zip(blocks, padded, short, strict=True):
        np.testing.assert_allclose(block.per_example(*one), block.per_example(*other), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("kind", [layers.LSTM, layers.SimpleRNN])
def test_the_rows_of_the_kernel_are_the_inputs_after_dropout(kind, random_values, record_blocks):
    """The per-example gradients sum to the gradient of the tape, with the same mask."""
    layer, x = kind(3, dropout=0.5, seed=1), random_values((4, 5, 2))
    layer(x)
    blocks = blocks_of(layer)
    state = layer.cell.seed_generator.state.numpy()
    pairs, _ = record_blocks(blocks, lambda: layer(x, training=True), loss=lambda y: tf.reduce_sum(y**2, 1))
    layer.cell.seed_generator.state.assign(state)
    with tf.GradientTape(persistent=True) as tape:
        loss = tf.reduce_sum(layer(x, training=True) ** 2)
    for block, pair in zip(blocks, pairs, strict=True):
        expected = block.matrix(tape.gradient(loss, [v.value for v in block.variables]))
        np.testing.assert_allclose(
            tf.reduce_sum(block.per_example(*pair), 0), expected, rtol=1e-9, atol=1e-13
        )
