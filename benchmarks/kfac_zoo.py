"""Compares K-FAC at its defaults with each recipe's optimizer on the zoo's models (docs/results.md).

    TFDS_DATA_DIR=... python benchmarks/kfac_zoo.py [--only cnn_mnist]
    python benchmarks/kfac_zoo.py --dampings 0.001 0.01 0.1 --only mlp_digits --batch-sizes 16 64 256

All optimizers train the recipe's model from the same weights on the same batches, with the recipe's
augmentation and label smoothing, for fewer epochs and at a constant rate: the recipe's peak rate for its own
optimizer. There is no weight decay, since its strength depends on an optimizer's rate. The training loss is
the mean over the last epoch, including dropout. The time excludes the first epoch, which compiles.

The second command trains only with K-FAC, at several constant dampings and with adaptive damping, to compare
the adaptive damping with the best constant one.
"""

import argparse
import functools
import itertools
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf

from curvezoo import optimizers
from curvezoo.training.learner import Resources
from curvezoo.training.supervised_learner import SupervisedLearner
from curvezoo.zoo import catalogue

# Epochs of each model, at least two, and the number of training examples, None for all.
RUNS = {
    "softmax_digits": (10, None),
    "mlp_digits": (10, None),
    "cnn_digits": (10, None),
    "denoiser_digits": (10, None),
    "denoiser_digits_impulse": (10, None),
    "softmax_mnist": (3, None),
    "mlp_mnist": (3, None),
    "cnn_mnist": (2, 25600),
    "resnet20_cifar10": (2, 12800),
}
# The dense layer of `cnn_mnist` has a factor of 3,137 rows.
KFAC = {
    "K-FAC": functools.partial(optimizers.KFAC, max_factor_size=None),
    "K-FAC, whole steps": functools.partial(optimizers.KFAC, noise_memory=None, max_factor_size=None),
}


class Clock(keras.callbacks.Callback):
    """Seconds of each epoch's steps."""

    def __init__(self):
        super().__init__()
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        """Starts the clock."""
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        """Stops the clock."""
        self.seconds.append(time.perf_counter() - self.start)


def measure(recipe, optimizer=None):
    """Trains a recipe's model; returns the last epoch's loss, the test loss and milliseconds per step."""
    learner = SupervisedLearner(recipe, Resources(tf.distribute.get_strategy()))
    model, splits = learner.model, learner.splits
    if optimizer is not None:
        model.compile(optimizer, model.loss)
    clock = Clock()
    history = model.fit(
        splits.epochs(0, recipe.epochs),
        epochs=recipe.epochs,
        steps_per_epoch=splits.steps_per_epoch,
        shuffle=False,
        verbose=0,
        callbacks=[clock],
    )
    test = model.evaluate(splits.test, verbose=0, return_dict=True)["loss"]
    step = sum(clock.seconds[1:]) / (recipe.epochs - 1) / splits.steps_per_epoch
    return history.history["loss"][-1], test, 1000 * step


def main():
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=sorted(RUNS), nargs="+", default=RUNS)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[None])
    parser.add_argument("--dampings", type=float, nargs="+", default=[])
    arguments = parser.parse_args()
    print(f"TensorFlow {tf.__version__}, Keras {keras.__version__}\n")
    print("| model | batch | epochs | optimizer | training loss | test loss | ms a step |")
    print("|---|---|---|---|---|---|---|")
    for name, batch_size in itertools.product(arguments.only, arguments.batch_sizes):
        epochs, subset = RUNS[name]
        settings = {"epochs": epochs, "subset": subset, "schedule": "constant", "warmup": 0.0}
        if batch_size is not None:
            settings["batch_size"] = batch_size
        recipe = catalogue.recipe(name).override({**settings, "weight_decay": 0.0})
        variants = {recipe.optimizer.name: None, **KFAC}
        if arguments.dampings:
            constant = functools.partial(optimizers.KFAC, adapt_every=None)
            variants = {
                f"K-FAC, damping {damping:g}": functools.partial(constant, damping=damping)
                for damping in arguments.dampings
            }
            variants["K-FAC"] = optimizers.KFAC
        for label, make in variants.items():
            measured = measure(recipe, make and make())
            cells = " | ".join(f"{number:.4g}" for number in measured)
            print(f"| `{name}` | {recipe.data.batch_size} | {epochs} | {label} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
