"""The kinds of recipes by their names on cards."""

from .. import arguments
from .supervised import Supervised

KINDS = {kind.kind: kind for kind in (Supervised,)}


def kind_of(card):
    """Returns the class of recipes that a card's model was trained by.

    Args:
        card: The card.

    Raises:
        ValueError: If the kind is unknown.
    """
    return KINDS[arguments.one_of("recipe kind", card["recipe"].get("kind"), KINDS)]
