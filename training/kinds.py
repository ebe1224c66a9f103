"""The recipe classes, by the names of their kinds on cards."""

from .. import arguments
from .adversarial import Adversarial
from .reinforcement import Reinforcement
from .self_play import SelfPlay
from .supervised import Supervised

KINDS = {kind.kind: kind for kind in (Supervised, Adversarial, Reinforcement, SelfPlay)}


def kind_of(card):
    """Returns the recipe class with which a card's model was trained.

    Args:
        card: The card.

    Raises:
        ValueError: If the kind is unknown.
    """
    return KINDS[arguments.one_of("recipe kind", card["recipe"].get("kind"), KINDS)]
