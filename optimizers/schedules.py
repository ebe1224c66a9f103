"""Learning-rate schedules by step, composed of Keras's own."""

from collections.abc import Callable
from typing import Literal, TypeAlias

import keras

# The learning rates that the optimizers accept: a number, a schedule, or a function without arguments.
LearningRate: TypeAlias = float | Callable[[], float] | keras.optimizers.schedules.LearningRateSchedule


def learning_rate_schedule(
    kind: Literal["constant", "cosine", "step"], peak: float, steps: int, warmup_steps: int = 0
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    r"""Returns the learning rate as a function of the step.

    The rate rises linearly during the \(w\) steps of the warm-up. After it, with \(n\) steps in all and
    \(u = (t - w) / (n - w)\), it is

    - `constant`: \(\epsilon\);
    - `cosine`: \(\epsilon\,(1 + \cos \pi u) / 2\);
    - `step`: \(\epsilon\), a tenth of it from \(u = 1/2\) and a hundredth from \(u = 3/4\).

    Args:
        kind: `constant`, `cosine` or `step`.
        peak: The highest rate \(\epsilon\) of Eq. 1.3.1.
        steps: The number of steps of the run.
        warmup_steps: The number of steps of the linear rise from zero.

    Returns:
        A `keras.optimizers.schedules.LearningRateSchedule`, or `peak` itself where the rate is constant.

    Raises:
        ValueError: If `kind` is unknown, or the warm-up is not shorter than the run.

    Example:
        >>> rate = learning_rate_schedule("cosine", 0.1, steps=100)
        >>> round(float(rate(50)), 6)
        0.05
    """
    if not 0 <= warmup_steps < steps:
        raise ValueError(f"warmup_steps must be in [0, {steps}), the number of steps, got {warmup_steps}")
    if kind == "cosine":
        rise = (
            {"initial_learning_rate": 0.0, "warmup_target": peak}
            if warmup_steps
            else {"initial_learning_rate": peak}
        )
        return keras.optimizers.schedules.CosineDecay(
            decay_steps=steps - warmup_steps, warmup_steps=warmup_steps, **rise
        )
    if kind == "step":
        half, three_quarters = (warmup_steps + (steps - warmup_steps) * k // 4 for k in (2, 3))
        after = keras.optimizers.schedules.PiecewiseConstantDecay(
            [half, three_quarters], [peak, peak / 10, peak / 100]
        )
    elif kind == "constant":
        after = peak
    else:
        raise ValueError(f"kind must be one of constant, cosine, step, got {kind!r}")
    return Warmup(after, warmup_steps) if warmup_steps else after


@keras.saving.register_keras_serializable("curvezoo")
class Warmup(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule, or a constant rate, multiplied by `min(1, step / steps)`.

    Args:
        after: The rate or schedule after the rise.
        steps: The number of steps of the rise.
    """

    def __init__(self, after, steps):
        self.after, self.steps = after, steps

    def __call__(self, step):
        """Returns the rate at `step`."""
        rate = self.after(step) if callable(self.after) else self.after
        return rate * keras.ops.minimum(1.0, keras.ops.cast(step, "float32") / self.steps)

    def get_config(self):
        """Returns the arguments that rebuild this schedule."""
        after = keras.saving.serialize_keras_object(self.after) if callable(self.after) else self.after
        return {"after": after, "steps": self.steps}

    @classmethod
    def from_config(cls, config):
        """Builds the schedule from `get_config`'s value."""
        after = config["after"]
        return cls(
            keras.saving.deserialize_keras_object(after) if isinstance(after, dict) else after,
            config["steps"],
        )
