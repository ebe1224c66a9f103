"""Supervised learning: a model, data with targets, an objective and an optimizer, for a number of epochs."""

import dataclasses
from typing import ClassVar

from .. import arguments
from .fitted import Fitted
from .parts import CrossEntropy, Optimizer, Penalty
from .settings import Part


@dataclasses.dataclass(frozen=True, kw_only=True)
class Supervised(Fitted):
    """A model that learns from pairs of inputs and targets.

    Args:
        name: The model's name in the zoo.
        section: The section of the notes that it comes from.
        summary: One-line description of the model.
        model: The `Architecture`.
        data: The data, such as `Images` or `Text`.
        objective: The training objective, such as `CrossEntropy` or `NextToken`.
        optimizer: The `Optimizer`.
        penalty: The `Penalty` on weight matrices.
        execution: How training steps are executed, an `Execution`.
        epochs: Passes over the training split.
        patience: Epochs without a better validation loss after which training stops and the best weights are
            restored; 0 trains to the end and keeps the last weights.
        seed: Seed of the initial weights, the order of the data, augmentation and dropout.
        limits: What the trained model must not be used for, as stated on its card.

    Raises:
        ValueError: If a value is not valid; the message names it and says which values are.
    """

    kind: ClassVar[str] = "supervised"

    objective: Part = dataclasses.field(default_factory=CrossEntropy)
    optimizer: Optimizer = dataclasses.field(default_factory=Optimizer)
    penalty: Penalty = dataclasses.field(default_factory=Penalty)
    patience: int = 0

    def __post_init__(self):
        super().__post_init__()
        arguments.integer("patience", self.patience, 0)
        if self.optimizer.warmup >= self.epochs:
            raise ValueError(f"warmup must be less than epochs={self.epochs}, got {self.optimizer.warmup}")

    def learner(self, resources):
        """Returns the `SupervisedLearner`, or the `FullBatchLearner` for a full-batch optimizer."""
        if self.optimizer.full_batch:
            from .full_batch_learner import FullBatchLearner as Learner
        else:
            from .supervised_learner import SupervisedLearner as Learner
        return Learner(self, resources)
