"""Self-play: a network that learns a game from its own games (Sec. 8.6)."""

import dataclasses
from typing import ClassVar

from .. import arguments
from .parts.architecture import Architecture
from .parts.games import BoardGame, Play
from .parts.optimizer import Optimizer
from .recipe import Recipe
from .settings import named, part_of, section

# Those that need nothing but the gradient.
OPTIMIZERS = ("adam", "adamw", "sgd", "rmsprop")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SelfPlay(Recipe):
    """A network that learns a game by playing against itself with a tree search.

    Args:
        name: The model's name in the zoo.
        section: The section of the notes that it comes from.
        summary: One-line description of the model.
        game: The `BoardGame`.
        model: The `Architecture`, whose builder returns a network for the game.
        play: The settings of self-play, a `Play`.
        optimizer: The `Optimizer`, whose weight decay takes the place of the L2 term of AlphaZero's loss.
        iterations: Number of iterations, in each of which games are played and learned from.
        match_simulations: Simulations for each move in the matches that measure the trained network.
        seed: Seed of the initial weights and of all random draws.
        limits: What the trained model must not be used for, as stated on its card.

    Raises:
        ValueError: If a value is not valid; the message names it and says which values are.
    """

    kind: ClassVar[str] = "self_play"
    extendable: ClassVar[tuple[str, ...]] = ("iterations",)
    has_actors: ClassVar[bool] = True

    game: BoardGame
    model: Architecture
    play: Play = dataclasses.field(default_factory=Play)
    optimizer: Optimizer = dataclasses.field(default_factory=lambda: Optimizer("adam", learning_rate=1e-3))
    iterations: int = 20
    match_simulations: int = 100

    def __post_init__(self):
        super().__post_init__()
        arguments.integer("iterations", self.iterations, 1)
        arguments.integer("match_simulations", self.match_simulations, 1)
        arguments.one_of("optimizer", self.optimizer.name, OPTIMIZERS)
        if self.optimizer.warmup >= self.iterations:
            raise ValueError(
                f"warmup must be less than iterations={self.iterations}, got {self.optimizer.warmup}"
            )

    def build(self, splits=None, *, classes=None, input_shape=None, **overrides):
        """Returns the network with new weights, not compiled.

        Args:
            splits: Must be `None`, as a network learns from no data set.
            classes: Must be `None`, too.
            input_shape: Must be `None`, too.
            **overrides: Settings of the recipe.
        """
        import keras

        self.checked_data(self.settings(), splits)
        for name, value in (("classes", classes), ("input_shape", input_shape)):
            if value is not None:
                raise ValueError(f"{name} must be None for a network that plays a game, got {value!r}")
        recipe = self.override(overrides)
        keras.utils.set_random_seed(recipe.seed)
        return recipe.model.build(recipe.game.make())

    def learner(self, resources):
        """Returns the `SelfPlayLearner`."""
        from .self_play_learner import SelfPlayLearner

        return SelfPlayLearner(self, resources)

    @staticmethod
    def measure_published(card, model, data=None, data_dir=None, options=None):
        """Plays matches with a published network again.

        Args:
            card: The model's card.
            model: The network.
            data: Must be `None`, since a network knows one game.
            data_dir: Must be `None`.
            options: None are known.

        Returns:
            The `Evaluation`.
        """
        from ..publishing import measures

        measure = measures.get(card["measure"])
        game, search = game_of(card), search_of(card)
        return measure.measure(model, game.name, game.describe(), **search, **measure.checked(options or {}))


def game_of(card):
    """Returns the `BoardGame` of a card; raises a ValueError that names the field if it is not valid.

    Args:
        card: The card of a network that plays a game.
    """
    return part_of(card, "game", BoardGame(""))


def search_of(card):
    """Returns the `simulations` and the constant `c` of the matches of a card, by name.

    Args:
        card: The card of a network that plays a game.

    Raises:
        ValueError: If one is not valid; the message names the field.
    """
    simulations = card["recipe"].get("match_simulations", 100)
    with named("recipe.play"):
        play = Play().restored(section(card["recipe"], "play"))
    return {
        "simulations": arguments.integer("recipe.match_simulations", simulations, 1),
        "c": play.c,
    }
