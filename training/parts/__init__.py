"""The parts of recipes: architectures, data, objectives, optimizers, penalties, execution.

A new kind of data or objective is one class in this package that extends `settings.Part`. Existing cards
remain valid: a card stores the settings of its own run, and missing settings take their defaults.
"""

from .adversarial import AdversarialLoss, InformationLoss
from .agents import Algorithm, Environment
from .architecture import Architecture
from .bandit_feedback import BanditFeedback
from .execution import Execution
from .games import BoardGame, Play
from .generation import ImportanceWeighted, MaximumLikelihood, NegativeELBO, Reconstruct
from .images import Images, LabeledImages
from .objectives import CrossEntropy, Denoise, NextToken, Translate
from .optimizer import Optimizer
from .penalty import Penalty
from .text import Pairs, Text

__all__ = [
    "AdversarialLoss",
    "Algorithm",
    "Architecture",
    "BanditFeedback",
    "BoardGame",
    "CrossEntropy",
    "Denoise",
    "Environment",
    "Execution",
    "Images",
    "ImportanceWeighted",
    "InformationLoss",
    "LabeledImages",
    "MaximumLikelihood",
    "NegativeELBO",
    "NextToken",
    "Optimizer",
    "Pairs",
    "Penalty",
    "Play",
    "Reconstruct",
    "Text",
    "Translate",
]
