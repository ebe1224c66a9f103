"""Classifiers that learn from rewards: digits by a policy gradient and by Q-learning (section 8.4)."""

from ...training.parts import Architecture, BanditFeedback, LabeledImages, Optimizer
from ...training.supervised import Supervised
from .images import LIMITS
from .mlp import mlp

_MODEL = Architecture(mlp, {"widths": (128,)})
_DATA = LabeledImages("digits", batch_size=32)

RECIPES = (
    Supervised(
        name="mlp_digits_policy_gradient",
        section="8.4",
        summary="digits by the rewards of drawn labels",
        model=_MODEL,
        data=_DATA,
        # Without importance weights, random labels add a part of the supervised gradient (Eq. 8.4.4), so that
        # no label is forgotten. A policy that follows the expected accuracy may never draw one of the digits.
        objective=BanditFeedback("policy_gradient", epsilon=0.1, weighting=None),
        optimizer=Optimizer("adam", learning_rate=2e-3, schedule="cosine"),
        epochs=40,
        limits=LIMITS["digits"],
    ),
    Supervised(
        name="mlp_digits_q",
        section="8.4",
        summary="digits by the rewards of epsilon-greedy labels",
        model=_MODEL,
        data=_DATA,
        objective=BanditFeedback("q", epsilon=0.1),
        optimizer=Optimizer("adam", learning_rate=2e-3, schedule="cosine"),
        epochs=40,
        limits=LIMITS["digits"],
    ),
)
