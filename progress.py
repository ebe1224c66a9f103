"""The progress of a run on stderr: a bar on a terminal and in notebooks, otherwise one line per unit."""

import importlib.util

import rich.console
import rich.progress

from . import streams

_DISPLAYED_LOGS = ("loss", "accuracy", "return")


class Progress:
    """A progress bar with the current unit, the running logs and the remaining time.

    Args:
        unit: Name of the unit of training, such as "epoch".
        total: Number of units in the whole run.
        done: Number of completed units.
        visible: Whether to show anything.
        lines: Whether to print a line per unit where no bar can be shown.
    """

    def __init__(self, unit, total, done=0, visible=True, lines=True):
        self.unit, self.total, self.done, self.visible = unit, total, done, visible
        self._steps, self._next = 1, 0
        # A console with `file=` does not detect a notebook. In a notebook, a live bar needs ipywidgets.
        notebook = rich.console.Console(stderr=True).is_jupyter
        self._live = visible and (not notebook or importlib.util.find_spec("ipywidgets") is not None)
        self._file = streams.stderr()
        console = rich.console.Console(stderr=True) if notebook else rich.console.Console(file=self._file)
        self._lines = visible and lines and not console.is_terminal and not (notebook and self._live)
        self._bar = rich.progress.Progress(
            rich.progress.TextColumn("{task.description}"),
            rich.progress.BarColumn(),
            rich.progress.MofNCompleteColumn(),
            rich.progress.TextColumn("{task.fields[logs]}"),
            rich.progress.TimeRemainingColumn(),
            console=console,
            disable=not self._live,
        )
        self._task = self._bar.add_task(unit, total=total, completed=done, logs="")

    def __enter__(self):
        """Shows the bar."""
        self._bar.start()
        return self

    def __exit__(self, *_):
        """Stops the bar, also after an error."""
        self._bar.stop()

    def step(self, done, steps, logs):
        """Advances the bar within a unit.

        Args:
            done: Number of completed steps in this unit.
            steps: Number of steps per unit.
            logs: The running logs.
        """
        if not self._live:
            return
        if steps != self._steps:
            self._steps = steps
            self._bar.update(self._task, total=self.total * steps, completed=self.done * steps)
        position = self.done * steps + done
        if position >= self._next:
            self._next = position + max(1, steps // 20)
            description = f"{self.unit} {self.done + 1}"
            self._bar.update(self._task, completed=position, description=description, logs=_displayed(logs))

    def advance(self, done, logs):
        """Sets the number of completed units, where units are too short for a line each.

        Args:
            done: Number of completed units.
            logs: The latest logs.
        """
        self.done = done
        self._bar.update(self._task, completed=done, logs=_displayed(logs))

    def unit_done(self, logs):
        """Marks a unit as completed.

        Args:
            logs: The unit's logs.
        """
        self.done += 1
        # A unit may end without a step.
        self._bar.update(
            self._task, completed=self.done * self._steps, description=f"{self.unit} {self.done}"
        )
        if self._lines:
            text = "  ".join(f"{key} {float(value):.4g}" for key, value in logs.items())
            print(f"{self.unit} {self.done}/{self.total}  {text}", file=self._file, flush=True)


def _displayed(logs):
    return "  ".join(f"{key} {float(logs[key]):.4f}" for key in _DISPLAYED_LOGS if key in logs)
