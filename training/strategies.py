"""The devices of a run: one device, all GPUs of a machine, or several machines."""

import tensorflow as tf

from .. import arguments
from .cluster import Cluster

STRATEGIES = ("default", "mirrored", "multiworker")


def make_strategy(name="default"):
    """Returns the `tf.distribute` strategy of a given name.

    Args:
        name: `default`, one device; `mirrored`, all GPUs, or all logical CPU devices if there is no GPU;
            `multiworker`, the cluster described by the environment variable `TF_CONFIG`.

    Returns:
        A `tf.distribute.Strategy`.

    Raises:
        ValueError: If the name is unknown, or `TF_CONFIG` is not valid for `multiworker`.
    """
    arguments.one_of("strategy", name, STRATEGIES)
    if name == "mirrored":
        return tf.distribute.MirroredStrategy(
            tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        )
    if name == "multiworker":
        Cluster.of_environment()
        return tf.distribute.MultiWorkerMirroredStrategy()
    return tf.distribute.get_strategy()


def is_chief(strategy):
    """Returns whether this process writes the run's files: it is the only process, or worker 0.

    Args:
        strategy: A `tf.distribute.Strategy`.
    """
    resolver = strategy.cluster_resolver
    return resolver is None or not resolver.cluster_spec().as_dict() or resolver.task_id == 0
