"""What a model is trained to do: its loss, its scores, its report. Loads no TensorFlow.

A task is a frozen record in a `Recipe`, with these methods:

    loss(recipe), metrics()       what `compile` gets
    prepare(splits, seed)         the splits that the model trains on, from those of the data set
    check(model, spec)            refuses a data set that does not fit the model
    measure(model, splits)        (scores, predictions) on the test split
    endpoints(model)              the functions of the SavedModel, by name
    report(path, ...)             the page about a run

with `kind`, its name on a card, and `unused`, the fields of a recipe that mean nothing to it.
"""

import dataclasses

from .classification import Classification
from .denoising import Denoising

__all__ = ["Classification", "Denoising", "from_settings", "settings"]

_KINDS = {task.kind: task for task in (Classification, Denoising)}


def settings(task):
    """Returns a task as a dictionary that JSON can hold: its `kind` and its fields."""
    return {"kind": task.kind, **dataclasses.asdict(task)}


def from_settings(settings):
    """Returns the task that `settings` describes.

    Args:
        settings: What `tasks.settings` returned, such as a card's.

    Raises:
        ValueError: If the kind is unknown; the message lists those that are known.
    """
    fields = dict(settings)
    kind = fields.pop("kind", None)
    if kind not in _KINDS:
        raise ValueError(f"task kind={kind!r} is not one of {', '.join(_KINDS)}")
    return _KINDS[kind](**fields)
