"""Settings under dotted keys: the fields of a recipe and of its parts, read from strings and written to JSON.

A part is a frozen dataclass that holds and checks its settings. They appear under the part's name, as in
`optimizer.learning_rate`; a bare `learning_rate` is enough if only one part has a field of that name. The
name of a part is short for its `name` field: `optimizer=sgd` means `optimizer.name=sgd`.
"""

import contextlib
import dataclasses
import difflib
import typing
from typing import Any, ClassVar

from .. import arguments


@dataclasses.dataclass(frozen=True)
class Part:
    """A part of a recipe. Subclasses are frozen dataclasses that check their fields in `__post_init__`.

    If there are several kinds of a part, such as objectives, each has a `kind`, its name on a card.
    """

    kind: ClassVar[str] = ""

    def types(self) -> dict[str, Any]:
        """Returns the type of each setting, by name."""
        hints = typing.get_type_hints(type(self))
        return {field.name: hints[field.name] for field in dataclasses.fields(self)}

    def settings(self) -> dict[str, Any]:
        """Returns the settings as JSON-serializable values, with the `kind` if the part has one."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        plain = {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
        return {"kind": self.kind, **plain} if self.kind else plain

    def changed(self, values: dict[str, Any]) -> typing.Self:
        """Returns the part with some settings replaced.

        Args:
            values: Values by name, of the right types.
        """
        return dataclasses.replace(self, **values)

    def restored(self, settings: dict[str, Any]) -> typing.Self:
        """Returns the part with the settings of a card or a run; those that it lacks have their defaults.

        Args:
            settings: Settings as `settings` returns them, possibly from an older version.

        Raises:
            ValueError: If the kind differs, or a setting is unknown or of the wrong type.
        """
        required = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if _is_required(f)}
        return type(self)(**(required | _read_all(self, settings)))


def section(settings, key, owner="recipe"):
    """Returns the settings of a part that a card or a run holds.

    Args:
        settings: Nested settings.
        key: Name of the part.
        owner: Name of the nested settings, for the message.

    Raises:
        ValueError: If they are missing or are not an object.
    """
    value = settings.get(key)
    if not isinstance(value, dict):
        raise ValueError(f"{owner}.{key} must be an object of settings, got {arguments.described(value)}")
    return value


def part_of(card, name, part):
    """Returns a part of a card's recipe, which must have a name.

    Args:
        card: The card.
        name: Name of the part in the recipe.
        part: A `Part` of the same class.

    Raises:
        ValueError: If it is missing or not valid; the message names the field.
    """
    with named(f"recipe.{name}"):
        settings = section(card["recipe"], name)
        if "name" not in settings:
            raise ValueError("it lacks name")
        return part.restored(settings)


@contextlib.contextmanager
def named(field):
    """Puts the name of a card's field before the message of a `ValueError` from this context.

    Args:
        field: The name, such as `recipe.data`.
    """
    try:
        yield
    except ValueError as error:
        message = str(error)
        raise ValueError(message if message.startswith(field) else f"{field}: {message}") from error


def _is_required(field):
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _read_all(part, settings):
    """Reads the settings of a part; raises if the kind differs or a setting is unknown."""
    kind, types = settings.get("kind", part.kind), part.types()
    if kind != part.kind:
        raise ValueError(f"kind must be {part.kind!r}, got {kind!r}")
    values = {key: value for key, value in settings.items() if key != "kind"}
    unknown = sorted(values.keys() - types.keys())
    if unknown:
        raise ValueError(f"settings must be among {', '.join(types)}, got {unknown[0]!r}")
    return {key: read_value(key, value, types[key]) for key, value in values.items()}


def flatten(settings):
    """Returns nested settings as one dictionary with dotted keys, without the parts' kinds.

    Args:
        settings: Nested settings, as `Recipe.settings` returns them.
    """
    flat = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            flat |= {f"{key}.{name}": inner for name, inner in value.items() if name != "kind"}
        elif key != "kind":
            flat[key] = value
    return flat


def resolve(key, dotted, owner):
    """Returns the full, dotted key that a key stands for.

    Args:
        key: A full key, the name of a part with a `name`, or a field's name that only one part has.
        dotted: The full keys that are valid.
        owner: Name of the recipe, for the message.

    Raises:
        ValueError: If there is no such setting or more than one; the message lists the valid keys.
    """
    if key in dotted:
        return key
    if f"{key}.name" in dotted:
        return f"{key}.name"
    matches = [full for full in dotted if full.endswith(f".{key}")]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise ValueError(f"{key} must be one setting of {owner}, but it could be {' or '.join(matches)}")
    short = {full.rpartition(".")[2]: full for full in dotted}
    near = difflib.get_close_matches(str(key), [*dotted, *short], 1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    raise ValueError(f"{owner} has no setting {key!r}{hint} Valid: {', '.join(dotted)}")


def shortest(full, dotted):
    """Returns the shortest key that `resolve` maps to a full one.

    Args:
        full: A full, dotted key.
        dotted: All full keys.
    """
    part, _, name = full.rpartition(".")
    candidates = [part, name] if name == "name" else [name]
    for key in candidates:
        try:
            if key and resolve(key, dotted, "") == full:
                return key
        except ValueError:
            continue
    return full


def given_options(arguments, kinds):
    """Returns the options of a command that were given, read as their types.

    Args:
        arguments: The parsed arguments; an option that was not given is `None`.
        kinds: Type of each option by name, as for `read_value`.

    Raises:
        ValueError: If a value can't be converted to its type.
    """
    given = {key: getattr(arguments, key) for key in kinds}
    return {key: read_value(key, value, kinds[key]) for key, value in given.items() if value is not None}


def read_value(key, value, kind):
    """Converts the value of a setting to its type.

    Args:
        key: Name of the setting, for the message.
        value: A string from a command line, or a value from Python or JSON.
        kind: The type: a plain one, a `tuple[...]` of one, or the union of either with `None`. With `Any`
            the type of a string is inferred.

    Raises:
        ValueError: If the value can't be converted to that type.
    """
    if kind is Any:
        return _infer(value)
    if type(None) in typing.get_args(kind):
        if value is None or value == "none":
            return None
        kind = next(k for k in typing.get_args(kind) if k is not type(None))
    if typing.get_origin(kind) is tuple:
        item = typing.get_args(kind)[0]
        if isinstance(value, str):
            value = [word for word in value.split(",") if word]
        items = value if isinstance(value, tuple | list) else [value]
        return tuple(read_value(key, one, item) for one in items)
    try:
        return _READERS.get(kind, kind)(value)
    except (TypeError, ValueError, OverflowError):
        rule = {bool: "true or false", int: "an integer", float: "a number"}.get(kind, f"a {kind.__name__}")
        raise ValueError(f"{key} must be {rule}, got {arguments.described(value)}") from None


def _read_bool(value):
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in words:
        return words[value.lower()]
    raise ValueError


def _read_int(value):
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError
    return int(value)


_READERS = {bool: _read_bool, int: _read_int}


def _infer(value):
    """Reads a string as `None`, a Boolean, an integer or a float if it looks like one."""
    if not isinstance(value, str):
        return tuple(value) if isinstance(value, list) else value
    if "," in value:
        return tuple(_infer(word) for word in value.split(",") if word)
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return {"none": None, "true": True, "false": False}.get(value.lower(), value)


def write_value(value):
    """Formats a setting as a command-line string that `read_value` reads back.

    Args:
        value: The setting.
    """
    if value is None:
        return "none"
    return ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
