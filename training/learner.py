"""The interface between a run and its learner."""

import abc
import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol

from ..publishing.evaluation import Evaluation
from ..publishing.exports import Export


class After(Protocol):
    """The callback of `Learner.train`."""

    def __call__(self, logs: dict[str, float]) -> bool:
        """Records a completed unit and returns whether to stop."""

    def step(self, done: int, steps: int, logs: dict[str, float]) -> None:
        """Reports that `done` of a unit's `steps` steps are complete, with the running logs."""


@dataclasses.dataclass(frozen=True)
class EarlyStopping:
    """Decides from the history alone when a run stops early and which unit's state is its result.

    Args:
        patience: Number of units without a lower value after which the run stops. With 0 it never stops
            early, and its result is the last unit.
        monitor: Name in the logs of the value to monitor.
    """

    patience: int = 0
    monitor: str = "val_loss"

    def best(self, history):
        """Returns the unit of the lowest value, counted from 1; the last one if any unit lacks a value."""
        values = [row[self.monitor] for row in history if self.monitor in row]
        return values.index(min(values)) + 1 if values and len(values) == len(history) else len(history)

    def exhausted(self, history):
        """Returns whether the run should stop."""
        return bool(self.patience and history) and len(history) - self.best(history) >= self.patience

    def result(self, history):
        """Returns the unit whose state is the run's result."""
        return self.best(history) if self.patience else len(history)


class Learner(abc.ABC):
    """Trains, measures and exports a model; all differences between a classifier and AlphaZero are in here.

    A run makes the learner, restores a checkpoint if there is one, trains, and writes down what the learner
    measured and exports.

    Attributes:
        unit: What progress is counted in: "epoch", "update", "iteration".
        total: Units of the whole run.
        ceiling: Factor of the first loss (at least 1) above which a run has diverged; `None` for no limit.
        stopping: When the run ends early, and which unit is its result.
        learning_rate: The current learning rate, for messages; `None` if there is not one rate.
    """

    unit: str
    total: int
    ceiling: float | None = None
    stopping: EarlyStopping = EarlyStopping()
    learning_rate: float | None = None

    @abc.abstractmethod
    def state(self) -> dict[str, Any]:
        """Returns all that the next unit depends on, as arrays by name."""

    @abc.abstractmethod
    def restore(self, state: dict[str, Any]) -> None:
        """Takes over a state; raises a ValueError if it is that of another learner."""

    @abc.abstractmethod
    def train(self, start: int, after: After) -> None:
        """Trains from unit `start` to the end; calls `after(logs)` after each unit, and stops on True."""

    @abc.abstractmethod
    def evaluate(self) -> Evaluation:
        """Returns the scores, and the evidence that the page shows."""

    @abc.abstractmethod
    def exports(self) -> list[Export]:
        """Returns the models to publish, with their endpoints and golden inputs; the first is the model."""


@dataclasses.dataclass(frozen=True)
class Resources:
    """What a run gives its learner besides the recipe.

    Args:
        strategy: The `tf.distribute.Strategy` in whose scope models are built.
        data_dir: The folder of TensorFlow Datasets; `None` for its default.
        data: The caller's own data; `None` for those of the recipe.
        callbacks: The caller's Keras callbacks.
        executor: A `concurrent.futures.Executor` whose workers gather experience; `None` for the learner's
            own.
    """

    strategy: Any
    data_dir: str | None = None
    data: Any = None
    callbacks: Sequence[Any] = ()
    executor: Any = None
