"""Measures: one module for each kind of model, with its scores, its table columns and its report sections.

This module does not import TensorFlow. A new measure extends `Measure` and is added to `MEASURES`; no other
code changes.
"""

from ... import arguments
from .adversarial import Adversarial
from .classification import Classification
from .denoising import Denoising
from .density import Density
from .games import Games
from .language_modeling import LanguageModeling
from .measure import Measure
from .reconstruction import Reconstruction
from .returns import Returns
from .translation import Translation
from .variational import Variational

__all__ = [
    "MEASURES",
    "Adversarial",
    "Classification",
    "Denoising",
    "Density",
    "Games",
    "LanguageModeling",
    "Measure",
    "Reconstruction",
    "Returns",
    "Translation",
    "Variational",
    "get",
    "options",
]

_ALL = (
    Adversarial(),
    Classification(),
    Denoising(),
    Density(),
    Games(),
    LanguageModeling(),
    Reconstruction(),
    Returns(),
    Translation(),
    Variational(),
)
MEASURES = {measure.name: measure for measure in _ALL}


def options():
    """Returns what the options of all measures do, by their names."""
    return {name: text for measure in MEASURES.values() for name, text in measure.options.items()}


def get(name):
    """Returns the measure of a given name.

    Raises:
        ValueError: If there is no such measure.
    """
    return MEASURES[arguments.one_of("measure", name, MEASURES)]
