"""What the outputs of a policy network mean: distributions of actions, or values of discrete ones.

All share `greedy(outputs)`, the best action, and `sample(outputs, seed)`, a random one, as functions of
tensors. They are serializable parts of a `Policy`.

Legend: B batch, A discrete actions or components of a continuous one, K atoms or quantiles of a return.
"""

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from .. import arguments

tfd = tfp.distributions


class Actions:
    """Base class: an object of named arguments that Keras can save."""

    def __init__(self, **config):
        self._config = config

    @property
    def output_shape(self):
        """The shape of a network's outputs for one observation, with `None` for any length."""
        return (self.size,)

    def get_config(self):
        """Returns the arguments."""
        return dict(self._config)

    @classmethod
    def from_config(cls, config):
        """Returns the object of these arguments."""
        return cls(**config)


@keras.saving.register_keras_serializable("curvezoo")
class CategoricalActions(Actions):
    """A probability for each of A discrete actions; the outputs are logits [B, A].

    Args:
        count: Number A of actions.
    """

    def __init__(self, count):
        super().__init__(count=arguments.integer("count", count, 1))
        self.size = count

    def distribution(self, outputs):
        """Returns the `tfp.distributions.Categorical` of actions int32 [B]."""
        return tfd.Categorical(logits=outputs, dtype=tf.int32)

    def greedy(self, outputs):
        """Returns the most probable actions, int32 [B]."""
        return tf.argmax(outputs, axis=-1, output_type=tf.int32)

    def sample(self, outputs, seed):
        """Returns random actions, int32 [B]; `seed` is an int32 tensor [2]."""
        # The maximum of logits with Gumbel noise, as `Categorical.sample` with fewer operations.
        uniform = tf.random.stateless_uniform(tf.shape(outputs), seed, 1e-20, 1.0)
        return self.greedy(outputs - tf.math.log(-tf.math.log(uniform)))

    def bounded(self, actions):
        """Returns actions as the environment takes them."""
        return actions

    clipped = bounded


class BoundedActions(Actions):
    """Base class of continuous actions between two bounds.

    Args:
        low: Lower bounds of the environment's actions, [A].
        high: Upper bounds, [A].
    """

    def __init__(self, low, high):
        self.low, self.high = (np.ravel(bound).astype("float32") for bound in (low, high))
        super().__init__(low=self.low.tolist(), high=self.high.tolist())


@keras.saving.register_keras_serializable("curvezoo")
class GaussianActions(BoundedActions):
    """Independent Gaussians; the outputs [B, 2A] are their means and log standard deviations.

    Args:
        low: Lower bounds of the environment's actions, [A].
        high: Upper bounds, [A].
    """

    def __init__(self, low, high):
        super().__init__(low, high)
        self.size = 2 * len(self.low)

    def distribution(self, outputs):
        """Returns the distribution of actions [B, A], a `tfp.distributions.Independent` of normal ones."""
        means, log_stds = tf.split(outputs, 2, axis=-1)
        # Cheaper than a `MultivariateNormalDiag`, whose divergence multiplies and solves with matrices.
        return tfd.Independent(tfd.Normal(means, tf.exp(log_stds)), 1)

    def greedy(self, outputs):
        """Returns the means, within the bounds, [B, A]."""
        return self.bounded(tf.split(outputs, 2, axis=-1)[0])

    def sample(self, outputs, seed):
        """Returns random actions, which may lie outside the bounds, [B, A]; `seed` is int32 [2]."""
        means, log_stds = tf.split(outputs, 2, axis=-1)
        return means + tf.exp(log_stds) * tf.random.stateless_normal(tf.shape(means), seed, dtype=means.dtype)

    def bounded(self, actions):
        """Returns actions clipped to the bounds, as the environment takes them."""
        return tf.clip_by_value(actions, self.low, self.high)

    def clipped(self, actions):
        """Returns a NumPy array clipped to the bounds."""
        return np.clip(actions, self.low, self.high)


@keras.saving.register_keras_serializable("curvezoo")
class DeterministicActions(BoundedActions):
    """The outputs [B, A] in [-1, 1] are the action, scaled to the bounds.

    Args:
        low: Lower bounds of the environment's actions, [A].
        high: Upper bounds, [A].
    """

    def __init__(self, low, high):
        super().__init__(low, high)
        self.size = len(self.low)

    def greedy(self, outputs):
        """Returns the actions, [B, A]."""
        return self.low + (outputs + 1) / 2 * (self.high - self.low)

    def sample(self, outputs, seed):
        """Returns the same: the policy is deterministic."""
        del seed
        return self.greedy(outputs)


@keras.saving.register_keras_serializable("curvezoo")
class ValuedActions(Actions):
    """A value for each of A discrete actions; the action with the largest value is taken.

    Args:
        count: Number A of actions.
        kind: What the outputs are: `values`, [B, A]; `quantiles` of the return, [B, A, K], whose mean is the
            value; or `atoms`, logits of the atoms of a `support`, [B, A, K].
        support: The returns of the atoms, [K].
    """

    KINDS = ("values", "quantiles", "atoms")

    def __init__(self, count, kind="values", support=None):
        arguments.one_of("kind", kind, self.KINDS)
        self.support = None if support is None else np.asarray(support, "float32")
        super().__init__(count=count, kind=kind, support=None if support is None else self.support.tolist())
        self.size, self.kind = arguments.integer("count", count, 1), kind

    @property
    def output_shape(self):
        """The shape of a network's outputs for one observation, with `None` for any length."""
        last = {"values": (), "quantiles": (None,), "atoms": np.shape(self.support)}
        return (self.size, *last[self.kind])

    def values(self, outputs):
        """Returns the value of each action, [B, A]."""
        if self.kind == "values":
            return outputs
        if self.kind == "quantiles":
            return tf.reduce_mean(outputs, axis=-1)
        return tf.linalg.matvec(tf.nn.softmax(outputs), self.support)

    def greedy(self, outputs):
        """Returns the actions of largest value, int32 [B]."""
        return tf.argmax(self.values(outputs), axis=-1, output_type=tf.int32)

    def sample(self, outputs, seed):
        """Returns the same: the policy is greedy."""
        del seed
        return self.greedy(outputs)


def actions_of(space, stochastic, algorithm, **settings):
    """Returns what a policy's outputs must mean for a space of actions.

    Args:
        space: The environment's action space.
        stochastic: Whether the algorithm learns a distribution of actions, rather than values.
        algorithm: Name of the algorithm, for the message.
        **settings: Further arguments of `ValuedActions`.

    Raises:
        ValueError: If the algorithm can't act in this space; the message says which spaces it can act in.
    """
    import gymnasium

    if isinstance(space, gymnasium.spaces.Discrete):
        if space.start:
            raise ValueError(f"actions must begin at 0, got {space}")
        count = int(space.n)
        return CategoricalActions(count) if stochastic else ValuedActions(count, **settings)
    if stochastic and _is_continuous(space):
        return GaussianActions(space.low, space.high)
    wanted = "a Discrete or a one-dimensional Box of floats" if stochastic else "a Discrete"
    raise ValueError(f"action space of {algorithm} must be {wanted}, got {space}{_fitting(space)}")


def bounded_actions(space, algorithm):
    """Returns the `DeterministicActions` of a bounded, continuous space.

    Args:
        space: The environment's action space.
        algorithm: Name of the algorithm, for the message.

    Raises:
        ValueError: If the space is another one.
    """
    if not _is_continuous(space) or not space.is_bounded():
        wanted = "a bounded one-dimensional Box of floats"
        raise ValueError(f"action space of {algorithm} must be {wanted}, got {space}{_fitting(space)}")
    return DeterministicActions(space.low, space.high)


def _is_continuous(space):
    """Returns whether a space is a one-dimensional box of floating-point numbers."""
    import gymnasium

    box = isinstance(space, gymnasium.spaces.Box) and len(space.shape) == 1 and space.shape[0] > 0
    return box and np.issubdtype(space.dtype, np.floating)


def _fitting(space):
    """Returns the algorithms that can act in a space, for messages; an empty string if none can."""
    import gymnasium

    fitting = []
    if isinstance(space, gymnasium.spaces.Discrete):
        fitting = ["PPO", "TRPO", "VPG", "DQN", "C51", "QRDQN"]
    elif _is_continuous(space):
        fitting = ["PPO", "TRPO", "VPG"] + ["DDPG"] * space.is_bounded()
    return f"; for this space use {', '.join(fitting[:-1])} or {fitting[-1]}" if fitting else ""
