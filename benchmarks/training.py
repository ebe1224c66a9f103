"""Compares the training speed of three recipes with that of the same networks in PyTorch.

    python -m venv PEER && PEER/bin/pip install torch
    python benchmarks/training.py --peer PEER/bin/python [--rounds 5] [--steps 20] [--networks mlp_mnist,...]

Variants take turns (`turns.py`); the result is the median over the steps of all rounds. A step consists of
the forward pass, backward pass and update on a batch in memory, with the recipe's batch size and precision.
curvezoo's step is the compiled function that `fit` calls, with its metrics.
"""

import argparse
import itertools
import json
import statistics

import turns

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


def made(name, variant):
    """Returns a function that takes a call's steps after a few others, and its facts."""
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
    return step, {"parameters": parameters, "steps": calls}


def measure(name, rounds, steps, peer):
    """Runs all variants of a network in turns and returns their step times in ms by round."""
    workers = {
        variant: turns.Worker(__file__, [name, variant], peer if variant.startswith("torch") else None)
        for variant in VARIANTS[name]
        if peer or not variant.startswith("torch")
    }
    parameters = {variant: worker.facts["parameters"] for variant, worker in workers.items()}
    if len(set(parameters.values())) != 1:
        raise RuntimeError(
            f"the variants of {name} must have the same number of parameters, got {parameters}"
        )
    results = turns.alternate(workers, rounds, steps)
    return {
        variant: [[1e3 * seconds for seconds, _ in times] for times in its]
        for variant, its in results.items()
    }


def main():
    """Prints a table for each network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", help="a Python with torch, which is left out by default")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--steps", type=int, default=20, help="steps per round and variant; ten times as many for the MLP"
    )
    parser.add_argument("--networks", default=",".join(VARIANTS))
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        name, variant = json.loads(arguments.worker)
        turns.answer(lambda: made(name, variant))
        return
    turns.print_conditions(("tensorflow", "keras"), arguments.peer, ("torch",))
    print("\n| network | variant | median ms/step | fastest round | time over curvezoo's |")
    print("|---|---|---|---|---|")
    for name in arguments.networks.split(","):
        steps = arguments.steps * (10 if name.startswith("mlp") else 1)
        times = measure(name, arguments.rounds, steps, arguments.peer)
        medians = {variant: statistics.median(itertools.chain(*its)) for variant, its in times.items()}
        for variant, median in medians.items():
            best = min(map(statistics.median, times[variant]))
            cells = (name, variant, f"{median:.2f}", f"{best:.2f}", f"{median / medians['curvezoo']:.2f}")
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
