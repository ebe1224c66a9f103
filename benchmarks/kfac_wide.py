"""Compares full with diagonal factors in K-FAC on a wide layer (docs/results.md).

    TFDS_DATA_DIR=... python benchmarks/kfac_wide.py [--width 3500] [--steps 150]

A network 784-width-10 trains on 20,000 images of MNIST in batches of 256. Each line has the number of steps,
the processor time that they took without the first step, and the loss of 5,000 training images after them.
"""

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from curvezoo import data, optimizers

BATCH, EXAMPLES, MEASURED = 256, 20_000, 5_000
AFTER = (10, 20, 40, 60, 100, 150, 200)


def main():
    """Trains with diagonal factors, then a third of the steps with full ones, and prints the losses."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--width", type=int, default=2000, help="units of the hidden layer")
    parser.add_argument("--steps", type=int, default=200, help="steps with diagonal factors")
    options = parser.parse_args()
    images, labels = next(iter(data.load("mnist", batch_size=EXAMPLES, seed=0).train))[:2]
    arrays = np.reshape(images, (EXAMPLES, -1)), np.asarray(labels)
    for name, limit, steps in (
        ("diagonal", options.width - 1, options.steps),
        ("full", None, options.steps // 3),
    ):
        for step, seconds, loss in losses(*arrays, options.width, limit, steps):
            print(f"{name:8} {step:4} steps {seconds:6.1f} s  loss {loss:.4f}", flush=True)


def losses(images, labels, width, limit, steps):
    """Yields the number of steps, their processor time in seconds and the loss.

    Args:
        images: [N, 784].
        labels: [N].
        width: Units of the hidden layer.
        limit: The largest size of a full factor, or None.
        steps: The number of steps.
    """
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(width, "relu"), keras.layers.Dense(10)]
    model = keras.Sequential([keras.Input((images.shape[1],)), *layers])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizers.KFAC(max_factor_size=limit), loss)
    rng, seconds = np.random.default_rng(0), 0.0
    model.train_on_batch(images[:BATCH], labels[:BATCH])
    for step in range(1, steps + 1):
        batch = rng.integers(0, len(images), BATCH)
        start = time.process_time()
        model.train_on_batch(images[batch], labels[batch])
        seconds += time.process_time() - start
        if step in AFTER:
            yield step, seconds, model.evaluate(images[:MEASURED], labels[:MEASURED], verbose=0)
            model.reset_metrics()


if __name__ == "__main__":
    main()
