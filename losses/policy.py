"""Objectives of policy gradients (Secs. 8.2 and 8.5), as functions of log-probabilities.

All take floating-point tensors of one shape, and raise a ValueError for others.

Legend: B steps of experience.
"""

import tensorflow as tf

from .. import arguments
from . import tensors


def policy_gradient_loss(log_probs, weights):
    r"""Returns the surrogate \(-\langle w \log \pi_\theta(a|s) \rangle\), a scalar (Eqs. 8.2.2 and 8.2.3).

    Its gradient is minus that of the expected return; its value does not measure performance.

    Args:
        log_probs: Of the actions taken, [B].
        weights: The return of the episode, the return to go, or the advantage, [B].
    """
    log_probs, weights = tensors.alike(log_probs=log_probs, weights=weights)
    return -tf.reduce_mean(log_probs * tf.stop_gradient(weights))


def ratio_loss(log_probs, old_log_probs, advantages):
    r"""Returns \(-\langle A \pi_\theta(a|s) / \pi_{old}(a|s) \rangle\), a scalar.

    At the old policy its gradient is that of `policy_gradient_loss`.

    Args:
        log_probs: Of the actions taken, [B].
        old_log_probs: Under the policy that took them, [B].
        advantages: [B].
    """
    log_probs, old_log_probs, advantages = tensors.alike(
        log_probs=log_probs, old_log_probs=old_log_probs, advantages=advantages
    )
    return -tf.reduce_mean(tf.exp(log_probs - old_log_probs) * advantages)


def clipped_loss(log_probs, old_log_probs, advantages, clip):
    r"""Returns the clipped surrogate of PPO, a scalar (Eq. 8.5.3).

    \(-\langle \min(r A, \mathrm{clip}(r, 1 - \epsilon, 1 + \epsilon) A) \rangle\) with
    \(r = \pi_\theta(a|s) / \pi_{old}(a|s)\).

    Args:
        log_probs: Of the actions taken, [B].
        old_log_probs: Under the policy that took them, [B].
        advantages: [B].
        clip: The epsilon, positive.

    Raises:
        ValueError: If `clip` is not a positive number.
    """
    clip = arguments.positive_number("clip", clip)
    log_probs, old_log_probs, advantages = tensors.alike(
        log_probs=log_probs, old_log_probs=old_log_probs, advantages=advantages
    )
    ratio = tf.exp(log_probs - old_log_probs)
    clipped = tf.clip_by_value(ratio, 1 - clip, 1 + clip)
    return -tf.reduce_mean(tf.minimum(ratio * advantages, clipped * advantages))


def clip_fraction(log_probs, old_log_probs, clip):
    """Returns the share of steps whose ratio lies outside 1 ± clip, a scalar.

    Args:
        log_probs: Of the actions taken, [B].
        old_log_probs: Under the policy that took them, [B].
        clip: The epsilon of Eq. 8.5.3, positive.

    Raises:
        ValueError: If `clip` is not a positive number.
    """
    clip = arguments.positive_number("clip", clip)
    log_probs, old_log_probs = tensors.alike(log_probs=log_probs, old_log_probs=old_log_probs)
    outside = tf.abs(tf.exp(log_probs - old_log_probs) - 1) > clip
    return tf.reduce_mean(tf.cast(outside, tf.float32))


def approximate_divergence(log_probs, old_log_probs):
    r"""Returns an unbiased estimate of \(D(\pi_{old} || \pi_\theta)\) from the old policy's actions.

    The mean of \((r - 1) - \log r\), which has a lower variance than that of \(-\log r\) and is never
    negative.

    Args:
        log_probs: Of the actions taken, [B].
        old_log_probs: Under the policy that took them, [B].

    References:
        Schulman, "Approximating KL Divergence" (2020).
    """
    log_probs, old_log_probs = tensors.alike(log_probs=log_probs, old_log_probs=old_log_probs)
    log_ratio = log_probs - old_log_probs
    return tf.reduce_mean(tf.math.expm1(log_ratio) - log_ratio)


def value_loss(values, returns, old_values=None, clip=None):
    r"""Returns half the mean squared error of a value function, a scalar.

    With a `clip` it is the larger of the errors of V and of \(V_{old} + \mathrm{clip}(V - V_{old}, \pm c)\).

    Args:
        values: [B].
        returns: [B].
        old_values: Before the update, [B].
        clip: Largest change of a value, positive; `None` for no limit.

    Raises:
        ValueError: If `clip` is not a positive number.
    """
    values, returns = tensors.alike(values=values, returns=returns)
    squares = (values - returns) ** 2
    if clip is not None:
        clip = arguments.positive_number("clip", clip)
        _, old_values = tensors.alike(values=values, old_values=old_values)
        limited = old_values + tf.clip_by_value(values - old_values, -clip, clip)
        squares = tf.maximum(squares, (limited - returns) ** 2)
    return tf.reduce_mean(squares) / 2
