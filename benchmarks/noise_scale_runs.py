"""Measures the noise scale of plain SGD, at the start of training and on average (docs/results.md).

    TFDS_DATA_DIR=... python benchmarks/noise_scale_runs.py [--only cnn_mnist] [--points 41] [--each]

Each row is one training run at a constant learning rate, with 2,048 new examples at each of the points. The
last table has the noise scale of the published ResNet-20 during its training.
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf

from curvezoo.studies.noise_scale.measurement import measure_point, measure_run
from curvezoo.studies.noise_scale.problem import Problem
from curvezoo.zoo import catalogue

# Learning rates of the grid of the batch-size sweep: the best one, and a quarter of it.
BEST, QUARTER = 0.1 * 2**0.5, 0.025 * 2**0.5
SMALL = {"units": 64, "dropout": 0.0, "downsampling": "stride", "augment": ()}
MNIST = {"channels": (8, 16), "normalization": "none", **SMALL}
CIFAR = {"data": "cifar10", "channels": (16, 32), **SMALL}
PLAIN, BATCH_NORM = {**CIFAR, "normalization": "none"}, {**CIFAR, "normalization": "batch"}

# (recipe, settings to override, batch size, learning rate, epochs, seed)
RUNS = (
    ("cnn_mnist", MNIST, 256, BEST, 3, 0),
    ("cnn_mnist", MNIST, 256, BEST, 3, 1),
    ("cnn_mnist", MNIST, 256, QUARTER, 3, 0),
    ("cnn_mnist", MNIST, 256, QUARTER, 3, 1),
    ("cnn_mnist", MNIST, 64, BEST, 1.5, 0),
    ("cnn_svhn", PLAIN, 128, BEST, 8, 0),
    ("cnn_svhn", PLAIN, 128, QUARTER, 6, 0),
    ("cnn_svhn", BATCH_NORM, 128, QUARTER, 2, 0),
    ("cnn_svhn", BATCH_NORM, 128, QUARTER, 2, 1),
    ("cnn_svhn", BATCH_NORM, 128, BEST, 2, 0),
)
RESNET = ("resnet20_cifar10", 128, 0.1, (0, 10, 20, 40, 80, 120, 160, 240, 320, 480, 640))


def problem(name, settings):
    """Returns the problem of a recipe with other settings."""
    return Problem(catalogue.recipe(name).override(settings))


def with_error(value, error):
    """Returns a noise scale and its error as text."""
    return f"{value:,.0f} ± {error:,.0f}" if value >= 100 else f"{value:.2g} ± {error:.1g}"


def point_row(point):
    """Returns a `Point` as a row of a table."""
    scale = with_error(point.simple.noise_scale, point.simple.standard_error)
    return f"| {point.step} | {point.loss:.3g} | {scale} |"


def runs(only, points, each):
    """Prints a row for each run at a constant learning rate and, if `each`, for each of its points."""
    print("| data | normalization | parameters | B | rate | epochs | seed | start | average | loss |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    problems = {}
    for name, settings, batch_size, rate, epochs, seed in RUNS:
        if only not in (None, name):
            continue
        key = name, settings["normalization"]
        if key not in problems:
            # Keep only one problem in memory.
            problems = {key: problem(name, settings)}
        current = problems[key]
        steps = round(epochs * current.size / batch_size)
        run = measure_run(current, batch_size, rate, steps, seed, points, curved=0)
        start = run.start()
        row = (
            f"{current.recipe.data.name} | {key[1]} | {current.parameters:,}",
            f"{batch_size} | {rate:.3f} | {epochs} | {seed}",
            f"{with_error(start.noise_scale, start.standard_error)} | {with_error(*run.average())}",
            f"{run.points[-1].loss:.3g}",
        )
        print(f"| {' | '.join(row)} |", flush=True)
        for point in run.points if each else ():
            print(point_row(point), flush=True)


def resnet():
    """Prints the noise scale of an unchanged recipe after given numbers of steps."""
    name, batch_size, rate, steps = RESNET
    current = problem(name, {})
    current.restart(current.recipe.seed, rate)
    print(f"\n{name}, batch size {batch_size}, rate {rate}, seed {current.recipe.seed}\n")
    print("| step | loss | noise scale |\n|---|---|---|")
    for step in steps:
        if step > current.step:
            current.advance(step - current.step, batch_size)
        print(point_row(measure_point(current)), flush=True)


def main():
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = sorted({run[0] for run in RUNS} | {RESNET[0]})
    parser.add_argument("--only", choices=names)
    parser.add_argument("--points", type=int, default=41)
    parser.add_argument("--each", action="store_true", help="print every point: step, loss, noise scale")
    arguments = parser.parse_args()
    print(f"TensorFlow {tf.__version__}, Keras {keras.__version__}\n")
    if arguments.only != RESNET[0]:
        runs(arguments.only, arguments.points, arguments.each)
    if arguments.only in (None, RESNET[0]):
        resnet()


if __name__ == "__main__":
    main()
