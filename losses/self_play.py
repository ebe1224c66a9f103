"""The loss of AlphaZero (Sec. 8.6).

Legend: B positions, A actions.
"""

import tensorflow as tf

from . import tensors


def self_play_loss(logits, values, visits, returns):
    r"""Returns \(\langle (r - v)^2 - \sum_a \pi(a|s) \log p(a|s) \rangle\), a scalar (Eq. 8.6.1).

    The weight decay of the paper is left to the optimizer. An action that is not legal has \(\pi = 0\); its
    logit may be minus infinity.

    Args:
        logits: Of the policy p, [B, A].
        values: The network's expected return v of the player to move, [B].
        visits: The policy pi of the search (Eq. 8.6.5), [B, A].
        returns: The game's return r for that player, [B].

    Raises:
        ValueError: If a tensor is not floating-point, or `logits` and `visits`, or `values` and `returns`,
            have different shapes.
    """
    logits, visits = tensors.alike(logits=logits, visits=visits)
    values, returns = tensors.alike(values=values, returns=returns)
    log_probs = tf.nn.log_softmax(logits)
    # The product of zero and minus infinity is not defined.
    searched = tf.where(visits > 0, log_probs, tf.zeros_like(log_probs))
    return tf.reduce_mean((returns - values) ** 2 - tf.reduce_sum(visits * searched, axis=-1))
