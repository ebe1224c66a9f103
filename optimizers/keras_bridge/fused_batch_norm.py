"""TensorFlow's fused kernels for the layers that can use one."""

import tensorflow as tf


def fused_batch_norm(images, scale, offset, epsilon):
    """Batch norm by the batch's own moments, as one operation with one gradient.

    Args:
        images: `[B, H, W, C]`, float32.
        scale: `[C]`.
        offset: `[C]`.
        epsilon: Added to the variance.

    Returns:
        The normalised images, and the batch's mean and variance `[C]`, both without gradient.
    """
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=images, scale=scale, offset=offset, mean=[], variance=[], epsilon=epsilon, is_training=True
    )
    count = tf.cast(tf.size(images) // tf.shape(images)[-1], variance.dtype)
    # The operation returns Bessel's estimate; Keras's moving average takes the biased one.
    return outputs, tf.stop_gradient(mean), tf.stop_gradient(variance * (count - 1) / count)
