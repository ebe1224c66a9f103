"""Monitoring of a run: detection of divergence, the history, checkpoints and early stopping."""

import csv
import math
import time

import tensorflow as tf

from ..files import replacing
from . import checkpoints


class Diverged(ArithmeticError):
    """The loss or a weight is NaN or infinite, or the loss is far above its initial value."""


class Watch:
    """The `After` of every run, which a learner calls after each unit and within units.

    Its decisions at the end of a unit depend only on the history, so a resumed run makes the same ones.

    Args:
        learner: The `Learner`.
        history: Logs of the completed units; grows with each unit.
        progress: The run's `Progress`.
        checkpoints: Folder of the checkpoints; an error message names the last one.
        folder: The run's folder, or `None` in a process that writes no files.
    """

    def __init__(self, learner, history, progress, checkpoints, folder):
        self.history, self._learner, self._progress = history, learner, progress
        self._checkpoints, self._folder = checkpoints, folder
        self._limit = self._limit_above(history[0].get("loss")) if history else None
        self._done, self._steps = 0, 0
        self._began = time.perf_counter()
        self._board = None
        if folder:
            # A resumed run continues one history, in which nothing is missing or twice.
            self._board = _new_board(folder / "tensorboard")
            self._write_table()
            for done in range(len(history)):
                self._write_scalars(done)

    def __enter__(self):
        """Returns itself."""
        return self

    def __exit__(self, *_):
        """Closes the TensorBoard file."""
        if self._board:
            self._board.close()

    def step(self, done, steps, logs):
        """Checks the running loss and advances the progress bar.

        Args:
            done: Number of completed steps in this unit.
            steps: Number of steps per unit.
            logs: The running logs.

        Raises:
            Diverged: If the loss is not finite, or above the learner's ceiling.
        """
        self._done, self._steps = done, steps
        self._check_loss(logs)
        self._progress.step(done, steps, logs)

    def __call__(self, logs):
        """Adds a unit to the history and writes a checkpoint.

        Args:
            logs: The unit's logs, numbers by name.

        Returns:
            Whether to stop early.

        Raises:
            Diverged: If the loss is above the learner's ceiling, or a number of the logs or of the learner's
                state is not finite.
        """
        now = time.perf_counter()
        row = {key: float(value) for key, value in logs.items()} | {"seconds": round(now - self._began, 3)}
        for key, value in row.items():
            if not math.isfinite(value):
                self._stop(f"{key} is not finite")
        self._check_loss(row)
        self._limit = self._limit_above((self.history or [row])[0].get("loss"))
        state = self._learner.state()
        bad = checkpoints.first_non_finite(state)
        if bad:
            self._stop(f"{bad} is not finite")
        self.history.append(row)
        if self._folder:
            self._write(state)
        self._progress.unit_done(row)
        self._done, self._began = 0, time.perf_counter()
        return self._learner.stopping.exhausted(self.history)

    def _check_loss(self, logs):
        """Stops a run whose loss is not finite or above the limit, which the first loss sets."""
        if "loss" in logs:
            loss = float(logs["loss"])
            if self._limit is None:
                self._limit = self._limit_above(loss)
            if not loss < self._limit:
                self._stop(f"the loss is {loss:g}")

    def _limit_above(self, loss):
        """Returns the loss above which the run has diverged."""
        ceiling = self._learner.ceiling
        if ceiling is None or loss is None or not math.isfinite(loss):
            return math.inf
        return ceiling * max(1.0, loss)

    def _stop(self, reason):
        """Raises `Diverged` with the step, the learning rate and the last good checkpoint."""
        unit, number = self._learner.unit, len(self.history) + 1
        step = (
            f"step {len(self.history) * self._steps + self._done} ({unit} {number})"
            if self._steps
            else f"{unit} {number}"
        )
        rate = self._learner.learning_rate
        good = checkpoints.latest(self._checkpoints)
        raise Diverged(
            f"{reason} at {step}{'' if rate is None else f', learning rate {rate:g}'}; "
            f"last good checkpoint: {good or f'none, it diverged in the first {unit}'}"
        )

    def _write(self, state):
        """Writes the checkpoint, `history.csv` and the logs for TensorBoard."""
        unit, best = self._learner.unit, self._learner.stopping.best(self.history)
        checkpoints.save(self._checkpoints, unit, state, self.history, best)
        self._write_table()
        self._write_scalars(len(self.history) - 1)

    def _write_table(self):
        if not self.history:
            return
        unit, columns = self._learner.unit, dict.fromkeys(key for row in self.history for key in row)
        with replacing(self._folder / "history.csv") as temporary, temporary.open("w", newline="") as file:
            table = csv.DictWriter(file, [unit, *columns])
            table.writeheader()
            table.writerows({unit: i, **row} for i, row in enumerate(self.history, 1))

    def _write_scalars(self, index):
        with self._board.as_default(step=index + 1):
            for key, value in self.history[index].items():
                tf.summary.scalar(key, value)
        self._board.flush()


def _new_board(folder):
    """Returns a writer of TensorBoard logs, in place of those that an interrupted process left."""
    for path in folder.glob("events.out.tfevents.*"):
        path.unlink()
    return tf.summary.create_file_writer(str(folder))
