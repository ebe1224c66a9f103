"""The algorithm and the environment of an agent. This module does not import TensorFlow."""

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any

from ... import arguments
from ...agents.settings import ALGORITHMS
from ..settings import Part, read_value


@dataclasses.dataclass(frozen=True)
class Algorithm(Part):
    """An algorithm of `curvezoo.agents` with its settings.

    Changing the `name` starts from the defaults of the new algorithm.

    Args:
        name: The algorithm, such as `PPO`.
        arguments: Settings that differ from the algorithm's defaults.

    Raises:
        ValueError: If the algorithm is unknown, or a setting is unknown or not valid.
    """

    name: str = "PPO"
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        arguments.one_of("algorithm", self.name, ALGORITHMS)
        types = self._own_types()
        for key in self.arguments:
            arguments.one_of(f"setting of {self.name}", key, types)
        self.make_settings()

    def types(self):
        """Returns the type of each setting."""
        return {"name": str, **self._own_types()}

    def settings(self):
        """Returns all settings, defaults included."""
        values = dataclasses.asdict(self.make_settings())
        plain = {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
        return {"name": self.name, **plain}

    def changed(self, values):
        """Returns the algorithm with some settings replaced."""
        name = values.get("name", self.name)
        kept = self.arguments if name == self.name else {}
        return type(self)(name, {**kept, **{key: value for key, value in values.items() if key != "name"}})

    def restored(self, settings):
        """Returns the algorithm that a card or a run describes."""
        fresh = type(self)(settings.get("name", self.name))
        types = fresh.types()
        for key in settings:
            arguments.one_of(f"setting of {fresh.name}", key, types)
        return fresh.changed({key: read_value(key, value, types[key]) for key, value in settings.items()})

    def make_settings(self):
        """Returns the algorithm's settings, such as `PPOSettings`."""
        return ALGORITHMS[self.name](**self.arguments)

    def make(self, environment, **options):
        """Returns a new agent.

        Args:
            environment: As for `agents.Agent`.
            **options: Further arguments of the agent, such as `copies` and `seed`.
        """
        from ... import agents

        return getattr(agents, self.name)(environment, self.make_settings(), **options)

    def _own_types(self):
        settings = ALGORITHMS[self.name]
        hints = typing.get_type_hints(settings)
        return {field.name: hints[field.name] for field in dataclasses.fields(settings)}


@dataclasses.dataclass(frozen=True)
class Environment(Part):
    """A Gymnasium environment.

    Args:
        name: Its id, such as `CartPole-v1`.
        copies: Copies that are stepped together.
        parallel: Whether each copy runs in a process of its own, which pays for slow environments.

    Raises:
        ValueError: If `copies` is not positive.
    """

    name: str
    copies: int = 1
    parallel: bool = False

    def __post_init__(self):
        arguments.integer("copies", self.copies, 1)
        arguments.boolean("parallel", self.parallel)

    def describe(self):
        """Returns the `data` section of a card."""
        from importlib import metadata

        from ...agents.environments import packages_of

        packages = (f"{package} {metadata.version(package)}" for package in packages_of(self.name))
        return {"name": self.name, "provenance": "embedded", "package": ", ".join(packages)}
