"""Compares the time in which XLA compiles a training step of K-FAC and of Adam (docs/results.md).

    python benchmarks/kfac_compile.py [--only mlp_digits]

The time is the processor time of the first step under `jit_compile=True` minus that of the second. K-FAC
without inverses has diagonal factors only, and without tangents a fixed momentum.
"""

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf

from curvezoo import optimizers
from curvezoo.training.learner import Resources
from curvezoo.training.supervised_learner import SupervisedLearner
from curvezoo.zoo import catalogue

OPTIMIZERS = {
    "Adam": lambda: keras.optimizers.Adam(),
    "K-FAC": lambda: optimizers.KFAC(),
    "without inverses": lambda: optimizers.KFAC(max_factor_size=1),
    "without tangents": lambda: optimizers.KFAC(momentum=0.9, learning_rate=0.03),
    "without both": lambda: optimizers.KFAC(max_factor_size=1, momentum=0.9, learning_rate=0.03),
}


def compile_seconds(name, optimizer):
    """Returns the processor seconds of XLA's compilation.

    Args:
        name: Name of a recipe.
        optimizer: A Keras optimizer.
    """
    recipe = catalogue.recipe(name)
    learner = SupervisedLearner(recipe, Resources(tf.distribute.get_strategy()))
    model, splits = learner.model, learner.splits
    model.compile(optimizer, model.loss, jit_compile=True)
    batch = splits.epochs(0, 1).take(1).cache().repeat()
    times = []
    for _ in range(2):
        start = time.process_time()
        model.fit(batch, steps_per_epoch=1, verbose=0)
        times.append(time.process_time() - start)
    return times[0] - times[1]


def main():
    """Prints a row for each model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", default=["mlp_digits", "cnn_digits"])
    arguments = parser.parse_args()
    print(f"TensorFlow {tf.__version__}, Keras {keras.__version__}\n")
    print(f"| model | {' | '.join(OPTIMIZERS)} |")
    print(f"|---|{'---|' * len(OPTIMIZERS)}")
    for name in arguments.only:
        seconds = [compile_seconds(name, make()) for make in OPTIMIZERS.values()]
        print(f"| `{name}` | {' | '.join(f'{s:.1f} s' for s in seconds)} |", flush=True)


if __name__ == "__main__":
    main()
