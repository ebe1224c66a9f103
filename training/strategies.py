"""The devices of a run: one device, all GPUs of a machine, or several machines."""

import json
import os

import tensorflow as tf

from .. import arguments

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
        check_cluster()
        return tf.distribute.MultiWorkerMirroredStrategy()
    return tf.distribute.get_strategy()


def check_cluster():
    """Checks the environment variable `TF_CONFIG`.

    Raises:
        ValueError: If it is missing, or does not describe a cluster of workers and the role of this process.
    """
    form = '{"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}'
    try:
        config = json.loads(os.environ["TF_CONFIG"])
        cluster, task = config["cluster"], config["task"]
        valid = set(cluster) == {"worker"} and task["type"] == "worker" and task["index"] >= 0
        cluster["worker"][task["index"]]
    except (KeyError, IndexError, TypeError, json.JSONDecodeError):
        valid = False
    if not valid:
        raise ValueError(f"strategy 'multiworker' needs the environment variable TF_CONFIG={form}")


def is_chief(strategy):
    """Returns whether this process writes the run's files: it is the only process, or worker 0.

    Args:
        strategy: A `tf.distribute.Strategy`.
    """
    resolver = strategy.cluster_resolver
    return resolver is None or not resolver.cluster_spec().as_dict() or resolver.task_id == 0
