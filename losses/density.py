"""The negative log-likelihood of models whose outputs are log-densities.

Legend: B batch.
"""

import keras
from keras import ops

from .likelihood import Likelihood


@keras.saving.register_keras_serializable("curvezoo")
class NegativeLogDensity(Likelihood):
    r"""Negative log-likelihood of a model that returns \(\log p_\theta(x)\), in nats (Eq. 7.2.1).

    \[ L = -\frac{1}{B} \sum_i \log p_\theta(x_i), \]

    an estimate of the divergence of the data's distribution from the model's, up to the entropy of the data.
    The targets are ignored, since the model has seen the images.

    Args:
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        dtype: As in `losses.likelihood.Likelihood`.

    Raises:
        ValueError: If `dtype` is not valid.

    Example:
        >>> float(NegativeLogDensity()([[0.0], [0.0]], [[-1.0], [-3.0]]))
        2.0
    """

    reads_targets = False

    def __init__(self, reduction="sum_over_batch_size", name="negative_log_density", dtype=None):
        super().__init__(reduction, name, dtype)

    def call(self, y_true, y_pred):
        """Returns the loss of each example, [B].

        Args:
            y_true: Ignored, and may be `None`.
            y_pred: Log-densities in nats, [B, 1]; [B] is read as [B, 1].
        """
        if len(y_pred.shape) == 1:
            return -y_pred
        return -ops.sum(y_pred, axis=-1)
