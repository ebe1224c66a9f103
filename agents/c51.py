"""Categorical distributional Q-learning (Sec. 8.3): the distribution of the return on fixed atoms.

Legend: B steps of a batch, A actions, K atoms.
"""

import numpy as np
import tensorflow as tf

from ..losses import bellman
from .dqn import DQN
from .settings import C51Settings


class C51(DQN):
    """Learns the probabilities of K returns between `low` and `high` for each action.

    Minimizes the cross-entropy of the projected distribution of r + gamma Z(s') and Z(s, a). The action
    with the largest mean return is taken. Returns beyond the atoms count as the outermost atoms, so that
    `low` and `high` must enclose the discounted returns.

    The logs are those of `DQN`; `loss` is in nats. The priorities of replay are the divergences.

    Args:
        environment: A Gymnasium id, a `gymnasium.Env`, or a function that returns one.
        settings: The `C51Settings`.
        **kwargs: As for `Agent`.

    Raises:
        ValueError: As for `DQN`.

    References:
        Bellemare, Dabney and Munos, "A Distributional Perspective on Reinforcement Learning" (2017),
        arXiv:1707.06887.
    """

    settings_class = C51Settings

    def _outputs(self):
        return self.settings.atoms

    def _meaning(self):
        settings = self.settings
        support = np.linspace(settings.low, settings.high, settings.atoms, dtype="float32")
        return {"kind": "atoms", "support": support}

    def _targets(self, batch):
        outputs, actions = self._following(batch)
        probabilities = tf.nn.softmax(bellman.of_actions(outputs, actions))
        return bellman.categorical_projection(
            probabilities, batch.rewards, batch.terminated, batch.discounts, self.actions.support
        )

    def _losses(self, outputs, targets):
        losses = bellman.categorical_loss(outputs, targets)
        entropy = -tf.reduce_sum(tf.math.xlogy(targets, targets), axis=-1)
        return losses, losses - entropy
