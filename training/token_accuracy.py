"""The accuracy of predicted tokens, without the padding."""

import keras
from keras import ops


class TokenAccuracy(keras.metrics.Mean):
    """The fraction of tokens that have the largest logit, among those that are not padding.

    Args:
        padding: The label of padding.
        name: Name of the metric.
        dtype: Precision of the sums.
    """

    def __init__(self, padding=0, name="token_accuracy", dtype=None):
        super().__init__(name, dtype)
        self.padding = padding

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Adds a batch.

        Args:
            y_true: Labels, `[B, T]`.
            y_pred: Logits, `[B, T, V]`.
            sample_weight: Weights of the tokens, `[B, T]`.
        """
        labels = ops.cast(y_true, "int32")
        mask = ops.cast(ops.not_equal(labels, self.padding), self.dtype)
        if sample_weight is not None:
            mask = mask * ops.cast(sample_weight, self.dtype)
        correct = ops.equal(ops.cast(ops.argmax(y_pred, axis=-1), "int32"), labels)
        return super().update_state(ops.cast(correct, self.dtype), mask)

    def get_config(self):
        """Returns the arguments that rebuild this metric."""
        return {**super().get_config(), "padding": self.padding}
