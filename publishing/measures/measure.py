"""The base class of all measures."""

from typing import Any, ClassVar


class Measure:
    """Measures one kind of model and formats its scores.

    Attributes:
        name: The measure's name on a card.
        columns: Columns of a table, by heading: functions from the scores on a card to the text of a cell.
        options: What each option of `measure` does, by its name; options are off by default.
    """

    name: ClassVar[str]
    columns: ClassVar[dict[str, Any]]
    options: ClassVar[dict[str, str]] = {}

    def brief(self, scores):
        """Returns the main score in a few words.

        Args:
            scores: The scores on a card.
        """
        raise NotImplementedError

    def check(self, model, spec):
        """Checks that a model matches the data.

        Args:
            model: A `keras.Model`.
            spec: The data's `Spec`.

        Raises:
            ValueError: If it does not; the message has both shapes.
        """
        raise NotImplementedError

    def measure(self, model, splits, data, **options):
        """Measures a model on the test split.

        Args:
            model: A `keras.Model`.
            splits: The `Splits`, as the objective prepared them.
            data: The `data` section of the card.
            **options: Values of `options`.

        Returns:
            The `Evaluation`.
        """
        raise NotImplementedError

    def checked(self, options):
        """Returns options after checking that the measure has them.

        Args:
            options: Values by name.

        Raises:
            ValueError: If there is no such option.
        """
        for name, value in options.items():
            if not self.options:
                raise ValueError(
                    f"{name} must be left out for a model measured by {self.name}, got {name}={value!r}"
                )
            if name not in self.options:
                valid = ", ".join(self.options)
                raise ValueError(f"options of {self.name} must be among {valid}, got {name}={value!r}")
        return dict(options)


def check_images(model, spec):
    """Checks that a model has the image shape of a data set.

    Args:
        model: A `keras.Model` of images `[B, H, W, C]`.
        spec: The data set's `Spec`.

    Raises:
        ValueError: If it does not; the message has both shapes.
    """
    shape = tuple(model.input_shape[1:])
    # An axis of the model is None if it can have any length.
    if len(shape) != len(spec.shape) or any(
        a not in (None, b) for a, b in zip(shape, spec.shape, strict=True)
    ):
        raise ValueError(
            f"{spec.name} must have images of shape {shape}, the model's, got {tuple(spec.shape)}"
        )
