"""Where a run computes: one device, all GPUs of a machine, or several machines."""

import json
import os

import tensorflow as tf

STRATEGIES = ("default", "mirrored", "multiworker")


def make_strategy(name="default"):
    """Returns the `tf.distribute` strategy of that name.

    Args:
        name: `default`, one device; `mirrored`, all GPUs, or where there is none all logical CPU devices;
            `multiworker`, the cluster that the environment variable `TF_CONFIG` describes.

    Returns:
        A `tf.distribute.Strategy`.

    Raises:
        ValueError: If the name is none of these, or `multiworker` finds no valid `TF_CONFIG`.
    """
    if name not in STRATEGIES:
        raise ValueError(f"strategy={name!r} is not one of {', '.join(STRATEGIES)}")
    if name == "mirrored":
        return tf.distribute.MirroredStrategy(
            tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        )
    if name == "multiworker":
        cluster_task()
        return tf.distribute.MultiWorkerMirroredStrategy()
    return tf.distribute.get_strategy()


def cluster_task():
    """Returns `(workers, index)`: the cluster's addresses and this process's place, from `TF_CONFIG`.

    Raises:
        ValueError: If `TF_CONFIG` is missing or lacks `cluster.worker` or `task.index`.
    """
    form = '{"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}'
    try:
        config = json.loads(os.environ["TF_CONFIG"])
        workers, index = config["cluster"]["worker"], config["task"]["index"]
        workers[index]
    except (KeyError, IndexError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"strategy='multiworker' needs the environment variable TF_CONFIG={form}") from error
    return workers, index


def is_chief(strategy):
    """Returns whether this process writes the run's files: it is the only one, or worker 0."""
    resolver = strategy.cluster_resolver
    return resolver is None or not resolver.cluster_spec().as_dict() or resolver.task_id == 0
