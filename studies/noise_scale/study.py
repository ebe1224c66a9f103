"""The noise-scale study of a recipe: sweep, hyperbola, noise scale during training, advice, page (Sec. 4.5).

The folder of a study holds `run.json` (the settings), `trainings.json` (the finished trainings of the sweep,
from which an interrupted study is resumed), `results.json`, `batch_sizes.csv`, `noise_scale.csv` and
`report.html`.
"""

import csv
import dataclasses
import json
import math
import pathlib
import typing

import rich.console
import rich.progress

from ... import arguments, streams
from ...files import replacing, sweep, write_json
from ...theory import trade_off
from ...training.folders import check_free, check_same, saved_settings
from ...training.lock import locked
from ...training.settings import flatten, read_value
from . import batch_size_sweep
from . import measurement as noise_scale
from . import report as noise_scale_report
from .problem import OPTIMIZERS, Problem, check_data

TARGET = 0.2
"""The default target as a fraction of the initial loss."""

LANGUAGE_TARGET = 0.6
"""The same for a language model, whose loss cannot fall below the entropy of the text."""

FIXED = ("optimizer", "target")
"""Options that must not change when a study is resumed."""


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of a study.

    Args:
        optimizer: `sgd` without momentum, or `recipe` for the optimizer of the recipe. Its learning rate is
            tuned and constant.
        target: Training loss to reach; `None` for a fifth of the initial loss, or three fifths of that of
            a language model.
        batch_sizes: Batch sizes of the sweep, at least three.
        seeds: Number of training runs at each batch size.
        epochs: Maximum number of passes over the data at the smallest batch size.
        rate: Initial learning rate of the search at the smallest batch size.
        points: Number of measurements of B_simple.
        curved: Number of these measurements that include B_noise.
        excess: Acceptable number of examples beyond the minimum, in units of the minimum.

    Raises:
        ValueError: If a value is out of range; the message says what is valid.
    """

    optimizer: str = "sgd"
    target: float | None = None
    batch_sizes: tuple[int, ...] = (4, 8, 16, 32, 64, 128, 256, 512)
    seeds: int = 2
    epochs: float = 30.0
    rate: float = 0.1
    points: int = 41
    curved: int = 6
    excess: float = 1.0

    def __post_init__(self):
        arguments.one_of("optimizer", self.optimizer, OPTIMIZERS)
        object.__setattr__(self, "batch_sizes", tuple(batch_size_sweep.check_batch_sizes(self.batch_sizes)))
        for name, least in (("seeds", 1), ("points", 2), ("curved", 0)):
            object.__setattr__(self, name, arguments.integer(name, getattr(self, name), least))
        for name in ("epochs", "rate", "excess"):
            object.__setattr__(self, name, float(arguments.positive(name, getattr(self, name), ndim=0)))
        if self.target is not None:
            object.__setattr__(self, "target", float(arguments.finite("target", self.target, ndim=0)))


def read_options(values):
    """Returns `Options` with the values of a dictionary; strings are parsed as the types of their fields.

    Args:
        values: Values by field, such as `{"batch_sizes": "16,64,256", "target": 0.1}`.

    Raises:
        ValueError: If a field is unknown or a value is not valid.
    """
    types = typing.get_type_hints(Options)
    unknown = sorted(set(values) - set(types))
    if unknown:
        raise ValueError(f"unknown option {unknown[0]!r} of a study; valid: {', '.join(types)}")
    return Options(**{key: read_value(key, value, types[key]) for key, value in values.items()})


def study(recipe, out, options=None, *, data_dir=None, resume=False, progress=True, command=None):
    """Measures the noise scale of a recipe's training and the batch size that it advises.

    Args:
        recipe: The `Recipe` of a model of images or of text. An example of a text is a window of tokens.
        out: Folder of the study, which must be empty or absent unless `resume`.
        options: The `Options`.
        data_dir: Folder of TensorFlow Datasets; `None` for its default.
        resume: Whether to continue the study in `out`, without repeating its finished runs. Recipe,
            optimizer and target must be the same; batch sizes, seeds and the other options may change.
        progress: Whether to show a progress bar on stderr.
        command: Command line to print on the page.

    Returns:
        The results, a dictionary with the content of `results.json`.

    Raises:
        ValueError: If an argument is not valid, the target is not reached, or all batch sizes lie on one side
            of the critical one.
    """
    check_data(recipe)
    options = options or Options()
    out = pathlib.Path(out).expanduser()
    _check_folder(out, recipe, options, resume)
    problem = Problem(recipe, data_dir, options.optimizer)
    if options.batch_sizes[-1] > problem.size:
        raise ValueError(
            f"batch_sizes must be at most {problem.size}, the number of training examples, "
            f"got {options.batch_sizes[-1]}"
        )
    first = problem.loss()
    fraction = LANGUAGE_TARGET if recipe.objective.measure == "language_modeling" else TARGET
    target = fraction * first if options.target is None else options.target
    if target >= first:
        raise ValueError(f"target must be below the initial loss {first:.4g}, got {target:g}")
    out.mkdir(parents=True, exist_ok=True)
    with locked(out):
        sweep(out)
        write_json(
            out / "run.json",
            {"name": recipe.name, "settings": recipe.settings(), "study": dataclasses.asdict(options)},
        )
        tuned, fit, run = _measure(problem, target, options, out, progress)
        advice = trade_off.advised_batch_size(fit.critical_batch_size, options.excess, high=problem.size)
        results = _results(recipe, problem, options, target, tuned, fit, run, advice)
        _write(out, results, tuned, run)
        command = command or f"curvezoo noise-scale {recipe.name}"
        noise_scale_report.write(out / "report.html", recipe, results, tuned, fit, run, command)
    return results


def saved_options(out, name):
    """Returns the settings with which the study in a folder was started.

    Args:
        out: Folder of the study.
        name: Name of the model.

    Returns:
        (settings, options): the settings of the recipe, and a dictionary of the fields of `Options`.

    Raises:
        ValueError: If the folder does not hold a study of this model.
    """
    settings = saved_settings(out, name)
    options = json.loads((pathlib.Path(out).expanduser() / "run.json").read_text()).get("study")
    if options is None:
        raise ValueError(f"{out} holds a training run of {name}, not a noise-scale study")
    return settings, options


def _check_folder(out, recipe, options, resume):
    """Refuses to mix two studies in one folder."""
    check_free(out, resume, "study")
    if not resume:
        return
    settings, study = saved_options(out, recipe.name)
    before = flatten(recipe.restored(settings).settings()) | {name: study[name] for name in FIXED}
    now = flatten(recipe.settings()) | {name: getattr(options, name) for name in FIXED}
    check_same(out, json.loads(json.dumps(before)), now)


def _measure(problem, target, options, out, progress):
    """Sweeps, fits, and measures the noise scales of a training run at the batch size closest to B_crit."""
    seed = problem.recipe.seed
    with _Bar(options, progress) as bar:
        tuned = batch_size_sweep.sweep(
            problem,
            target,
            options.batch_sizes,
            options.rate,
            options.epochs,
            range(seed, seed + options.seeds),
            batch_size_sweep.Store(out / "trainings.json"),
            bar.training,
        )
        sizes, steps = zip(*((each.batch_size, each.mean_steps) for each in tuned), strict=True)
        fit = trade_off.fit_trade_off(sizes, steps)
        nearest = min(tuned, key=lambda each: abs(math.log(each.batch_size / fit.critical_batch_size)))
        run = noise_scale.measure_run(
            problem,
            nearest.batch_size,
            nearest.rate,
            math.ceil(nearest.steps[0]),
            seed,
            options.points,
            options.curved,
            progress=bar.point,
        )
    return tuned, fit, run


def _results(recipe, problem, options, target, tuned, fit, run, advice):
    start, whole = run.start(), run.whole()
    average, average_error = run.average()
    curved = run.average_curved()
    return {
        "name": recipe.name,
        "data": recipe.data.name,
        "examples": problem.size,
        "parameters": problem.parameters,
        "batch_norm": problem.coupled,
        **dataclasses.asdict(options),
        "target": target,
        "first_seed": recipe.seed,
        "s_min": fit.least_steps,
        "s_min_error": fit.least_steps_error,
        "e_min": fit.least_examples,
        "e_min_error": fit.least_examples_error,
        "b_crit": fit.critical_batch_size,
        "b_crit_error": fit.critical_batch_size_error,
        "advised_batch_size": advice,
        "run_batch_size": run.batch_size,
        "run_rate": run.rate,
        "run_steps": run.points[-1].step,
        "b_simple_start": _number(start.noise_scale),
        "b_simple_start_error": _number(start.standard_error),
        "b_simple_average": _number(average),
        "b_simple_average_error": _number(average_error),
        "b_simple_of_averages": _number(whole.noise_scale),
        "b_simple_of_averages_error": _number(whole.standard_error),
        "b_noise_average": _number(curved[0]) if curved else None,
        "b_noise_average_error": _number(curved[1]) if curved else None,
    }


def _number(value):
    """Returns a number for JSON: `None` in place of infinity."""
    return float(value) if math.isfinite(value) else None


def _write(out, results, tuned, run):
    write_json(out / "results.json", results)
    rows = [
        {
            "batch_size": each.batch_size,
            "rate": each.rate,
            "steps": each.mean_steps,
            "examples": each.batch_size * each.mean_steps,
            "relative_error": each.relative_error,
            "steps_of_seeds": " ".join(f"{steps:.2f}" for steps in each.steps),
        }
        for each in tuned
    ]
    _write_csv(out / "batch_sizes.csv", rows)
    rows = []
    for point in run.points:
        row = {"step": point.step, "loss": point.loss}
        for key, names, each in (
            ("b_simple", ("squared_norm", "trace"), point.simple),
            ("b_noise", ("curvature", "trace_curvature"), point.curved),
        ):
            values = (each.noise_scale, each.standard_error, each.signal, each.noise) if each else ("",) * 4
            row |= dict(zip((key, f"{key}_error", *names), values, strict=True))
        rows.append(row)
    _write_csv(out / "noise_scale.csv", rows)


def _write_csv(path, rows):
    with replacing(path) as temporary, temporary.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)


class _Bar:
    """A progress bar on stderr: the batch sizes of the sweep, then the points of the measured training."""

    def __init__(self, options, visible):
        self.sizes, self.visible = options.batch_sizes, visible
        self.file = streams.stderr()
        self.console = rich.console.Console(file=self.file)
        self.bar = rich.progress.Progress(
            rich.progress.TextColumn("{task.description}"),
            rich.progress.BarColumn(),
            rich.progress.MofNCompleteColumn(),
            rich.progress.TimeElapsedColumn(),
            console=self.console,
            disable=not visible,
        )
        self.task = self.bar.add_task("sweep", total=len(self.sizes))
        self.size, self.count = None, 0

    def __enter__(self):
        self.bar.start()
        return self

    def __exit__(self, *_):
        self.bar.stop()

    def training(self, training):
        """Shows a finished training run."""
        if training.batch_size != self.size:
            self.size = training.batch_size
            self._line(f"batch size {self.size}")
        self.count += 1
        self.bar.update(
            self.task,
            completed=self.sizes.index(self.size),
            description=f"training {self.count}: batch size {self.size}, rate {training.rate:.3g}",
        )

    def point(self, done, points):
        """Shows a measured point."""
        if done == 1:
            self._line("noise scale")
        self.bar.update(self.task, completed=done, total=points, description="noise scale during training")

    def _line(self, text):
        # Without a terminal, the bar prints nothing.
        if self.visible and not self.console.is_terminal:
            print(text, file=self.file, flush=True)
