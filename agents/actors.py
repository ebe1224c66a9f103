"""Rollouts by actors: worker processes, or machines of a cluster, behind a `concurrent.futures.Executor`.

An actor receives the weights of the policy and some copies of the environment in their present state, plays
them for the steps of a rollout, and returns the rollout and the copies. It keeps nothing that matters: if it
is lost, another one plays the same steps.

Legend: T steps, N copies.
"""

import concurrent.futures
import dataclasses
import functools
import json

import keras
import numpy as np

from .environments import Environments
from .rollouts import Rollout, collect

# Attempts to play a part before the error of its actor is raised.
_ATTEMPTS = 3


@dataclasses.dataclass(frozen=True)
class Part:
    """What an actor needs.

    Args:
        copies: The copies, as `Environments.part` returns them.
        policy: The configuration of the `Policy`, as JSON.
        weights: Its weights.
        keys: A random key for each step, int32 [T, 2].
    """

    copies: bytes
    policy: str
    weights: list
    keys: np.ndarray


def play(part):
    """Plays a part of a rollout; runs in the actor.

    Args:
        part: The `Part`.

    Returns:
        The `Rollout` and the copies after it.
    """
    policy, draw = _policy(part.policy)
    policy.set_weights(part.weights)
    copies = Environments.of_part(part.copies)
    rollout = collect(copies, lambda x, key: draw(x, key).numpy(), part.keys, policy.actions.clipped)
    return rollout, copies.part(0, copies.copies)


def gather(executor, environments, policy, keys, actors):
    """Plays a rollout of all copies, shared among actors, and leaves the copies at its end.

    Args:
        executor: A `concurrent.futures.Executor`, such as a `ProcessPoolExecutor`, or that of a cluster.
        environments: The `Environments`, whose copies can be pickled.
        policy: The `Policy`.
        keys: A random key for each step of each actor, int32 [actors, T, 2].
        actors: Number of parts, which divides the number of copies.

    Returns:
        The `Rollout` of all copies, in their order.

    Raises:
        ValueError: If the copies can't be pickled.
    """
    configuration = json.dumps(keras.saving.serialize_keras_object(policy))
    weights = [np.asarray(weight) for weight in policy.weights]
    size = environments.copies // actors
    parts = [
        Part(environments.part(index * size, (index + 1) * size), configuration, weights, keys[index])
        for index in range(actors)
    ]
    played = completed(executor, play, parts)
    for index, (_, copies) in enumerate(played):
        environments.put(index * size, copies)
    rollouts = [rollout for rollout, _ in played]
    names = [field.name for field in dataclasses.fields(Rollout)]
    return Rollout(*(np.concatenate([getattr(r, name) for r in rollouts], axis=1) for name in names))


def completed(executor, function, tasks):
    """Returns a function's values for all tasks, and runs those again whose worker was lost.

    A pool of processes that has lost one accepts no further tasks; the rest is then run in this process.

    Args:
        executor: The executor.
        function: A function of one task that can be run again.
        tasks: The tasks.
    """
    results, waiting = [None] * len(tasks), dict(enumerate(tasks))
    for attempt in range(_ATTEMPTS):
        futures = {}
        for index, task in waiting.items():
            try:
                futures[index] = executor.submit(function, task)
            except concurrent.futures.BrokenExecutor:
                results[index] = function(task)
        for index, future in futures.items():
            try:
                results[index] = future.result()
            except (concurrent.futures.BrokenExecutor, ConnectionError, EOFError):
                if attempt == _ATTEMPTS - 1:
                    raise
        waiting = {index: task for index, task in waiting.items() if results[index] is None}
        if not waiting:
            break
    return results


@functools.lru_cache(maxsize=4)
def _policy(configuration):
    """Returns the policy of a configuration and its compiled draw of actions."""
    policy = keras.saving.deserialize_keras_object(json.loads(configuration))
    return policy, policy.drawing()
