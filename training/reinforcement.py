"""Reinforcement learning: an agent that learns from its own experience in an environment."""

import dataclasses
from typing import ClassVar

from .. import arguments
from .parts.agents import Algorithm, Environment
from .recipe import Recipe
from .settings import part_of


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reinforcement(Recipe):
    """An algorithm that learns to act in an environment.

    Scores of reinforcement learning depend on the seed. A run therefore trains several agents one after
    another, with the seeds `seed`, `seed + 1`, and so on, and publishes the policies of all.

    Args:
        name: The model's name in the zoo.
        section: The section of the notes that it comes from.
        summary: One-line description of the agent.
        agent: The `Algorithm`.
        environment: The `Environment`.
        steps: Steps of experience of each agent, over all copies of the environment.
        agents: Number of agents, each with its seed.
        reports: Reports on each agent's training: logs, checkpoints, and units of the run's progress.
        seed: Seed of the first agent.
        limits: What the trained policies must not be used for, as stated on their card.

    Raises:
        ValueError: If a value is not valid; the message names it and says which values are.
    """

    kind: ClassVar[str] = "reinforcement"

    agent: Algorithm
    environment: Environment
    steps: int = 100_000
    agents: int = 3
    reports: int = 20

    def __post_init__(self):
        super().__post_init__()
        arguments.integer("steps", self.steps, 1)
        arguments.integer("agents", self.agents, 1)
        arguments.integer("reports", self.reports, 1, self.steps)

    @property
    def seeds(self):
        """The seeds of all agents."""
        return list(range(self.seed, self.seed + self.agents))

    def build(self, splits=None, *, classes=None, input_shape=None, **overrides):
        """Returns the policy of a new agent, a `Policy`.

        Args:
            splits: Must be `None`, as an agent learns from no data set.
            classes: Must be `None`, too.
            input_shape: Must be `None`, too.
            **overrides: Settings of the recipe.
        """
        self.checked_data(self.settings(), splits)
        for name, value in (("classes", classes), ("input_shape", input_shape)):
            if value is not None:
                raise ValueError(f"{name} must be None for an agent, got {value!r}")
        return self.override(overrides).new_agent(self.seed).policy

    def new_agent(self, seed, strategy=None):
        """Returns a new agent.

        Args:
            seed: Its seed.
            strategy: The `tf.distribute.Strategy`; `None` for the default.
        """
        place = self.environment
        return self.agent.make(
            place.name, copies=place.copies, parallel=place.parallel, seed=seed, strategy=strategy
        )

    def learner(self, resources):
        """Returns the `ReinforcementLearner`."""
        from .reinforcement_learner import ReinforcementLearner

        return ReinforcementLearner(self, resources)

    @staticmethod
    def load_published(folder):
        """Returns the policies of all agents."""
        from ..publishing import cards, saved_model

        count = agents_of(cards.read(folder))
        return [saved_model.load(folder, name) for name in policy_names(count)]

    @staticmethod
    def measure_published(card, model, data=None, data_dir=None, options=None):
        """Plays episodes with published policies again.

        Args:
            card: The model's card.
            model: The policies, as `load_published` returned them.
            data: The id of another environment; `None` for the card's.
            data_dir: Must be `None`.
            options: None are known.

        Returns:
            The `Evaluation`.
        """
        from ..publishing import measures

        measure = measures.get(card["measure"])
        place = environment_of(card)
        place = place.changed({"name": data}) if data else place
        return measure.measure(model, place.name, place.describe(), **measure.checked(options or {}))


def environment_of(card):
    """Returns the `Environment` of a card; raises a ValueError that names the field if it is not valid.

    Args:
        card: The card of an agent.
    """
    return part_of(card, "environment", Environment(""))


def agents_of(card):
    """Returns the number of agents on a card; raises a ValueError that names the field if it is not valid.

    Args:
        card: The card of an agent.
    """
    return arguments.integer("recipe.agents", card["recipe"].get("agents"), 1)


def policy_names(count):
    """Returns the names of the published policies: the first one's is empty, since it is the main model."""
    return ["", *(f"agent_{number}" for number in range(1, count))]
