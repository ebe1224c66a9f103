"""What kinds of recipes that learn from `Splits` epoch by epoch have in common."""

import dataclasses
from typing import ClassVar

from .. import arguments
from .parts import Architecture, Execution, kinds
from .parts.data import Data
from .recipe import Recipe
from .settings import Part, read_value


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fitted(Recipe):
    """Base class of the recipes of a model that is trained on a data set with `fit`.

    Args:
        name: The model's name in the zoo.
        section: The section of the notes that it comes from.
        summary: One-line description of the model.
        model: The `Architecture`.
        data: The data, such as `Images` or `Text`.
        objective: What training minimizes; a part with `measure` and `prepare`.
        execution: How training steps are executed, an `Execution`.
        epochs: Passes over the training split.
        seed: Seed of the initial weights and of all random draws in training.
        limits: What the trained model must not be used for, as stated on its card.

    Raises:
        ValueError: If a value is not valid; the message names it and says which values are.
    """

    extendable: ClassVar[tuple[str, ...]] = ("epochs",)

    model: Architecture
    data: Data
    objective: Part
    execution: Execution = dataclasses.field(default_factory=Execution)
    epochs: int = 10

    def __post_init__(self):
        super().__post_init__()
        arguments.integer("epochs", self.epochs, 1)

    def build(self, splits=None, *, classes=None, input_shape=None, **overrides):
        """Returns the model with new weights, not compiled.

        Args:
            splits: The caller's own `Splits` in place of the recipe's data.
            classes: Number of classes, if different from the data's.
            input_shape: Shape of one example, if different from the data's.
            **overrides: Arguments of the building function.

        Raises:
            ValueError: If the building function has no such argument.
        """
        types, values = self.model.types(), {}
        for key, value in overrides.items():
            name = key.removeprefix("model.")
            if name not in types:
                valid = ", ".join(["data", "classes", "input_shape", *types])
                raise ValueError(f"{self.name} is not built with {key!r}; valid: {valid}")
            values[name] = read_value(key, value, types[name])
        spec = self.data.spec() if splits is None else self.data.of_kind(splits).spec
        return self.model.changed(values).build(self.data.reshaped(spec, classes, input_shape))

    def with_data(self, name):
        """Returns the recipe with another data set, or folder, by its name."""
        return self.override({"data.name": name})

    @staticmethod
    def checked_data(settings, given):
        """Returns the name or path of data that replaces a recipe's, and the `Splits` if it is such."""
        return kinds.from_card(kinds.DATA, settings, "data").checked(given)

    def precision(self):
        """Returns the context of the dtype policy."""
        return self.execution.policy()

    @staticmethod
    def measure_published(card, model, data=None, data_dir=None, options=None):
        """Measures a published model on the test split of its own data set or of another one.

        Args:
            card: The model's card.
            model: What `load_published` returned.
            data: Another data set: its name, a folder, or `Splits`; `None` for the card's.
            data_dir: The folder of TensorFlow Datasets.
            options: Options of the measure, such as `temperature`.

        Returns:
            The `Evaluation`.

        Raises:
            ValueError: If the data does not fit the model, or the measure has no such option.
        """
        from ..publishing import measures

        objective = kinds.from_card(kinds.OBJECTIVES, card["recipe"], "objective")
        part = kinds.from_card(kinds.DATA, card["recipe"], "data")
        measure = measures.get(objective.measure)
        options = measure.checked(options or {})
        if isinstance(data, str):
            part, data = part.changed({"name": data}), None
        measure.check(model, data.spec if data else part.spec(model, data_dir))
        splits = objective.prepare(part.load_to_measure(data_dir, data, model), 0)
        return measure.measure(model, splits, part.describe(splits.spec, data_dir), **options)
