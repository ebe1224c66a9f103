"""The policy gradient with K-FAC, the idea of ACKTR: a natural gradient for a few backward passes.

Legend: B steps of a rollout over all copies.
"""

import tensorflow as tf

from ..optimizers.kfac import KFAC
from .on_policy import normalized
from .policy_objective import Experience, Surrogate
from .settings import ACKTRSettings
from .vpg import VPG


class ACKTR(VPG):
    """The vanilla policy gradient whose policy is trained by K-FAC instead of Adam.

    Everything is as in `VPG`, except for the step of the policy. `optimizers.KFAC` takes the gradient of the
    surrogate loss and the Fisher matrix of the policy's distribution of actions, sampled from the policy
    itself and averaged over the rollout's states with equal weights. Its quadratic model sets the step size,
    within a trust region: half s^T F s, the divergence of Eq. 8.5.1 to second order, is at most
    `kl_limit`. Unlike in `TRPO`, that is a prediction. K-FAC rejects a step that raises the surrogate loss,
    and adapts its damping.

    `learning_rate` is K-FAC's, a factor of this step. The paper trains the value function by K-FAC as well;
    here it is trained by Adam.

    Args:
        environment: A Gymnasium id, a `gymnasium.Env`, or a function that returns one.
        settings: The `ACKTRSettings`.
        **kwargs: As for `Agent`.

    Raises:
        ValueError: As for `VPG`.

    Example:
        >>> agent = ACKTR("CartPole-v1", copies=2, rollout=32, value_steps=5)
        >>> logs = agent.learn(128, progress=False)
        >>> int(agent.act([0.0, 0.0, 0.1, 0.0])) in (0, 1)
        True

    References:
        Wu, Mansimov, Liao, Grosse and Ba, "Scalable trust-region method for deep reinforcement learning using
            Kronecker-factored approximation" (2017), arXiv:1708.05144.
    """

    settings_class = ACKTRSettings

    def _build_policy_step(self):
        settings = self.settings
        self.optimizer = KFAC(
            learning_rate=settings.learning_rate,
            damping=settings.damping,
            kl_clip=settings.kl_limit,
            curvature_examples=settings.rollout * self.copies,
            statistics_every=1,
            inverse_every=settings.inverse_every,
            seed=self.seed,
        )
        self._surrogate = Surrogate(self.policy)
        self._surrogate.compile(self.optimizer)
        self.optimizer.build(self._surrogate.trainable_variables)
        # K-FAC's conditions skip the inversions, which a program of XLA would also do.
        self._improve = tf.function(self._policy_step, autograph=False)

    def _policy_step(self, observations, actions, old_log_probs, weights):
        """Makes a step of the policy on the whole rollout; returns the logs."""
        if self.settings.normalize_advantages:
            weights = normalized(weights)
        experience = Experience(actions, old_log_probs, weights)
        distribution = self.actions.distribution(self.policy(observations))
        entropy = tf.reduce_mean(distribution.entropy())
        # The ratio is 1 before the step. The loss that the train step returns is a running mean over steps.
        loss = -tf.reduce_mean(weights)
        self.optimizer.train_step(self._surrogate, (observations, tuple(experience)))
        return {
            "policy_loss": loss,
            "entropy": entropy,
            "kl": self._step_divergence(observations, actions, old_log_probs),
            "damping": tf.identity(self.optimizer.damping),
        }
