"""Factors of dense layers against sums in NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from curvezoo.optimizers.keras_bridge import taps
from curvezoo.optimizers.layer_rules.blocks import blocks_of


def appended(a):
    return np.concatenate([a, np.ones((*a.shape[:-1], 1))], -1)


def call(layer, a, s):
    return taps.Call(layer, tf.constant(a), tf.constant(s), True)


@pytest.fixture
def block(random_values):
    layer = layers.Dense(3)
    layer(random_values((2, 4)))
    return blocks_of(layer)[0]


def test_factors_for_vectors_match_sums_over_examples(block, random_values):
    a, g = random_values((6, 4)).numpy(), random_values((6, 3), 1).numpy()
    statistics = block.statistics([call(block.layer, a, g)], [tf.constant(g)])
    np.testing.assert_allclose(statistics["A"], appended(a).T @ appended(a) / 6, rtol=1e-12)
    np.testing.assert_allclose(statistics["G"], g.T @ g, rtol=1e-12)


def test_factors_for_positions_and_repeated_calls_match_explicit_sums(block, random_values):
    """A sums over the 5 positions of one call and the 2 of another; G is the mean over all 7."""
    shapes = [(6, 5), (6, 2)]
    a = [random_values((*shape, 4), k).numpy() for k, shape in enumerate(shapes)]
    g = [random_values((*shape, 3), k + 7).numpy() for k, shape in enumerate(shapes)]
    calls = [call(block.layer, *pair) for pair in zip(a, g, strict=True)]
    statistics = block.statistics(calls, [tf.constant(x) for x in g])
    expected_a, expected_g = 0, 0
    for inputs, gradients in zip(a, g, strict=True):
        for b in range(6):
            for one_a, one_g in zip(appended(inputs[b]), gradients[b], strict=True):
                expected_a += np.outer(one_a, one_a) / 6
                expected_g += np.outer(one_g, one_g) / 7
    np.testing.assert_allclose(statistics["A"], expected_a, rtol=1e-12)
    np.testing.assert_allclose(statistics["G"], expected_g, rtol=1e-12)


def test_a_call_without_effect_on_the_loss_counts_as_a_position(block, random_values):
    """`tape.gradient` returns `None` for it, which counts as zero."""
    a, g = random_values((6, 4)).numpy(), random_values((6, 3), 1)
    calls = [call(block.layer, a, g), call(block.layer, 2 * a, g)]
    statistics, zeros = (block.statistics(calls, [g, last]) for last in (None, tf.zeros_like(g)))
    for name in "AG":
        np.testing.assert_array_equal(statistics[name], zeros[name])
    np.testing.assert_allclose(statistics["G"], tf.matmul(g, g, transpose_a=True) / 2, rtol=1e-12)


def test_a_replica_without_examples_has_no_nan(block):
    empty = call(block.layer, np.zeros((0, 4)), np.zeros((0, 3)))
    statistics = block.statistics([empty], [tf.zeros((0, 3), tf.float64)])
    assert not np.any(statistics["A"]) and not np.any(statistics["G"])


def test_half_precision_activations_give_statistics_of_the_variables_type(random_values, record_blocks):
    keras.config.set_dtype_policy("mixed_bfloat16")
    layer, x = layers.Dense(3), tf.cast(random_values((8, 4)), tf.float32)
    layer(x)
    blocks = blocks_of(layer)
    [(calls, gradients)], _ = record_blocks(
        blocks, lambda: layer(x), loss=lambda y: tf.reduce_sum(tf.cast(y, tf.float32) ** 2, 1)
    )
    assert calls[0].inputs.dtype == tf.bfloat16
    statistics = blocks[0].statistics(calls, gradients)
    rounded = appended(tf.cast(tf.cast(x, tf.bfloat16), tf.float32).numpy())
    assert statistics["A"].dtype == tf.float32
    np.testing.assert_allclose(statistics["A"], rounded.T @ rounded / 8, rtol=1e-5)


def test_unit_variance_layers_have_factors_of_scaled_inputs(random_values, record_blocks):
    from curvezoo.layers import UnitVarianceDense

    layer, x = UnitVarianceDense(3), random_values((6, 4))
    layer(x)
    blocks = blocks_of(layer, fallback="raise")
    [(calls, gradients)], _ = record_blocks(blocks, lambda: layer(x))
    scaled = appended(x.numpy() * np.sqrt(2 / 4))
    np.testing.assert_allclose(blocks[0].statistics(calls, gradients)["A"], scaled.T @ scaled / 6, rtol=1e-12)


@pytest.mark.parametrize("positions", [1, 5])
def test_no_tensor_is_as_large_as_the_per_example_gradients(positions, random_values):
    """The graph has two matrix products and no tensor of B m n entries."""
    layer = layers.Dense(30)
    x = random_values((40, positions, 20))
    layer(x)
    [block] = blocks_of(layer)

    @tf.function
    def statistics(a, g):
        return block.statistics([taps.Call(layer, a, g, True)], [g])

    graph = statistics.get_concrete_function(x, random_values((40, positions, 30))).graph
    sizes = [o.shape.num_elements() or 0 for op in graph.get_operations() for o in op.outputs]
    assert [op.type for op in graph.get_operations()].count("MatMul") == 2
    assert max(sizes) <= 40 * positions * 30


@pytest.mark.parametrize("make", [lambda: layers.Dense(3), lambda: layers.EinsumDense("...x,xy->...y", 3)])
def test_second_moments_of_vectors_need_no_loop(make, random_values):
    """The graph has three matrix products, whatever the number of examples."""
    layer = make()
    layer(random_values((2, 4)))
    [block] = blocks_of(layer)
    rows, columns = (random_values(shape) for shape in block.shapes.values())

    @tf.function(input_signature=[tf.TensorSpec((None, 4), tf.float64), tf.TensorSpec((None, 3), tf.float64)])
    def moments(a, g):
        return block.second_moments([taps.Call(layer, a, g, True)], [g], rows, columns)

    kinds = [op.type for op in moments.get_concrete_function().graph.get_operations()]
    assert not any("While" in kind for kind in kinds)
    assert sum("MatMul" in kind for kind in kinds) == 3
