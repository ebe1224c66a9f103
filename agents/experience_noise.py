r"""The gradient noise scale of a policy gradient, in steps of experience (Sec. 4.5).

Legend: T steps of a rollout, N copies, B = T N.
"""

import numpy as np
import tensorflow as tf

from .. import arguments
from ..optimizers.noise_scale import estimators
from ..theory.noise_scale import RunningNoiseScale, two_batch_estimates
from .on_policy import OnPolicy, normalized
from .policy_objective import Experience, Surrogate


def noise_scale(agent, rollouts=16, segment=1):
    r"""Measures how many steps of experience a batch of the policy gradient should have.

    A step of experience is an example, with the gradient \(w_t \nabla_\theta \log \pi_\theta(a_t|s_t)\) of
    Eq. 8.2.3, whose weight is an advantage or a return. The noise scale B_simple = tr(Sigma) / |G|^2 (Eq.
    4.5.9) is the number of steps at which signal and noise of the mean gradient are equal. The agent plays
    rollouts with its present policy, each of which gives unbiased estimates of tr Sigma and |G|^2 by
    `optimizers.noise_scale.estimators.squares`; their averages are divided.

    Successive steps of an episode are not independent, and their mean is noisier than that of as many
    independent steps. With `segment=1` Sigma is that of single steps: the noise scale is that of minibatches
    drawn from a large pool of experience. With longer segments Sigma is their length times the covariance of
    the mean gradient of a segment, correlations included: the noise scale is that of whole rollouts. The
    weights of a segment have lost their correlations with the next one if it is longer than 1 / (1 - lam
    gamma), the memory of the advantages.

    The entropy bonus and the value function have no part in it. If the agent normalizes weights, they are
    normalized over a rollout.

    The agent is restored afterwards and learns as if nothing had been measured; copies of an environment that
    can't be pickled begin new episodes.

    Args:
        agent: An agent that learns from the experience of its policy: `VPG`, `PPO`, `TRPO` or `ACKTR`.
        rollouts: Number of rollouts, at least 2.
        segment: Successive steps of one copy that make one example; a divisor of T, at most B / 2.

    Returns:
        A `theory.noise_scale.RunningNoiseScale`, whose `noise_scale` and `standard_error` are in steps of
        experience. The noise scale is infinite if |G|^2 can't be told from zero, as where the policy has
        nothing more to learn.

    Raises:
        ValueError: If an argument is not valid.

    Example:
        >>> from curvezoo.agents import PPO
        >>> measured = noise_scale(PPO("CartPole-v1", copies=8, rollout=32), rollouts=4)
        >>> measured.noise_scale > 1
        True

    References:
        S. McCandlish, J. Kaplan, D. Amodei, An Empirical Model of Large-Batch Training, arXiv:1812.06162.
    """
    if not isinstance(agent, OnPolicy):
        raise ValueError(f"agent must be a VPG, PPO, TRPO or ACKTR, got a {type(agent).__name__}")
    rollouts = arguments.integer("rollouts", rollouts, 2)
    steps = agent.settings.rollout
    segment = arguments.integer("segment", segment, 1, steps * agent.copies // 2)
    if steps % segment:
        raise ValueError(f"segment must divide the {steps} steps of a rollout, got {segment}")
    squares = _squares(agent, segment)
    running, state = RunningNoiseScale(decay=1.0), agent.state()
    try:
        for _ in range(rollouts):
            batch = agent._batch(agent._rollout())
            small, big, batch_small, batch_big = squares(*_by_copy(agent, batch)).numpy().astype(float)
            running.update(*two_batch_estimates(small, big, batch_small, batch_big))
    finally:
        agent.restore(state)
    return running


def _squares(agent, segment):
    """Returns the compiled measurement of squared gradient norms of segments and of a rollout."""
    surrogate = Surrogate(agent.policy)
    method = estimators.choose(surrogate) if segment == 1 else "microbatches"
    pieces = agent.settings.rollout * agent.copies // segment

    def measured(observations, actions, log_probs, weights):
        if getattr(agent.settings, "normalize_advantages", True):
            weights = normalized(weights)
        data = observations, tuple(Experience(actions, log_probs, weights))
        return estimators.squares(method, surrogate, data, pieces)

    return tf.function(measured, autograph=False)


def _by_copy(agent, batch):
    """Returns a rollout's experience as tensors, in which successive steps are those of one copy."""
    order = np.arange(len(batch.advantages)).reshape(-1, agent.copies).T.ravel()
    arrays = batch.observations, batch.actions, batch.log_probs, batch.advantages
    return [tf.gather(array, order) for array in arrays]
