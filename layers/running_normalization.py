"""Normalization of inputs by running statistics that are updated between steps of training."""

import keras
from keras import ops

from .. import arguments


@keras.saving.register_keras_serializable("curvezoo")
class RunningNormalization(keras.layers.Layer):
    r"""Shifts and scales each input to mean 0 and variance 1 over all examples that `update` has seen.

        y = clip((x - mean) / sqrt(variance + epsilon), -limit, limit)

    Before the first update the mean is 0 and the variance 1. The statistics change in `update` alone, so that
    a policy stays the same while it collects experience and while it learns from it.

    Inputs [B, ..., D] and outputs of the same shape.

    Args:
        limit: Largest absolute value of an output.
        epsilon: Added to the variance.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: If `limit` or `epsilon` is not positive.
    """

    def __init__(self, limit=10.0, epsilon=1e-8, **kwargs):
        super().__init__(**kwargs)
        self.limit = arguments.positive_number("limit", limit)
        self.epsilon = arguments.positive_number("epsilon", epsilon)
        self.supports_masking = True

    def build(self, input_shape):
        """Creates the statistics, [D]."""
        shape = (input_shape[-1],)
        self.mean = self.add_weight(name="mean", shape=shape, initializer="zeros", trainable=False)
        self.variance = self.add_weight(name="variance", shape=shape, initializer="ones", trainable=False)
        self.count = self.add_weight(name="count", shape=(), initializer="zeros", trainable=False)

    def call(self, inputs):
        """Returns the normalized inputs."""
        scaled = (inputs - self.mean) / ops.sqrt(self.variance + self.epsilon)
        return ops.clip(scaled, -self.limit, self.limit)

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
