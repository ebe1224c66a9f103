"""A sweep over batch sizes: steps to a given training loss with the rate tuned at each size (Sec. 4.5).

The batch sizes are visited in ascending order. At each, a hill climb tunes the learning rate, starting from
the best rate of the previous batch size, on a grid with factors of 2 and then of sqrt 2. The score of a rate
is the geometric mean of the steps over the seeds; a rate is abandoned when one seed takes half as long again
as the best mean so far. At the first batch size, short runs are ranked by their loss until one of them
reaches the target. Finished runs can be stored, so that they are not run again.

Legend: B examples in a batch.
"""

import dataclasses
import json
import math
import pathlib

import numpy as np

from ... import arguments
from ...files import write_json

DIVERGED = 2.0
"""A training run is abandoned when its loss has risen by this multiple of the initial loss."""

_MAX_MOVES = 16
_SHORTEST_LIMIT = 400
_PATIENCE = 1.5
_SPACING = 0.05
_WINDOW = 0.2
_MIN_MEASUREMENTS = 3


@dataclasses.dataclass(frozen=True)
class Training:
    """One training run to the target.

    Args:
        batch_size: Batch size B.
        rate: Learning rate.
        seed: Seed of the initial weights and of the batches.
        taken: Number of steps made.
        loss: Mean training loss over the last steps; infinite if the run diverged.
        steps: Interpolated number S of steps to the target; `None` if the run was abandoned.
    """

    batch_size: int
    rate: float
    seed: int
    taken: int
    loss: float
    steps: float | None


@dataclasses.dataclass(frozen=True)
class Tuned:
    """The training runs at one batch size with the tuned learning rate.

    Args:
        batch_size: Batch size B.
        rate: The tuned learning rate.
        steps: Steps S to the target for each seed.
    """

    batch_size: int
    rate: float
    steps: tuple[float, ...]

    @property
    def mean_steps(self):
        """Geometric mean of S over the seeds."""
        return float(np.exp(np.mean(np.log(self.steps))))

    @property
    def relative_error(self):
        """Standard error of log `mean_steps` over the seeds; NaN for a single seed."""
        if len(self.steps) < 2:
            return math.nan
        return float(np.std(np.log(self.steps), ddof=1) / np.sqrt(len(self.steps)))


class Store:
    """Finished training runs, saved in a file so that an interrupted sweep can be resumed.

    Args:
        path: A JSON file, which is read if it exists; `None` stores the runs in memory only.
    """

    def __init__(self, path=None):
        self.path = path and pathlib.Path(path)
        rows = json.loads(self.path.read_text()) if self.path and self.path.is_file() else []
        # JSON has no infinity.
        rows = [row | {"loss": math.inf if row["loss"] is None else row["loss"]} for row in rows]
        self._trainings = {_key(training): training for training in (Training(**row) for row in rows)}

    def __iter__(self):
        return iter(self._trainings.values())

    def find(self, batch_size, rate, seed, limit):
        """Returns the stored `Training` with the result of `limit` steps, or `None` if there is none."""
        training = self._trainings.get((batch_size, _digits(rate), seed))
        if training is None:
            return None
        ended = training.steps is not None or not math.isfinite(training.loss)
        return training if ended or training.taken >= limit else None

    def add(self, training):
        """Adds a finished `Training` and saves all of them."""
        self._trainings[_key(training)] = training
        if self.path:
            rows = [dataclasses.asdict(each) for each in self]
            write_json(
                self.path,
                [row | {"loss": row["loss"] if math.isfinite(row["loss"]) else None} for row in rows],
            )


def train_to(problem, target, batch_size, rate, seed, limit):
    """Trains a problem from its initial weights until the loss reaches the target.

    The loss is measured after each step at first, and then each time the number of steps has grown by 5 %. At
    high rates it fluctuates, and one low value does not count as reaching the target. The criterion is
    therefore its mean over the last fifth of the steps, with at least three measurements; the passage is
    interpolated. The mean lags by a fraction of the steps that is the same at all batch sizes, except for the
    shortest runs.

    Args:
        problem: A `Problem`, or any object with its `restart`, `advance`, `loss` and `step`.
        target: Training loss to reach.
        batch_size: Batch size B.
        rate: Learning rate.
        seed: Seed of the initial weights and of the batches.
        limit: Maximum number of steps.

    Returns:
        A `Training`.

    Raises:
        ValueError: If the initial loss is not above the target.
    """
    problem.restart(seed, rate)
    first = problem.loss()
    if first <= target:
        raise ValueError(f"target must be below the initial loss {first:g}, got {target:g}")
    measured, mean = [(0, first)], first
    while problem.step < limit:
        before, at = mean, problem.step
        problem.advance(min(max(1, math.ceil(_SPACING * at)), limit - at), batch_size)
        measured.append((problem.step, problem.loss()))
        if not measured[-1][1] <= first + DIVERGED * abs(first):
            return Training(batch_size, rate, seed, problem.step, math.inf, None)
        recent = [loss for step, loss in measured if step >= (1 - _WINDOW) * problem.step]
        recent = [loss for _, loss in measured[-max(_MIN_MEASUREMENTS, len(recent)) :]]
        mean = float(np.mean(recent))
        if mean <= target:
            fraction = (before - target) / (before - mean)
            return Training(batch_size, rate, seed, problem.step, mean, at + fraction * (problem.step - at))
    return Training(batch_size, rate, seed, problem.step, mean, None)


def tune(problem, target, batch_size, rate, limits, seeds=(0,), store=None, progress=None):
    """Finds the learning rate that reaches the target in the fewest steps, averaged over the seeds.

    Args:
        problem: As in `train_to`.
        target: Training loss to reach.
        batch_size: Batch size B.
        rate: Initial learning rate of the search.
        limits: Maximum numbers of steps, ascending. If no rate reaches the target within one limit, the
            search continues with the next limit, from the rate that came closest.
        seeds: Seeds of the training runs.
        store: A `Store`; a new one by default.
        progress: Function of a `Training` that is called after each run.

    Returns:
        A `Tuned`.

    Raises:
        ValueError: If no rate reaches the target for all seeds.
    """
    store = Store() if store is None else store

    def run(at, seed, limit):
        training = store.find(batch_size, at, seed, limit)
        if training is None:
            training = train_to(problem, target, batch_size, at, seed, limit)
            store.add(training)
        if progress:
            progress(training)
        return training

    def attempt(at, limit):
        trainings = []
        for seed in seeds:
            trainings.append(run(at, seed, limit))
            if trainings[-1].steps is None:
                break
        return _Attempt(at, tuple(trainings))

    for limit in limits:
        tried = _search(attempt, rate, limit)
        best = min(tried, key=lambda each: each.rank)
        if best.reached:
            return Tuned(batch_size, best.rate, tuple(each.steps for each in best.trainings))
        rate = best.rate
    rates = sorted(each.rate for each in tried)
    raise ValueError(
        f"target={target:.4g} was not reached within {limit} steps of batch size {batch_size} at learning "
        f"rates from {rates[0]:.3g} to {rates[-1]:.3g}; the lowest loss was {best.trainings[-1].loss:.4g}; "
        f"set a higher target or more epochs"
    )


def sweep(problem, target, batch_sizes, rate, epochs=30, seeds=(0,), store=None, progress=None):
    """Tunes the learning rate at each batch size.

    Args:
        problem: As in `train_to`, with its `size`, the number of examples.
        target: Training loss to reach.
        batch_sizes: Batch sizes B, at least three different ones, because the hyperbola has two parameters.
        rate: Initial learning rate of the search at the smallest batch size.
        epochs: Maximum number of passes over the examples at the smallest batch size. A larger batch size
            gets at most half as many steps again as the previous one took.
        seeds: Seeds of the training runs.
        store: A `Store`; a new one by default.
        progress: Function of a `Training` that is called after each run.

    Returns:
        A list of `Tuned`s in ascending order of batch size.

    Raises:
        ValueError: If an argument is not valid or the target is not reached.
    """
    sizes = check_batch_sizes(batch_sizes)
    target = float(arguments.finite("target", target, ndim=0))
    most = max(1, int(arguments.positive("epochs", epochs, ndim=0) * problem.size / sizes[0]))
    limits, tuned = [most], []
    while limits[0] > _SHORTEST_LIMIT:
        limits.insert(0, limits[0] // 4)
    for size in sizes:
        tuned.append(tune(problem, target, size, rate, limits, seeds, store, progress))
        rate, limits = tuned[-1].rate, [max(10, math.ceil(1.5 * tuned[-1].mean_steps))]
    return tuned


def check_batch_sizes(batch_sizes):
    """Returns the distinct batch sizes in ascending order.

    Raises:
        ValueError: If one is not a positive integer, or fewer than three are distinct.
    """
    sizes = sorted({arguments.integer("batch_sizes", size, 1) for size in batch_sizes})
    if len(sizes) < 3:
        raise ValueError(f"batch_sizes must hold at least 3 different values, got {sizes}")
    return sizes


@dataclasses.dataclass(frozen=True)
class _Attempt:
    """The training runs with one learning rate, one for each seed until one is abandoned."""

    rate: float
    trainings: tuple[Training, ...]

    @property
    def reached(self):
        return self.trainings[-1].steps is not None

    @property
    def rank(self):
        """The objective of the search: mean log steps to the target, or else the loss that was reached."""
        if not self.reached:
            return math.inf, self.trainings[-1].loss
        return float(np.mean(np.log([each.steps for each in self.trainings]))), 0.0


def _search(attempt, rate, limit):
    """Searches the grid of rates for the best one; returns the attempts at all rates that were tried."""
    tried = {}

    def rank(place):
        if place not in tried:
            best = min((each.rank[0] for each in tried.values()), default=math.inf)
            most = limit if best == math.inf else min(limit, math.ceil(_PATIENCE * math.exp(best)))
            tried[place] = attempt(rate * 2 ** (place / 2), most)
        return tried[place].rank

    _climb(rank, _climb(rank, 0, 2, _MAX_MOVES), 1, 1)
    return list(tried.values())


def _climb(rank, place, stride, moves):
    """Moves to neighbors on the grid while the rank falls, and to lower rates after a divergence."""
    for _ in range(moves):
        lower, higher = place - stride, place + stride
        if rank(place) == (math.inf, math.inf):
            place = lower
        elif rank(higher) < rank(place):
            place = higher
        elif rank(lower) < rank(place):
            place = lower
        else:
            break
    return place


def _key(training):
    return training.batch_size, _digits(training.rate), training.seed


def _digits(rate):
    return f"{rate:.10g}"
