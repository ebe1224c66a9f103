"""Factors above a size against the diagonals of the full ones."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from curvezoo.optimizers.layer_rules.blocks import blocks_of
from curvezoo.optimizers.layer_rules.diagonal import FallbackBlock

# A layer and the shape of one example. The factors A and G of its first block have different sizes.
CASES = {
    "dense": (lambda: layers.Dense(3), (4,)),
    "dense no bias": (lambda: layers.Dense(6, use_bias=False), (5, 4)),
    "convolution": (lambda: layers.Conv2D(3, 2), (4, 4, 2)),
    "einsum": (lambda: layers.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de"), (5, 4)),
    "recurrent": (lambda: layers.LSTM(2), (3, 4)),
}


def block_of(layer, max_factor_size):
    return blocks_of(layer, max_factor_size=max_factor_size)[0]


@pytest.mark.parametrize("name", CASES)
def test_factors_above_the_size_are_the_diagonals_of_the_full_ones(name, record_blocks, random_values):
    make, shape = CASES[name]
    layer, x = make(), random_values((6, *shape))
    layer(x)
    full = block_of(layer, None)
    sizes = {key: shape[0] for key, shape in full.shapes.items()}
    [(calls, gradients)], _ = record_blocks([full], lambda: layer(x))
    expected = full.statistics(calls, gradients)
    assert sizes["A"] != sizes["G"] and full.shapes == {key: (size, size) for key, size in sizes.items()}
    for limit in (min(sizes.values()) - 1, max(sizes.values()) - 1, max(sizes.values())):
        block = block_of(layer, limit)
        statistics = block.statistics(calls, gradients)
        for key, size in sizes.items():
            diagonal = size > limit
            assert block.shapes[key] == ((size,) if diagonal else (size, size))
            reference = np.diag(expected[key]) if diagonal else expected[key]
            np.testing.assert_allclose(statistics[key], reference, rtol=1e-12, atol=1e-15)


def test_an_embedding_of_large_width_has_two_diagonal_factors(record_blocks):
    layer, indices = layers.Embedding(3, 5), tf.constant([[0, 1, 1], [2, 2, 0]])
    layer(indices)
    full, block = block_of(layer, None), block_of(layer, 4)
    [(calls, gradients)], _ = record_blocks([full], lambda: layer(indices))
    expected, statistics = (b.statistics(calls, gradients) for b in (full, block))
    assert (full.shapes, block.shapes) == ({"A": (3,), "G": (5, 5)}, {"A": (3,), "G": (5,)})
    np.testing.assert_array_equal(statistics["A"], expected["A"])
    np.testing.assert_allclose(statistics["G"], np.diag(expected["G"]), rtol=1e-12)
    each = block.per_example(calls, gradients).numpy()
    moments = block.second_moments(calls, gradients, None, None)
    np.testing.assert_allclose(moments, (each**2).sum(0), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("positions", [1, 4])
@pytest.mark.parametrize("limit", [3, 4, 6])
def test_second_moments_need_no_basis_of_a_diagonal_factor(positions, limit, record_blocks, random_values):
    """Sums over the examples' gradients P of (U_A^T P U_G)^2, where a diagonal factor has the identity."""
    layer = layers.Dense(4)
    x = random_values((6, 5) if positions == 1 else (6, positions, 5))
    layer(x)
    block = block_of(layer, limit)
    [(calls, gradients)], _ = record_blocks([block], lambda: layer(x))
    bases = {
        name: np.linalg.qr(random_values(shape))[0] if len(shape) == 2 else None
        for name, shape in block.shapes.items()
    }
    dense = [np.eye(size) if bases[name] is None else bases[name] for name, size in (("A", 6), ("G", 4))]
    each = block.per_example(calls, gradients).numpy()
    expected = ((dense[0].T @ each @ dense[1]) ** 2).sum(0)
    moments = block.second_moments(calls, gradients, *bases.values())
    np.testing.assert_allclose(moments, expected, rtol=1e-10, atol=1e-15)


def test_skipped_layers_get_a_diagonal_block_with_the_layers_inside_them(random_values):
    attention = layers.MultiHeadAttention(2, 2, name="attention")
    inputs = keras.Input((3, 4))
    outputs = layers.Dense(2, name="head")(layers.Dense(4, name="middle")(attention(inputs, inputs)))
    model = keras.Model(inputs, outputs)
    blocks = blocks_of(model, fallback="raise", skip_layers=("attention", "head"))
    kinds = {(block.layer.name, type(block) is FallbackBlock) for block in blocks}
    inner = {"query", "key", "value", "attention_output"}
    assert kinds == {*((name, True) for name in inner), ("middle", False), ("head", True)}
    with pytest.raises(ValueError, match=r"skip_layers\[0\] must be one of .*head, got 'haed'"):
        blocks_of(model, skip_layers=("haed",))
