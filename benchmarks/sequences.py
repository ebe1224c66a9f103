"""K-FAC, Adam and the gradient noise scale on a character Transformer and an LSTM (docs/results.md).

    TFDS_DATA_DIR=... python benchmarks/sequences.py [--only lstm] [--steps 600] [--picture FILE.png]

All optimizers start from the same weights and see the same batches, at a constant rate. Adam has the best of
three rates, by its loss at the end; K-FAC runs at its defaults, and with whole steps. A loss is the mean over
the last 20 steps. Times leave out the first steps, which compile; Adam's steps are compiled by XLA, those of
K-FAC by TensorFlow. The noise scale is measured along Adam's best run.
"""

import argparse
import functools
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from curvezoo import optimizers
from curvezoo.publishing.page import style
from curvezoo.training.supervised_learner import compiled_model
from curvezoo.zoo import catalogue

CONTEXT, BATCH, WINDOW, WARM = 64, 32, 20, 5
MODELS = {
    "transformer": (
        "transformer_shakespeare",
        {"num_layers": 2, "width": 64, "heads": 4, "dropout": 0.0, "jit_compile": True},
    ),
    "lstm": (
        "lstm_shakespeare",
        {"num_layers": 1, "width": 128, "dropout": 0.0, "jit_compile": True},
    ),
}
RATES = (1e-3, 3e-3, 1e-2)
KFAC = {
    "K-FAC": optimizers.KFAC,
    "K-FAC, whole steps": functools.partial(optimizers.KFAC, noise_memory=None),
}
COLORS = dict(zip(("Adam", *KFAC), (style.BLUE, style.ORANGE, style.GREEN), strict=True))


class Record(keras.callbacks.Callback):
    """The loss and the time of every step."""

    def __init__(self):
        super().__init__()
        self.losses, self.times, self.noise = [], [], []

    def on_train_batch_begin(self, batch, logs=None):
        """Makes the reported loss that of one batch."""
        self.model.reset_metrics()

    def on_train_batch_end(self, batch, logs=None):
        """Records the step."""
        self.losses.append(float(logs["loss"]))
        self.times.append(time.perf_counter())
        # Logs repeat the last measurement. The first one has no error.
        measured = (logs.get("noise_scale"), logs.get("noise_scale_error"))
        if None not in measured and measured not in [point[1:] for point in self.noise[-1:]]:
            self.noise.append((batch + 1, *measured))

    @property
    def smoothed(self):
        """Mean loss over the last 20 steps, from the 20th step on."""
        return np.convolve(self.losses, np.ones(WINDOW) / WINDOW, "valid")

    @property
    def step_seconds(self):
        """Seconds per step, without the first steps."""
        return (self.times[-1] - self.times[WARM - 1]) / (len(self.times) - WARM)


def train(recipe, splits, steps, optimizer, jit_compile, callbacks=()):
    """Returns the record of a training, and the validation loss after it."""
    keras.utils.set_random_seed(recipe.seed)
    model = compiled_model(recipe, splits.spec, splits.steps_per_epoch)
    model.compile(optimizer, model.loss, jit_compile=jit_compile)
    record = Record()
    batches = splits.epochs(0, -(-steps // splits.steps_per_epoch)).take(steps)
    callbacks = [*callbacks, record]
    model.fit(batches, steps_per_epoch=steps, shuffle=False, verbose=0, callbacks=callbacks)
    validation = model.evaluate(splits.validation, verbose=0, return_dict=True)["loss"]
    return record, validation


def measure(name, steps, rates):
    """Prints a model's table; returns the records by label, and the noise scale."""
    recipe_name, settings = MODELS[name]
    jit_compile = settings["jit_compile"]
    recipe = catalogue.recipe(recipe_name).override(
        {**settings, "context": CONTEXT, "batch_size": BATCH, "schedule": "constant", "warmup": 0.0}
    )
    recipe = recipe.override({"optimizer.name": "adam", "jit_compile": False})
    splits = recipe.data.load(recipe.seed)
    tried = {rate: train(recipe, splits, steps, keras.optimizers.Adam(rate), jit_compile) for rate in rates}
    best = min(tried, key=lambda rate: tried[rate][0].smoothed[-1])
    runs = {f"Adam, rate {rate:g}": run for rate, run in tried.items()}
    for label, make in KFAC.items():
        runs[label] = train(recipe, splits, steps, make(), False)
    adam = f"Adam, rate {best:g}"
    print(f"\n{name}: {recipe.build(splits).count_params():,} parameters, {BATCH} windows of {CONTEXT}")
    print("| optimizer | loss at the end | validation | ms a step | steps to Adam's loss | seconds to it |")
    print("|---|---|---|---|---|---|")
    goal = runs[adam][0].smoothed[-1]
    for label, (record, validation) in runs.items():
        reached = np.flatnonzero(record.smoothed <= goal)
        first = WINDOW + int(reached[0]) if len(reached) else None
        seconds = f"{first * record.step_seconds:.1f}" if first else "-"
        cells = (f"{record.smoothed[-1]:.3f}", f"{validation:.3f}", f"{1000 * record.step_seconds:.1f}")
        print(f"| {label} | {' | '.join(cells)} | {first or '-'} | {seconds} |", flush=True)
    callback = optimizers.GradientNoiseScale(every=max(1, steps // 12), decay=0.5)
    noisy, _ = train(recipe, splits, steps, keras.optimizers.Adam(best), False, [callback])
    points = (f"{scale:.3g} ± {error:.2g} at step {step}" for step, scale, error in noisy.noise)
    print("B_simple in windows: " + ", ".join(points))
    return {"Adam": runs[adam][0], **{key: runs[key][0] for key in runs if key.startswith("K-FAC")}}, noisy


def draw(results):
    """Draws the losses against steps and seconds, and the noise scale."""
    figure, axes = style.canvas(10, 3.2 * len(results), columns=3, rows=len(results))
    for (name, (records, noisy)), row in zip(results.items(), axes, strict=True):
        for label, record in records.items():
            steps = np.arange(WINDOW, len(record.losses) + 1)
            row[0].plot(steps, record.smoothed, color=COLORS[label], label=label)
            row[1].plot(steps * record.step_seconds, record.smoothed, color=COLORS[label])
        row[0].set(xlabel="step", ylabel="nats per character")
        row[1].set(xlabel="seconds")
        step, scale, error = np.array(noisy.noise).T
        row[2].errorbar(step, scale, error, color=style.INK, linewidth=1)
        row[2].set(xlabel="step", ylabel="$B_\\mathrm{simple}$, windows", ylim=(0, None))
        row[0].set_title(name, loc="left", fontsize=11)
    style.legend_below(figure, columns=3)
    return figure


def main():
    """Prints the tables and draws the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=sorted(MODELS), nargs="+", default=list(MODELS))
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--rates", type=float, nargs="+", default=RATES)
    parser.add_argument("--picture", help="the PNG file to draw")
    arguments = parser.parse_args()
    print(f"TensorFlow {tf.__version__}, Keras {keras.__version__}")
    results = {name: measure(name, arguments.steps, arguments.rates) for name in arguments.only}
    if arguments.picture:
        draw(results).savefig(arguments.picture, dpi=150, bbox_inches="tight")


if __name__ == "__main__":
    main()
