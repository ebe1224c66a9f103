"""The architecture of a model: a building function and its arguments."""

import dataclasses
import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any

from ... import arguments as checks
from ..settings import Part, read_value


@dataclasses.dataclass(frozen=True)
class Architecture(Part):
    """A building function `builder(spec, **arguments)`, which returns a `keras.Model`, with its arguments.

    Every argument of the function that has a default is a setting of its annotated type.

    Args:
        builder: The function; `spec` describes the data, such as `curvezoo.data.Spec`.
        arguments: Arguments that differ from the function's defaults.

    Raises:
        ValueError: If the function has no such argument, or a value is not of the annotated type.
    """

    builder: Callable[..., Any]
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        types = self.types()
        for key, value in self.arguments.items():
            if key not in types:
                raise ValueError(
                    f"arguments of {self.builder.__name__} must be among {list(types)}, got {key!r}"
                )
            read_value(key, value, types[key])

    def types(self):
        """Returns the annotated type of each argument that has a default."""
        hints = typing.get_type_hints(self.builder)
        return {name: hints.get(name, str) for name in self._defaults()}

    def settings(self):
        """Returns all arguments, defaults included."""
        values = {**self._defaults(), **self.arguments}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}

    def changed(self, values):
        """Returns the architecture with some arguments replaced."""
        return dataclasses.replace(self, arguments={**self.arguments, **values})

    def restored(self, settings):
        """Returns the architecture with the arguments of a card or a run."""
        types = self.types()
        unknown = sorted(settings.keys() - types.keys())
        if unknown:
            raise ValueError(f"model must have arguments among {', '.join(types)}, got {unknown[0]!r}")
        values = {key: read_value(key, value, types[key]) for key, value in settings.items()}
        return dataclasses.replace(self, arguments=values)

    def build(self, spec):
        """Returns the model, with new weights.

        Args:
            spec: The data's `Spec`.

        Raises:
            ValueError: If an argument is not valid.
        """
        if "activation" in self.arguments:
            _check_activation(self.arguments["activation"])
        return self.builder(spec, **self.arguments)

    def _defaults(self):
        parameters = inspect.signature(self.builder).parameters.values()
        return {p.name: p.default for p in parameters if p.default is not p.empty}


def _check_activation(name):
    """Raises a ValueError unless a name is that of an activation of Keras."""
    import keras

    try:
        keras.activations.get(name)
    except ValueError:
        others = ("deserialize", "get", "serialize")
        valid = [key for key in vars(keras.activations) if not key.startswith("_") and key not in others]
        checks.one_of("activation", name, sorted(valid))
