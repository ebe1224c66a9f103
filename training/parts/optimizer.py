"""The optimizer of a recipe, from Keras or curvezoo, with its learning rate schedule."""

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any

from ... import arguments, quiet
from ..settings import Part, read_value

SCHEDULES = ("constant", "cosine", "step")

_COMMON = dict.fromkeys(("clipnorm", "clipvalue", "global_clipnorm"), float | None)
_ADAM = {"beta_1": float, "beta_2": float, "epsilon": float, "amsgrad": bool, **_COMMON}
# Types of the arguments of Keras's optimizers, so that they are checked before TensorFlow is imported.
_KERAS = {
    "adam": ("Adam", _ADAM),
    "adamw": ("AdamW", _ADAM),
    "sgd": ("SGD", {"momentum": float, "nesterov": bool, **_COMMON}),
}
_OWN = {
    "kfac": "KFAC",
    "natural_gradient": "NaturalGradient",
    "hessian_free": "HessianFree",
    "newton": "Newton",
    "rmsprop": "RMSProp",
    "acceleration": "Acceleration",
    "evolution": "Evolution",
}
_FULL_BATCH = {"lbfgs": "LBFGS", "bfgs": "BFGS", "conjugate_gradient": "ConjugateGradient"}
_DEFAULTS = {
    "sgd": {"momentum": 0.9, "nesterov": True},
    **{name: {"max_iterations": 20} for name in _FULL_BATCH},
}
# Settings that full-batch optimizers lack, since they find their step sizes by line search.
_STEP_FIELDS = ("learning_rate", "schedule", "warmup", "weight_decay")
NAMES = (*_KERAS, *_OWN, *_FULL_BATCH)


@dataclasses.dataclass(frozen=True)
class Optimizer(Part):
    """An optimizer, given by name, with its learning rate schedule.

    Changing the `name` resets all settings to the defaults of the new optimizer, since a good learning rate
    for one optimizer says nothing about another.

    Args:
        name: `adam`, `adamw` or `sgd` (with Nesterov momentum of 0.9), or one of curvezoo's own: `kfac`,
            `natural_gradient`, `hessian_free`, `newton`, `rmsprop`, `acceleration`, `evolution`, and the
            full-batch `lbfgs`, `bfgs` and `conjugate_gradient`, which run `max_iterations` (20) iterations
            per epoch on all examples and take no learning rate, schedule, warm-up or weight decay.
        learning_rate: The peak learning rate; `None` for the optimizer's own default.
        schedule: `constant`; `cosine`, which decays to zero over the run; or `step`, which divides the rate
            by 10 at 1/2 and again at 3/4 of the run.
        warmup: Epochs of linear increase to the peak learning rate.
        weight_decay: Decoupled weight decay of all weight matrices, multiplied by the learning rate in each
            step; `None` for the optimizer's own default.
        arguments: Further arguments of the optimizer, such as `momentum` or `damping`.

    Raises:
        ValueError: If a value is not valid, or the optimizer has no such argument.
    """

    name: str = "adam"
    learning_rate: float | None = None
    schedule: str = "constant"
    warmup: float = 0.0
    weight_decay: float | None = None
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        arguments.one_of("optimizer", self.name, NAMES)
        arguments.one_of("schedule", self.schedule, SCHEDULES)
        if self.learning_rate is not None:
            arguments.positive_number("learning_rate", self.learning_rate)
        if self.weight_decay is not None:
            arguments.nonnegative_number("weight_decay", self.weight_decay)
        arguments.nonnegative_number("warmup", self.warmup)
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        given = [key for key in _STEP_FIELDS if getattr(self, key) != defaults[key]]
        if self.full_batch and given:
            value = getattr(self, given[0])
            raise ValueError(
                f"{given[0]} must be left out for {self.name}, a full-batch optimizer, got {value}"
            )
        for key in self.arguments:
            arguments.one_of(f"argument of {self.name}", key, self._argument_types())

    def types(self):
        """Returns the type of each setting, the optimizer's own arguments included."""
        own = {key: kind for key, kind in super().types().items() if key in self._fields()}
        return own | self._argument_types()

    def settings(self):
        """Returns the settings, with only those of the optimizer's own arguments that were given."""
        own = {key: value for key, value in super().settings().items() if key in self._fields()}
        return own | dict(self.arguments)

    def changed(self, values):
        """Returns the optimizer with some settings replaced; another `name` starts from its defaults."""
        renamed = values.get("name", self.name) != self.name
        return (type(self)(values["name"]) if renamed else self)._with(values)

    def restored(self, settings):
        """Returns the optimizer that a card or a run describes."""
        fresh = type(self)(settings.get("name", "adam"))
        types = fresh.types()
        for key in settings:
            arguments.one_of("optimizer's setting", key, types)
        return fresh._with({key: read_value(key, value, types[key]) for key, value in settings.items()})

    @property
    def full_batch(self):
        """Whether the optimizer needs all examples at each step, and is therefore not a Keras optimizer."""
        return self.name in _FULL_BATCH

    def make(self, steps, warmup_steps=0):
        """Returns a new optimizer, either a `keras.optimizers.Optimizer` or a full-batch optimizer.

        Args:
            steps: Number of steps in the whole run, for the schedule.
            warmup_steps: Number of steps of the linear warm-up.
        """
        from ...optimizers.schedules import learning_rate_schedule

        rule = _class(self.name)
        given = {**_DEFAULTS.get(self.name, {}), **self.arguments}
        if self.weight_decay is not None:
            # Keras's AdamW takes no None, and its other optimizers no zero.
            given["weight_decay"] = self.weight_decay if self.name == "adamw" else self.weight_decay or None
        if self.learning_rate is None and self.schedule == "constant" and not self.warmup:
            return rule(**given)
        peak = self.learning_rate
        if peak is None:
            peak = inspect.signature(rule).parameters["learning_rate"].default
        return rule(learning_rate_schedule(self.schedule, peak, steps, warmup_steps), **given)

    def at_constant_rate(self):
        """Returns a copy with a constant learning rate, without schedule and warm-up."""
        return dataclasses.replace(self, schedule="constant", warmup=0.0)

    def _fields(self):
        return ("name",) if self.full_batch else ("name", *_STEP_FIELDS)

    def _with(self, values):
        fields = {field.name for field in dataclasses.fields(self)}
        own = {key: value for key, value in values.items() if key in fields}
        more = {key: value for key, value in values.items() if key not in fields}
        return dataclasses.replace(self, **own, arguments={**self.arguments, **more})

    def _argument_types(self):
        if self.name in _KERAS:
            return _KERAS[self.name][1]
        parameters = inspect.signature(_class(self.name)).parameters.values()
        named = [
            p.name
            for p in parameters
            if p.kind is not p.VAR_KEYWORD and p.name not in ("name", *_STEP_FIELDS)
        ]
        return dict.fromkeys(named, Any) | ({} if self.full_batch else _COMMON)


def _class(name):
    """Returns the class of an optimizer."""
    if name in _KERAS:
        return getattr(quiet.load_keras().optimizers, _KERAS[name][0])
    quiet.load_tensorflow()
    from ... import optimizers

    return getattr(optimizers, (_OWN | _FULL_BATCH)[name])
