"""Q-learning by quantile regression (Sec. 8.3): the quantiles of the return.

Legend: B steps of a batch, A actions, K quantiles.
"""

import tensorflow as tf

from ..losses import bellman
from .dqn import DQN
from .settings import QRDQNSettings


class QRDQN(DQN):
    """Learns K quantiles of the return of each action, at the levels (2i + 1) / 2K.

    Minimizes the quantile Huber loss of the quantiles of r + gamma Z(s') and those of Z(s, a). The action
    with the largest mean quantile is taken. Unlike `C51`, it needs no bounds of the return.

    The logs are those of `DQN`. The priorities of replay are the losses.

    Args:
        environment: A Gymnasium id, a `gymnasium.Env`, or a function that returns one.
        settings: The `QRDQNSettings`.
        **kwargs: As for `Agent`.

    Raises:
        ValueError: As for `DQN`.

    References:
        Dabney et al., "Distributional Reinforcement Learning with Quantile Regression" (2018),
        arXiv:1710.10044.
    """

    settings_class = QRDQNSettings

    def _outputs(self):
        return self.settings.quantiles

    def _meaning(self):
        return {"kind": "quantiles"}

    def _losses(self, outputs, targets):
        losses = bellman.quantile_huber_loss(outputs, targets, self.settings.kappa)
        return losses, tf.stop_gradient(losses)
