"""What a search may ask about its leaves: nothing, random games, or a network.

An evaluator is any function of a list of L states, none of them terminal, that returns (priors, values):

- priors: weights of all actions, not negative, [L, A]. The search normalizes those of legal actions.
- values: the expected return of the player to move, [L].
"""

import functools
import random

import numpy as np

from .. import arguments


def uniform(states):
    """Returns equal priors and values of zero, [L, A] and [L]: the search itself has to reach the end."""
    return np.ones((len(states), states[0].num_distinct_actions())), np.zeros(len(states))


class Rollouts:
    """Equal priors, and values that are mean returns of random games.

    Args:
        count: Number of random games from each state.
        seed: Seed of the games.

    Raises:
        ValueError: If `count` is not positive.
    """

    def __init__(self, count=1, seed=0):
        self._count = arguments.integer("count", count, 1)
        self._random = random.Random(arguments.seed("seed", seed))

    def __call__(self, states):
        """Returns priors [L, A] and values [L]."""
        priors, values = uniform(states)
        for index, state in enumerate(states):
            player = state.current_player()
            values[index] = sum(self._play(state.clone())[player] for _ in range(self._count)) / self._count
        return priors, values

    def _play(self, state):
        """Plays to the end; returns the returns."""
        uniform_number = self._random.random
        while not state.is_terminal():
            legal = state.legal_actions()
            state.apply_action(legal[int(uniform_number() * len(legal))])
        return state.returns()


class Network:
    """Priors and values from observations.

    Args:
        game: The `Game`.
        function: Maps observations [L, *O] to (priors [L, A], values [L] or [L, 1]) of the player to move,
            arrays or tensors.
        batch: A number of observations to which smaller batches are filled up with zeros, so that a compiled
            function sees one shape; `None` to leave them as they are.

    Raises:
        ValueError: If `batch` is not positive, or `function` cannot be called.
    """

    def __init__(self, game, function, batch=None):
        if not callable(function):
            raise ValueError(f"function must be callable, got {arguments.described(function)}")
        self._game, self._function = game, function
        self._batch = None if batch is None else arguments.integer("batch", batch, 1)

    def __call__(self, states):
        """Returns priors [L, A] and values [L]."""
        observations = self._game.observations(states)
        count = len(states)
        if self._batch is not None and count < self._batch:
            filling = np.zeros((self._batch - count, *observations.shape[1:]), observations.dtype)
            observations = np.concatenate([observations, filling])
        priors, values = self._function(observations)
        return np.asarray(priors)[:count], np.asarray(values)[:count].reshape(count)


def from_model(game, model):
    """Returns the `Network` evaluator of a Keras model.

    Args:
        game: The `Game`.
        model: A `keras.Model` from observations [L, *O] to logits [L, A] and values [L, 1] of the player to
            move. It may change its weights afterwards.

    Raises:
        ValueError: If the model's inputs or outputs are not those of the game.
    """
    shape = tuple(getattr(model, "input_shape", ())[1:])
    if shape != game.observation_shape:
        raise ValueError(f"model must have inputs of shape {game.observation_shape} for {game}, got {shape}")
    outputs = model.output_shape
    if not isinstance(outputs, list | tuple) or [tuple(o[1:]) for o in outputs] != [(game.actions,), (1,)]:
        raise ValueError(
            f"model must have outputs of shapes {[(game.actions,), (1,)]} for {game}, got {outputs}"
        )
    return Network(game, _compiled(model))


@functools.lru_cache(maxsize=8)
def _compiled(model):
    """Returns a function from observations to priors and values, which accepts any number of them."""
    import tensorflow as tf

    def function(observations):
        logits, values = model(observations, training=False)
        return tf.nn.softmax(logits), values

    shape = tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)
    return tf.function(function, input_signature=[shape], autograph=False).get_concrete_function()
