"""K-FAC with and without its two guards against the noise of small batches (docs/results.md).

    TFDS_DATA_DIR=... python benchmarks/noise_control.py FILE [--only made_32 cifar10_128] [--seeds 3]

The guards are the signal fraction c, by which steps are multiplied, and the lower bound |F| / (20 B) of
each block's damping. Every problem is trained with both, with each alone and with neither, from the same
weights on the same batches at the learning rate 1, in one thread. FILE has a line of JSON for each
training, and those that it has are not repeated. Losses are measured after half of the steps and after all
of them, on up to 2,000 examples of the training split, and as many of the others.
"""

import argparse
import dataclasses
import functools
import json
import os
import pathlib
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from curvezoo import data, losses, zoo
from curvezoo.optimizers import KFAC

SETTINGS = {
    "both": {},
    "c alone": {"noise_floor": False},
    "floor alone": {"noise_memory": None, "noise_floor": True},
    "neither": {"noise_memory": None, "noise_floor": False},
}


@dataclasses.dataclass(frozen=True)
class Problem:
    """A network and its data.

    Args:
        load: Function that returns `Splits`.
        build: Function of the splits' spec that returns a model with logits.
        batch_size: Examples in a batch.
        steps: Number of steps.
        probed: The largest number of examples whose loss is measured.
    """

    load: Callable
    build: Callable
    batch_size: int
    steps: int
    probed: int = 2000


def perceptron(spec, hidden):
    """A network of fully connected layers."""
    units = [keras.layers.Dense(width, "relu") for width in hidden]
    flat = keras.layers.Flatten()
    return keras.Sequential([keras.Input(spec.shape), flat, *units, keras.layers.Dense(spec.classes)])


def convolutional(spec):
    """Three convolutions of stride 2."""
    convolutions = [keras.layers.Conv2D(n, 3, 2, "same", activation="relu") for n in (16, 32, 32)]
    flat = keras.layers.Flatten()
    return keras.Sequential([keras.Input(spec.shape), *convolutions, flat, keras.layers.Dense(spec.classes)])


def transformer(spec):
    """Two blocks of 64 features."""
    return zoo.build("transformer_shakespeare", num_layers=2, width=64, heads=4, dropout=0.0)


def made():
    """Gaussian clusters of ten classes in 40 dimensions, 20 of them informative, scaled to [0, 1]."""
    from sklearn.datasets import make_classification

    x, y = make_classification(20_000, 40, n_informative=20, n_classes=10, random_state=0)
    x = ((x - x.min(0)) / (x.max(0) - x.min(0))).reshape(-1, 1, 40, 1)
    parts = [(x[part], y[part]) for part in (slice(16_000), slice(16_000, 18_000), slice(18_000, None))]
    return data.from_arrays(*parts, classes=10)


LABELS = functools.partial(data.load, "digits", random_labels=0.25)
CIFAR = functools.partial(data.load, "cifar10", subset=10_000)
MNIST = functools.partial(data.load, "mnist")
TEXT = functools.partial(data.load, "tiny_shakespeare")
PROBLEMS = {
    "random_labels_32": Problem(LABELS, functools.partial(perceptron, hidden=(64, 32)), 32, 800),
    "random_labels_128": Problem(LABELS, functools.partial(perceptron, hidden=(64, 32)), 128, 400),
    "made_32": Problem(made, functools.partial(perceptron, hidden=(64, 64)), 32, 2000),
    "made_128": Problem(made, functools.partial(perceptron, hidden=(64, 64)), 128, 1000),
    "cifar10_32": Problem(CIFAR, convolutional, 32, 400),
    "cifar10_128": Problem(CIFAR, convolutional, 128, 200),
    "softmax_mnist_128": Problem(MNIST, functools.partial(perceptron, hidden=()), 128, 800),
    "transformer_32": Problem(functools.partial(TEXT, context=64), transformer, 32, 400, 500),
    "transformer_128": Problem(functools.partial(TEXT, context=32), transformer, 128, 200, 1000),
}


def examples(dataset, count):
    """The first examples of a dataset of batches."""
    [batch] = dataset.unbatch().take(count).batch(count)
    return batch


def mean_loss(model, pair):
    """The model's mean loss on examples."""
    return model.evaluate(*pair, batch_size=500, verbose=0)


def train(model, start, problem, splits, seed):
    """Trains from the beginning; returns losses after half of the steps and after all.

    Args:
        model: The compiled model.
        start: The optimizer's variables before the first step.
        problem: The `Problem`.
        splits: The splits.
        seed: The seed of the weights and of the batches.
    """
    keras.utils.set_random_seed(seed)
    model.set_weights(problem.build(splits.spec).get_weights())
    for variable, value in zip(model.optimizer.variables, start, strict=True):
        variable.assign(value)
    splits = splits.with_batches(seed=seed, batch_size=problem.batch_size)
    halves = splits.epochs(0, 1), splits.validation.concatenate(splits.test)
    probes = [examples(half, problem.probed) for half in halves]
    batches = iter(splits.epochs(0, 1 + problem.steps // splits.steps_per_epoch).take(problem.steps))
    measured = []
    for _ in range(2):
        for _ in range(problem.steps // 2):
            model.train_on_batch(*next(batches))
        measured += [mean_loss(model, probe) for probe in probes]
    return dict(zip(("half_training", "half_held_out", "training", "held_out"), measured, strict=True))


def measure(file, names, seeds):
    """Appends to the file the trainings that it lacks."""
    done = {(line["problem"], line["setting"], line["seed"]) for line in read(file)}
    for name in names:
        problem = PROBLEMS[name]
        missing = {
            setting: [seed for seed in range(seeds) if (name, setting, seed) not in done]
            for setting in SETTINGS
        }
        if not any(missing.values()):
            continue
        splits = problem.load()
        for setting, its_seeds in missing.items():
            if not its_seeds:
                continue
            keras.backend.clear_session()
            model = problem.build(splits.spec)
            model.compile(KFAC(**SETTINGS[setting]), losses.CategoricalNLL())
            model.optimizer.build(model.trainable_variables)
            start = [variable.numpy() for variable in model.optimizer.variables]
            for seed in its_seeds:
                began = time.process_time()
                line = {"problem": name, "setting": setting, "seed": seed}
                line |= train(model, start, problem, splits, seed)
                line["processor_seconds"] = time.process_time() - began
                with file.open("a") as lines:
                    lines.write(json.dumps(line) + "\n")


def read(file):
    """The file's trainings."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def print_table(trainings):
    """Prints a row for each problem and setting: means over the seeds, and the range at the end."""
    print(
        "| problem | steps | guards | seeds | half: training | held-out | end: training | held-out | range |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for name, problem in PROBLEMS.items():
        for setting in SETTINGS:
            its = [t for t in trainings if (t["problem"], t["setting"]) == (name, setting)]
            if its:
                keys = ("half_training", "half_held_out", "training", "held_out")
                means = " | ".join(f"{np.mean([t[key] for t in its]):.4g}" for key in keys)
                final = [t["held_out"] for t in its]
                spread = f"{min(final):.4g}-{max(final):.4g}"
                print(f"| `{name}` | {problem.steps} | {setting} | {len(its)} | {means} | {spread} |")


def main():
    """Trains and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=pathlib.Path)
    parser.add_argument("--only", choices=PROBLEMS, nargs="+", default=PROBLEMS)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    measure(arguments.file, arguments.only, arguments.seeds)
    print_table(read(arguments.file))


if __name__ == "__main__":
    main()
