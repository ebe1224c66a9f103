"""What watches a run: the bar, the guard against divergence, history and checkpoints, early stopping."""

import csv
import math
import sys
import time

import keras
import rich.console
import rich.progress

from ..publishing.files import replacing
from . import checkpoints

DIVERGED = 50.0


class Diverged(ArithmeticError):
    """The loss or a weight is NaN, infinite, or far above where the run began."""


class Progress(keras.callbacks.Callback):
    """A bar with the epoch, the running loss and accuracy, and the time left, on stderr.

    Args:
        first: Epochs already done.
        epochs: Epochs of the whole run.
        steps: Steps an epoch.
    """

    def __init__(self, first, epochs, steps):
        super().__init__()
        self.total, self.done, self.steps = epochs * steps, first * steps, steps
        self.shown, self.every = 0, max(1, steps // 20)
        self.bar = rich.progress.Progress(
            rich.progress.TextColumn("{task.description}"),
            rich.progress.BarColumn(),
            rich.progress.MofNCompleteColumn(),
            rich.progress.TextColumn("{task.fields[logs]}"),
            rich.progress.TimeRemainingColumn(),
            console=rich.console.Console(file=sys.stderr),
        )
        self.task = self.bar.add_task("epoch", total=self.total, completed=self.done, logs="")

    def on_train_begin(self, logs=None):
        """Shows the bar."""
        self.bar.start()

    def on_epoch_begin(self, epoch, logs=None):
        """Shows the epoch's number."""
        self.bar.update(self.task, description=f"epoch {epoch + 1}")

    def on_train_batch_end(self, batch, logs=None):
        """Moves the bar, and now and then the running means."""
        if self.done + batch + 1 - self.shown >= self.every:
            self.shown = self.done + batch + 1
            shown = {key: logs[key] for key in ("loss", "accuracy") if key in (logs or {})}
            text = "  ".join(f"{key} {float(value):.4f}" for key, value in shown.items())
            self.bar.update(self.task, completed=self.shown, logs=text)

    def on_epoch_end(self, epoch, logs=None):
        """Counts the epoch; where the output is no terminal, prints a line instead."""
        self.done = (epoch + 1) * self.steps
        self.bar.update(self.task, completed=self.done)
        if not self.bar.console.is_terminal:
            text = "  ".join(f"{key} {float(value):.4g}" for key, value in (logs or {}).items())
            print(f"epoch {epoch + 1}/{self.total // self.steps}  {text}", file=sys.stderr, flush=True)

    def on_train_end(self, logs=None):
        """Takes the bar away."""
        self.close()

    def close(self):
        """Takes the bar away, after an error too."""
        self.bar.stop()


class Guard(keras.callbacks.Callback):
    """Stops a run whose loss is NaN, infinite, or above 50 times its first value (or 50 nats).

    Args:
        folder: Where the checkpoints are, to name the last good one.
        steps: Steps an epoch.
        history: Logs of the epochs already done; the first one's loss sets the limit of a resumed run.
    """

    def __init__(self, folder, steps, history):
        super().__init__()
        self.folder, self.steps, self.epoch = folder, steps, 0
        self.limit = DIVERGED * max(1.0, history[0]["loss"]) if history else None

    def on_epoch_begin(self, epoch, logs=None):
        """Remembers the epoch."""
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        """Reads the running loss.

        Raises:
            Diverged: If it is not finite or too high.
        """
        loss = float(logs["loss"])
        self.limit = self.limit or DIVERGED * max(1.0, loss)
        if not loss < self.limit:
            self.stop(f"the loss is {loss:g}", batch + 1)

    def stop(self, what, step_of_epoch):
        """Raises `Diverged`.

        Args:
            what: What went wrong.
            step_of_epoch: Steps of this epoch done by then.

        Raises:
            Diverged: With the step, the learning rate and the last good checkpoint.
        """
        step = self.epoch * self.steps + step_of_epoch
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        good = checkpoints.latest(self.folder)
        raise Diverged(
            f"{what} at step {step} (epoch {self.epoch + 1}), learning rate {rate:g}; "
            f"last good checkpoint: {good if good else 'none, it diverged in the first epoch'}"
        )


class Checkpointer(keras.callbacks.Callback):
    """Keeps the history, writes a checkpoint and the CSV log each epoch, and stops early.

    Everything it decides is computed from the history, so that a resumed run decides the same.

    Args:
        folder: The run's folder, for `checkpoints/` and `history.csv`; `None` writes nothing.
        history: Logs of the epochs already done.
        patience: Epochs without a lower validation loss after which the run stops; 0 never.
        guard: The run's `Guard`.
    """

    def __init__(self, folder, history, patience, guard):
        super().__init__()
        self.folder, self.history, self.patience, self.guard = folder, history, patience, guard
        self.began = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        """Starts the epoch's clock."""
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        """Adds the epoch to the history and writes it down.

        Raises:
            Diverged: If a weight or the validation loss is not finite.
        """
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        measured = {key: float(value) for key, value in logs.items()}
        seconds = round(time.perf_counter() - self.began, 3)
        self.history.append({**measured, "learning_rate": rate, "seconds": seconds})
        if not all(math.isfinite(value) for value in self.history[-1].values()):
            self.guard.stop("the validation loss is not finite", self.guard.steps)
        bad = checkpoints.first_bad(self.model)
        if bad:
            self.guard.stop(f"{bad} is not finite", self.guard.steps)
        if self.folder:
            self._write()
        if self.patience and len(self.history) - checkpoints.best_epoch(self.history) >= self.patience:
            self.model.stop_training = True

    def _write(self):
        checkpoints.save(self.folder / "checkpoints", self.model, self.history)
        with replacing(self.folder / "history.csv") as temporary, temporary.open("w", newline="") as file:
            table = csv.DictWriter(file, ["epoch", *self.history[0]])
            table.writeheader()
            table.writerows({"epoch": i, **row} for i, row in enumerate(self.history, 1))
