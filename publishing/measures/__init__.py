"""How models are measured: for each kind one file with its scores, its columns in tables and its page
sections.

Loads no TensorFlow. A measure extends `Measure` and is added to `MEASURES`; nothing else knows it.
"""

from ... import arguments
from .classification import Classification
from .denoising import Denoising
from .measure import Measure

__all__ = ["MEASURES", "Classification", "Denoising", "Measure", "get"]

MEASURES = {measure.name: measure for measure in (Classification(), Denoising())}


def get(name):
    """Returns the measure of that name.

    Raises:
        ValueError: If there is none.
    """
    return MEASURES[arguments.one_of("measure", name, MEASURES)]
