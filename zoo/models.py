"""Building, training, loading and measuring the zoo's models."""

import pathlib
import re
import shlex

from .. import data
from ..publishing import cards
from ..publishing import measures as tasks
from ..publishing import saved_model as publishing
from ..publishing.measures import evaluation
from ..training import runs
from ..training.recipe import model_arguments
from . import catalogue


def build(name, **overrides):
    """Returns a model of the zoo with new weights.

    Args:
        name: A name that `names()` lists.
        **overrides: Arguments of the model's building function, and `data` for another data set's shape.

    Returns:
        A `keras.Model`, not compiled.

    Raises:
        ValueError: If there is no such model or argument.
    """
    recipe = catalogue.recipe(name)
    extra = set(overrides) - {"data", *model_arguments(recipe.build)}
    if extra:
        valid = ", ".join(["data", *model_arguments(recipe.build)])
        raise ValueError(f"{name} is not built with {min(extra)!r}; valid: {valid}")
    recipe = recipe.override(overrides)
    return recipe.build(data.spec(recipe.data), **recipe.model)


def load(name):
    """Loads a published model, trained; see `curvezoo.publishing.saved_model.load`."""
    return publishing.load(name)


def train(name, out=None, *, strategy="default", data_dir=None, resume=False, progress=True, **settings):
    """Trains a model by its recipe.

    Args:
        name: A name that `names()` lists.
        out: The run's folder; by default `runs/NAME`, numbered where there is one already.
        strategy: `default`, `mirrored` or `multiworker`.
        data_dir: The folder of TensorFlow Datasets.
        resume: Continue the run in `out`, by default the newest of this model, with its settings.
        progress: Show a bar.
        **settings: Changes to the recipe: its fields, or arguments of the building function.

    Returns:
        The `Run`.

    Raises:
        ValueError: If a name or a value is not valid; the message says what is.
    """
    recipe = catalogue.recipe(name)
    folder = pathlib.Path(out) if out else default_folder(name, resume)
    if resume:
        recipe = recipe.override(flat_settings(runs.saved_settings(folder, name)))
    recipe = recipe.override(settings)
    return runs.train(
        recipe,
        folder,
        strategy=strategy,
        data_dir=data_dir,
        resume=resume,
        progress=progress,
        command=_command(recipe, strategy),
    )


def default_folder(name, resume=False):
    """Returns the folder of a run that names none: `runs/NAME`, `runs/NAME-2` and so on.

    Args:
        name: The model's name.
        resume: Whether to return the last one there is, not the next.

    Returns:
        A `pathlib.Path`.
    """
    root = pathlib.Path("runs")
    matches = [re.fullmatch(rf"{re.escape(name)}(?:-(\d+))?", p.name) for p in root.glob(f"{name}*")]
    numbers = [int(match[1] or 1) for match in matches if match]
    last = max(numbers, default=0)
    number = max(1, last if resume else last + 1)
    return root / (name if number == 1 else f"{name}-{number}")


def flat_settings(settings):
    """Settings of a recipe with those of its model and task beside them, as `Recipe.override` takes them."""
    own = {key: value for key, value in settings.items() if key not in ("model", "task")}
    task = {key: value for key, value in settings["task"].items() if key != "kind"}
    return own | settings["model"] | task


def _command(recipe, strategy):
    """The command line that repeats a run: what differs from the zoo's recipe."""
    words = ["curvezoo", "train", recipe.name]
    words += ["--strategy", strategy] if strategy != "default" else []
    usual = flat_settings(catalogue.recipe(recipe.name).settings())
    for key, value in flat_settings(recipe.settings()).items():
        if value == usual[key]:
            continue
        text = ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
        words += ["--set", f"{key}={'none' if value is None else text}"]
    return shlex.join(words)


def evaluate(name, *, data_set=None, data_dir=None, temperature=False):
    """Measures a published model on its data set's test split.

    Args:
        name: A published name, or a folder with a card.
        data_set: Another data set to measure it on.
        data_dir: The folder of TensorFlow Datasets.
        temperature: Of a classifier: fit a temperature on the validation split, and report the scaled scores
            as well.

    Returns:
        A dictionary of `name`, `data`, `split` and the scores of the model's task: of a classifier
        `accuracy` with its interval, `nll` in nats, `ece`, `brier`; of a denoiser `psnr` in dB.

    Raises:
        ValueError: If there is no such model, its files are damaged, the data does not fit it, or
            `temperature` is asked of what is no classifier.
    """
    folder = cards.folder_of(name)
    card = cards.read(folder)
    task = tasks.from_settings(card["recipe"]["task"])
    if temperature and task.kind != "classification":
        raise ValueError(
            f"temperature=True is not valid: {card['name']} does {task.kind}, not classification"
        )
    model = publishing.load(folder)
    data_set = data_set or card["data"]["name"]
    task.check(model, data.spec(data_set))
    splits = data.load(data_set, batch_size=128, data_dir=data_dir)
    scores, _ = task.measure(model, task.prepare(splits, seed=0))
    if temperature:
        scores |= evaluation.temperature_scores(model, splits)
    return {"name": card["name"], "data": data_set, "split": "test", **scores}
