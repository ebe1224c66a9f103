"""The progress of a run on stderr: a bar on a terminal and in notebooks, otherwise a line for each unit."""

import importlib.util
import sys

import rich.console
import rich.progress

_SHOWN = ("loss", "accuracy", "return")


class Progress:
    """A bar with the unit, the running logs and the time left.

    Args:
        unit: What is counted, such as "epoch".
        total: Units of the whole run.
        done: Units already done.
        visible: Whether to show anything.
    """

    def __init__(self, unit, total, done=0, visible=True):
        self.unit, self.total, self.done, self.visible = unit, total, done, visible
        self._steps, self._next = 1, 0
        # A console with `file=` never knows that it is in a notebook; there, a live bar needs ipywidgets.
        notebook = rich.console.Console(stderr=True).is_jupyter
        self._live = visible and (not notebook or importlib.util.find_spec("ipywidgets") is not None)
        console = rich.console.Console(stderr=True) if notebook else rich.console.Console(file=sys.stderr)
        self._lines = visible and not console.is_terminal and not (notebook and self._live)
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
        """Removes the bar, after an error too."""
        self._bar.stop()

    def step(self, done, steps, logs):
        """Moves the bar within a unit.

        Args:
            done: Steps done in this unit.
            steps: Steps of a unit.
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
            text = "  ".join(f"{key} {float(logs[key]):.4f}" for key in _SHOWN if key in logs)
            description = f"{self.unit} {self.done + 1}"
            self._bar.update(self._task, completed=position, description=description, logs=text)

    def unit_done(self, logs):
        """Counts a unit.

        Args:
            logs: The unit's logs.
        """
        self.done += 1
        self._bar.update(self._task, completed=self.done * self._steps)
        if self._lines:
            text = "  ".join(f"{key} {float(value):.4g}" for key, value in logs.items())
            print(f"{self.unit} {self.done}/{self.total}  {text}", file=sys.stderr, flush=True)
