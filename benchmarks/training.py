"""Compares the training speed of three recipes with that of the same networks in PyTorch.

    python -m pip install torch
    python benchmarks/training.py [--rounds 5] [--steps 20] [--networks mlp_mnist,...]

Every variant runs in its own process, which sleeps while another is measured, so that they share neither
cores nor a thread pool. Rounds alternate between the variants; the result is the median over the steps of all
rounds. A step consists of the forward pass, backward pass and update on a batch in memory, with the recipe's
batch size and precision. curvezoo's step is the compiled function that `fit` calls, with its metrics.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import time

VARIANTS = {
    "mlp_mnist": [
        "curvezoo",
        "curvezoo jit_compile=false",
        "torch contiguous",
        "torch channels_last",
        "torch contiguous foreach",
    ],
    "cnn_mnist": ["curvezoo", "curvezoo jit_compile=true", "torch contiguous", "torch channels_last"],
    "resnet20_cifar10": ["curvezoo", "curvezoo jit_compile=true", "torch contiguous", "torch channels_last"],
}


def curvezoo_step(name, settings):
    """Returns a function that trains a recipe's model, its steps per call, and the number of parameters."""
    import keras
    import numpy as np
    import tensorflow as tf

    from curvezoo import zoo
    from curvezoo.training.supervised_learner import compiled_model

    recipe = zoo.recipe(name).override(settings)
    spec = recipe.data.spec()
    keras.utils.set_random_seed(0)
    model = compiled_model(recipe, spec, 1000)
    generator = np.random.default_rng(0)
    images = generator.random((8 * recipe.data.batch_size, *spec.shape), "float32")
    labels = generator.integers(0, spec.classes, len(images)).astype("int32")
    batches = tf.data.Dataset.from_tensor_slices((images, labels)).batch(
        recipe.data.batch_size, drop_remainder=True
    )
    batches = batches.cache().repeat().prefetch(2)
    calls = recipe.execution.steps_per_execution
    model.fit(batches, steps_per_epoch=2 * calls, verbose=0)
    iterator = iter(batches)

    def step():
        logs = model.train_function(iterator)
        float(logs["loss"])

    return step, calls, sum(int(np.prod(v.shape)) for v in model.trainable_variables)


def work(name, variant):
    """Reads a number of steps from each line of stdin, and writes their times in ms."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    peer, *words = variant.split()
    if peer == "curvezoo":
        step, calls, parameters = curvezoo_step(name, dict(word.split("=") for word in words))
    else:
        import torch_networks

        batch_size = 128
        foreach = True if "foreach" in words else None
        (step, parameters), calls = torch_networks.training_step(name, batch_size, words[0], foreach), 1
    for _ in range(5):
        step()
    print(parameters, file=replies, flush=True)
    for line in sys.stdin:
        step()
        times = []
        for _ in range(max(1, int(line) // calls)):
            begin = time.perf_counter()
            step()
            times.append((time.perf_counter() - begin) * 1e3 / calls)
        print(json.dumps(times), file=replies, flush=True)


def measure(name, rounds, steps):
    """Runs all variants of a network in turns and returns their step times in ms."""
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    workers = {
        variant: subprocess.Popen(
            [sys.executable, __file__, "--worker", name, variant],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        for variant in VARIANTS[name]
    }
    parameters = {variant: int(worker.stdout.readline()) for variant, worker in workers.items()}
    if len(set(parameters.values())) != 1:
        raise RuntimeError(
            f"the variants of {name} must have the same number of parameters, got {parameters}"
        )
    times = {variant: [] for variant in workers}
    for _ in range(rounds):
        for variant, worker in workers.items():
            print(steps, file=worker.stdin, flush=True)
            times[variant] += json.loads(worker.stdout.readline())
    for worker in workers.values():
        worker.stdin.close()
        worker.wait()
    return times


def main():
    """Prints a table for each network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--steps", type=int, default=20, help="steps per round and variant; ten times as many for the MLP"
    )
    parser.add_argument("--networks", default=",".join(VARIANTS))
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work(*arguments.worker)
        return
    versions = {name: importlib.metadata.version(name) for name in ("tensorflow", "keras", "torch")}
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, {versions}\n")
    print("| network | variant | median ms/step | fastest round | time over curvezoo's |")
    print("|---|---|---|---|---|")
    for name in arguments.networks.split(","):
        steps = arguments.steps * (10 if name.startswith("mlp") else 1)
        times = measure(name, arguments.rounds, steps)
        own = statistics.median(times["curvezoo"])
        for variant, all_times in times.items():
            size = len(all_times) // arguments.rounds
            best = min(statistics.median(all_times[i : i + size]) for i in range(0, len(all_times), size))
            median = statistics.median(all_times)
            cells = (name, variant, f"{median:.2f}", f"{best:.2f}", f"{median / own:.2f}")
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
