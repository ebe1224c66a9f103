"""A batch-size study of a recipe: sweep, hyperbola, noise scale along a training, advice, page (Sec. 4.5).

The folder holds `run.json` (what is studied), `trainings.json` (every finished training of the sweep, from
which a study that was stopped goes on), `results.json`, `batch_sizes.csv`, `noise_scale.csv` and
`report.html`.
"""

import csv
import dataclasses
import json
import math
import pathlib
import sys
import typing

import rich.console
import rich.progress

from ... import arguments
from ...publishing.files import replacing, sweep, write_json
from ...theory import trade_off
from ...training.folders import check_free, check_same, saved_settings
from ...training.settings import flatten, read_value
from . import batch_size_sweep
from . import measurement as noise_scale
from . import report as noise_scale_report
from .problem import OPTIMIZERS, Problem

TARGET = 0.2
"""The default target, a share of the loss before training."""

FIXED = ("optimizer", "target")
"""Options that a study is resumed with; the others may change."""


@dataclasses.dataclass(frozen=True)
class Options:
    """How a recipe is studied.

    Args:
        optimizer: `sgd`, without momentum, or `recipe`, the recipe's own; its rate is tuned, and constant.
        target: Training loss to reach; `None` for a fifth of the loss before training.
        batch_sizes: Batch sizes of the sweep, three or more.
        seeds: Trainings of each batch size.
        epochs: Passes over the data after which a training of the smallest batch size is given up.
        rate: Where the search for the first learning rate begins.
        points: How often B_simple is measured.
        curved: At how many of these points B_noise is measured too.
        excess: Examples that one is ready to process beyond the least that are needed, in units of those.

    Raises:
        ValueError: If a value is out of its range; the message says what is valid.
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
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"optimizer={self.optimizer!r} is not one of {', '.join(OPTIMIZERS)}")
        object.__setattr__(self, "batch_sizes", tuple(batch_size_sweep.check_batch_sizes(self.batch_sizes)))
        for name, least in (("seeds", 1), ("points", 2), ("curved", 0)):
            object.__setattr__(self, name, arguments.integer(name, getattr(self, name), least))
        for name in ("epochs", "rate", "excess"):
            object.__setattr__(self, name, float(arguments.positive(name, getattr(self, name), ndim=0)))
        if self.target is not None:
            object.__setattr__(self, "target", float(arguments.finite("target", self.target, ndim=0)))


def read_options(values):
    """Returns the `Options` that a dictionary describes; a string is read as its field's type.

    Args:
        values: Values by field, such as `{"batch_sizes": "16,64,256", "target": 0.1}`.

    Raises:
        ValueError: If a field is unknown or a value is not valid.
    """
    types = typing.get_type_hints(Options)
    unknown = sorted(set(values) - set(types))
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no option of a study; valid: {', '.join(types)}")
    return Options(**{key: read_value(key, value, types[key]) for key, value in values.items()})


def study(recipe, out, options=None, *, data_dir=None, resume=False, progress=True, command=None):
    """Measures which batch size a recipe's training deserves, and writes everything down.

    Args:
        recipe: The `Recipe`.
        out: The study's folder; it must not hold anything, unless `resume`.
        options: The `Options`.
        data_dir: The folder of TensorFlow Datasets; `None` for its default.
        resume: Go on with the study in `out`: its finished trainings are not run again. Batch sizes, seeds
            and the like may change, the recipe, the optimizer and the target may not.
        progress: Show a bar on stderr.
        command: The command line to print on the page.

    Returns:
        The results, a dictionary; `results.json` holds the same.

    Raises:
        ValueError: If an argument is not valid, the target is not reached, or the batch sizes lie all to one
            side of the critical one.
    """
    options = options or Options()
    out = pathlib.Path(out)
    _check_folder(out, recipe, options, resume)
    problem = Problem(recipe, data_dir, options.optimizer)
    if options.batch_sizes[-1] > problem.size:
        raise ValueError(f"batch_sizes must be at most {problem.size}, the number of training examples")
    first = problem.loss()
    target = TARGET * first if options.target is None else options.target
    if target >= first:
        raise ValueError(f"target={target:g} must be below the loss before training, {first:.4g}")
    out.mkdir(parents=True, exist_ok=True)
    sweep(out)
    write_json(
        out / "run.json",
        {"name": recipe.name, "settings": recipe.settings(), "study": dataclasses.asdict(options)},
    )
    tuned, fit, run = _measure(problem, target, options, out, progress)
    advice = trade_off.advised_batch_size(fit.critical_batch_size, options.excess, high=problem.size)
    found = _results(recipe, problem, options, target, tuned, fit, run, advice)
    _write(out, found, tuned, run)
    noise_scale_report.write(
        out / "report.html", recipe, found, tuned, fit, run, command or f"curvezoo noise-scale {recipe.name}"
    )
    return found


def saved_options(out, name):
    """Returns what a study in a folder was begun with.

    Args:
        out: The study's folder.
        name: The model's name.

    Returns:
        (settings, options): the recipe's settings, and a dictionary of the fields of `Options`.

    Raises:
        ValueError: If the folder holds no study of that model.
    """
    settings = saved_settings(out, name)
    kept = json.loads((pathlib.Path(out) / "run.json").read_text()).get("study")
    if kept is None:
        raise ValueError(f"{out} holds a training of {name}, not a study of its batch size")
    return settings, kept


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
    """Sweeps, fits, and measures the noise scales of a training at the batch size nearest to B_crit."""
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
    """A number as JSON can hold it: nothing in place of infinity."""
    return float(value) if math.isfinite(value) else None


def _write(out, found, tuned, run):
    write_json(out / "results.json", found)
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
    """A bar on stderr: the batch sizes of the sweep, then the points of the measured training."""

    def __init__(self, options, shown):
        self.sizes, self.shown = options.batch_sizes, shown
        self.console = rich.console.Console(file=sys.stderr)
        self.bar = rich.progress.Progress(
            rich.progress.TextColumn("{task.description}"),
            rich.progress.BarColumn(),
            rich.progress.MofNCompleteColumn(),
            rich.progress.TimeElapsedColumn(),
            console=self.console,
            disable=not shown,
        )
        self.task = self.bar.add_task("sweep", total=len(self.sizes))
        self.size, self.count = None, 0

    def __enter__(self):
        self.bar.start()
        return self

    def __exit__(self, *_):
        self.bar.stop()

    def training(self, training):
        """Shows a finished training."""
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
        self.bar.update(self.task, completed=done, total=points, description="noise scale along a training")

    def _line(self, text):
        # Where there is no terminal, the bar is silent.
        if self.shown and not self.console.is_terminal:
            print(text, file=sys.stderr, flush=True)
