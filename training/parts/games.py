"""The game and the settings of self-play. This module does not import TensorFlow."""

import dataclasses

from ...agents.self_play_settings import SelfPlaySettings
from ..settings import Part


@dataclasses.dataclass(frozen=True)
class BoardGame(Part):
    """A game whose rules come from OpenSpiel.

    Args:
        name: OpenSpiel's name, such as `connect_four` or `breakthrough(rows=6,columns=6)`.
    """

    name: str

    def make(self):
        """Returns the `Game`.

        Raises:
            ValueError: If OpenSpiel is missing, or the game is unknown or of another kind.
        """
        from ...agents.games import Game

        return Game(self.name)

    def describe(self):
        """Returns the `data` section of a card."""
        from importlib import metadata

        return {
            "name": self.name,
            "provenance": "embedded",
            "package": f"open_spiel {metadata.version('open_spiel')}",
        }


@dataclasses.dataclass(frozen=True)
class Play(Part, SelfPlaySettings):
    """The settings of self-play, as a part of a recipe; see `SelfPlaySettings`."""
