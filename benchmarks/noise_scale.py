"""Measures the cost of GradientNoiseScale during training, by component and in total.

    python benchmarks/noise_scale.py [--rounds 25] [--turns 100]

The first table lists the components. Training steps and measurements alternate on the same batches, timed in
processor time and in wall-clock time. The hooks, which run at each step, are timed with a step that does
nothing. The last column is the resulting cost at the default interval between measurements.

The second table compares epochs with and without the callback, on batches of 128 random images. Both use the
same model, since two copies of a model differ by a few percent, and each epoch spans two intervals between
measurements. They alternate, each starting every other round. The table shows the median ratio of processor
times with a 95 % confidence interval from order statistics, and the median ratio of wall-clock times, which
is less reliable on a machine that other processes share.
"""

import argparse
import importlib.metadata
import math
import os
import platform
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from curvezoo.optimizers.noise_scale.callback import EVERY, GradientNoiseScale

BATCH = 128
# Number of steps before the first round, in which everything compiles.
WARM = 60
# Standard normal quantile of a 95 % interval.
Z = 1.96


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


def clocks():
    """Returns the wall-clock time and the processor time in seconds."""
    return np.array([time.perf_counter(), time.process_time()])


def seconds(function):
    """Returns the wall-clock time and the processor time of a call, [2]."""
    begin = clocks()
    function()
    return clocks() - begin


def epoch(model, data, steps, callbacks):
    """Trains for a number of steps."""
    model.fit(data, steps_per_epoch=steps, epochs=1, verbose=0, callbacks=callbacks, shuffle=False)


def parts(make, settings, turns):
    """Returns ms per step [2], ms per measurement [2], and microseconds of the hooks per step."""
    data, noise, model = batches(), GradientNoiseScale(**settings), compiled(make)
    epoch(model, data, WARM, [noise])
    step, (measure, _) = model.train_function, noise._functions
    times = []
    for _, batch in zip(range(turns), data, strict=False):
        times.append([seconds(lambda b=batch: step(iter([b]))), seconds(lambda b=batch: measure(b).numpy())])
    hooks = [hook_time(model, callbacks) for callbacks in ([noise], [])]
    return *(1e3 * np.median(times, axis=0)), 1e6 * (hooks[0] - hooks[1])


def hook_time(model, callbacks, steps=5000):
    """Returns the processor time that Keras spends on callbacks per step, in seconds, without training."""
    callback_list = keras.callbacks.CallbackList(
        callbacks, add_history=True, model=model, epochs=1, steps=steps
    )
    model.train_function = lambda batches: {"loss": 0.1}
    callback_list.on_train_begin()
    for noise in callbacks:
        noise._simple.next = math.inf

    def train():
        for batch in range(steps):
            callback_list.on_train_batch_begin(batch)
            callback_list.on_train_batch_end(batch, model.train_function(None))

    per_step = seconds(train)[1] / steps
    callback_list.on_epoch_end(0)
    callback_list.on_train_end()
    return per_step


def whole(make, settings, rounds):
    """Returns the median ratio of processor times, its interval, and the median ratio of wall-clock times."""
    data, noise, model = batches(), GradientNoiseScale(**settings), compiled(make)
    sides = [noise], []
    for callbacks in sides:
        epoch(model, data, WARM, callbacks)
    times = ([], [])
    for index in range(rounds):
        for side in (0, 1) if index % 2 else (1, 0):
            callbacks = sides[side]
            times[side].append(seconds(lambda c=callbacks: epoch(model, data, 2 * noise.every, c)))
    clock, processor = np.sort(np.array(times[0]) / np.array(times[1]), axis=0).T
    half = Z * np.sqrt(rounds) / 2
    low, high = max(math.floor(rounds / 2 - half), 0), min(math.ceil(rounds / 2 + half), rounds - 1)
    return np.median(processor), processor[low], processor[high], np.median(clock)


def main():
    """Prints the two tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--turns", type=int, default=100)
    arguments = parser.parse_args()
    versions = {name: importlib.metadata.version(name) for name in ("tensorflow", "keras", "numpy")}
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, {versions}\n")
    cases = [
        (name, method, make, {"method": method})
        for name, make in (("MLP 784-512-512-10", mlp), ("CNN 32-64, 28x28", cnn))
        for method in ("per_example", "microbatches")
    ]
    print("| model | method | ms a step | steps a measurement | in processor time | hooks, µs | cost |")
    print("|---|---|---|---|---|---|---|")
    for name, method, make, settings in cases:
        step, measurement, hooks = parts(make, settings, arguments.turns)
        ratios = measurement / step
        cost = max(ratios) / EVERY + 1e-3 * hooks / step[0]
        print(
            f"| {name} | {method} | {step[0]:.2f} | {ratios[0]:.2f} | {ratios[1]:.2f} | {hooks:.0f} "
            f"| {100 * cost:.1f} % |",
            flush=True,
        )
    print("\n| model | method | processor time with / without | 95 % interval | time with / without |")
    print("|---|---|---|---|---|")
    for name, method, make, settings in cases:
        middle, low, high, clock = whole(make, settings, arguments.rounds)
        print(f"| {name} | {method} | {middle:.3f} | {low:.3f}-{high:.3f} | {clock:.3f} |", flush=True)


if __name__ == "__main__":
    main()
