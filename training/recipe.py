"""Recipes: frozen dataclasses of everything that determines what a training run computes.

A kind of recipe is a frozen dataclass that extends `Recipe`, with a `kind`, its name on cards, and
`learner(resources)`, which returns the `Learner` of a run. Some fields are parts (`settings.Part`), which
hold and check settings of their own.
"""

import contextlib
import dataclasses
import typing
from typing import Any, ClassVar

from .. import arguments
from .settings import Part, flatten, named, read_value, resolve, section, shortest, write_value

_DESCRIPTIONS = ("name", "section", "summary", "limits")
# The parts whose name says what a model learns from.
_SUBJECTS = ("data", "environment", "game")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """Base class of all kinds of recipes.

    Args:
        name: The model's name in the zoo.
        section: The section of the notes that it comes from.
        summary: One-line description of the model.
        limits: What the trained model must not be used for, as stated on its card.
        seed: Seed of the initial weights and of all random draws in training.

    Raises:
        ValueError: If a value is not valid; the message names it and says which values are.
    """

    kind: ClassVar[str] = ""
    # Settings that a resumed run may change, since they only determine its length.
    extendable: ClassVar[tuple[str, ...]] = ()
    # Whether actors gather experience, so that a caller's executor has work.
    has_actors: ClassVar[bool] = False

    name: str
    section: str
    summary: str
    limits: str = ""
    seed: int = 0

    def __post_init__(self):
        arguments.seed("seed", self.seed)

    @property
    def seeds(self):
        """The seeds of a run, for its card."""
        return [self.seed]

    def build(self, splits=None, **overrides):
        """Returns the recipe's model with new weights, not compiled.

        Args:
            splits: The caller's own data in place of the recipe's.
            **overrides: Arguments of the building function.
        """
        raise NotImplementedError

    def with_data(self, name):
        """Returns the recipe with another data set by its name; a ValueError if the kind has none."""
        raise ValueError(f"{self.name} does not learn from a data set, got {name!r}")

    @staticmethod
    def checked_data(settings, given):
        """Returns the name or path of data that replaces a recipe's, and the caller's own data if it is such.

        Args:
            settings: The recipe's settings, as `settings` returns them or a card holds them.
            given: What the caller gave as `data`; `None` for the recipe's.

        Returns:
            The name or path, and the data; either may be `None`.

        Raises:
            ValueError: If recipes of this kind do not learn from such data.
        """
        if given is not None:
            raise ValueError(f"data must be None for a model of kind {settings['kind']!r}, got {given!r}")
        return None, None

    def learner(self, resources):
        """Returns the `Learner` that trains the recipe's model.

        Args:
            resources: The run's `Resources`.
        """
        raise NotImplementedError

    @staticmethod
    def load_published(folder):
        """Returns what `measure_published` measures: the model, or several networks.

        Args:
            folder: A folder with a card.
        """
        from ..publishing import saved_model

        return saved_model.load(folder)

    @staticmethod
    def measure_published(card, model, data=None, data_dir=None, options=None):
        """Measures a published model again, as described by its card.

        Args:
            card: The model's card.
            model: What `load_published` returned.
            data: The data to measure it on; `None` for the card's.
            data_dir: The folder of TensorFlow Datasets.
            options: Options of the measure by name.

        Returns:
            The `Evaluation`.
        """
        raise NotImplementedError

    def precision(self):
        """Returns a context in which the model is built, trained and measured."""
        return contextlib.nullcontext()

    def override(self, settings):
        """Returns the recipe with some settings changed.

        Args:
            settings: Values by key: a full, dotted key such as `optimizer.learning_rate`, or its last part
                if that is unique. A string is parsed as the type of the value that it replaces (`"64,32"`
                as a tuple).

        Returns:
            A new recipe of the same kind.

        Raises:
            ValueError: If a key is unknown or ambiguous, or a value can't be read or is out of range.
        """
        names = {key: value for key, value in settings.items() if self._names_a_part(key)}
        rest = {key: value for key, value in settings.items() if key not in names}
        # Names are changed first, because another optimizer or data set has other settings.
        return self._changed(names)._changed(rest) if names else self._changed(rest)

    def keys(self):
        """Returns the type of every setting by its full key."""
        keys = {}
        for name, kind in self._fields().items():
            value = getattr(self, name)
            if isinstance(value, Part):
                keys |= {f"{name}.{key}": inner for key, inner in value.types().items()}
            else:
                keys[name] = kind
        return keys

    def settings(self):
        """Returns all settings that determine what a run computes, nested by part and JSON-serializable."""
        values = {name: getattr(self, name) for name in self._fields()}
        plain = {key: v.settings() if isinstance(v, Part) else v for key, v in values.items()}
        return {"kind": self.kind, **plain}

    def restored(self, settings):
        """Returns the recipe with the settings of a card or a run; missing settings take their defaults.

        Args:
            settings: Settings as `settings` returns them, possibly from an older version.

        Raises:
            ValueError: If the settings are of another kind, or one is unknown or of the wrong type.
        """
        if not isinstance(settings, dict) or settings.get("kind") != self.kind:
            kind = settings.get("kind") if isinstance(settings, dict) else settings
            raise ValueError(f"recipe kind must be {self.kind!r}, got {arguments.described(kind)}")
        fields, values = self._fields(), {}
        for key in settings.keys() - {"kind"}:
            arguments.one_of("recipe's setting", key, fields)
        defaults = {field.name: _default(field) for field in dataclasses.fields(self)}
        for name, kind in fields.items():
            value = getattr(self, name)
            if isinstance(value, Part):
                with named(f"recipe.{name}"):
                    values[name] = value.restored(section({name: {}} | settings, name))
            elif name in settings:
                values[name] = read_value(name, settings[name], kind)
            else:
                values[name] = defaults[name]
        return dataclasses.replace(self, **values)._described_after(self)

    def differences(self, other):
        """Returns the settings that differ from another recipe's, as command-line strings by shortest key.

        Args:
            other: A recipe of the same kind.
        """
        before, dotted = flatten(other.settings()), self.keys()
        now = flatten(self.settings())
        return {
            shortest(key, dotted): write_value(value)
            for key, value in now.items()
            if key not in before or before[key] != value
        }

    def _fields(self):
        hints = typing.get_type_hints(type(self))
        return {f.name: hints[f.name] for f in dataclasses.fields(self) if f.name not in _DESCRIPTIONS}

    def _names_a_part(self, key):
        name = key.removesuffix(".name")
        return isinstance(getattr(self, name, None), Part) and "name" in getattr(self, name).types()

    def _changed(self, settings):
        if not settings:
            return self
        keys, own, parts = self.keys(), {}, {}
        for key, value in settings.items():
            full = resolve(key, keys, self.name)
            part, _, field = full.rpartition(".")
            target = parts.setdefault(part, {}) if part else own
            target[field] = read_value(key, value, keys[full])
        changed = {name: getattr(self, name).changed(values) for name, values in parts.items()}
        return dataclasses.replace(self, **own, **changed)._described_after(self)

    def _described_after(self, before):
        """Returns the recipe with a summary and limits that are true of what it now learns from."""
        for part in _SUBJECTS:
            old, new = (getattr(getattr(recipe, part, None), "name", None) for recipe in (before, self))
            if new != old:
                summary = f"the recipe {self.name} on {new}"
                return dataclasses.replace(
                    self, summary=summary, limits=f"Trained and measured on {new} only."
                )
        return self


def _default(field) -> Any:
    """Returns the default of a dataclass's field."""
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
