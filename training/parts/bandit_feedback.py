"""The objective of classifiers that see only whether the label that they chose is right (section 8.4).

This module does not import TensorFlow. B batch, H W height and width, C channels, K classes.
"""

import dataclasses
from typing import ClassVar

from ... import arguments
from ...losses.bandit_arguments import check_weighting
from .objectives import LabelObjective, classifier_endpoints

METHODS = ("policy_gradient", "q")


@dataclasses.dataclass(frozen=True)
class BanditFeedback(LabelObjective):
    r"""Classification from rewards: maps images `[B, H, W, C]` to logits `[B, K]` (section 8.4).

    In each step the model chooses one label for each image, and learns only whether it is right. The
    validation loss has random labels, too, so that early stopping should not rely on it.

    Args:
        method: `policy_gradient`, which draws labels from the softmax of the logits (Eq. 8.4.3), or `q`,
            which takes the most probable label and fits its reward (Eq. 8.4.7).
        epsilon: Probability of a uniformly random label instead, in [0, 1].
        weighting: Importance weights of the policy gradient at a positive `epsilon`. `policy` gives the
            gradient of the expected accuracy, `likelihood` that of the cross-entropy, and `none` a mixture.
        baseline: Baseline of the policy gradient, with the weighting `policy`: `batch`, the mean reward of
            the other images, or `none`.

    Raises:
        ValueError: If a value is not one of these, or `q` is given a weighting or a baseline.
    """

    kind: ClassVar[str] = "bandit_feedback"
    measure: ClassVar[str] = "classification"
    method: str = "policy_gradient"
    epsilon: float = 0.0
    weighting: str | None = "policy"
    baseline: str | None = None

    def __post_init__(self):
        arguments.one_of("method", self.method, METHODS)
        arguments.unit_interval("epsilon", self.epsilon)
        if self.method == "policy_gradient":
            check_weighting(self.epsilon, self.weighting, self.baseline)
        elif (self.weighting, self.baseline) != ("policy", None):
            raise ValueError(
                "weighting and baseline must not be set for method='q', "
                f"got weighting={self.weighting!r} and baseline={self.baseline!r}"
            )

    def loss(self):
        """Returns the loss, whose generator of labels is seeded by Keras's global seed."""
        from ...losses import bandit_feedback

        if self.method == "q":
            return bandit_feedback.BanditQLoss(self.epsilon)
        return bandit_feedback.BanditPolicyGradient(self.epsilon, self.weighting, self.baseline)

    def endpoints(self, model, examples):
        """Returns `serve`, the logits, and `probabilities`, their softmax, which are the values Q for `q`."""
        return classifier_endpoints(model)
