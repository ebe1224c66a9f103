"""What GradientNoiseScale costs a training: epochs with and without it, in turns, in one run.

    python benchmarks/noise_scale.py [--rounds 9] [--steps 240] [--hessian-every 0]

Two copies of a model train on the same batches of 128 made images, one with the callback at its defaults and
one without; each is first in every other round. A ratio is the median of the rounds' ratios, with their
quartiles; that of processor time knows nothing of pauses of the machine.
"""

import argparse
import importlib.metadata
import os
import platform
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
QUARTILES = (0.25, 0.5, 0.75)


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
    """Returns (seconds of the clock, seconds of the processors)."""
    clocks = time.perf_counter, time.process_time
    begin = [clock() for clock in clocks]
    model.fit(data, steps_per_epoch=steps, epochs=1, verbose=0, callbacks=callbacks, shuffle=False)
    return [clock() - first for clock, first in zip(clocks, begin, strict=True)]


def compare(make, settings, rounds, steps):
    """Returns the medians of ms a step with the callback and without, and quartiles of the two ratios."""
    data = batches()
    noise = GradientNoiseScale(**settings)
    sides = [(compiled(make), [noise]), (compiled(make), [])]
    for model, callbacks in sides:
        seconds(model, data, WARM, callbacks)
    times = ([], [])
    for index in range(rounds):
        for side in (0, 1) if index % 2 else (1, 0):
            times[side].append(seconds(sides[side][0], data, steps, sides[side][1]))
    ours, plain = np.array(times)
    ratios = [f"{m:.3f} ({low:.3f}-{high:.3f})" for low, m, high in np.quantile(ours / plain, QUARTILES, 0).T]
    return *(1e3 * np.median(side[:, 0]) / steps for side in (ours, plain)), *ratios


def main():
    """Prints one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument("--hessian-every", type=int, default=0)
    arguments = parser.parse_args()
    versions = {name: importlib.metadata.version(name) for name in ("tensorflow", "keras", "numpy")}
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, {versions}")
    print("| model | method | ms/step with | without | ratio (quartiles) | of processor time |")
    print("|---|---|---|---|---|---|")
    for name, make in (("MLP 784-512-512-10", mlp), ("CNN 32-64, 28x28", cnn)):
        for method in ("per_example", "microbatches"):
            settings = {"method": method, "hessian_every": arguments.hessian_every or None}
            ours, plain, *ratios = compare(make, settings, arguments.rounds, arguments.steps)
            print(f"| {name} | {method} | {ours:.2f} | {plain:.2f} | {' | '.join(ratios)} |", flush=True)


if __name__ == "__main__":
    main()
