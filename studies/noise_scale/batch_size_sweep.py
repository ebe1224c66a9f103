"""The batch-size sweep: steps to one training loss, the rate tuned at each batch size (Sec. 4.5).

Batch sizes are taken in ascending order. At each the rate climbs, from the best one of the batch size before,
on a grid of factors of 2, then of sqrt 2. A rate is judged by the geometric mean of the steps over the seeds,
and given up where one of them takes half as long again as the best mean so far. The first search of all has
short trainings, ranked by their loss, until one reaches the target. Every finished training can be stored,
and is not run again.

Legend: M batch sizes, B examples in a batch.
"""

import dataclasses
import json
import math
import pathlib

import numpy as np

from ... import arguments
from ...publishing.files import write_json

DIVERGED = 2.0
"""A training is given up where its loss rises by so many times its first value."""

_MOVES = 16
_SHORTEST = 400
_PATIENCE = 1.5
_SPACING = 0.05
_WINDOW = 0.2
_FEWEST = 3


@dataclasses.dataclass(frozen=True)
class Training:
    """One training to the target.

    Args:
        batch_size: B.
        rate: Learning rate.
        seed: Of initial weights and batches.
        taken: Steps that were made.
        loss: Mean training loss over the last of them; infinite where it diverged.
        steps: Steps S after which the loss passed the target, interpolated; `None` where it was given up.
    """

    batch_size: int
    rate: float
    seed: int
    taken: int
    loss: float
    steps: float | None


@dataclasses.dataclass(frozen=True)
class Tuned:
    """The trainings at one batch size with the learning rate that is best there.

    Args:
        batch_size: B.
        rate: The tuned learning rate.
        steps: Steps S to the target, one for each seed.
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
        """Standard error of log `mean_steps` over the seeds; not a number for a single one."""
        if len(self.steps) < 2:
            return math.nan
        return float(np.std(np.log(self.steps), ddof=1) / np.sqrt(len(self.steps)))


class Store:
    """Finished trainings, kept in a file so that a sweep that was stopped goes on where it was.

    Args:
        path: A JSON file, read where it exists; `None` keeps them in memory.
    """

    def __init__(self, path=None):
        self.path = path and pathlib.Path(path)
        rows = json.loads(self.path.read_text()) if self.path and self.path.is_file() else []
        # JSON has no infinity.
        rows = [row | {"loss": math.inf if row["loss"] is None else row["loss"]} for row in rows]
        self._found = {_key(training): training for training in (Training(**row) for row in rows)}

    def __iter__(self):
        return iter(self._found.values())

    def find(self, batch_size, rate, seed, limit):
        """Returns the stored `Training` that a limit of `limit` steps would end in, or `None`."""
        found = self._found.get((batch_size, _digits(rate), seed))
        if found is None:
            return None
        decided = found.steps is not None or not math.isfinite(found.loss)
        return found if decided or found.taken >= limit else None

    def add(self, training):
        """Takes a finished `Training` and writes all down."""
        self._found[_key(training)] = training
        if self.path:
            rows = [dataclasses.asdict(each) for each in self]
            write_json(
                self.path,
                [row | {"loss": row["loss"] if math.isfinite(row["loss"]) else None} for row in rows],
            )


def train_to(problem, target, batch_size, rate, seed, limit):
    """Trains a problem from the start until its loss passes the target.

    The loss is measured after every step at first, then after every 5 % more of them. What must pass the
    target is its mean over the last fifth of the steps, three measurements at least: at high rates the loss
    leaps, and a lucky step is no training. The passage is interpolated. The mean lags by a share of the steps
    that is the same at all batch sizes, but for the shortest trainings.

    Args:
        problem: A `Problem`, or anything with its `restart`, `advance`, `loss` and `step`.
        target: Training loss to reach.
        batch_size: B.
        rate: Learning rate.
        seed: Of initial weights and batches.
        limit: Steps after which to give up.

    Returns:
        A `Training`.
    """
    problem.restart(seed, rate)
    first = problem.loss()
    if first <= target:
        raise ValueError(f"target={target:g} must be below the loss before training, {first:g}")
    measured, mean = [(0, first)], first
    while problem.step < limit:
        before, at = mean, problem.step
        problem.advance(min(max(1, math.ceil(_SPACING * at)), limit - at), batch_size)
        measured.append((problem.step, problem.loss()))
        if not measured[-1][1] <= first + DIVERGED * abs(first):
            return Training(batch_size, rate, seed, problem.step, math.inf, None)
        recent = [loss for step, loss in measured if step >= (1 - _WINDOW) * problem.step]
        recent = [loss for _, loss in measured[-max(_FEWEST, len(recent)) :]]
        mean = float(np.mean(recent))
        if mean <= target:
            share = (before - target) / (before - mean)
            return Training(batch_size, rate, seed, problem.step, mean, at + share * (problem.step - at))
    return Training(batch_size, rate, seed, problem.step, mean, None)


def tune(problem, target, batch_size, rate, limits, seeds=(0,), store=None, progress=None):
    """Finds the learning rate that reaches the target in the fewest steps, on the mean over the seeds.

    Args:
        problem: As for `train_to`.
        target: Training loss to reach.
        batch_size: B.
        rate: Where the search begins.
        limits: Steps after which a training is given up, ascending: where no rate reaches the target within
            one limit, the search goes on with the next from the rate that came closest.
        seeds: Seeds of the trainings.
        store: A `Store`.
        progress: Function of a `Training`, called after each.

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
        f"rates from {rates[0]:.3g} to {rates[-1]:.3g}: the lowest loss was {best.trainings[-1].loss:.4g}; "
        f"give a higher target or more epochs"
    )


def sweep(problem, target, batch_sizes, rate, epochs=30, seeds=(0,), store=None, progress=None):
    """Tunes the rate at every batch size.

    Args:
        problem: As for `train_to`, with its `size`, the number of examples.
        target: Training loss to reach.
        batch_sizes: Batch sizes B, at least three different ones; the hyperbola has two parameters.
        rate: Where the search begins at the smallest one.
        epochs: Passes over the examples after which a training of the smallest batch size is given up; a
            larger one gets half as many steps again as the one before took.
        seeds: Seeds of the trainings.
        store: A `Store`.
        progress: Function of a `Training`, called after each.

    Returns:
        `Tuned`s, in ascending order of batch size.

    Raises:
        ValueError: If an argument is not valid, or the target is not reached.
    """
    sizes = check_batch_sizes(batch_sizes)
    target = float(arguments.finite("target", target, ndim=0))
    most = max(1, int(arguments.positive("epochs", epochs, ndim=0) * problem.size / sizes[0]))
    limits, found = [most], []
    while limits[0] > _SHORTEST:
        limits.insert(0, limits[0] // 4)
    for size in sizes:
        found.append(tune(problem, target, size, rate, limits, seeds, store, progress))
        rate, limits = found[-1].rate, [max(10, math.ceil(1.5 * found[-1].mean_steps))]
    return found


def check_batch_sizes(batch_sizes):
    """Returns batch sizes in ascending order, once each.

    Raises:
        ValueError: If one is no positive integer, or fewer than three differ.
    """
    sizes = sorted({arguments.integer("batch_sizes", size, 1) for size in batch_sizes})
    if len(sizes) < 3:
        raise ValueError(f"batch_sizes must hold at least 3 different values, got {sizes}")
    return sizes


@dataclasses.dataclass(frozen=True)
class _Attempt:
    """The trainings with one learning rate, seed by seed until one is given up."""

    rate: float
    trainings: tuple[Training, ...]

    @property
    def reached(self):
        return self.trainings[-1].steps is not None

    @property
    def rank(self):
        """What the search minimizes: the mean steps to the target, then the loss that was reached instead."""
        if not self.reached:
            return math.inf, self.trainings[-1].loss
        return float(np.mean(np.log([each.steps for each in self.trainings]))), 0.0


def _search(attempt, rate, limit):
    """Climbs the grid of rates; returns the attempts at all its places."""
    tried = {}

    def rank(place):
        if place not in tried:
            best = min((each.rank[0] for each in tried.values()), default=math.inf)
            most = limit if best == math.inf else min(limit, math.ceil(_PATIENCE * math.exp(best)))
            tried[place] = attempt(rate * 2 ** (place / 2), most)
        return tried[place].rank

    _climb(rank, _climb(rank, 0, 2, _MOVES), 1, 1)
    return list(tried.values())


def _climb(rank, place, stride, moves):
    """Goes from place to place while the rank falls, and down where a training diverges."""
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
