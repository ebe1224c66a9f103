"""The likelihood of padded sequences of class labels.

Legend: B batch, T positions, K classes.
"""

import keras
from keras import ops

from .. import arguments
from .classification import CategoricalNLL, check_labels


@keras.saving.register_keras_serializable("curvezoo")
class MaskedCategoricalNLL(CategoricalNLL):
    r"""Negative log-likelihood of sequences of labels of unequal lengths, in nats (Eq. 1.8.2).

    Positions whose label is `padding` do not count. With losses \(L_{bt}\) of `CategoricalNLL` and
    \(m_{bt} = 1\) where the label is not padding and 0 elsewhere, the loss is the mean over the tokens

    \[ L = \frac{\sum_{bt} m_{bt} L_{bt}}{\sum_{bt} m_{bt}}, \]

    or zero if there are none. Each token has the same weight, so a long sequence counts more than a short
    one. Under a `tf.distribute` strategy each replica divides by the number of its own tokens, and the loss
    is the mean over the replicas. If their numbers of tokens differ, it differs slightly from the loss of the
    whole batch on a single device.

    Args:
        padding: The label of positions after a sequence's end.
        label_smoothing: As in `CategoricalNLL`.
        reduction: As in `keras.losses.Loss`; the default divides by the sum of the weights.
        name: Name of the loss.
        dtype: As in `losses.likelihood.Likelihood`.

    Raises:
        ValueError: If `padding`, `label_smoothing` or `dtype` is not valid.

    Example:
        >>> loss = MaskedCategoricalNLL()
        >>> float(loss([[1, 0, 0]], [[[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]]]))  # log 2; the rest is padding
        0.6931471824645996
    """

    def __init__(
        self,
        padding=0,
        label_smoothing=0.0,
        reduction="mean_with_sample_weight",
        name="masked_categorical_nll",
        dtype=None,
    ):
        super().__init__(label_smoothing, reduction, name, dtype)
        self.padding = arguments.integer("padding", padding, 0)

    def __call__(self, y_true, y_pred, sample_weight=None):
        """Returns the reduced loss.

        Args:
            y_true: Integer labels, [B, T].
            y_pred: Logits, [B, T, K].
            sample_weight: Weights of the examples, [B], or of the tokens, [B, T].

        Raises:
            ValueError: If the shapes do not match these.
        """
        check_labels(y_true, y_pred)
        labels = ops.convert_to_tensor(y_true)
        mask = ops.cast(ops.not_equal(labels, ops.cast(self.padding, labels.dtype)), self.dtype)
        if sample_weight is not None:
            weights = ops.convert_to_tensor(sample_weight, dtype=self.dtype)
            mask = mask * (ops.expand_dims(weights, -1) if len(weights.shape) < len(mask.shape) else weights)
        return super().__call__(labels, y_pred, mask)

    def distribution(self, y_pred):
        """Raises a ValueError: curvature matrices would count the padding."""
        raise ValueError(
            f"{self.name} must not be used where the curvature of the loss is needed, since its padding has "
            f"none; use CategoricalNLL(ignore_class={self.padding})"
        )

    def get_config(self):
        """Returns the arguments that rebuild this loss."""
        return {**super().get_config(), "padding": self.padding}
