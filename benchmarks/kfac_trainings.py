"""Compares whole trainings with K-FAC and with the recipe's optimizer (docs/results.md).

    TFDS_DATA_DIR=... python benchmarks/kfac_trainings.py [--only cnn_mnist] [--seeds 0 1 2]
    python benchmarks/kfac_trainings.py --only resnet20_cifar10 --optimizers momentum --epochs 15 --seeds 0

Each optimizer trains the recipe's model on its augmented batches to the end of its own schedule. K-FAC has
its default settings and fewer epochs, for about the same processor time; or a fixed momentum and damping, a
clip and as many epochs. In both cases it has a cosine schedule and no weight decay. The processor time is
that of `fit`, compilation included.
"""

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf

from curvezoo.training.learner import Resources
from curvezoo.training.supervised_learner import SupervisedLearner
from curvezoo.zoo import catalogue

_KFAC = {"optimizer.name": "kfac", "optimizer.schedule": "cosine", "execution.jit_compile": False}
_FIXED = {"learning_rate": 0.1, "momentum": 0.9, "damping": 0.01, "adapt_every": None, "kl_clip": 0.001}
OPTIMIZERS = {
    "recipe": {},
    "defaults": _KFAC,
    "momentum": _KFAC | {f"optimizer.{key}": value for key, value in _FIXED.items()},
}
# Epochs with each optimizer. The two long recipes are shortened to a tenth.
EPOCHS = {"cnn_mnist": (8, 3, 8), "resnet20_cifar10": (3, 1, 3), "transformer_shakespeare": (2, 1, 2)}


def trained(recipe):
    """Trains a recipe's model; returns its test loss and accuracy, and the seconds.

    Args:
        recipe: A `Supervised` recipe.
    """
    learner = SupervisedLearner(recipe, Resources(tf.distribute.get_strategy()))
    model, splits = learner.model, learner.splits
    processor, wall = time.process_time(), time.perf_counter()
    model.fit(
        splits.epochs(0, recipe.epochs),
        epochs=recipe.epochs,
        steps_per_epoch=splits.steps_per_epoch,
        shuffle=False,
        verbose=0,
    )
    processor, wall = time.process_time() - processor, time.perf_counter() - wall
    test = model.evaluate(splits.test, verbose=0, return_dict=True)
    return test["loss"], test["accuracy"], processor, wall


def main():
    """Prints a row for each training."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=EPOCHS, nargs="+", default=EPOCHS)
    parser.add_argument("--optimizers", choices=OPTIMIZERS, nargs="+", default=OPTIMIZERS)
    parser.add_argument("--epochs", type=int, help="epochs of each training, in place of those above")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    print(f"TensorFlow {tf.__version__}, Keras {keras.__version__}\n")
    print("| model | settings | epochs | seed | test loss | test accuracy | processor s | s |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for seed in arguments.seeds:
        for name in arguments.only:
            for optimizer, epochs in zip(OPTIMIZERS, EPOCHS[name], strict=True):
                if optimizer not in arguments.optimizers:
                    continue
                settings = {**OPTIMIZERS[optimizer], "seed": seed, "epochs": arguments.epochs or epochs}
                recipe = catalogue.recipe(name).override(settings)
                loss, accuracy, processor, wall = trained(recipe)
                measured = f"{loss:.4f} | {100 * accuracy:.2f} % | {processor:.0f} | {wall:.0f}"
                print(f"| `{name}` | {optimizer} | {recipe.epochs} | {seed} | {measured} |", flush=True)


if __name__ == "__main__":
    main()
