"""The recipe of a run: everything that decides what a training run computes, in one frozen record."""

import dataclasses
import difflib
import inspect
import math
import typing
from collections.abc import Callable, Mapping
from typing import Any

from ..data.arguments import AUGMENTATIONS
from ..publishing import measures as tasks

OPTIMIZERS = ("sgd", "adam")
SCHEDULES = ("constant", "cosine", "step")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


_FIXED = ("name", "section", "summary", "limits", "build", "model", "task")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A model, its data, and how it is trained.

    Args:
        name: The model's name in the zoo.
        section: The section of the notes that it comes from.
        summary: One line on what it is.
        build: The building function, `build(spec, **model)`, which returns a `keras.Model`.
        data: The data set's name, as `curvezoo.data.names()` lists them.
        model: Arguments of the building function.
        task: What the model is trained to do: one of `training.tasks`.
        epochs: Passes over the training split.
        batch_size: Examples a step, over all replicas together.
        optimizer: `sgd`, with `momentum`, or `adam`.
        learning_rate: The peak rate.
        schedule: `constant`; `cosine`, to zero over the run; `step`, a tenth at 1/2 and again at 3/4.
        warmup: Epochs of linear rise to the peak rate.
        momentum: Of `sgd`; Nesterov's form.
        weight_decay: Decoupled decay of kernels, a fraction of the rate per step.
        l1: Factor of the sum of absolute kernel entries in the loss (Eq. 3.4.21).
        l2: Factor of the sum of squared kernel entries in the loss (Eq. 3.4.21).
        label_smoothing: Share of a label's probability spread over all classes.
        augment: Names of augmentations: `flip`, `crop`.
        subset: Training examples to keep; `None` keeps all.
        random_labels: Share of training labels replaced by uniform draws.
        patience: Epochs without a better validation loss after which training stops, the best
            weights kept; 0 trains to the end and keeps the last.
        precision: Keras's dtype policy.
        jit_compile: Compile the training step with XLA; on one device only.
        steps_per_execution: Steps in one call of the compiled function; on one device only.
        seed: Of the initial weights, the order of the data, augmentation and dropout.
        limits: What the trained model must not be taken for, for its card.

    Raises:
        ValueError: If a value is out of its range; the message names it and says what is valid.
    """

    name: str
    section: str
    summary: str
    build: Callable[..., Any]
    data: str
    model: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    task: Any = dataclasses.field(default_factory=tasks.Classification)
    epochs: int = 10
    batch_size: int = 128
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    schedule: str = "constant"
    warmup: float = 0.0
    momentum: float = 0.9
    weight_decay: float = 0.0
    l1: float = 0.0
    l2: float = 0.0
    label_smoothing: float = 0.0
    augment: tuple[str, ...] = ()
    subset: int | None = None
    random_labels: float = 0.0
    patience: int = 0
    precision: str = "float32"
    jit_compile: bool = False
    steps_per_execution: int = 1
    seed: int = 0
    limits: str = ""

    def __post_init__(self):
        choices = {"optimizer": OPTIMIZERS, "schedule": SCHEDULES, "precision": PRECISIONS}
        for key, valid in choices.items():
            if getattr(self, key) not in valid:
                raise ValueError(f"{key}={getattr(self, key)!r} is not one of {', '.join(valid)}")
        for key in ("epochs", "batch_size", "steps_per_execution", "learning_rate"):
            self._require(key, getattr(self, key) > 0, "positive")
        for key in ("warmup", "weight_decay", "l1", "l2", "patience", "seed"):
            self._require(key, getattr(self, key) >= 0, "zero or more")
        for key in ("momentum", "label_smoothing"):
            self._require(key, 0 <= getattr(self, key) < 1, "in [0, 1)")
        self._require("random_labels", 0 <= self.random_labels <= 1, "in [0, 1]")
        self._require("subset", self.subset is None or self.subset > 0, "positive")
        self._require("warmup", self.warmup < self.epochs, f"less than epochs={self.epochs}")
        for field in dataclasses.fields(self):
            if field.name in self.task.unused and getattr(self, field.name) != field.default:
                value = getattr(self, field.name)
                raise ValueError(f"{field.name}={value} means nothing for {self.task.kind}: leave it out")
        unknown = [name for name in self.augment if name not in AUGMENTATIONS]
        if unknown:
            raise ValueError(f"augment={unknown[0]!r} is not one of {', '.join(AUGMENTATIONS)}")

    def _require(self, key, holds, what):
        value = getattr(self, key)
        if not holds or (isinstance(value, float) and not math.isfinite(value)):
            raise ValueError(f"{key}={value} must be {what}")

    def override(self, settings):
        """Returns the recipe with some settings changed.

        Args:
            settings: A mapping of fields of the recipe or its task, or of arguments of the building
                function, to values; a string is read as the type of the value that it replaces (`"64,32"`
                as a tuple).

        Returns:
            A new `Recipe`.

        Raises:
            ValueError: If a key is unknown or a value can't be read; it lists what is valid.
        """
        fields = {f.name for f in dataclasses.fields(self)} - set(_FIXED)
        types = typing.get_type_hints(Recipe)
        arguments = model_arguments(self.build)
        task_types = typing.get_type_hints(type(self.task))
        task_fields = {f.name for f in dataclasses.fields(self.task)}
        own, model, task = {}, dict(self.model), {}
        for key, value in settings.items():
            if key in fields:
                own[key] = read_value(key, value, types[key])
            elif key in arguments:
                model[key] = read_value(key, value, arguments[key])
            elif key in task_fields:
                task[key] = read_value(key, value, task_types[key])
            else:
                valid = sorted(fields | set(arguments) | task_fields)
                near = difflib.get_close_matches(key, valid, 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise ValueError(f"{self.name} has no setting {key!r}{hint} Valid: {', '.join(valid)}")
        return dataclasses.replace(self, model=model, task=dataclasses.replace(self.task, **task), **own)

    def settings(self):
        """Returns all that decides what a run computes, as values that JSON can hold."""
        fields = [f.name for f in dataclasses.fields(self) if f.name not in _FIXED]
        plain = {name: getattr(self, name) for name in fields}
        signature = inspect.signature(self.build).parameters.values()
        defaults = {p.name: p.default for p in signature if p.default is not p.empty}
        plain["model"] = {**defaults, **self.model}
        plain["task"] = tasks.settings(self.task)
        return {key: list(v) if isinstance(v, tuple) else v for key, v in plain.items()}


def model_arguments(build):
    """Returns a building function's keyword arguments with their annotated types."""
    hints = typing.get_type_hints(build)
    return {
        p.name: hints.get(p.name, str)
        for p in inspect.signature(build).parameters.values()
        if p.default is not p.empty
    }


def read_value(key, value, kind):
    """Reads a setting.

    Args:
        key: Its name, for the message.
        value: A string from a command line, or a value from Python.
        kind: The type to read it as: a plain one, `tuple[...]` of one, or either with `None`.

    Raises:
        ValueError: If it can't be read as that.
    """
    optional = type(None) in typing.get_args(kind)
    if optional:
        if value is None or value == "none":
            return None
        kind = next(k for k in typing.get_args(kind) if k is not type(None))
    if typing.get_origin(kind) is tuple:
        item = typing.get_args(kind)[0]
        if isinstance(value, str):
            value = [s for s in value.split(",") if s]
        items = value if isinstance(value, tuple | list) else [value]
        return tuple(read_value(key, v, item) for v in items)
    if kind is bool and isinstance(value, str):
        if value.lower() in ("true", "yes", "1", "false", "no", "0"):
            return value.lower() in ("true", "yes", "1")
    elif kind is bool and isinstance(value, bool):
        return value
    elif kind is int and isinstance(value, float):
        if value.is_integer():
            return int(value)
    else:
        try:
            return kind(value)
        except (TypeError, ValueError):
            pass
    raise ValueError(
        f"{key}={value!r} is not {'true or false' if kind is bool else f'of type {kind.__name__}'}"
    )
