"""Causal convolutions against masked ones, by gradients, and against themselves row by row."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from curvezoo import layers


def mask(size, stack, strict):
    """Returns the mask of a k by k kernel of which a causal convolution keeps the ones."""
    kept, middle = np.zeros((size, size)), size // 2
    if stack == "vertical":
        kept[: middle + (not strict)] = 1
    else:
        kept[middle, : middle + (not strict)] = 1
    return kept


@pytest.mark.parametrize("stack", ["vertical", "horizontal"])
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("size", [3, 5])
def test_a_causal_convolution_is_one_with_a_masked_kernel(stack, strict, size):
    rng = np.random.default_rng(0)
    images = rng.normal(size=(2, 6, 7, 3))
    causal = layers.CausalConv2D(4, size, stack, strict, dtype="float64")
    causal.build(images.shape)
    kept = mask(size, stack, strict)
    full = np.zeros((size, size, 3, 4))
    full[kept == 1] = rng.normal(size=(int(kept.sum()), 3, 4))
    bias = rng.normal(size=4)
    causal.set_weights([full[kept == 1].reshape(causal.kernel.shape), bias])
    masked = keras.ops.conv(images, full, padding="same", data_format="channels_last") + bias
    np.testing.assert_allclose(causal(images), masked, atol=1e-12)


def test_rows_and_pixels_alone_are_those_of_the_whole():
    images = np.random.default_rng(1).normal(size=(2, 6, 5, 3))
    vertical = layers.CausalConv2D(4, 5, "vertical", dtype="float64")
    horizontal = layers.CausalConv2D(4, 5, "horizontal", strict=True, dtype="float64")
    np.testing.assert_allclose(vertical(images)[:, 4], vertical.row(images[:, 2:5]), atol=1e-12)
    window = images[:, 3, 2:4]
    np.testing.assert_allclose(horizontal(images)[:, 3, 4], horizontal.pixel(window), atol=1e-12)


@pytest.mark.parametrize("policy", ["float64", "mixed_bfloat16"])
def test_rows_and_pixels_are_computed_in_the_dtype_of_the_layer(policy):
    images = np.random.default_rng(1).normal(size=(2, 4, 5, 3)).astype("float32")
    block, labels = layers.GatedCausalBlock(3, classes=2, dtype=policy), np.array([1, 0])
    v, h = block([images, images, labels])
    row, added = block.row(images[:, :2], block.biases(labels))
    pixel = block.pixel(tf.constant(images[:, 1, 2:4]), added[:, 3])
    for given, expected in ((row, v[:, 1]), (pixel, h[:, 1, 3])):
        assert given.dtype == expected.dtype == block.compute_dtype
        given, expected = (np.asarray(keras.ops.cast(x, "float64")) for x in (given, expected))
        np.testing.assert_allclose(given, expected, atol=1e-12 if policy == "float64" else 0.02)


@pytest.mark.parametrize("stack", ["vertical", "horizontal"])
@pytest.mark.parametrize("strict", [False, True])
def test_images_may_have_any_size_in_a_graph(stack, strict):
    layer = layers.CausalConv2D(2, 3, stack, strict)
    layer.build((None, None, None, 3))
    compiled = tf.function(layer, input_signature=[tf.TensorSpec((None, None, None, 3))])
    for size in (4, 6):
        images = np.random.default_rng(size).normal(size=(1, size, size + 1, 3)).astype("float32")
        np.testing.assert_allclose(compiled(images), layer(images), rtol=1e-5, atol=1e-6)


def test_the_gated_block_is_the_formula_of_its_docstring():
    rng = np.random.default_rng(2)
    v, h, labels = rng.normal(size=(2, 4, 5, 3)), rng.normal(size=(2, 4, 5, 3)), np.array([1, 0])
    block = layers.GatedCausalBlock(3, classes=2, dtype="float64")
    block.build([v.shape, h.shape])
    block.set_weights([rng.normal(size=w.shape) for w in block.weights])

    def gate(x):
        return np.tanh(x[..., :3]) / (1 + np.exp(-x[..., 3:]))

    c_v, c_h = np.split(np.asarray(block.embedding.embeddings)[labels][:, None, None], 2, axis=-1)
    a = np.asarray(block.vertical(v)) + c_v
    b = np.asarray(block.horizontal(h)) + a @ np.asarray(block.link.kernel) + c_h
    projection = block.projection
    after = h + gate(b) @ np.asarray(projection.kernel) + np.asarray(projection.bias)
    new_v, new_h = block([v, h, labels])
    np.testing.assert_allclose(new_v, gate(a), atol=1e-12)
    np.testing.assert_allclose(new_h, after, atol=1e-12)


def test_two_stacks_see_every_earlier_pixel_and_no_other():
    height, width = 5, 6
    images = tf.constant(np.random.default_rng(3).normal(size=(1, height, width, 1)))
    first = [layers.CausalConv2D(4, 3, stack, True, dtype="float64") for stack in ("vertical", "horizontal")]
    blocks = [layers.GatedCausalBlock(4, dtype="float64") for _ in range(5)]
    with tf.GradientTape() as tape:
        tape.watch(images)
        v, h = (layer(images) for layer in first)
        for block in blocks:
            v, h = block([v, h])
        outputs = tf.reduce_sum(h, axis=(0, 3))
        flat = tf.reshape(outputs, [-1])
    seen = np.asarray(tape.jacobian(flat, images)).reshape(height * width, height * width) != 0
    np.testing.assert_array_equal(seen, np.tri(height * width, k=-1, dtype=bool))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.CausalConv2D(4, 4), "kernel_size must be an odd integer, got 4"),
        (
            lambda: layers.CausalConv2D(4, 1, strict=True),
            "kernel_size must be an integer of at least 3, got 1",
        ),
        (lambda: layers.CausalConv2D(0), "filters must be an integer of at least 1, got 0"),
        (lambda: layers.CausalConv2D(4, stack="diagonal"), "stack must be one of vertical, horizontal, got"),
        (lambda: layers.GatedCausalBlock(4, dropout=1.0), r"dropout must be in \[0, 1\), got 1.0"),
        (lambda: layers.GatedCausalBlock(4, classes=0), "classes must be an integer of at least 1, got 0"),
    ],
)
def test_an_error_names_the_wrong_argument(make, message):
    with pytest.raises(ValueError, match=message):
        make()
