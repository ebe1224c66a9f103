"""The likelihood of yes-or-no targets: cross-entropy between labels and a sigmoid of logits.

Legend: B batch, D outputs of one example, ... further axes such as positions.
"""

import keras
import numpy as np
from keras import ops

from .. import arguments
from .likelihood import Likelihood, match_targets


@keras.saving.register_keras_serializable("curvezoo")
class BernoulliNLL(Likelihood):
    """Negative log-likelihood of labels under a sigmoid of logits, in nats (Eq. 3.4.20).

    With a logit a, p = 1 / (1 + exp(-a)) and a label y, the loss of one output is

        L = -y log p - (1 - y) log(1 - p) = max(a, 0) - a y + log(1 + exp(-|a|)),

    summed over the D independent outputs of an example. A label between 0 and 1 is a frequency: the loss is
    then the cross-entropy of Eq. 3.4.20, least at p = y. Logits of any size are safe.

    Labels that are NumPy arrays or lists are checked to lie in [0, 1]. Tensors are not, and so neither are
    labels inside a compiled model: labels of -1 and 1 would give a loss without a lower bound.

    Args:
        reduction: As in `keras.losses.Loss`. Weights have the shape [B, ...] of L, or [B].
        name: Name of the loss.
        dtype: As in `losses.likelihood.Likelihood`.

    Raises:
        ValueError: If `dtype` is not valid.

    Example:
        >>> loss = BernoulliNLL()
        >>> float(loss([[1]], [[0.0]]))  # log 2
        0.6931471824645996
    """

    def __init__(self, reduction="sum_over_batch_size", name="bernoulli_nll", dtype=None):
        super().__init__(reduction, name, dtype)

    def __call__(self, y_true, y_pred, sample_weight=None):
        """Returns the reduced loss, after a check of labels that are NumPy arrays, numbers or lists."""
        if isinstance(y_true, np.ndarray | list | tuple | float | int):
            _check_labels(y_true)
        return super().__call__(y_true, y_pred, sample_weight)

    def call(self, y_true, y_pred):
        """Returns the loss of each example, [B, ...].

        Args:
            y_true: Labels in [0, 1], [B, ..., D]; [B, ...] will do if D is 1.
            y_pred: Logits, [B, ..., D]; [B] is read as [B, 1].

        Raises:
            ValueError: If the shapes are others.
        """
        logits = ops.cast(y_pred, self.dtype)
        if len(logits.shape) == 1:
            logits = ops.expand_dims(logits, -1)
        labels = match_targets(ops.cast(y_true, self.dtype), logits.shape)
        return ops.sum(ops.binary_crossentropy(labels, logits, from_logits=True), axis=-1)

    def distribution(self, y_pred):
        """Returns the law of the labels, whose negative log-likelihood the loss is.

        Args:
            y_pred: Logits, [B, ..., D]; [B] is read as [B, 1].

        Returns:
            A `Bernoulli` of TensorFlow Probability, independent over the last axis.
        """
        # Here and not above: training does without it.
        from tensorflow_probability import distributions as tfd

        logits = ops.cast(y_pred, self.dtype)
        if len(logits.shape) == 1:
            logits = ops.expand_dims(logits, -1)
        return tfd.Independent(tfd.Bernoulli(logits=logits, dtype=logits.dtype), 1)


def _check_labels(labels):
    labels = arguments.finite("y_true", labels)
    bad = (labels < 0.0) | (labels > 1.0)
    if bad.any():
        raise ValueError(f"y_true{arguments.first_index(bad)} must be in [0, 1], got {labels[bad][0]:.9g}")
