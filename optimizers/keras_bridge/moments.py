"""Means and variances of Keras's normalization layers with the right second derivatives."""

import contextlib

import tensorflow as tf


@contextlib.contextmanager
def twice_differentiable_moments():
    """Lets layer and batch normalization be differentiated twice, for functions traced in a `with` block.

    Keras normalizes by `tf.nn.moments`, which stops the gradient of the mean within the variance. The first
    derivative of the variance with respect to the mean is zero, but the second is not, so that Hessians
    through `tf.nn.moments` are wrong.

    Example:
        >>> original = tf.nn.moments
        >>> with twice_differentiable_moments():
        ...     tf.nn.moments is original
        False
        >>> tf.nn.moments is original
        True
    """
    original = tf.nn.moments
    tf.nn.moments = _moments
    try:
        yield
    finally:
        tf.nn.moments = original


def _moments(x, axes, shift=None, keepdims=False, name=None):
    """Returns the mean and the variance, as `tf.nn.moments` does."""
    mean = tf.reduce_mean(x, axes, keepdims=True)
    variance = tf.reduce_mean(tf.math.squared_difference(x, mean), axes, keepdims=True)
    return (mean, variance) if keepdims else (tf.squeeze(mean, axes), tf.squeeze(variance, axes))
