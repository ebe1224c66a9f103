"""Normalization of inputs by running statistics that are updated between steps of training."""

import keras
from keras import ops

from .. import arguments


@keras.saving.register_keras_serializable("curvezoo")
class RunningNormalization(keras.layers.Layer):
    r"""Shifts and scales each input to mean 0 and variance 1 over all examples that `update` has seen.

        y = clip((x - mean) / sqrt(variance + epsilon), -limit, limit)

    Before the first update the mean is 0 and the variance 1. The statistics change in `update` alone, so that
    a policy stays the same while it collects experience and while it learns from it. Differences to the mean
    are taken in at least float32, also under a mixed-precision policy.

    Inputs [B, ..., D] and outputs of the same shape.

    Args:
        limit: Largest absolute value of an output.
        epsilon: Added to the variance.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: If `limit` or `epsilon` is not positive.
    """

    def __init__(self, limit=10.0, epsilon=1e-8, **kwargs):
        # Half precision would round the inputs before the mean is subtracted, and epsilon to zero.
        super().__init__(autocast=False, **kwargs)
        self.limit = arguments.positive_number("limit", limit)
        self.epsilon = arguments.positive_number("epsilon", epsilon)
        self.supports_masking = True

    def build(self, input_shape):
        """Creates the statistics, [D]."""
        each = {"shape": (input_shape[-1],), "trainable": False, "autocast": False}
        self.mean = self.add_weight(name="mean", initializer="zeros", **each)
        self.variance = self.add_weight(name="variance", initializer="ones", **each)
        self.count = self.add_weight(name="count", shape=(), initializer="zeros", trainable=False)

    def call(self, inputs):
        """Returns the normalized inputs."""
        dtype = keras.backend.result_type(self.compute_dtype, "float32")
        inputs, mean, variance = (ops.cast(x, dtype) for x in (inputs, self.mean, self.variance))
        scaled = (inputs - mean) / ops.sqrt(variance + self.epsilon)
        return ops.cast(ops.clip(scaled, -self.limit, self.limit), self.compute_dtype)

    def update(self, examples):
        """Adds examples to the statistics, by the formula of Chan et al. (1979) for two samples.

        Args:
            examples: [N, ..., D].
        """
        examples = ops.reshape(ops.cast(examples, self.mean.dtype), (-1, ops.shape(examples)[-1]))
        count = ops.cast(ops.shape(examples)[0], self.mean.dtype)
        mean = ops.mean(examples, axis=0)
        variance = ops.mean(ops.square(examples - mean), axis=0)
        total = self.count + count
        difference, share = mean - self.mean, count / total
        self.variance.assign(
            (1 - share) * self.variance + share * variance + share * (1 - share) * ops.square(difference)
        )
        self.mean.assign(self.mean + share * difference)
        self.count.assign(total)

    def compute_output_shape(self, input_shape):
        """Returns the shape of the inputs."""
        return input_shape

    def get_config(self):
        """Returns the arguments of the layer."""
        return {**super().get_config(), "limit": self.limit, "epsilon": self.epsilon}
