"""The parts of recipes: architectures, data, objectives, optimizers, penalties, execution.

A new kind of data or objective is one class here that extends `settings.Part`; it touches no card, since
a card keeps the settings of its own run, and a setting that it lacks has its default.
"""

from .architecture import Architecture
from .execution import Execution
from .images import Images, LabeledImages
from .objectives import CrossEntropy, Denoise
from .optimizer import Optimizer
from .penalty import Penalty

__all__ = [
    "Architecture",
    "CrossEntropy",
    "Denoise",
    "Execution",
    "Images",
    "LabeledImages",
    "Optimizer",
    "Penalty",
]
