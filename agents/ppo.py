"""Proximal policy optimization (Sec. 8.5): epochs of minibatches on each rollout, near the old policy.

Legend: B steps of a rollout over all copies, M steps of a minibatch.
"""

import numpy as np
import tensorflow as tf

from ..losses import policy as objectives
from ..optimizers import replicas
from .descent import adam, descend
from .on_policy import Batch, OnPolicy, normalized
from .settings import PPOSettings

# Beyond these factors of the target the weight of the penalty changes.
_TOLERANCE, _FACTOR = 1.5, 1.5


class PPO(OnPolicy):
    """Proximal policy optimization.

    Each rollout is learned in `epochs` passes of minibatches. The surrogate `clip` is Eq. 8.5.3; `kl` adds
    beta D(old || new), whose factor beta is multiplied or divided by 1.5 after an update if the divergence,
    estimated on its last minibatch, is more than a factor of 1.5 from the target.

    The logs of an update are `policy_loss`, `value_loss`, `entropy`, `kl`, `clip_fraction` (means over its
    minibatches), `explained_variance` of the returns before it, and `kl_weight`.

    Args:
        environment: A Gymnasium id, a `gymnasium.Env`, or a function that returns one.
        settings: The `PPOSettings`.
        **kwargs: As for `Agent`.

    Raises:
        ValueError: As for `Agent`, or if the minibatches do not divide the rollout.

    Example:
        >>> agent = PPO("CartPole-v1", copies=8, rollout=32, minibatch=256)
        >>> logs = agent.learn(512, progress=False)
        >>> int(agent.act(np.zeros(4, "float32"))) in (0, 1)
        True

    References:
        Schulman et al., "Proximal Policy Optimization Algorithms" (2017), arXiv:1707.06347.
        Huang et al., "The 37 Implementation Details of Proximal Policy Optimization" (2022).
    """

    settings_class = PPOSettings

    def _build(self, policy):
        super()._build(policy)
        settings, size = self.settings, self.settings.minibatch
        self._check_minibatch(size)
        replicas.check_divisible("minibatch", size, self.strategy)
        self.optimizer = adam(settings.learning_rate)
        self.optimizer.build(self.policy.trainable_variables + self.value.trainable_variables)
        self.kl_weight = settings.kl_weight
        if self.strategy.num_replicas_in_sync == 1:
            self._optimize = self._program(self._all_steps)
        else:
            self._optimize = self._distributed_steps
            self._distributed = tf.function(
                lambda *inputs: self.strategy.run(self._step, inputs), autograph=False
            )

    def _networks(self):
        return {"policy": (self.policy, None), "value": (self.value, None)}

    def _variables(self):
        slots = {f"optimizer/{index}": v for index, v in enumerate(self.optimizer.variables)}
        return super()._variables() | slots

    def _update(self, batch):
        settings = self.settings
        order = self._minibatches(settings.minibatch, settings.epochs, len(batch.advantages))
        logs = self._optimize(Batch(*map(tf.convert_to_tensor, batch)), order, np.float32(self.kl_weight))
        names = ("policy_loss", "value_loss", "entropy", "kl", "clip_fraction", "last_kl")
        logs = dict(zip(names, np.asarray(logs).tolist(), strict=True))
        last = logs.pop("last_kl")
        if settings.surrogate == "kl":
            logs["kl_weight"] = self.kl_weight
            if last > settings.kl_target * _TOLERANCE:
                self.kl_weight *= _FACTOR
            elif last < settings.kl_target / _TOLERANCE:
                self.kl_weight /= _FACTOR
        return logs

    def _all_steps(self, batch, order, kl_weight):
        """Makes a step for each row of indices in one program; returns the mean logs, [6]."""
        count = order.shape[0]

        def body(index, total, _):
            logs = self._step(batch, order[index], kl_weight)
            return index + 1, total + logs, logs[3]

        _, total, last = tf.while_loop(
            lambda index, *_: index < count, body, (0, tf.zeros(5), tf.zeros(())), maximum_iterations=count
        )
        return tf.concat([total / count, last[None]], 0)

    def _distributed_steps(self, batch, order, kl_weight):
        """The same with each minibatch shared among the replicas."""
        rows = []
        for indices in order:
            logs = self._distributed(batch, tf.constant(indices), tf.constant(kl_weight))
            rows.append(self.strategy.reduce("MEAN", logs, axis=None).numpy())
        return np.append(np.mean(rows, axis=0), rows[-1][3])

    def _step(self, batch, indices, kl_weight):
        """Makes one step on this replica's part of a minibatch; returns the logs, [5]."""
        settings = self.settings
        advantages = tf.gather(batch.advantages, indices)
        if settings.normalize_advantages:
            # Over the whole minibatch, which every replica holds.
            advantages = normalized(advantages)
        indices, advantages = replicas.own_rows(
            [indices, advantages], settings.minibatch // replicas.number()
        )
        old = Batch(*(tf.gather(array, indices) for array in batch))
        weights = self.policy.trainable_variables + self.value.trainable_variables
        with tf.GradientTape() as tape:
            distribution = self.actions.distribution(self.policy(old.observations, training=True))
            log_probs = distribution.log_prob(old.actions)
            values = self.value(old.observations, training=True)[:, 0]
            entropy = tf.reduce_mean(distribution.entropy())
            if settings.surrogate == "clip":
                loss = objectives.clipped_loss(log_probs, old.log_probs, advantages, settings.clip)
            else:
                before = self.actions.distribution(old.outputs)
                penalty = tf.reduce_mean(before.kl_divergence(distribution))
                loss = objectives.ratio_loss(log_probs, old.log_probs, advantages) + kl_weight * penalty
            error = objectives.value_loss(values, old.returns, old.values, settings.value_clip)
            total = loss + settings.value_weight * error - settings.entropy * entropy
        descend(self.optimizer, tape.gradient(total, weights), weights, settings.gradient_norm)
        divergence = objectives.approximate_divergence(log_probs, old.log_probs)
        clipped = objectives.clip_fraction(log_probs, old.log_probs, settings.clip)
        return tf.stack([loss, error, entropy, divergence, clipped])

    def _own_state(self):
        return {**super()._own_state(), "agent/kl_weight": np.array(self.kl_weight)}

    def _restore_own(self, state):
        super()._restore_own(state)
        self.kl_weight = float(state["agent/kl_weight"])
