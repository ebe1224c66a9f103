"""The models' names, recipes and, for published models, cards. This module does not import TensorFlow."""

import fnmatch
import functools
import importlib
from typing import Any

from .. import arguments
from ..publishing import cards

_MODULES = (
    "classifiers.softmax",
    "classifiers.mlp",
    "classifiers.cnn",
    "classifiers.resnet",
    "classifiers.bandit_recipes",
    "denoisers.residual",
    "generative.adversarial_recipes",
    "generative.autoencoder_recipes",
    "generative.realnvp_recipes",
    "generative.vae_recipes",
    "generative.pixelcnn_recipes",
    "language.transformer_recipes",
    "language.translator_recipes",
    "language.recurrent_recipes",
    "agents.recipes",
    "games.recipes",
)


@functools.cache
def _recipes():
    modules = (importlib.import_module(f".{module}", __package__) for module in _MODULES)
    return {recipe.name: recipe for module in modules for recipe in module.RECIPES}


def names(pattern: str = "*") -> list[str]:
    """Returns the names of all models, or of those that match a wildcard pattern such as `resnet*`."""
    return [name for name in _recipes() if fnmatch.fnmatchcase(name, pattern)]


def measured_by(measures) -> list[str]:
    """Returns the names of the published models whose measure is one of those given.

    Args:
        measures: Names of measures.
    """
    published = {name: cards.published(name) for name in names()}
    return [name for name, card in published.items() if card is not None and card["measure"] in measures]


def recipe(name):
    """Returns the recipe of a model.

    Args:
        name: A name that `names()` lists.

    Returns:
        The recipe, frozen.

    Raises:
        ValueError: If there is no such model; the message suggests the nearest name and lists all names.
    """
    recipes = _recipes()
    return recipes[arguments.known_name("model", name, recipes)]


def describe(name: str) -> dict[str, Any]:
    """Returns a description of a model: its recipe's settings and, if it is published, its card.

    Args:
        name: A name that `names()` lists.

    Returns:
        A dictionary with `name`, `section`, `summary`, `data`, `recipe` (every setting), `trained`
        (whether it is published) and `card` (`None` if it is not).

    Raises:
        ValueError: If there is no such model.
    """
    named = recipe(name)
    card = cards.published(name)
    return {
        "name": name,
        "section": named.section,
        "summary": named.summary,
        "data": _source(named),
        "trained": card is not None,
        "recipe": named.settings(),
        "card": card,
    }


def _source(recipe):
    """Returns the name of the data set, environment or game that a recipe learns from."""
    parts = (getattr(recipe, name, None) for name in ("data", "environment", "game"))
    return getattr(next(filter(None, parts), None), "name", "")
