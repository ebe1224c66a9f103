"""TensorFlow's fused kernel for batch normalization."""

import tensorflow as tf


def fused_batch_norm(images, scale, offset, epsilon):
    """Normalizes a batch by its own moments, as one operation with one gradient.

    Args:
        images: `[B, H, W, C]`, float32.
        scale: `[C]`.
        offset: `[C]`.
        epsilon: Added to the variance.

    Returns:
        The normalized images, and the batch's mean and variance `[C]`, both without gradient.
    """
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=images, scale=scale, offset=offset, mean=[], variance=[], epsilon=epsilon, is_training=True
    )
    count = tf.cast(tf.size(images) // tf.shape(images)[-1], variance.dtype)
    # The operation returns the unbiased variance, while Keras's moving average takes the biased one.
    return outputs, tf.stop_gradient(mean), tf.stop_gradient(variance * (count - 1) / count)
