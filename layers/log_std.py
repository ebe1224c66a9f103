"""A vector of learned log standard deviations that does not depend on the input."""

import keras
from keras import ops

from .. import arguments


@keras.saving.register_keras_serializable("curvezoo")
class LogStd(keras.layers.Layer):
    """Appends a learned vector to each mean, for a Gaussian with a state-independent scale.

    Inputs [B, A], the means; outputs [B, 2A], the means followed by the log standard deviations.

    Args:
        initial: Initial value of each log standard deviation.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: If `initial` is not a finite number.
    """

    def __init__(self, initial=0.0, **kwargs):
        super().__init__(**kwargs)
        self.initial = arguments.number("initial", initial)
        self.supports_masking = True

    def build(self, input_shape):
        """Creates the vector [A]."""
        self.log_std = self.add_weight(
            name="log_std", shape=(input_shape[-1],), initializer=keras.initializers.Constant(self.initial)
        )

    def call(self, means):
        """Returns the means and the log standard deviations, [B, 2A]."""
        return ops.concatenate([means, ops.broadcast_to(self.log_std, ops.shape(means))], axis=-1)

    def compute_output_shape(self, input_shape):
        """Returns the shape with twice the last axis."""
        return (*input_shape[:-1], 2 * input_shape[-1])

    def get_config(self):
        """Returns the arguments of the layer."""
        return {**super().get_config(), "initial": self.initial}
