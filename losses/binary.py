"""The likelihood of binary targets: cross-entropy between labels and a sigmoid of logits.

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
    then the cross-entropy of Eq. 3.4.20, with its minimum at p = y. Logits of any size give a finite loss.

    Labels given as NumPy arrays or lists are checked to be in [0, 1]. Tensors, and therefore the labels
    inside a compiled model, are not checked; with labels of -1 and 1 the loss has no lower bound.

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
        """Returns the reduced loss; labels that are NumPy arrays, numbers or lists are checked first."""
        if isinstance(y_true, np.ndarray | list | tuple | float | int):
            _check_labels(y_true)
        return super().__call__(y_true, y_pred, sample_weight)

    def call(self, y_true, y_pred):
        """Returns the loss of each example, [B, ...].

        Args:
            y_true: Labels in [0, 1], [B, ..., D], or [B, ...] if D is 1.
            y_pred: Logits, [B, ..., D]; [B] is read as [B, 1].

        Raises:
            ValueError: If the shapes do not match these.
        """
        logits = ops.cast(y_pred, self.dtype)
        if len(logits.shape) == 1:
            logits = ops.expand_dims(logits, -1)
        labels = match_targets(ops.cast(y_true, self.dtype), logits.shape)
        return ops.sum(ops.binary_crossentropy(labels, logits, from_logits=True), axis=-1)

    def distribution(self, y_pred):
        """Returns the distribution of the labels whose negative log-likelihood is the loss.

        Args:
            y_pred: Logits, [B, ..., D]; [B] is read as [B, 1].

        Returns:
            A `Bernoulli` of TensorFlow Probability, independent over the last axis.
        """
        # A local import, because training needs no TensorFlow Probability.
        from tensorflow_probability import distributions as tfd

        logits = ops.cast(y_pred, self.dtype)
        if len(logits.shape) == 1:
            logits = ops.expand_dims(logits, -1)
        return tfd.Independent(tfd.Bernoulli(logits=logits, dtype=logits.dtype), 1)


def _check_labels(labels):
    labels = arguments.finite("y_true", labels)
    arguments.require("y_true", labels, (labels >= 0.0) & (labels <= 1.0), "be in [0, 1]")
