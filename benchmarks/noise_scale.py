"""What GradientNoiseScale costs a training: epochs with and without it, in turns, in one run.

    python benchmarks/noise_scale.py [--rounds 9] [--steps 240] [--hessian-every 0]

Two copies of a model train on the same batches of 128 made images, one with the callback at its defaults and
one without; each is first in every other round. The ratio is the median of the rounds' ratios, with their
quartiles.
"""

import argparse
import importlib.metadata
import os
import platform
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from curvezoo.optimizers.noise_scale import GradientNoiseScale

BATCH = 128
# Steps before the first round, which compile both sides.
WARM = 60


def mlp():
    dense = [layers.Dense(512, "relu"), layers.Dense(512, "relu"), layers.Dense(10)]
    return keras.Sequential([keras.Input((28, 28, 1)), layers.Flatten(), *dense])


def cnn():
    first = [layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D()]
    second = [layers.Conv2D(64, 3, activation="relu"), layers.MaxPooling2D()]
    return keras.Sequential([keras.Input((28, 28, 1)), *first, *second, layers.Flatten(), layers.Dense(10)])


def compiled(make):
    keras.utils.set_random_seed(0)
    model = make()
    model.compile(
        keras.optimizers.SGD(0.01, momentum=0.9), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    return model


def batches():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20 * BATCH, 28, 28, 1)).astype("float32")
    y = rng.integers(0, 10, 20 * BATCH)
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(BATCH, drop_remainder=True).cache().repeat()


def seconds(model, data, steps, callbacks):
    begin = time.perf_counter()
    model.fit(data, steps_per_epoch=steps, epochs=1, verbose=0, callbacks=callbacks, shuffle=False)
    return time.perf_counter() - begin


def compare(make, settings, rounds, steps):
    """Returns (ms a step with the callback, ms without, quartiles of the ratio)."""
    data = batches()
    noise = GradientNoiseScale(**settings)
    sides = [(compiled(make), [noise]), (compiled(make), [])]
    for model, callbacks in sides:
        seconds(model, data, WARM, callbacks)
    times = ([], [])
    for index in range(rounds):
        for side in (0, 1) if index % 2 else (1, 0):
            times[side].append(seconds(sides[side][0], data, steps, sides[side][1]) * 1e3 / steps)
    ratios = [a / b for a, b in zip(*times, strict=True)]
    return *map(statistics.median, times), statistics.quantiles(ratios, n=4)


def main():
    """Prints one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument("--hessian-every", type=int, default=0)
    arguments = parser.parse_args()
    versions = {name: importlib.metadata.version(name) for name in ("tensorflow", "keras", "numpy")}
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, {versions}")
    print("| model | method | ms/step with | without | ratio (quartiles) |")
    print("|---|---|---|---|---|")
    for name, make in (("MLP 784-512-512-10", mlp), ("CNN 32-64, 28x28", cnn)):
        for method in ("per_example", "microbatches"):
            settings = {"method": method, "hessian_every": arguments.hessian_every or None}
            ours, plain, (low, ratio, high) = compare(make, settings, arguments.rounds, arguments.steps)
            print(
                f"| {name} | {method} | {ours:.2f} | {plain:.2f} | {ratio:.3f} ({low:.3f}-{high:.3f}) |",
                flush=True,
            )


if __name__ == "__main__":
    main()
