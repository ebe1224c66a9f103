"""Policies: ordinary Keras models from observations to the parameters of an action.

Legend: B batch, O the shape of an observation, P parameters of the actions.
"""

import keras
import numpy as np
import tensorflow as tf

from .. import arguments
from ..layers.log_std import LogStd
from ..layers.running_normalization import RunningNormalization
from ..losses.tensors import agree
from .actions import GaussianActions


def prefers_xla(shape):
    """Returns whether XLA makes networks of observations of a shape faster, as it does for dense ones.

    Convolutions, which images have, are slower with it on CPUs.
    """
    return len(shape) < 3


@keras.saving.register_keras_serializable("curvezoo")
class Policy(keras.Model):
    """A network whose outputs are the parameters of actions.

    Args:
        network: A `keras.Model` from observations [B, *O] to parameters [B, P].
        actions: What the parameters mean, such as `CategoricalActions`.
        **kwargs: Arguments of `keras.Model`.

    Raises:
        ValueError: If the network's outputs do not fit the actions.
    """

    def __init__(self, network, actions, **kwargs):
        super().__init__(**kwargs)
        shapes = [getattr(network, name, None) for name in ("input_shape", "output_shape")]
        if not all(isinstance(shape, tuple) for shape in shapes):
            raise ValueError(
                "policy must be a functional or Sequential keras.Model that begins with one keras.Input and "
                f"has one output, got {type(network).__name__}"
            )
        outputs = shapes[1][1:]
        if not agree(outputs, actions.output_shape):
            raise ValueError(
                f"policy must have outputs of shape {actions.output_shape} for its actions, got {outputs}"
            )
        self.network, self.actions = network, actions
        self._acting = None
        self.built = True

    @property
    def observation_shape(self):
        """The shape O of one observation."""
        return tuple(self.network.input_shape[1:])

    def call(self, observations, training=None):
        """Returns the parameters, [B, P]."""
        return self.network(observations, training=training)

    def act(self, observations, seed=0, deterministic=True):
        """Returns the policy's actions.

        Args:
            observations: [B, *O], or one of shape O.
            seed: Seed of random actions.
            deterministic: Whether to take the best action rather than a random one.

        Returns:
            An array of actions, or one action.

        Raises:
            ValueError: If the observations have another shape or are not finite.
        """
        observations = np.asarray(observations)
        single = observations.shape == self.observation_shape
        batch = observations[None] if single else observations
        if batch.shape[1:] != self.observation_shape:
            raise ValueError(
                f"observations must have shape {self.observation_shape}, one for each or one alone, got "
                f"{observations.shape}"
            )
        if not np.isfinite(batch.sum(dtype="float64")):
            arguments.finite("observations", observations)
        if self._acting is None:
            self._acting = tf.function(self.chosen, autograph=False, reduce_retracing=True)
        key = tf.constant([arguments.seed("seed", seed), 0], tf.int32)
        chosen = self._acting(tf.constant(batch), key, tf.constant(bool(deterministic))).numpy()
        return chosen[0] if single else chosen

    def chosen(self, observations, key, deterministic):
        """Returns actions as tensors, within the environment's bounds.

        Args:
            observations: [B, *O].
            key: An int32 tensor [2].
            deterministic: A Boolean scalar.
        """
        outputs = self(observations, training=False)
        greedy = self.actions.greedy(outputs)
        if not hasattr(self.actions, "distribution"):
            return greedy
        drawn = self.actions.bounded(self.actions.sample(outputs, key))
        return tf.where(deterministic, greedy, drawn)

    def drawing(self, signature=None):
        """Returns a compiled function from observations [B, *O] and a key, int32 [2], to random actions.

        Args:
            signature: The `tf.TensorSpec` of both, if they are always the same.
        """
        return tf.function(
            lambda observations, key: self.actions.sample(self(observations), key),
            input_signature=signature,
            autograph=False,
            jit_compile=prefers_xla(self.observation_shape),
        )

    def normalizer(self):
        """Returns the layer that normalizes observations; `None` if there is none."""
        return normalizer_of(self)

    def get_config(self):
        """Returns the network, the actions and the arguments of `keras.Model`."""
        parts = {
            name: keras.saving.serialize_keras_object(getattr(self, name)) for name in ("network", "actions")
        }
        return {**super().get_config(), **parts}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Returns a policy with a new network."""
        parts = {
            name: keras.saving.deserialize_keras_object(config[name], custom_objects)
            for name in ("network", "actions")
        }
        return cls(**config | parts)


def policy_of(policy, default, actions):
    """Returns the user's network, or a default one, as a `Policy`.

    Args:
        policy: A `keras.Model`, a `Policy`, whose network is taken, or `None`.
        default: Function that returns the default network.
        actions: What the network's outputs mean.
    """
    network = default() if policy is None else policy.network if isinstance(policy, Policy) else policy
    return Policy(network, actions)


def normalizer_of(model):
    """Returns the first `RunningNormalization` of a model; `None` if there is none."""
    layers = (layer for layer in model._flatten_layers() if isinstance(layer, RunningNormalization))
    return next(layers, None)


def is_convolved(shape):
    """Returns whether the networks here see observations of a shape as images: at least 36x36 pixels."""
    return len(shape) == 3 and min(shape[:2]) >= 36


def network(
    shape, outputs, hidden, activation, gain, normalize=False, name="network", actions=0, largest=255.0
):
    """Returns a fully connected network with orthogonal weights, or a convolutional one for images.

    Images of at least 36x36 pixels go through the three convolutions of Mnih et al. (2015).

    Args:
        shape: The shape O of an observation.
        outputs: Number of outputs, or their shape.
        hidden: Widths of the hidden layers.
        activation: Of the hidden layers.
        gain: Scale of the last layer's weights; small for a policy, so that it begins near uniform.
        normalize: Whether to normalize the observations by running statistics.
        name: The model's name.
        actions: Components A of a continuous action, for a network with the inputs [observations, actions]
            that values both; 0 for none.
        largest: Largest value of a pixel, by which images are divided.
    """
    observations = keras.Input(shape, name="observations")
    x = observations
    if is_convolved(shape) and normalize:
        raise ValueError(f"normalize_observations must be False for images, which are divided by {largest:g}")
    if len(shape) == 3 and not normalize:
        x = keras.layers.Rescaling(1 / largest)(x)
    if is_convolved(shape):
        x = _convolved(x)
    elif len(shape) > 1:
        x = keras.layers.Flatten()(x)
    if normalize:
        x = RunningNormalization()(x)
    inputs = observations
    if actions:
        inputs = [observations, keras.Input((actions,), name="actions")]
        x = keras.layers.Concatenate()([x, inputs[1]])
    for width in hidden:
        x = keras.layers.Dense(width, activation, kernel_initializer=_orthogonal(np.sqrt(2)))(x)
    size = (outputs,) if isinstance(outputs, int) else tuple(outputs)
    x = keras.layers.Dense(int(np.prod(size)), kernel_initializer=_orthogonal(gain), dtype="float32")(x)
    if len(size) > 1:
        x = keras.layers.Reshape(size)(x)
    return keras.Model(inputs, x, name=name)


def policy_network(shape, actions, hidden, activation, normalize=False, log_std=0.0, largest=255.0):
    """Returns the network of a stochastic policy.

    Args:
        shape: The shape O of an observation.
        actions: `CategoricalActions` or `GaussianActions`.
        hidden: Widths of the hidden layers.
        activation: Of the hidden layers.
        normalize: Whether to normalize the observations by running statistics.
        log_std: Initial log standard deviation of continuous actions.
        largest: As for `network`.
    """
    gaussian = isinstance(actions, GaussianActions)
    count = actions.size // 2 if gaussian else actions.size
    body = network(shape, count, hidden, activation, 0.01, normalize, largest=largest)
    if not gaussian:
        return body
    return keras.Model(body.inputs, LogStd(log_std)(body.outputs[0]), name=body.name)


def _convolved(x):
    for filters, size, stride in ((32, 8, 4), (64, 4, 2), (64, 3, 1)):
        x = keras.layers.Conv2D(
            filters, size, stride, activation="relu", kernel_initializer=_orthogonal(np.sqrt(2))
        )(x)
    return keras.layers.Flatten()(x)


def _orthogonal(gain):
    return keras.initializers.Orthogonal(gain)
