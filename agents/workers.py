"""Networks in the processes of actors, which receive a network as its configuration and its weights."""

import concurrent.futures
import functools
import json
import multiprocessing
import multiprocessing.connection
import os
import threading

import numpy as np

from .. import quiet


def described(model):
    """Returns a Keras model's configuration as JSON."""
    import keras

    return json.dumps(keras.saving.serialize_keras_object(model))


def weights_of(model):
    """Returns a model's weights as arrays."""
    return [np.asarray(weight) for weight in model.weights]


def network(configuration, weights, slot=0):
    """Returns the network of a configuration with some weights.

    Networks of the same configuration and slot share one model in each thread, which has the weights of the
    last call.

    Args:
        configuration: As `described` returns it.
        weights: The weights.
        slot: A number that keeps networks apart which are needed at the same time.
    """
    model = _built(configuration, slot, threading.get_ident())
    model.set_weights(weights)
    return model


def pool(workers):
    """Returns an executor of worker processes, each of which uses one thread and ends with this process.

    They multiply matrices in bfloat16 where the processor has instructions for it, which makes convolutions
    up to twice as fast.

    Args:
        workers: Number of processes.
    """
    context = multiprocessing.get_context("spawn")
    return concurrent.futures.ProcessPoolExecutor(workers, mp_context=context, initializer=_begin)


def is_lost(executor):
    """Returns whether an executor accepts no more tasks, because one of its workers was lost."""
    try:
        executor.submit(int).result()
    except concurrent.futures.BrokenExecutor:
        return True
    return False


@functools.lru_cache(maxsize=16)
def _built(configuration, slot, thread):
    import keras

    del slot, thread
    return keras.saving.deserialize_keras_object(json.loads(configuration))


def _begin():
    """Prepares a worker process, which ends with its parent even if that is killed."""
    threading.Thread(target=_follow_parent, daemon=True).start()
    # A search does not need all digits. Processors without such instructions ignore it.
    os.environ.setdefault("TF_SET_ONEDNN_FPMATH_MODE", "BF16")
    tf = quiet.load_tensorflow()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def _follow_parent():
    multiprocessing.connection.wait([multiprocessing.parent_process().sentinel])
    os._exit(1)
