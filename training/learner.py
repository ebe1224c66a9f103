"""The interface between a run and its learner."""

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


class Learner(Protocol):
    """Interface of a learner, which trains, measures and exports the models of a recipe.

    It hides everything that differs between, for example, a classifier and AlphaZero. A run creates the
    learner, restores a checkpoint if there is one, trains, and writes the results of `evaluate` and
    `exports`. Optional attributes: `ceiling`, the multiple of the first loss above which a run has diverged;
    `stopping`, an `EarlyStopping`; `learning_rate`, the current rate, for messages; `replicas`.

    Attributes:
        unit: The unit of training in which progress is counted: "epoch", "update" or "iteration".
        total: Number of units in the whole run.
    """

    unit: str
    total: int

    def state(self) -> dict[str, Any]:
        """Returns all that the next unit depends on, as arrays by name."""

    def restore(self, state: dict[str, Any]) -> None:
        """Restores a state; raises ValueError if it belongs to a different learner."""

    def train(self, start: int, after: After) -> None:
        """Trains from unit `start` to the last, or until `after(logs)`, called after each unit, is true."""

    def evaluate(self) -> Evaluation:
        """Returns the scores, with the report's sections about them."""

    def exports(self) -> list[Export]:
        """Returns the models to publish, the main one first, with their endpoints and golden inputs."""


@dataclasses.dataclass(frozen=True)
class Resources:
    """What a run passes to its learner besides the recipe.

    Args:
        strategy: The `tf.distribute.Strategy` in whose scope models are built.
        data_dir: The folder of TensorFlow Datasets; `None` for its default.
        data: The caller's own data; `None` for the recipe's.
        callbacks: The caller's Keras callbacks.
    """

    strategy: Any
    data_dir: str | None = None
    data: Any = None
    callbacks: Sequence[Any] = ()


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
