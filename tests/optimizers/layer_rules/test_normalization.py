"""Scale and shift against normalized inputs in NumPy; layers stay unchanged."""

import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import curvezoo.layers
from curvezoo.layers.normalization import BatchNormalization, batch_normalization
from curvezoo.optimizers.layer_rules.blocks import blocks_of


@pytest.mark.parametrize("gamma", ["normal", "zeros"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("make", [layers.BatchNormalization, batch_normalization])
def test_batch_norm_has_the_fisher_matrix_of_its_weights(make, training, gamma, random_values, record_blocks):
    """F = sum_b p_b p_b^T with p_b = (sum_t g x', sum_t g); the sum of the p_b is the batch gradient."""
    layer = make(epsilon=0.1, gamma_initializer=gamma, moving_mean_initializer="normal")
    x = random_values((6, 5, 3))
    layer(x)
    [block] = blocks_of(layer, fallback="raise")
    mean, variance = layer.moving_mean.numpy(), layer.moving_variance.numpy()
    if training:
        mean, variance = x.numpy().mean((0, 1)), x.numpy().var((0, 1))
    [(calls, gradients)], outputs = record_blocks([block], lambda: layer(x, training=training))
    moving = [v.numpy() for v in layer.non_trainable_variables]
    normalized, g = (x.numpy() - mean) / np.sqrt(variance + 0.1), gradients[0].numpy()
    p = np.concatenate([(g * normalized).sum(1), g.sum(1)], 1)
    np.testing.assert_allclose(block.per_example(calls, gradients), p, rtol=1e-9)
    np.testing.assert_allclose(block.statistics(calls, gradients)["F"], p.T @ p, rtol=1e-9)
    for old, new in zip(moving, layer.non_trainable_variables, strict=True):
        np.testing.assert_array_equal(old, new.numpy())
    expected = layer.gamma.numpy() * normalized + layer.beta.numpy()
    np.testing.assert_allclose(outputs, expected, rtol=1e-9, atol=1e-12)


def test_masked_batch_norm_takes_the_moments_of_unmasked_positions(random_values, record_blocks):
    layer, x = layers.BatchNormalization(), random_values((4, 3, 2))
    layer(x)
    [block] = blocks_of(layer)
    mask = tf.constant([[True, True, False]] * 4)
    [(calls, gradients)], _ = record_blocks([block], lambda: layer(x, training=True, mask=mask))
    unmasked, g = x.numpy()[:, :2], gradients[0].numpy()
    normalized = (x.numpy() - unmasked.mean((0, 1))) / np.sqrt(unmasked.var((0, 1)) + layer.epsilon)
    # Keras divides by the number of positions plus 1e-7.
    expected = np.concatenate([(g * normalized).sum(1), g.sum(1)], 1)
    np.testing.assert_allclose(block.per_example(calls, gradients), expected, rtol=1e-5)


def test_the_fused_kernel_gives_the_same_gradients(random_values, record_blocks):
    """A batch norm of this package on float32 images, by TensorFlow's kernel and by Keras's operations."""

    def kernel(x, gamma, beta, epsilon):
        return tf.compat.v1.nn.fused_batch_norm(x, gamma, beta, epsilon=epsilon)[:3]

    x = tf.cast(random_values((4, 3, 3, 2)), tf.float32)
    layer = batch_normalization(dtype="float32")
    layer(x)
    gradients = []
    for choice in (None, kernel):
        BatchNormalization.use_fused_kernel(choice)
        try:
            [block] = blocks_of(layer)
            loss = lambda y: tf.reduce_sum(tf.sin(y), (1, 2, 3))  # noqa: E731
            [pair], _ = record_blocks([block], lambda: layer(x, training=True), loss=loss)
            gradients.append(block.per_example(*pair))
        finally:
            BatchNormalization.use_fused_kernel(None)
    np.testing.assert_allclose(*gradients, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options, size", [({}, 6), ({"scale": False}, 3), ({"center": False}, 3)])
def test_the_block_has_only_existing_scales_and_shifts(options, size, random_values):
    layer = layers.LayerNormalization(**options)
    layer(random_values((2, 3)))
    [block] = blocks_of(layer)
    assert block.shapes == {"F": (size, size)}


def test_a_frozen_scale_leaves_the_shift(random_values, record_blocks):
    layer, x = layers.LayerNormalization(), random_values((4, 3))
    layer(x)
    layer.gamma.trainable = False
    [block] = blocks_of(layer)
    [(calls, gradients)], _ = record_blocks([block], lambda: layer(x))
    np.testing.assert_allclose(block.per_example(calls, gradients), gradients[0], rtol=1e-12)


def test_normalization_of_this_package_has_blocks(random_values):
    layer = curvezoo.layers.DenseBlock(3, normalization="layer")
    layer(random_values((2, 4)))
    assert [block.kind for block in blocks_of(layer, fallback="raise")] == ["kronecker", "full"]
