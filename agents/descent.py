"""Steps of gradient descent whose examples are shared among the replicas of a strategy."""

import keras
import tensorflow as tf

from ..optimizers import replicas


def adam(rate):
    """Returns the Adam of reinforcement learning, whose epsilon is larger than Keras's.

    Args:
        rate: The learning rate.
    """
    return keras.optimizers.Adam(rate, epsilon=1e-5)


def descend(optimizer, gradients, weights, limit=None):
    """Applies the mean of the replicas' gradients.

    Args:
        optimizer: A Keras optimizer.
        gradients: Of the mean loss over this replica's part.
        weights: The weights.
        limit: Largest norm of the mean gradient; `None` for no limit.
    """
    number = replicas.number()
    # Keras's optimizer adds up the replicas' gradients.
    gradients = [gradient / number**2 for gradient in replicas.total(gradients)]
    if limit is not None:
        gradients, _ = tf.clip_by_global_norm(gradients, limit / number)
    optimizer.apply(gradients, weights)
