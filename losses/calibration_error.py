"""The expected calibration error as a Keras metric.

Legend: B batch, ... further axes, N examples of a batch, K classes, M bins.
"""

import keras
import numpy as np
from keras import ops

from .. import arguments
from .calibration import uniform_edges
from .likelihood import match_targets, match_weights


@keras.saving.register_keras_serializable("curvezoo")
class ExpectedCalibrationError(keras.metrics.Metric):
    """The expected calibration error in bins of equal width, accumulated over batches.

    Over any batches it equals `losses.expected_calibration_error` of all data at once, up to the rounding of
    single precision. It sums w (correct - confidence) in each bin, since n_m |accuracy_m - confidence_m| is
    the magnitude of this sum. Bins of equal weight depend on all data, and only the function has them.

    Args:
        bins: Number M of bins.
        classwise: `None` for the error of the predicted classes, or the number K of classes for the mean over
            the classes of the error of their probabilities.
        from_logits: Whether the predictions are logits rather than probabilities.
        name: Name of the metric.
        dtype: Precision of the sums.

    Raises:
        ValueError: If an argument is not valid or, when the metric is updated, shapes do not match.

    Example:
        >>> metric = ExpectedCalibrationError(bins=2)
        >>> metric.update_state([0, 0, 1], [0.25, 0.25, 0.55])
        >>> metric.update_state([1, 1], [0.75, 0.75])
        >>> print(f"{float(metric.result()):.6f}")
        0.290000
    """

    def __init__(
        self, bins=15, classwise=None, from_logits=False, name="expected_calibration_error", dtype=None
    ):
        super().__init__(name=name, dtype=dtype)
        self.bins = arguments.integer("bins", bins, 1)
        self.classwise = None if classwise is None else arguments.integer("classwise", classwise, 2)
        self.from_logits = arguments.boolean("from_logits", from_logits)
        self.excess = self.add_variable((self.classwise or 1, self.bins), "zeros", name="excess")
        self.total = self.add_variable((), "zeros", name="total")

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Adds a batch.

        Args:
            y_true: Labels, integers in 0 ... K-1, [B, ...] or [B, ..., 1].
            y_pred: Probabilities or logits, [B, ..., K]; or those of class 1 of two, [B] or [B, ..., 1]. If
                they have a Keras mask, masked examples are left out.
            sample_weight: Weights of the examples, [B, ...] or [B]; `None` for equal ones. A last axis of 1
                may be added.
        """
        p = self._probabilities(ops.convert_to_tensor(y_pred))
        classes = p.shape[-1]
        if self.classwise not in (None, classes):
            raise ValueError(f"y_pred must hold {self.classwise} classes, got {classes}")
        y = match_targets(ops.cast(y_true, "int32"), p.shape[:-1])
        weights = ops.ones_like(p[..., 0])
        if sample_weight is not None:
            weights = match_weights(ops.cast(sample_weight, p.dtype), weights)
        mask = getattr(y_pred, "_keras_mask", None)
        if mask is not None:
            weights = weights * ops.cast(mask, p.dtype)
        p, y, weights = ops.reshape(p, (-1, classes)), ops.reshape(y, (-1,)), ops.reshape(weights, (-1, 1))
        if self.classwise is None:
            confidence = ops.max(p, axis=-1, keepdims=True)
            occurred = ops.expand_dims(ops.equal(ops.cast(ops.argmax(p, axis=-1), "int32"), y), -1)
        else:
            confidence, occurred = p, ops.equal(ops.expand_dims(y, -1), ops.arange(classes, dtype="int32"))
        gaps = ops.cast(weights * (ops.cast(occurred, p.dtype) - confidence), self.dtype)
        rows = ops.arange(confidence.shape[-1], dtype="int32") * self.bins
        index = ops.reshape(self._bin(confidence) + rows, (-1,))
        sums = ops.segment_sum(ops.reshape(gaps, (-1,)), index, self.excess.shape[0] * self.bins)
        self.excess.assign_add(ops.reshape(sums, self.excess.shape))
        self.total.assign_add(ops.cast(ops.sum(weights), self.dtype))

    def result(self):
        """Returns the error over all batches, zero without examples."""
        gaps = ops.sum(ops.abs(self.excess)) / self.excess.shape[0]
        return ops.divide_no_nan(gaps, self.total)

    def get_config(self):
        """Returns the arguments that rebuild this metric."""
        settings = {"bins": self.bins, "classwise": self.classwise, "from_logits": self.from_logits}
        return {**super().get_config(), **settings}

    def _probabilities(self, y_pred):
        """Returns probabilities [B, ..., K], in at least single precision."""
        if keras.backend.standardize_dtype(y_pred.dtype) != "float64":
            y_pred = ops.cast(y_pred, "float32")
        if len(y_pred.shape) == 1:
            y_pred = ops.expand_dims(y_pred, -1)
        if y_pred.shape[-1] != 1:
            return ops.softmax(y_pred) if self.from_logits else y_pred
        p = ops.sigmoid(y_pred) if self.from_logits else y_pred
        return ops.concatenate([1 - p, p], axis=-1)

    def _bin(self, confidence):
        """Returns the bin of each probability, 0 ... M-1, closed on the right."""
        edges = uniform_edges(self.bins)[1:-1]
        if keras.backend.standardize_dtype(confidence.dtype) == "float32":
            # Single-precision numbers are above an edge if they are above the next one below it.
            rounded = edges.astype(np.float32)
            edges = np.where(rounded > edges, np.nextafter(rounded, np.float32(0)), rounded)
        index = ops.searchsorted(edges, ops.reshape(confidence, (-1,)), side="left")
        return ops.reshape(ops.cast(index, "int32"), ops.shape(confidence))
