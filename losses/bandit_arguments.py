"""The valid settings of the policy gradient from bandit feedback. This module does not import Keras."""

from .. import arguments

WEIGHTINGS = ("policy", "likelihood", None)
"""The valid importance weights, by the policy or likelihood whose gradient they give; `None` for 1."""

BASELINES = (None, "batch")
"""The valid baselines."""


def check_weighting(epsilon, weighting, baseline):
    """Raises a ValueError unless the weighting and the baseline of a policy gradient go together.

    Args:
        epsilon: Probability of a uniformly random label, in [0, 1].
        weighting: One of `WEIGHTINGS`.
        baseline: One of `BASELINES`.
    """
    arguments.one_of("weighting", weighting, WEIGHTINGS)
    arguments.one_of("baseline", baseline, BASELINES)
    if weighting == "likelihood" and not epsilon:
        raise ValueError(f"epsilon must be positive for weighting='likelihood', got {epsilon!r}")
    if baseline is not None and weighting != "policy":
        raise ValueError(f"baseline must be None unless weighting='policy', got {baseline!r}")
