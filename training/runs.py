"""Runs: training a recipe's model into a folder with the trained model, its scores and its report.

This module depends on learners only through their interface; it imports no objective, data set or measure.
"""

import contextlib
import dataclasses
import json
import pathlib
from typing import Any

import tensorflow as tf

from ..files import sweep, write_json
from ..progress import Progress
from ..publishing import accounting, cards, saved_model
from ..publishing.page.curves import loss_curves
from ..publishing.page.report import Section, write_report
from . import checkpoints, liveness
from .cluster import Cluster, meet
from .folders import check_free, check_same, saved_settings
from .learner import Resources
from .lock import locked
from .settings import flatten
from .strategies import is_chief, make_strategy
from .watch import Watch


class WorkerLost(RuntimeError):
    """Another worker of the cluster stopped; all workers must restart from the last checkpoint.

    Args:
        message: The message.
        resumable: Whether the run's folder holds a run to resume.
    """

    def __init__(self, message, resumable):
        super().__init__(message)
        self.resumable = resumable


@dataclasses.dataclass(frozen=True)
class Run:
    """The results of a finished run.

    Args:
        folder: The run's folder: `model/`, `report.html`, `metrics.json`, `history.csv`, `checkpoints/`,
            `tensorboard/`.
        model: The trained `keras.Model`; the main one if there are several.
        scores: The scores on the test split; `None` on workers other than the first.
        history: Logs of the units, one dictionary per unit.
    """

    folder: pathlib.Path
    model: Any
    scores: dict | None
    history: list

    def _repr_html_(self):
        """Returns a table of the scores and the paths of the report and the model, for notebooks."""
        rows = [
            ("report", self.folder / "report.html"),
            ("model", self.folder / "model"),
            *(self.scores or {}).items(),
        ]
        cells = "".join(f"<tr><th>{key}</th><td>{_short(value)}</td></tr>" for key, value in rows)
        return f"<table>{cells}</table>"


def _short(value):
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def train(
    recipe,
    out,
    *,
    data=None,
    callbacks=(),
    strategy="default",
    data_dir=None,
    executor=None,
    resume=False,
    progress=True,
    command=None,
    wait=600.0,
):
    """Trains a recipe's model, measures it, and writes the results to a folder.

    Args:
        recipe: The recipe.
        out: The run's folder; it must be new or empty, unless `resume` is true.
        data: The caller's own data, such as `Splits`; `None` for the recipe's.
        callbacks: Keras callbacks for learners that use Keras's `fit`. Checkpoints do not hold their state.
        strategy: `default`, `mirrored` or `multiworker`.
        data_dir: The folder of TensorFlow Datasets; `None` for its default.
        executor: A `concurrent.futures.Executor` whose workers play games in self-play, such as that of a
            cluster; `None` for processes on this machine.
        resume: Continue the run in `out` from its last checkpoint. It ends with the weights that an
            uninterrupted run would have reached. Only a setting of the run's length, such as `epochs`, may
            change.
        progress: Show a progress bar on stderr.
        command: The command line to put on the card.
        wait: Seconds to wait for the other workers of `multiworker`.

    Returns:
        The `Run`.

    Raises:
        ValueError: If an argument or the data is not valid, `out` holds another run or another process trains
            into it, there is no run to resume, or another worker has other settings.
        OSError: If the run's files can't be written.
        TimeoutError: If another worker does not come.
        watch.Diverged: If the loss or a weight is not finite, or the loss grows far above its initial value.
        WorkerLost: If another worker of the cluster stopped.
    """
    out = pathlib.Path(out).expanduser()
    _check_folder(out, recipe, resume)
    if executor is not None and not recipe.has_actors:
        raise ValueError(f"executor must be None for a model of kind {recipe.kind!r}, which has no actors")
    links = {}
    if strategy == "multiworker":
        settings = {"model": recipe.name, **flatten(recipe.settings())}
        settings["units that are done"] = _units_done(out) if resume else 0
        links = meet(Cluster.of_environment(), settings, wait)
    with liveness.watched(links, wait):
        scope = make_strategy(strategy)
    chief = is_chief(scope)
    with _tensorflow_errors(out), recipe.precision():
        learner = recipe.learner(Resources(scope, data_dir, data, callbacks, executor))
        if not chief:
            history = _train(learner, out, False, progress, resume)
            return Run(out, learner.exports()[0].model, None, history)
        out.mkdir(parents=True, exist_ok=True)
        with locked(out):
            # Another process may have used the folder while this one was starting.
            _check_folder(out, recipe, resume)
            sweep(out)
            write_json(out / "run.json", {"name": recipe.name, "settings": recipe.settings()})
            history = _train(learner, out, True, progress, resume)
            result = learner.stopping.result(history)
            if result < len(history):
                checkpoints.restore(checkpoints.path_of(out / "checkpoints", learner.unit, result), learner)
            place = {
                f"{learner.unit}s": len(history),
                "strategy": strategy,
                "replicas": scope.num_replicas_in_sync,
            }
            exports, evaluation = learner.exports(), learner.evaluate()
            command = command or f"curvezoo train {recipe.name}"
            _write_results(recipe, learner.unit, exports, evaluation, history, place, out, command)
    return Run(out, exports[0].model, dict(evaluation.scores), history)


@contextlib.contextmanager
def _tensorflow_errors(out):
    """Translates TensorFlow's errors into `WorkerLost`, or `OSError` if a file can't be written."""
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError) as error:
        last = checkpoints.latest(out / "checkpoints")
        message = f"a worker was lost; last good checkpoint: {last or 'none'}"
        raise WorkerLost(message, (out / "run.json").exists()) from error
    except (
        tf.errors.OutOfRangeError,
        tf.errors.PermissionDeniedError,
        tf.errors.UnknownError,
    ) as error:
        raise OSError(f"{out} can't be written: {error.message.splitlines()[0]}") from error


def _check_folder(out, recipe, resume):
    """Raises if `out` holds another run, or if a resumed run has completed more units than requested."""
    check_free(out, resume, "run")
    if not resume:
        return
    before = flatten(recipe.restored(saved_settings(out, recipe.name)).settings())
    now = flatten(recipe.settings())
    check_same(out, json.loads(json.dumps(before)), now, free=recipe.extendable)
    done = _units_done(out)
    for key in recipe.extendable:
        if now[key] != before[key] and now[key] < done:
            raise ValueError(f"{key} must be at least the {done} that are done, got {now[key]}")


def _units_done(out):
    last = checkpoints.latest(out / "checkpoints")
    return int(last.name.rpartition("-")[2]) if last else 0


def _train(learner, out, chief, visible, resume):
    """Trains from the last checkpoint, or the start, to the end; returns the history."""
    folder = out / "checkpoints"
    last = checkpoints.latest(folder) if resume else None
    history = checkpoints.restore(last, learner) if last else []
    progress = Progress(learner.unit, learner.total, len(history), visible and chief)
    with Watch(learner, history, progress, folder, out if chief else None) as watch:
        if len(history) < learner.total and not learner.stopping.exhausted(history):
            with progress:
                learner.train(len(history), watch)
    return history


def _write_results(recipe, unit, exports, evaluation, history, place, out, command):
    """Writes the model's folder, the metrics and the report."""
    card = cards.describe_run(
        recipe,
        evaluation,
        account=accounting.totals([export.model for export in exports], exports[0].shapes()),
        example=exports[0].example,
        history=history,
        place=place,
        devices=[device.device_type for device in tf.config.list_logical_devices()],
        command=command,
    )
    saved_model.publish(exports, out / "model", card)
    write_json(out / "metrics.json", dict(evaluation.scores))
    columns = dict.fromkeys(key for row in history for key in row)
    curves = loss_curves({key: [row.get(key) for row in history] for key in columns}, unit)
    settings = [("command", command), *flatten(card["recipe"]).items()]
    sections = [
        Section("Training", figures=[(curves, f"Every measured quantity against the {unit}.")]),
        *evaluation.sections(),
        Section("Settings", rows=settings),
    ]
    write_report(out / "report.html", recipe.name, evaluation.summary, sections, lead=recipe.summary)
