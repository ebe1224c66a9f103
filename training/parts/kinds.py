"""The kinds of data and objectives by their names on cards."""

import dataclasses

from ... import arguments
from ..settings import named, section
from .adversarial import AdversarialLoss, InformationLoss
from .bandit_feedback import BanditFeedback
from .generation import ImportanceWeighted, MaximumLikelihood, NegativeELBO, Reconstruct
from .images import Images, LabeledImages
from .objectives import CrossEntropy, Denoise, NextToken, Translate
from .text import Pairs, Text

DATA = {part.kind: part for part in (Images, LabeledImages, Text, Pairs)}
OBJECTIVES = {
    part.kind: part
    for part in (
        CrossEntropy,
        Denoise,
        NextToken,
        Translate,
        BanditFeedback,
        MaximumLikelihood,
        NegativeELBO,
        ImportanceWeighted,
        Reconstruct,
        AdversarialLoss,
        InformationLoss,
    )
}


def from_card(kinds, recipe, name):
    """Returns the part of a recipe that a card or a run describes.

    Args:
        kinds: `DATA` or `OBJECTIVES`.
        recipe: The recipe's settings.
        name: Name of the part, `data` or `objective`.

    Raises:
        ValueError: If there is no such part, or its kind or a setting is unknown; the message names the part.
    """
    with named(f"recipe.{name}"):
        return from_settings(kinds, section(recipe, name))


def from_settings(kinds, settings):
    """Returns the part that a card or a run describes.

    Args:
        kinds: `DATA` or `OBJECTIVES`.
        settings: What `settings` of the part returned.

    Raises:
        ValueError: If the kind is unknown, or a setting is.
    """
    kind = kinds[arguments.one_of("kind", settings.get("kind"), kinds)]
    required = [f.name for f in dataclasses.fields(kind) if f.default is dataclasses.MISSING]
    missing = [name for name in required if name not in settings]
    if missing:
        raise ValueError(f"settings of {kind.kind} must have {missing[0]}, got {', '.join(settings)}")
    return kind(**{name: settings[name] for name in required}).restored(settings)
