r"""Losses of Q-learning (Sec. 8.3): the error of the Bellman equation, for values and for distributions.

No gradient flows through a target. Where an episode was cut off by a time limit, the value of its last state
is not zero: only `terminated` removes it.

Legend: B steps of experience, A actions, K atoms or quantiles of the return.

References:
    Mnih et al., "Human-level control through deep reinforcement learning" (2015).
    van Hasselt, Guez and Silver, "Deep Reinforcement Learning with Double Q-learning" (2016),
    arXiv:1509.06461.
    Bellemare, Dabney and Munos, "A Distributional Perspective on Reinforcement Learning" (2017),
    arXiv:1707.06887.
    Dabney et al., "Distributional Reinforcement Learning with Quantile Regression" (2018), arXiv:1710.10044.
"""

import numbers

import numpy as np
import tensorflow as tf

from .. import arguments
from . import tensors


def td_targets(rewards, next_values, terminated, discount):
    r"""Returns \(r + \gamma V(s')\), and \(r\) where \(s'\) is terminal (the sample of Eq. 8.3.2).

    Args:
        rewards: [B].
        next_values: Of the next states, [B] or [B, K].
        terminated: 1 where the next state is terminal, 0 otherwise, [B].
        discount: The discount of the next value, a number or [B].

    Returns:
        The targets, of the shape of `next_values`, without gradient.

    Raises:
        ValueError: If `next_values` are not floating-point, the shapes do not match, or `discount` is a
            number outside [0, 1].
    """
    next_values = tensors.floating(next_values=next_values)
    steps = next_values.shape[:1]
    for name, value in (("rewards", rewards), ("terminated", terminated)):
        shape = tf.convert_to_tensor(value).shape
        if not tensors.agree(shape, steps):
            raise ValueError(f"{name} must have shape {tuple(steps)}, got {tuple(shape)}")
    extra = len(next_values.shape) - 1
    column = [-1, *[1] * extra]
    if isinstance(discount, numbers.Number):
        # TensorFlow would round a Python number to float32.
        discount = np.float64(arguments.number("discount", discount, 0, 1))
    rewards, terminated, discount = (
        tf.reshape(tf.cast(x, next_values.dtype), column) for x in (rewards, terminated, discount)
    )
    continued = 1 - terminated
    return tf.stop_gradient(rewards + discount * continued * next_values)


def of_actions(outputs, actions):
    """Returns the outputs of one action in each row.

    Args:
        outputs: [B, A] or [B, A, K].
        actions: Integers [B].

    Returns:
        [B] or [B, K].

    Raises:
        ValueError: If `actions` do not have one axis.
    """
    tensors.axes("actions", tf.convert_to_tensor(actions), "[B]")
    return tf.gather(outputs, actions, axis=1, batch_dims=1)


def double_values(online, target):
    r"""Returns \(Q'(s, \mathrm{argmax}_a Q(s, a))\), the next values of double Q-learning.

    One network chooses the action and the other one values it. If their errors are independent, the value of
    the chosen action is not biased, whereas the maximum of noisy values is biased upwards.

    Args:
        online: Values Q of the network that chooses, [B, A].
        target: Values Q' of the network that values the choice, [B, A].

    Returns:
        [B].

    Raises:
        ValueError: If a tensor is not floating-point, or the shapes differ.
    """
    online, target = tensors.alike(online=online, target=target)
    return of_actions(target, tf.argmax(online, axis=1))


def huber(errors, threshold=1.0):
    r"""Returns \(e^2 / 2\) for \(|e| \le c\) and \(c (|e| - c / 2)\) beyond, of the errors' shape.

    Args:
        errors: Of any shape.
        threshold: The threshold c, a number of at least 0.

    Raises:
        ValueError: If the threshold is not such a number.
    """
    threshold = arguments.nonnegative_number("threshold", threshold)
    size = tf.abs(errors)
    small = tf.minimum(size, threshold)
    return small * (size - small / 2)


def categorical_projection(probabilities, rewards, terminated, discount, support):
    r"""Projects the distribution of \(r + \gamma Z(s')\) onto the atoms \(z_i\) of the support.

    The probability of a return between two atoms is split between them so that its mean stays the same; a
    return beyond the support goes to its end:
    \(m_i = \sum_j p_j [1 - |[r + \gamma z_j] - z_i| / \Delta z]_+\), where the inner brackets clip to it.
    A return that lies on an atom leaves all of its probability there.

    Args:
        probabilities: Of the atoms in the next state, [B, K].
        rewards: [B].
        terminated: 1 where the next state is terminal, 0 otherwise, [B].
        discount: The discount of the next value, a number or [B].
        support: Returns of the atoms, in equal steps, [K].

    Returns:
        The probabilities of the atoms, [B, K], without gradient.

    Raises:
        ValueError: As `td_targets`.
    """
    probabilities = tensors.floating(probabilities=probabilities)
    support = tf.cast(support, probabilities.dtype)
    if not tensors.agree(support.shape, probabilities.shape[-1:]):
        raise ValueError(
            f"support must have shape {tuple(probabilities.shape[-1:])}, got {tuple(support.shape)}"
        )
    atoms = tf.broadcast_to(support, tf.shape(probabilities))
    returns = td_targets(rewards, atoms, terminated, discount)
    returns = tf.clip_by_value(returns, support[0], support[-1])
    spacing = (support[-1] - support[0]) / (support.shape[0] - 1)
    distances = tf.abs(returns[:, None, :] - support[:, None]) / spacing
    shares = tf.maximum(1 - distances, 0)
    # Rounding of the spacing would leave the sum of shares a little off 1.
    shares /= tf.reduce_sum(shares, axis=1, keepdims=True)
    return tf.stop_gradient(tf.linalg.matvec(shares, probabilities))


def categorical_loss(logits, targets):
    """Returns the cross-entropy of target probabilities and softmax(logits), in nats, [B].

    Args:
        logits: [B, K].
        targets: Probabilities, [B, K].

    Raises:
        ValueError: If a tensor is not floating-point, or the shapes differ.
    """
    logits, targets = tensors.alike(logits=logits, targets=targets)
    return -tf.reduce_sum(targets * tf.nn.log_softmax(logits), axis=-1)


def quantile_huber_loss(quantiles, targets, kappa=1.0):
    r"""Returns \(\sum_i \langle |\tau_i - 1_{u < 0}| H_\kappa(u) / \kappa \rangle_j\) with
    \(u = t_j - \theta_i\) and \(\tau_i = (2i + 1) / 2K\), i = 0 ... K - 1.

    For kappa = 0 it is the loss of quantile regression, \(u (\tau - 1_{u < 0})\), and each minimizer
    \(\theta_i\) is a quantile of the targets at \(\tau_i\).

    Args:
        quantiles: The \(\theta_i\), [B, K].
        targets: Samples or quantiles of the target distribution, [B, J], without gradient.
        kappa: Threshold of the Huber loss; 0 for the absolute value.

    Returns:
        [B].

    Raises:
        ValueError: If a tensor is not floating-point or does not have two axes, the numbers of rows differ,
            or `kappa` is not a number of at least 0.
    """
    quantiles, targets = tensors.floating(quantiles=quantiles, targets=targets)
    for name, tensor in (("quantiles", quantiles), ("targets", targets)):
        tensors.axes(name, tensor, "[B, K]")
    if not tensors.agree(quantiles.shape[:1], targets.shape[:1]):
        raise ValueError(
            f"quantiles and targets must have one number of rows, got {quantiles.shape[0]} and "
            f"{targets.shape[0]}"
        )
    kappa = arguments.nonnegative_number("kappa", kappa)
    count = quantiles.shape[1]
    levels = (2 * tf.range(count, dtype=quantiles.dtype) + 1) / (2 * count)
    errors = tf.stop_gradient(targets)[:, None, :] - quantiles[:, :, None]
    sizes = huber(errors, kappa) / kappa if kappa else tf.abs(errors)
    below = tf.cast(errors < 0, errors.dtype)
    return tf.reduce_sum(tf.reduce_mean(tf.abs(levels[:, None] - below) * sizes, axis=2), axis=1)
