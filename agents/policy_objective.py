"""The surrogate of the policy gradient as an `Objective`, for optimizers that use the policy's Fisher matrix.

Legend: B steps of experience, O the shape of an observation, A the shape of an action, P parameters of the
actions.
"""

import collections
import functools

import keras
import tensorflow as tf

from ..losses.likelihood import NegativeLogLikelihood
from ..losses.policy import ratio_loss
from ..optimizers.keras_bridge.model_objective import ModelObjective

Experience = collections.namedtuple("Experience", ["actions", "log_probs", "weights"])
Experience.__doc__ = """What a policy learns from at each observation.

Args:
    actions: [B, *A].
    log_probs: Of the actions under the policy that took them, [B].
    weights: Advantages or returns, [B].
"""


class PolicyObjective(ModelObjective):
    r"""The loss \(-\langle w \pi_\theta(a|s) / \pi_{old}(a|s) \rangle\) of a policy on a batch of experience.

    At the old policy its gradient is that of the policy gradient (Eq. 8.2.3, up to the length of an episode).
    Its Fisher matrix is that of the policy's distribution of actions, averaged over the B observations with
    equal weights: the metric of the divergence of Eq. 8.5.1, in which rewards have no part.

    Args:
        model: A network from observations [B, *O] to the parameters of actions [B, P].
        x: The observations.
        y: The `Experience`, or a tuple of its three members.
        actions: What the parameters mean, such as `CategoricalActions`; `None` for `model.actions`.
        **batch: Further arguments of `ModelObjective`.
    """

    def __init__(self, model, x, y, actions=None, **batch):
        super().__init__(model, x, y, **batch)
        self.actions = model.actions if actions is None else actions

    @functools.cached_property
    def likelihood(self):
        """The negative log-likelihood of actions."""
        dtype = self.model.trainable_variables[0].dtype
        return NegativeLogLikelihood(self.actions.distribution, dtype=dtype)

    @property
    def targets(self):
        """The actions."""
        return self.y[0]

    def data_loss(self, outputs):
        """Returns the surrogate, a scalar.

        Args:
            outputs: Parameters of the actions, [B, P].
        """
        actions, log_probs, weights = self.y
        return ratio_loss(self.actions.distribution(outputs).log_prob(actions), log_probs, weights)

    def divergence(self, outputs, old):
        r"""Returns the mean \(\langle D_{KL}(\pi_\theta || \pi_{old}) \rangle\) of Eq. 8.5.1, in nats.

        Args:
            outputs: Parameters of the actions, [B, P].
            old: Those of the policy that visited the observations, [B, P].
        """
        new, old = self.actions.distribution(outputs), self.actions.distribution(old)
        return tf.reduce_mean(new.kl_divergence(old))


class Surrogate(keras.Model):
    """A policy with its surrogate loss, as a model that optimizers train on (observations, `Experience`).

    Args:
        policy: The `Policy`.
    """

    def __init__(self, policy):
        super().__init__(name="surrogate")
        self.policy, self.actions = policy, policy.actions
        self.built = True

    def call(self, observations, training=None):
        """Returns the parameters of the actions, [B, P]."""
        return self.policy(observations, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Returns the surrogate loss, a scalar."""
        del sample_weight
        return PolicyObjective(self, x, y, training=training).data_loss(y_pred)

    def curvature_objective(self, **batch):
        """Returns the surrogate as an `Objective`."""
        return PolicyObjective(self, **batch)
