"""Whitening of activations: batch norm and layer norm (Sec. 5.1.2, Eqs. 5.1.4 and 5.1.5).

Both subtract a mean and divide by a standard deviation. Layer norm takes these over the features of one
example, batch norm over the batch for one feature, with moving averages for use after training. Every
batch norm in curvezoo is created by `batch_normalization`, so that there is one place to change it.

Eq. 5.1.5 divides by sigma, which is zero if a layer's activations are all equal (all ReLUs off). Keras
divides by sqrt(sigma^2 + epsilon).
"""

import keras

from .. import arguments

KINDS = (None, "batch", "layer")


@keras.saving.register_keras_serializable("curvezoo")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras's batch norm, trained with one fused kernel if the backend has one.

    Keras builds batch norm and its gradient from many elementwise operations, which on a CPU take half the
    time of a convolutional network's step. `use_fused_kernel` sets a kernel for float32 images. Without one,
    and for other inputs, this is exactly Keras's layer. Both compute the same function and are saved in the
    same form.

    Args:
        *args: As for `keras.layers.BatchNormalization`.
        **kwargs: As for `keras.layers.BatchNormalization`.
    """

    _fused_kernel = None

    @classmethod
    def use_fused_kernel(cls, kernel):
        """Sets the kernel of all batch norm layers.

        Args:
            kernel: Function from images [B, H, W, C], scale and offset [C] and epsilon to the normalized
                images and the batch's mean and (biased) variance, both [C]; `None` for Keras's operations.
        """
        cls._fused_kernel = None if kernel is None else staticmethod(kernel)

    def call(self, inputs, training=None, mask=None):
        """Normalizes with the batch's moments in training, with the moving averages otherwise."""
        fusible = (
            self._fused_kernel is not None
            and training
            and self.trainable
            and mask is None
            and self.scale
            and self.center
            and not self.synchronized
            and not getattr(self, "renorm", False)
            and len(inputs.shape) == 4
            and self.axis in (-1, 3)
            and keras.backend.standardize_dtype(inputs.dtype) == "float32"
        )
        if not fusible:
            return super().call(inputs, training=training, mask=mask)
        outputs, mean, variance = self._fused_kernel(inputs, self.gamma, self.beta, self.epsilon)
        for average, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            average.assign(average * self.momentum + batch * (1 - self.momentum))
        return outputs


def batch_normalization(momentum=0.9, epsilon=1e-5, **kwargs):
    """Returns batch norm over every axis but the last, Eqs. 5.1.4 and 5.1.5 averaged over the batch.

    Args:
        momentum: Weight of the old value in the moving averages, per step.
        epsilon: Added to the variance.
        **kwargs: Further arguments of `keras.layers.BatchNormalization`.

    Returns:
        A `BatchNormalization`.

    References:
        Ioffe and Szegedy, "Batch Normalization" (2015), arXiv:1502.03167.
    """
    return BatchNormalization(momentum=momentum, epsilon=epsilon, **kwargs)


def fix_statistics(layer):
    """Makes a given mean and variance of a Keras `Normalization` constants of every graph of the layer.

    Keras holds them as tensors, which a traced graph takes as further inputs. A model that is exported to
    ONNX would then demand them from its user.

    Args:
        layer: A built `keras.layers.Normalization` with a mean and a variance. Any other layer, and one whose
            statistics are weights, stays as it is.

    Returns:
        The layer.
    """
    if isinstance(layer, keras.layers.Normalization) and layer.input_mean is not None:
        layer.mean = keras.ops.convert_to_numpy(layer.mean)
        layer.variance = keras.ops.convert_to_numpy(layer.variance)
    return layer


def layer_normalization(epsilon=1e-5, **kwargs):
    """Returns layer norm over the last axis, Eqs. 5.1.4 and 5.1.5, with a learned scale and offset.

    Args:
        epsilon: Added to the variance.
        **kwargs: Further arguments of `keras.layers.LayerNormalization`.

    Returns:
        A `keras.layers.LayerNormalization`.

    References:
        Ba, Kiros and Hinton, "Layer Normalization" (2016), arXiv:1607.06450.
    """
    return keras.layers.LayerNormalization(epsilon=epsilon, **kwargs)


def activation_normalization(kind, **kwargs):
    """Returns a normalization layer for activations.

    Args:
        kind: `None`, `batch` or `layer`.
        **kwargs: Further arguments of the Keras layer.

    Returns:
        A Keras layer, or `None` if `kind` is `None`.

    Raises:
        ValueError: If `kind` is unknown.
    """
    if arguments.one_of("normalization", kind, KINDS) is None:
        return None
    return batch_normalization(**kwargs) if kind == "batch" else layer_normalization(**kwargs)
