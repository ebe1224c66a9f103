"""Fourteen optimizers on two small problems: the training loss against steps and against seconds (chapter 4).

Both problems use scikit-learn's 1,797 handwritten digits, all of them in every batch, so that all optimizers
minimize the same function from the same weights. One is a classifier with one hidden layer. The other is an
autoencoder with a code of six numbers, whose many layers make the loss ill-conditioned. First-order rules and
evolution are trained at each of four learning rates, and the one with the lowest final loss is reported; the
others run at their defaults. The comparison says nothing about small noisy batches or about new digits.

The seconds are those of the steps alone. Each optimizer first makes one step, which compiles everything. Then
the weights and the variables of the optimizer are reset, and the clock starts.

Legend: N examples, S steps.
"""

import contextlib
import dataclasses
import functools
import math
import time
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from scipy.special import entr
from sklearn.datasets import load_digits

from .. import arguments, optimizers
from ..losses.binary import BernoulliNLL
from ..losses.classification import CategoricalNLL
from ..optimizers.full_batch.optimizer import CompiledFunction, FullBatchOptimizer
from ..optimizers.keras_bridge.compiled_objective import CompiledObjective

SOLVED = 1e-4
"""Excess loss in nats per example below which a training run ends."""

# The fastest rule for eigenvalues 1 and 50. For ratios above 52 it diverges between them (docs/errata.md).
_THREE_STAGES = optimizers.Acceleration.for_two_eigenvalues(1.0, 50.0)


@dataclasses.dataclass(frozen=True)
class Problem:
    """A model with its loss and its targets.

    Args:
        build: Function that returns the model; its weights are drawn from Keras's seed.
        loss: Loss in nats per example.
        targets: Function from images [N, 64] and labels [N] to the targets.
        floor: Function from the same arguments to a lower bound of the loss.
    """

    build: Callable
    loss: keras.losses.Loss
    targets: Callable
    floor: Callable


@dataclasses.dataclass(frozen=True)
class Method:
    """An optimizer with its settings in the comparison.

    Args:
        make: Function that returns the optimizer, from a learning rate if `rates` are given.
        steps: Maximum number of steps.
        rates: Learning rates to try, by problem; empty to use the optimizer's default.
    """

    make: Callable
    steps: int
    rates: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Run:
    """One training run.

    Args:
        rate: The learning rate; `None` for the optimizer's default.
        excess: Loss above its lower bound before each step, in nats per example, [S]. The run ends if
            it is below `SOLVED` or not finite.
        seconds: Time of all earlier steps, [S].
    """

    rate: float | None
    excess: np.ndarray
    seconds: np.ndarray

    @property
    def last(self):
        """The final excess loss; infinite if it is not finite."""
        return float(self.excess[-1]) if np.isfinite(self.excess[-1]) else math.inf


@dataclasses.dataclass(frozen=True)
class Comparison:
    """All optimizers on one problem.

    Args:
        problem: Name of the problem.
        parameters: Number of trainable parameters of the model.
        runs: The `Run` at the best rate by method.
        searches: The final excess loss by rate, by method, for methods with rates to try.
    """

    problem: str
    parameters: int
    runs: dict[str, Run]
    searches: dict[str, dict[float, float]]

    def steps_to(self, method, excess):
        """Returns the number of steps to an excess loss; infinite if the run does not reach it."""
        reached = np.flatnonzero(self.runs[method].excess <= excess)
        return int(reached[0]) if reached.size else math.inf

    def seconds_to(self, method, excess):
        """Returns the seconds to an excess loss; infinite if the run does not reach it."""
        steps = self.steps_to(method, excess)
        return float(self.runs[method].seconds[steps]) if math.isfinite(steps) else math.inf


def _classifier():
    return keras.Sequential([keras.Input((64,)), keras.layers.Dense(32, "tanh"), keras.layers.Dense(10)])


def _autoencoder():
    widths = [32, 16, 6, 16, 32]
    # The code is linear.
    hidden = [keras.layers.Dense(width, None if width == 6 else "tanh") for width in widths]
    return keras.Sequential([keras.Input((64,)), *hidden, keras.layers.Dense(64)])


def _entropy(images, labels):
    """Returns the mean entropy of the pixels of an image, a lower bound of the loss of any reconstruction."""
    return float(np.mean(np.sum(entr(images) + entr(1 - images), axis=1)))


CLASSIFIER, AUTOENCODER = "classifier", "autoencoder"

PROBLEMS = {
    CLASSIFIER: Problem(_classifier, CategoricalNLL(), lambda x, y: y, lambda x, y: 0.0),
    AUTOENCODER: Problem(_autoencoder, BernoulliNLL(), lambda x, y: x, _entropy),
}
"""Problems by name."""


def _rates(classifier, autoencoder):
    return {CLASSIFIER: classifier, AUTOENCODER: autoencoder}


METHODS = {
    "evolution": Method(optimizers.Evolution, 60, _rates((0.003, 0.01, 0.03, 0.1), (0.003, 0.01, 0.03, 0.1))),
    "SGD": Method(keras.optimizers.SGD, 500, _rates((0.1, 0.3, 1.0, 3.0), (0.03, 0.1, 0.3, 1.0))),
    "momentum": Method(
        lambda rate: keras.optimizers.SGD(rate, momentum=0.9),
        500,
        _rates((0.1, 0.3, 1.0, 3.0), (0.003, 0.01, 0.03, 0.1)),
    ),
    "three stages": Method(
        lambda rate: optimizers.Acceleration(
            rate, _THREE_STAGES.momentum, _THREE_STAGES.acceleration, _THREE_STAGES.delayed_gradient
        ),
        500,
        _rates((0.3, 1.0, 3.0, 10.0), (0.01, 0.03, 0.1, 0.3)),
    ),
    "RMSProp": Method(optimizers.RMSProp, 500, _rates((0.003, 0.01, 0.03, 0.1), (0.001, 0.003, 0.01, 0.03))),
    "Adam": Method(keras.optimizers.Adam, 500, _rates((0.01, 0.03, 0.1, 0.3), (0.003, 0.01, 0.03, 0.1))),
    "natural gradient": Method(optimizers.NaturalGradient, 200),
    "K-FAC": Method(optimizers.KFAC, 300),
    "K-FAC, eigenbasis": Method(lambda: optimizers.KFAC(eigenbasis=True), 300),
    "Hessian-free": Method(optimizers.HessianFree, 50),
    "Newton": Method(optimizers.Newton, 60),
    "conjugate gradients": Method(lambda: _full_batch(optimizers.ConjugateGradient), 300),
    "L-BFGS": Method(lambda: _full_batch(optimizers.LBFGS), 300),
    "BFGS": Method(lambda: _full_batch(optimizers.BFGS), 100),
}
"""Methods by name, the baseline first."""


GOALS = {CLASSIFIER: 0.01, AUTOENCODER: 5.0}
"""Target excess loss of the table in nats per example, by problem."""


def _full_batch(cls):
    # Only the number of steps ends the minimization.
    return cls(max_iterations=1_000_000, gradient_tolerance=0.0)


def measure(problem, methods=METHODS, steps=None, examples=1797, seed=0):
    """Trains the model of a problem with each method.

    Args:
        problem: Name of a problem, a key of `PROBLEMS`.
        methods: `Method`s by name.
        steps: Maximum number of steps of all methods; `None` for their own.
        examples: Number N of digits.
        seed: Seed of the initial weights.

    Returns:
        A `Comparison`.

    Raises:
        ValueError: If the problem is unknown, or a number is below 1.
    """
    arguments.one_of("problem", problem, PROBLEMS)
    steps = math.inf if steps is None else arguments.integer("steps", steps, 1)
    examples = arguments.integer("examples", examples, 1)
    trainer = _Trainer(PROBLEMS[problem], examples, seed)
    runs, searches = {}, {}
    for name, method in methods.items():
        rates = method.rates.get(problem, (None,))
        tried = trainer.runs(method, rates, min(steps, method.steps))
        runs[name] = min(tried, key=lambda run: (run.last, -len(run.excess)))
        if method.rates:
            searches[name] = {run.rate: run.last for run in tried}
    return Comparison(problem, trainer.model.count_params(), runs, searches)


def table(comparisons):
    """Returns (header, rows) of a table with a row for each method.

    Args:
        comparisons: `Comparison`s, one for each problem.
    """
    header, rows = ["optimizer"], [[name] for name in comparisons[0].runs]
    for comparison in comparisons:
        goal = GOALS[comparison.problem]
        steps_header = f"{comparison.problem}: steps to {goal:g} nats"
        header += [steps_header, "seconds", "ms per step", "rate", "final loss"]
        for row in rows:
            name, run = row[0], comparison.runs[row[0]]
            steps = comparison.steps_to(name, goal)
            reached = math.isfinite(steps)
            row.append(f"{steps}" if reached else f"not in {len(run.excess) - 1}")
            row.append(f"{comparison.seconds_to(name, goal):.2g}" if reached else "")
            row.append(f"{1000 * run.seconds[-1] / (len(run.excess) - 1):.2g}")
            row.append("default" if run.rate is None else f"{run.rate:g}")
            row.append(f"{run.last:.3g}")
    return header, rows


class _Trainer:
    """A model that all methods train from the same weights on the same batch."""

    def __init__(self, problem, examples, seed):
        images, labels = load_digits(return_X_y=True)
        images, labels = images[:examples] / 16, labels[:examples]
        self.loss, self.floor = problem.loss, problem.floor(images, labels)
        self.x = tf.constant(images, tf.float32)
        targets = problem.targets(images, labels)
        self.y = tf.constant(targets, tf.int32 if targets is labels else tf.float32)
        keras.utils.set_random_seed(seed)
        self.model = problem.build()
        self.weights = self.model.get_weights()

    def runs(self, method, rates, steps):
        """Returns the `Run` at each rate; all rates share the compiled step."""
        first = method.make(*(rate for rate in rates[:1] if rate is not None))
        if isinstance(first, FullBatchOptimizer):
            return [self._minimization(first, steps)]
        self.model.compile(first, self.loss)
        first.build(self.model.trainable_variables)
        initial = [variable.numpy() for variable in first.variables]
        self.model.train_on_batch(self.x, self.y)
        return [self._training(first, initial, rate, steps) for rate in rates]

    def _training(self, optimizer, initial, rate, steps):
        self.model.set_weights(self.weights)
        for variable, value in zip(optimizer.variables, initial, strict=True):
            variable.assign(value)
        if rate is not None:
            optimizer.learning_rate = rate
        excess, times, begin = [], [], time.perf_counter()
        while len(excess) <= steps and not (excess and self._finished(excess[-1])):
            times.append(time.perf_counter() - begin)
            excess.append(self.model.train_on_batch(self.x, self.y) - self.floor)
        return Run(rate, np.array(excess), np.array(times))

    def _minimization(self, optimizer, steps):
        self.model.set_weights(self.weights)
        self.model.compile(loss=self.loss)
        function, start = self._flat_function
        with contextlib.suppress(_Finished):
            optimizer.minimize_function(function, start, callback=_stop_early)
        begin = time.perf_counter()
        excess, times = [float(function(tf.constant(start))[0]) - self.floor], [0.0]

        def record(iteration, loss, norm):
            excess.append(loss - self.floor)
            times.append(time.perf_counter() - begin)
            if iteration >= steps or self._finished(excess[-1]):
                raise _Finished

        with contextlib.suppress(_Finished):
            optimizer.minimize_function(function, start, callback=record)
        return Run(None, np.array(excess), np.array(times))

    @functools.cached_property
    def _flat_function(self):
        """The loss as a compiled function of one vector, and the initial vector."""
        objective = CompiledObjective(self.model, self.x, self.y, training=True)
        shapes = [weight.shape for weight in self.weights]
        sizes = [weight.size for weight in self.weights]

        def loss(position):
            parts = tf.split(position, sizes)
            return objective.loss([tf.reshape(p, shape) for p, shape in zip(parts, shapes, strict=True)])

        start = np.concatenate([weight.ravel() for weight in self.weights])
        # On a CPU, Keras compiles its steps without XLA, too.
        return CompiledFunction(loss, jit_compile=False), start

    @staticmethod
    def _finished(excess):
        return not SOLVED <= excess < math.inf


class _Finished(Exception):
    """Raised by a callback to end a minimization."""


def _stop_early(iteration, loss, norm):
    if iteration == 2:
        raise _Finished
