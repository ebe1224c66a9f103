"""The likelihood of class labels: cross-entropy between labels and a softmax of logits.

Legend: B batch, T positions, K classes.
"""

import numbers

import keras
import numpy as np
from keras import ops

from .. import arguments
from .likelihood import Likelihood
from .tensors import agree


@keras.saving.register_keras_serializable("curvezoo")
class CategoricalNLL(Likelihood):
    """Negative log-likelihood of integer labels under a softmax of logits, in nats (Eq. 1.8.2).

    With logits a and p = softmax(a) (Eq. 1.8.1), the loss of one example with label y is

        L = -log p_y = log sum_j exp(a_j) - a_y.

    Label smoothing s replaces the one-hot label by (1 - s) onehot(y) + s / K, so

        L = -(1 - s) log p_y - (s / K) sum_i log p_i = -log p_y - (s / K) sum_i (a_i - a_y).

    Logits of any size give a finite loss, since the largest is subtracted first. Labels given as NumPy arrays
    or lists are checked to be integers in 0 ... K-1. Tensors, and therefore the labels inside a compiled
    model, are not checked, except by TensorFlow's CPU kernels, which reject labels outside the range.

    Args:
        label_smoothing: Fraction s of the probability that is spread over all classes, in [0, 1).
        ignore_class: A label, any integer, whose examples or positions are left out of the loss, of its mean
            and of its curvature, such as -1 for unknown labels; None to use all.
        reduction: As in `keras.losses.Loss`. Weights are [B] or, for labels [B, T], also [B, T].
        name: Name of the loss.
        dtype: As in `losses.likelihood.Likelihood`.

    Raises:
        ValueError: If `label_smoothing`, `ignore_class` or `dtype` is not valid.

    Example:
        >>> loss = CategoricalNLL()
        >>> float(loss([0], [[0.0, 0.0]]))  # log 2
        0.6931471824645996

    References:
        Kaplan, "Notes on Contemporary Machine Learning for Physicists", section 1.8.
        Szegedy et al., "Rethinking the Inception Architecture for Computer Vision" (2016), section 7.
    """

    def __init__(
        self,
        label_smoothing=0.0,
        reduction="sum_over_batch_size",
        name="categorical_nll",
        dtype=None,
        ignore_class=None,
    ):
        super().__init__(reduction, name, dtype)
        if ignore_class is not None:
            ignore_class = arguments.integer("ignore_class", ignore_class, -(2**31))
        self.ignore_class = ignore_class
        self.label_smoothing = arguments.number("label_smoothing", label_smoothing, 0, 1, bounds="[)")

    def __call__(self, y_true, y_pred, sample_weight=None):
        """Returns the reduced loss; labels that are NumPy arrays, numbers or lists are checked first."""
        check_labels(y_true, y_pred, self.ignore_class)
        return super().__call__(y_true, y_pred, sample_weight)

    def call(self, y_true, y_pred):
        """Returns the loss of each example: [B] for logits [B, K], [B, T] for logits [B, T, K].

        Args:
            y_true: Integer labels, [B] or [B, T]; a last axis of 1 may be added.
            y_pred: Logits, [B, K] or [B, T, K].

        Raises:
            ValueError: If the shapes do not match these.
        """
        labels, logits = labels_and_logits(y_true, y_pred, self.dtype)
        if self.ignore_class is None:
            return self._nll(labels, logits)
        valid = ops.not_equal(labels, ops.cast(self.ignore_class, labels.dtype))
        # Logits that do not count may be infinite, and must not reach the gradient.
        logits = ops.where(valid[..., None], logits, ops.zeros_like(logits))
        nll = self._nll(ops.where(valid, labels, ops.zeros_like(labels)), logits)
        return ops.where(valid, nll, ops.zeros_like(nll))

    def valid(self, y_true, losses):
        """Returns which labels are not `ignore_class`, in the shape of the losses; None if it is not set.

        Args:
            y_true: Labels.
            losses: The value of `call`.
        """
        if self.ignore_class is None:
            return None
        labels = ops.reshape(y_true, ops.shape(losses))
        return ops.not_equal(labels, ops.cast(self.ignore_class, labels.dtype))

    def _nll(self, labels, logits):
        nll = ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)
        if not self.label_smoothing:
            return nll
        # A copy, because take_along_axis cannot read a tf.Variable.
        label_logit = ops.take_along_axis(ops.copy(logits), ops.cast(labels, "int32")[..., None], axis=-1)
        # Subtracting before taking the mean avoids a loss of digits to a large offset common to all logits.
        return nll - self.label_smoothing * ops.mean(logits - label_logit, axis=-1)

    def distribution(self, y_pred):
        """Returns the distribution whose negative log-likelihood is the loss without label smoothing.

        Args:
            y_pred: Logits, [B, K] or [B, T, K].

        Returns:
            A `Categorical` of TensorFlow Probability.
        """
        # A local import, because training needs no TensorFlow Probability.
        from tensorflow_probability import distributions as tfd

        return tfd.Categorical(logits=ops.cast(y_pred, self.dtype))

    def get_config(self):
        """Returns the arguments that rebuild this loss."""
        config = {**super().get_config(), "label_smoothing": self.label_smoothing}
        # Configurations of earlier versions have no `ignore_class`.
        return config if self.ignore_class is None else {**config, "ignore_class": self.ignore_class}


def check_labels(y_true, y_pred, ignore_class=None):
    """Checks labels that are NumPy arrays, numbers or lists; tensors may not be known yet.

    Args:
        y_true: Labels of any shape.
        y_pred: Logits, [..., K].
        ignore_class: A label that is valid, too, or None.

    Raises:
        ValueError: If a label is not an integer in 0 ... K-1; the message has its index.
    """
    if isinstance(y_true, np.ndarray | list | tuple | numbers.Number):
        labels = np.asarray(y_true)
        if ignore_class is not None and np.issubdtype(labels.dtype, np.number):
            labels = np.where(labels == ignore_class, 0, labels)
        labels = arguments.integers("y_true", labels, 0)
        classes = np.shape(y_pred)[-1] if np.ndim(y_pred) else None
        if classes is not None:
            arguments.require("y_true", labels, labels < classes, f"be below the {classes} classes")


def labels_and_logits(y_true, y_pred, dtype):
    """Returns labels without a last axis of 1, and logits of a dtype, after checking their shapes.

    Args:
        y_true: Integer labels, [B] or [B, T]; a last axis of 1 may be added.
        y_pred: Logits, [B, K] or [B, T, K].
        dtype: The dtype of the logits.

    Raises:
        ValueError: If the shapes do not match these.
    """
    logits = ops.cast(y_pred, dtype)
    labels = ops.convert_to_tensor(y_true)
    if len(labels.shape) == len(logits.shape) and labels.shape[-1] == 1:
        labels = ops.squeeze(labels, axis=-1)
    _check_shapes(labels.shape, logits.shape)
    return labels, logits


def _check_shapes(labels, logits):
    """Rejects one-hot labels and single logits, which would broadcast or give a zero loss."""
    if len(logits) < 2 or logits[-1] == 1:
        raise ValueError(
            f"y_pred must hold logits [B, K] or [B, T, K] with K >= 2, got shape {tuple(logits)}"
        )
    if not agree(labels, logits[:-1]):
        raise ValueError(
            "y_true must hold an integer class label for each row of logits, "
            f"got labels of shape {tuple(labels)} for logits of shape {tuple(logits)}"
        )
