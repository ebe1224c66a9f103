"""The fused kernel against Keras's own batch norm."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from curvezoo.layers import BatchNormalization
from curvezoo.optimizers.keras_bridge import fused_batch_norm as kernels


@pytest.fixture(params=[(8, 5, 6, 3), (4, 1, 2, 4)], ids=str)
def images(request):
    return tf.constant(np.random.default_rng(0).normal(1.5, 2, request.param).astype("float32"))


def run(kernel, images, trainable=True):
    BatchNormalization.use_fused_kernel(kernel)
    try:
        layer = BatchNormalization(momentum=0.7)
        layer.build(images.shape)
        layer.trainable = trainable
        layer.gamma.assign(np.linspace(0.5, 2, images.shape[-1]))
        weight = tf.cos(tf.reshape(tf.range(tf.size(images), dtype=tf.float32), images.shape))
        with tf.GradientTape() as tape:
            tape.watch(images)
            loss = tf.reduce_sum(weight * layer(images, training=True) ** 2)
        gradients = tape.gradient(loss, [images, layer.gamma.value, layer.beta.value])
        return [loss, *gradients, *layer.variables]
    finally:
        BatchNormalization.use_fused_kernel(kernels.fused_batch_norm)


@pytest.mark.parametrize("trainable", [True, False])
def test_the_fused_kernel_equals_kerass_batch_norm(images, trainable):
    actual = run(kernels.fused_batch_norm, images, trainable)
    expected = run(None, images, trainable)
    for a, b in zip(actual, expected, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4 * np.abs(b).max())


def test_the_kernel_is_used_for_images_in_training_only(monkeypatch):
    calls = []
    kernel = lambda *arguments: calls.append(1) or kernels.fused_batch_norm(*arguments)  # noqa: E731
    BatchNormalization.use_fused_kernel(kernel)
    try:
        image, vector = np.ones((2, 3, 3, 4), "float32"), np.ones((2, 4), "float32")
        BatchNormalization()(image, training=True)
        assert len(calls) == 1
        BatchNormalization()(image, training=False)
        BatchNormalization()(vector, training=True)
        BatchNormalization(scale=False)(image, training=True)
        BatchNormalization(dtype="mixed_bfloat16")(image, training=True)
        # The kernel knows the moments of one replica only.
        BatchNormalization(synchronized=True)(image, training=True)
        assert len(calls) == 1
    finally:
        BatchNormalization.use_fused_kernel(kernels.fused_batch_norm)


def test_the_layer_is_saved_and_loaded(tmp_path):
    model = keras.Sequential([keras.Input((4, 4, 2)), BatchNormalization()])
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    assert type(again.layers[0]) is BatchNormalization
