"""The likelihood of padded sequences of class labels.

Legend: B batch, T positions, K classes.
"""

import keras

from .. import arguments
from .classification import CategoricalNLL


@keras.saving.register_keras_serializable("curvezoo")
class MaskedCategoricalNLL(CategoricalNLL):
    r"""Negative log-likelihood of sequences of labels of unequal lengths, in nats (Eq. 1.8.2).

    This is `CategoricalNLL(ignore_class=padding, reduction="mean_with_sample_weight")`: positions whose label
    is `padding` count neither in the loss nor in its curvature. With losses \(L_{bt}\) of `CategoricalNLL`
    and \(m_{bt} = 1\) where the label is not padding and 0 elsewhere, the loss is the mean over the tokens

    \[ L = \frac{\sum_{bt} m_{bt} L_{bt}}{\sum_{bt} m_{bt}}, \]

    or zero if there are none. Each token has the same weight, so a long sequence counts more than a short
    one. Under a `tf.distribute` strategy each replica divides by the number of its own tokens, and the loss
    is the mean over the replicas. If their numbers of tokens differ, it differs slightly from the loss of the
    whole batch on a single device.

    Args:
        padding: The label of positions after a sequence's end.
        label_smoothing: As in `CategoricalNLL`.
        reduction: As in `CategoricalNLL`; the default divides by the sum of the weights.
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
        padding = arguments.integer("padding", padding, 0)
        super().__init__(label_smoothing, reduction, name, dtype, ignore_class=padding)

    def get_config(self):
        """Returns the arguments that rebuild this loss."""
        config = {**super().get_config(), "padding": self.ignore_class}
        del config["ignore_class"]
        return config
