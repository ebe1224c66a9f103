"""Networks in the processes of actors, which receive a network as its configuration and its weights."""

import concurrent.futures
import functools
import json
import multiprocessing

import keras
import numpy as np


def described(model):
    """Returns a Keras model's configuration as JSON."""
    return json.dumps(keras.saving.serialize_keras_object(model))


def weights_of(model):
    """Returns a model's weights as arrays."""
    return [np.asarray(weight) for weight in model.weights]


def network(configuration, weights, slot=0):
    """Returns the network of a configuration with some weights.

    Networks of the same configuration and slot share one model, which has the weights of the last call.

    Args:
        configuration: As `described` returns it.
        weights: The weights.
        slot: A number that keeps networks apart which are needed at the same time.
    """
    model = _built(configuration, slot)
    model.set_weights(weights)
    return model


def pool(workers):
    """Returns an executor of worker processes, each of which uses one thread.

    Args:
        workers: Number of processes.
    """
    context = multiprocessing.get_context("spawn")
    return concurrent.futures.ProcessPoolExecutor(workers, mp_context=context, initializer=_one_thread)


def is_lost(executor):
    """Returns whether an executor accepts no more tasks, because one of its workers was lost."""
    try:
        executor.submit(int).result()
    except concurrent.futures.BrokenExecutor:
        return True
    return False


@functools.lru_cache(maxsize=4)
def _built(configuration, slot):
    del slot
    return keras.saving.deserialize_keras_object(json.loads(configuration))


def _one_thread():
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
