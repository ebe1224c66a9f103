"""The likelihood of real targets under a mixture, the loss of a mixture density network.

Legend: B batch, K components, D outputs of one example, P parameters of one component, ... further axes.
"""

import keras
from keras import ops

from .. import arguments
from .likelihood import Likelihood, match_targets
from .regression import GaussianNLL, LocationScaleNLL


@keras.saving.register_keras_serializable("curvezoo")
class MixtureNLL(Likelihood):
    """Negative log-likelihood under a mixture of K distributions with predicted parameters, in nats.

        L = -log sum_k w_k p(y | theta_k) = -logsumexp_k (log w_k - L_k),    w = softmax(logits),

    with L_k the loss of component k, summed over its D independent outputs.

    The last axis of y_pred holds K logits and then, for one component after another, the P numbers that the
    loss `component` takes: D locations and D log-scales (P = 2D) if its scale is `None`, else D locations
    (P = D).

    Args:
        components: Number K of components.
        component: A `GaussianNLL`, `LaplaceNLL`, `CauchyNLL`, `StudentTNLL` or `Huber`; `None` for
            `GaussianNLL(scale=None)`. Its reduction and dtype have no effect.
        reduction: As in `keras.losses.Loss`. Weights have the shape [B, ...] of L, or [B].
        name: Name of the loss.
        dtype: As in `losses.likelihood.Likelihood`.

    Raises:
        ValueError: If an argument is not valid.

    References:
        Bishop, "Mixture Density Networks" (1994).
    """

    def __init__(
        self,
        components,
        component=None,
        reduction="sum_over_batch_size",
        name="mixture_nll",
        dtype=None,
    ):
        super().__init__(reduction, name, dtype)
        self.components = arguments.integer("components", components, 1)
        self.component = GaussianNLL(scale=None) if component is None else component
        if not isinstance(self.component, LocationScaleNLL):
            raise ValueError(
                "component must be one of the losses of losses.regression, such as GaussianNLL(scale=None), "
                f"got {component!r}"
            )

    def call(self, y_true, y_pred):
        """Returns the loss of each example, [B, ...].

        Args:
            y_true: Targets, [B, ..., D], or [B, ...] if D is 1.
            y_pred: Logits and parameters, [B, ..., K (1 + P)].

        Raises:
            ValueError: If the shapes do not match these.
        """
        logits, theta = self._split(ops.cast(y_pred, self.dtype))
        outputs = self.component.outputs((*logits.shape[:-1], theta.shape[-1]))
        targets = match_targets(ops.cast(y_true, self.dtype), (*logits.shape[:-1], outputs))
        losses = self.component.nll(ops.expand_dims(targets, -2), theta)
        return -ops.logsumexp(ops.log_softmax(logits) - losses, axis=-1)

    def distribution(self, y_pred):
        """Returns the distribution of the targets whose negative log-likelihood is the loss.

        Args:
            y_pred: As in `call`.

        Returns:
            A `MixtureSameFamily` of TensorFlow Probability.

        Raises:
            ValueError: If TensorFlow Probability has no such component, or the shape does not match.
        """
        # A local import, because training needs no TensorFlow Probability.
        from tensorflow_probability import distributions as tfd

        logits, theta = self._split(ops.cast(y_pred, self.dtype))
        self.component.outputs((*logits.shape[:-1], theta.shape[-1]))
        return tfd.MixtureSameFamily(tfd.Categorical(logits=logits), self.component.conditional(theta))

    def get_config(self):
        """Returns the arguments that rebuild this loss."""
        component = keras.saving.serialize_keras_object(self.component)
        return {**super().get_config(), "components": self.components, "component": component}

    @classmethod
    def from_config(cls, config):
        """Returns the loss with the configuration of `get_config`."""
        component = keras.saving.deserialize_keras_object(config["component"])
        return cls(**{**config, "component": component})

    def _split(self, predictions):
        """Returns the logits [B, ..., K] and the parameters of the components [B, ..., K, P]."""
        parameters = self._parameters(predictions.shape)
        logits, rest = predictions[..., : self.components], predictions[..., self.components :]
        return logits, ops.reshape(rest, (*ops.shape(rest)[:-1], self.components, parameters))

    def _parameters(self, shape):
        """Returns the number P of parameters of one component."""
        length = shape[-1] if len(shape) > 1 else None
        if length is None or length % self.components or length <= self.components:
            raise ValueError(
                f"y_pred must hold logits and parameters of {self.components} components, "
                f"[B, ..., {self.components} (1 + P)], got shape {tuple(shape)}"
            )
        return length // self.components - 1
