"""Compares the processor time of a step of K-FAC and of Adam, in whole and by parts (docs/results.md).

    TFDS_DATA_DIR=... python benchmarks/kfac_step.py [--only cnn_mnist] [--batch-size 128] [--rounds 5]

All variants train a recipe's model on the same batches in memory, in processes that take turns (`turns.py`).
A turn is 20 steps after the first 41, so that it has five updates of the statistics, one inversion and two
regular trials. The time of a part is that of K-FAC minus that of K-FAC without the part, in steps of Adam.
K-FAC without the tangents has a fixed momentum.
"""

import argparse
import json
import statistics

import turns

STEPS = 20
NEVER = 10**6
ADAM = "Adam"
KFAC = "K-FAC"
WITHOUT = {
    "statistics": {"statistics_every": NEVER},
    "inverses": {"inverse_every": NEVER},
    "trials": {"adapt_every": NEVER},
    "tangents": {"momentum": 0.9, "learning_rate": 0.03},
}
# The Transformer reads windows of 32 characters, so that 128 of them have as many as a batch of its recipe.
MODELS = {"cnn_digits": {}, "cnn_mnist": {}, "transformer_shakespeare": {"context": 32}}


def made(name, batch_size, settings):
    """Returns a function that takes 20 steps, and its facts.

    Args:
        name: Name of a recipe.
        batch_size: Its batch size.
        settings: Arguments of `KFAC`, or None for Adam.
    """
    import keras
    import tensorflow as tf

    from curvezoo import optimizers
    from curvezoo.training.learner import Resources
    from curvezoo.training.supervised_learner import SupervisedLearner
    from curvezoo.zoo import catalogue

    overrides = MODELS[name] | {"batch_size": batch_size, "jit_compile": False}
    recipe = catalogue.recipe(name).override(overrides)
    learner = SupervisedLearner(recipe, Resources(tf.distribute.get_strategy()))
    model, splits = learner.model, learner.splits
    optimizer = keras.optimizers.Adam(1e-3) if settings is None else optimizers.KFAC(**settings)
    model.compile(optimizer, model.loss, jit_compile=False)
    batches = splits.epochs(0, 1).take(min(STEPS, splits.steps_per_epoch - 1)).cache().repeat().prefetch(2)
    model.fit(batches, steps_per_epoch=1, verbose=0)
    iterator = iter(batches)

    def run():
        for _ in range(STEPS):
            float(model.train_function(iterator)["loss"])

    return run, {"parameters": model.count_params(), "steps": STEPS}


def main():
    """Prints a row for each model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=MODELS, nargs="+", default=MODELS)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--settings", type=json.loads, default={}, help="arguments of KFAC, as JSON")
    parser.add_argument("--parts", choices=WITHOUT, nargs="*", default=WITHOUT)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        task = json.loads(arguments.worker)
        turns.answer(lambda: made(*task))
        return
    turns.print_conditions(("tensorflow", "keras"))
    print(f"\n| model | batch | Adam's step, ms | K-FAC's step | {' | '.join(arguments.parts)} |")
    print(f"|---|---|---|---|{'---|' * len(arguments.parts)}", flush=True)
    for name in arguments.only:
        tasks = {ADAM: None, KFAC: arguments.settings}
        tasks |= {part: {**arguments.settings, **WITHOUT[part]} for part in arguments.parts}
        workers = {
            label: turns.Worker(__file__, [name, arguments.batch_size, settings])
            for label, settings in tasks.items()
        }
        results = turns.alternate(workers, arguments.rounds, STEPS)
        seconds = {label: [turn[0][1] for turn in rounds] for label, rounds in results.items()}
        adam = statistics.median(seconds[ADAM])
        whole = [ours / its for ours, its in zip(seconds[KFAC], seconds[ADAM], strict=True)]
        low, ratio, high = turns.quartiles(whole)
        cells = [f"{1000 * adam:.1f}", f"{ratio:.2f} ({low:.2f}-{high:.2f})"]
        for part in arguments.parts:
            differences = [
                (ours - its) / base
                for ours, its, base in zip(seconds[KFAC], seconds[part], seconds[ADAM], strict=True)
            ]
            cells.append(f"{statistics.median(differences):.2f}")
        print(f"| `{name}` | {arguments.batch_size} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
