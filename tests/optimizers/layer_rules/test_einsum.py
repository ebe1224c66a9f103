"""Einsums against equivalent dense layers."""

import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from curvezoo.optimizers.layer_rules.blocks import blocks_of
from curvezoo.optimizers.layer_rules.einsum import Axes, _grouped


def test_an_einsum_has_the_factors_of_the_dense_layer_with_its_matrix(random_values, record_blocks):
    """The kernel creates the axes d and e and contracts c; a and b are positions."""
    einsum = layers.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de", bias_initializer="normal")
    dense, x = layers.Dense(6), random_values((4, 5, 7))
    einsum(x), dense(x)
    dense.set_weights([einsum.kernel.numpy().reshape(7, 6), einsum.bias.numpy().reshape(6)])

    def loss(outputs):
        return tf.reduce_sum(tf.sin(tf.reshape(outputs, (4, 5, 6))) * random_values((5, 6), 3), (1, 2))

    results = []
    for layer in (einsum, dense):
        blocks = blocks_of(layer)
        [pair], _ = record_blocks(blocks, lambda layer=layer: layer(x), loss=loss)
        results.append(blocks[0].statistics(*pair) | {"P": blocks[0].per_example(*pair)})
    for name in "AGP":
        np.testing.assert_allclose(results[0][name], results[1][name], rtol=1e-12)


@pytest.mark.parametrize(
    "equation, rank, contracted, created, positions",
    [
        ("abc,cde->abde", 3, "c", "de", "ab"),
        ("aecd,abcd->acbe", 4, None, None, None),
        ("abcd,dec->aeb", 4, "dc", "e", "ab"),
        ("...x,xy->...y", 2, "x", "y", 1),
        ("...x,xy->...y", 4, "x", "y", 3),
        ("ab...,bc->ac...", 4, "b", "c", 3),
        ("ab,bc->ca", 2, None, None, None),
        ("ab,ac->bc", 2, None, None, None),
        ("abc,cd->ad", 3, None, None, None),
        ("ab,cbd->ad", 2, None, None, None),
        ("abb,bc->ac", 3, None, None, None),
    ],
)
def test_einsum_axes_are_contracted_created_or_positions(equation, rank, contracted, created, positions):
    """None for a kernel that is not one matrix: shared, moved, summed or repeated axes."""
    axes = Axes(equation, rank)
    assert axes.is_matrix == (contracted is not None)
    if contracted is not None:
        assert ("".join(axes.contracted), "".join(axes.created)) == (contracted, created)
        labels = "".join(axes.positions)
        assert (len(labels) if isinstance(positions, int) else labels) == positions


@pytest.mark.parametrize("groups", [("ca", "bd"), ("c", "dab"), ("d", "b", "a", "c")])
def test_axes_are_merged_in_the_order_of_their_groups(groups):
    x = np.arange(120.0).reshape(2, 3, 4, 5)
    sizes = dict(zip("abcd", x.shape, strict=True))
    expected = x.transpose(["abcd".index(label) for label in "".join(groups)])
    expected = expected.reshape([np.prod([sizes[label] for label in group]) for group in groups])
    np.testing.assert_array_equal(_grouped(tf.constant(x), "abcd", groups), expected)
