"""A run: from a recipe to a folder with the trained model, its measures and its report."""

import contextlib
import dataclasses
import json
import pathlib

import keras
import tensorflow as tf

from .. import data
from ..publishing import accounting, cards
from ..publishing import saved_model as publishing
from ..publishing.files import sweep, write_json
from . import callbacks, checkpoints, fitting
from .compiling import compiled_model
from .strategies import is_chief, make_strategy


class WorkerLost(RuntimeError):
    """Another worker of the cluster stopped; all must start again, from the last checkpoint."""


@dataclasses.dataclass(frozen=True)
class Run:
    """What a finished run leaves.

    Args:
        folder: The run's folder: `model/`, `report.html`, `metrics.json`, `history.csv`, `checkpoints/`,
            `tensorboard/`.
        model: The trained `keras.Model`.
        scores: The test split's scores; `None` on workers other than the first.
        history: Logs of the epochs, one dictionary each.
    """

    folder: pathlib.Path
    model: keras.Model
    scores: dict | None
    history: list


def train(recipe, out, *, strategy="default", data_dir=None, resume=False, progress=True, command=None):
    """Trains a recipe's model, measures it, and writes everything down.

    Args:
        recipe: The `Recipe`.
        out: The run's folder; it must not hold a run, unless `resume`.
        strategy: `default`, `mirrored` or `multiworker`.
        data_dir: The folder of TensorFlow Datasets; `None` for its default.
        resume: Continue the run in `out` from its last checkpoint, to the weights that an uninterrupted
            run would have reached.
        progress: Show a bar on stderr.
        command: The command line to put on the card.

    Returns:
        The `Run`.

    Raises:
        ValueError: If an argument or the data is not valid, `out` holds another run, or `resume` finds none.
        OSError: If the run's files can't be written.
        callbacks.Diverged: If the loss or a weight stops being a number, or grows far above the start.
        WorkerLost: If another worker of the cluster stopped.
    """
    out = pathlib.Path(out)
    _check_folder(out, recipe, resume)
    scope = make_strategy(strategy)
    chief = is_chief(scope)
    splits = data.load(
        recipe.data,
        recipe.batch_size,
        data_dir,
        recipe.seed,
        subset=recipe.subset,
        random_labels=recipe.random_labels,
        augment=recipe.augment,
    )
    splits = recipe.task.prepare(splits, recipe.seed)
    replicas = scope.num_replicas_in_sync
    if splits.batch_size % replicas:
        raise ValueError(f"batch_size={splits.batch_size} must be a multiple of the {replicas} replicas")
    with _tensorflow_errors(out), _precision(recipe.precision):
        keras.utils.set_random_seed(recipe.seed)
        with scope.scope():
            distributed = strategy != "default"
            model = compiled_model(recipe, splits.spec, splits.steps_per_epoch, distributed=distributed)
        if chief:
            out.mkdir(parents=True, exist_ok=True)
            sweep(out)
            write_json(out / "run.json", {"name": recipe.name, "settings": recipe.settings()})
        history = _fit(model, recipe, splits, out, scope, progress, chief, resume)
        if not chief:
            return Run(out, model, None, history)
        best = checkpoints.best_epoch(history) if recipe.patience else len(history)
        checkpoints.restore(out / "checkpoints" / f"epoch-{best:04d}", model)
        place = {"strategy": strategy, "replicas": replicas}
        scores = _write_results(model, recipe, splits, out, history, place, data_dir, command)
    return Run(out, model, scores, history)


@contextlib.contextmanager
def _tensorflow_errors(out):
    """Gives TensorFlow's errors their meaning: a lost worker, or a file that can't be written."""
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError) as error:
        last = checkpoints.latest(out / "checkpoints")
        raise WorkerLost(f"a worker was lost; last good checkpoint: {last or 'none'}") from error
    except (
        tf.errors.OutOfRangeError,
        tf.errors.PermissionDeniedError,
        tf.errors.UnknownError,
    ) as error:
        raise OSError(f"{out} can't be written: {error.message.splitlines()[0]}") from error


def _check_folder(out, recipe, resume):
    """Refuses to mix two runs in one folder."""
    if out.exists() and not out.is_dir():
        raise ValueError(f"out={str(out)!r} is a file, not a folder")
    if not resume:
        if out.is_dir() and any(out.iterdir()):
            raise ValueError(f"{out} is not empty; resume the run in it, or name another folder")
        return
    before, now = saved_settings(out, recipe.name), json.loads(json.dumps(recipe.settings()))
    changed = [key for key in now if before.get(key) != now[key]]
    if changed:
        raise ValueError(
            f"{out} was begun with other settings: {', '.join(f'{k}={before.get(k)}' for k in changed)}; "
            f"resume it with the same"
        )


def saved_settings(out, name):
    """Returns the settings that a run was begun with, as `Recipe.settings` gives them.

    Args:
        out: The run's folder.
        name: The model's name.

    Returns:
        A dictionary.

    Raises:
        ValueError: If the folder holds no run, or a run of another model.
    """
    path = pathlib.Path(out) / "run.json"
    if not path.is_file():
        raise ValueError(f"{out} holds no run to resume")
    run = json.loads(path.read_text())
    if run["name"] != name:
        raise ValueError(f"{out} holds a run of {run['name']}, not of {name}")
    if "task" not in run["settings"]:
        raise ValueError(f"{out} holds a run that an older version began; train the model anew")
    return run["settings"]


@contextlib.contextmanager
def _precision(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _fit(model, recipe, splits, out, scope, progress, chief, resume):
    """Fits from the last checkpoint, or the start, to the end; returns the history."""
    folder, steps = out / "checkpoints", splits.steps_per_epoch
    last = checkpoints.latest(folder) if resume else None
    history = checkpoints.restore(last, model) if last else []
    first = len(history)
    stopped = recipe.patience and first and first - checkpoints.best_epoch(history) >= recipe.patience
    if first >= recipe.epochs or stopped:
        return history
    guard = callbacks.Guard(folder, steps, history)
    watchers = [guard, callbacks.Checkpointer(out if chief else None, history, recipe.patience, guard)]
    if chief:
        watchers.append(keras.callbacks.TensorBoard(out / "tensorboard", write_graph=False))
    bar = callbacks.Progress(first, recipe.epochs, steps)
    if progress and chief:
        watchers.append(bar)
    try:
        fitting.fit(model, splits, first, recipe.epochs, scope, watchers)
    finally:
        bar.close()
    return history


def _write_results(model, recipe, splits, out, history, place, data_dir, command):
    """Measures the model on the test split; writes the published folder, metrics and report."""
    scores, predictions = recipe.task.measure(model, splits)
    card = cards.describe_run(
        recipe,
        splits.spec,
        provenance=data.provenance(splits.spec.name, data_dir),
        scores=scores,
        account=accounting.account(model),
        history=history,
        place=place,
        devices=[device.device_type for device in tf.config.list_logical_devices()],
        command=command or f"curvezoo train {recipe.name}",
    )
    examples = next(iter(splits.test))[0]
    card = publishing.publish(model, out / "model", card, examples, recipe.task.endpoints(model))
    write_json(out / "metrics.json", scores)
    recipe.task.report(
        out / "report.html",
        recipe=recipe,
        splits=splits,
        scores=scores,
        predictions=predictions,
        history={key: [row[key] for row in history] for key in history[0]},
        rows=[("command", card["command"]), *card["recipe"].items()],
    )
    return scores
