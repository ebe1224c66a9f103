"""Optimizers that need the loss over all data at once: the loop that they share, and its objective.

Legend: D parameters of the model as one flat vector, B examples a microbatch, N examples in all.

Quasi-Newton methods and conjugate gradients draw conclusions from the difference of two gradients, which must
therefore be gradients of the same function: that of all data, with nothing drawn at random. They are no Keras
optimizers, which get one batch after the other; `minimize` takes the place of `compile` and `fit`.

An iteration asks its subclass's memory for a direction, searches along it, and tells the memory what was
found. The trial step is accepted if it satisfies the strong Wolfe conditions; otherwise TensorFlow
Probability's Hager-Zhang search takes over (on its own it evaluates at least three points). A point whose
loss or gradient is not finite is never accepted, and nor is one whose loss is higher beyond rounding.
"""

import dataclasses
import itertools
import math
import sys
from typing import ClassVar

import numpy as np
import rich.console
import rich.progress
import tensorflow as tf

from ... import arguments
from .line_search import largest, line_search
from .loss import FullBatchLoss

STALLED = 5


@dataclasses.dataclass(frozen=True)
class Result:
    """How a minimization ended.

    Args:
        converged: Whether the gradient is below its tolerance, or the loss has ceased to fall.
        reason: "gradient", "loss", "iterations" (all of them done), "line search" (no step along the gradient
            lowers the loss any more) or "curvature" (linear conjugate gradients on what is not convex).
        iterations: Iterations done.
        evaluations: Evaluations of loss and gradient over all data.
        loss: The loss at the end, with regularization.
        gradient_norm: The largest component of the gradient in size, in units of loss / theta.
        losses: The loss at the start and after each iteration.
        position: The parameters [D] as a NumPy array; None where they are a model's weights.
    """

    converged: bool
    reason: str
    iterations: int
    evaluations: int
    loss: float
    gradient_norm: float
    losses: tuple = dataclasses.field(repr=False)
    position: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class FullBatchOptimizer:
    """Base of the full-batch optimizers. A subclass implements `memory` and sets `curvature`.

    Args:
        max_iterations: Most iterations.
        gradient_tolerance: It has converged when no component of the gradient is larger, in units of
            loss / theta. Single precision rarely gets below 1e-6.
        loss_tolerance: It has converged when the loss fell by no more than this part of itself in each of
            the last five iterations; at 0, when it did not fall at all.
        max_line_search: Most rounds of a line search.

    Raises:
        ValueError: If a number is out of range.
    """

    max_iterations: int = 500
    gradient_tolerance: float = 1e-5
    loss_tolerance: float = 0.0
    max_line_search: int = 30

    # Strong Wolfe: the slope at the new point is at most this part of that at the old one.
    curvature: ClassVar[float] = 0.9
    failure: ClassVar[str] = "line search"

    def __post_init__(self):
        for name in ("max_iterations", "max_line_search"):
            arguments.integer(name, getattr(self, name), 1)
        for name in ("gradient_tolerance", "loss_tolerance"):
            arguments.nonnegative(name, getattr(self, name), 0)

    # Keras writes what is no optimizer of its own into its error message: this is what compile then says.
    def __str__(self):
        return (
            f"{self!r} needs the loss over all data at once and is no Keras optimizer: in place of compile "
            f"and fit call {type(self).__name__}().minimize(model, data), or fit_lbfgs(model, data)"
        )

    def get_config(self):
        """Returns the arguments that rebuild this optimizer."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config):
        """Rebuilds an optimizer.

        Args:
            config: What `get_config` returned.
        """
        return cls(**config)

    def memory(self, dimension, dtype):
        """Returns what chooses the directions.

        It has `direction(gradient)`, which returns a direction and a trial step; `update(displacement,
        change, gradient, step, product)`, with the changes of position and gradient, the new gradient, the
        step and the product of both changes; and `reset()`, which forgets, and returns whether there was
        nothing to forget.

        Args:
            dimension: The number of parameters D.
            dtype: The type of all vectors.
        """
        raise NotImplementedError

    def search(self, function, dtype):
        """Returns what looks for the next point along a direction, as `line_search` does.

        Args:
            function: A function of a tensor [D] to the loss and its gradient [D], with its `resolution`.
            dtype: The type of all vectors.
        """
        return line_search(function, self.curvature, self.max_line_search, dtype, function.resolution)

    def minimize(
        self, model, data, loss=None, *, batch_size=4096, training=False, verbose=True, callback=None
    ):
        """Minimizes a model's loss over all data, and leaves the best weights found in it.

        The weights change at the end only. Ctrl-C ends it after the iteration at hand (or the first
        evaluation) and is raised again, with the best weights so far in the model.

        Args:
            model: A Keras model, built or not; compiled if `loss` is None.
            data: A tuple of arrays (x, y) or (x, y, sample_weight), x possibly nested, or a finite
                `tf.data.Dataset` of batches of the like, which is read anew in each evaluation.
            loss: A Keras loss, its name or a function of (targets, outputs); None for the compiled loss with
                its weights. Regularization is added once, whatever the number of microbatches.
            batch_size: Examples a microbatch B for arrays: it bounds the memory, and changes nothing else
                where the loss is a sum or mean over examples and nothing couples them.
            training: Whether layers run as in training. If so, dropout drops the same units throughout, and
                batch normalization uses each microbatch's statistics and learns no averages.
            verbose: Whether to show a bar on stderr.
            callback: A function of (iteration, loss, gradient norm), called after each iteration.

        Returns:
            A `Result`.

        Raises:
            ValueError: If the model has nothing to train or no loss, the data are empty, infinite or of
                another form, or the loss or its gradient is not finite at the start.
        """
        objective = FullBatchLoss(model, data, loss, batch_size, training)
        descent = _Descent(self, objective, objective.start(), callback)
        try:
            return descent.run(verbose)
        finally:
            objective.assign(descent.position)

    def minimize_function(self, function, start, *, verbose=False, callback=None):
        """Minimizes a differentiable function of one vector.

        Args:
            function: A function of a tensor [D] to a scalar tensor, in TensorFlow, or a `CompiledFunction`.
            start: The vector [D] to begin at; its type, float32 or float64, is that of the computation.
            verbose: Whether to show a bar on stderr.
            callback: A function of (iteration, value, gradient norm), called after each iteration.

        Returns:
            A `Result` with the position.

        Raises:
            ValueError: If the start is no vector of finite numbers, or the function or its gradient is not
                finite there.
        """
        array = np.asarray(start)
        dtype = array.dtype if array.dtype in (np.float32, np.float64) else np.float64
        start = tf.constant(arguments.finite("start", array, 1), dtype)

        compiled = function if isinstance(function, CompiledFunction) else CompiledFunction(function)
        descent = _Descent(self, compiled, start, callback)
        return dataclasses.replace(descent.run(verbose), position=descent.position.numpy())


class CompiledFunction:
    """A function with its gradient, compiled. To minimize it again from elsewhere compiles nothing anew.

    Args:
        function: A differentiable function of a tensor [D] to a scalar tensor.
        jit_compile: Whether XLA compiles it.

    Attributes:
        resolution: The relative rounding of the value; None for that of the position's type.
    """

    resolution = None

    def __init__(self, function, jit_compile=True):
        self.function, self.searches = function, {}
        self._compiled = tf.function(self._evaluate, jit_compile=jit_compile)

    def __call__(self, position):
        """Returns the value and the gradient [D].

        Args:
            position: A tensor [D].
        """
        return self._compiled(position)

    def _evaluate(self, position):
        with tf.GradientTape() as tape:
            tape.watch(position)
            value = self.function(position)
        gradient = tape.gradient(value, position, unconnected_gradients="zero")
        return value, tf.convert_to_tensor(gradient)


class _Descent:
    """One minimization: where it is, and how it came there.

    Args:
        optimizer: The `FullBatchOptimizer`.
        function: A `CompiledFunction` or a `FullBatchLoss`: of a tensor [D] to the loss and its gradient [D].
        start: The tensor [D] to begin at.
        callback: As in `FullBatchOptimizer.minimize`.
    """

    def __init__(self, optimizer, function, start, callback):
        self.optimizer, self.position, self.callback = optimizer, start, callback
        self.function = function
        self.memory = optimizer.memory(start.shape[0], start.dtype)
        key = optimizer, start.dtype
        if key not in function.searches:
            function.searches[key] = tf.function(optimizer.search(function, start.dtype), autograph=False)
        self.search = function.searches[key]
        self.iterations, self.evaluations, self.losses = 0, 0, []

    def run(self, verbose):
        """Descends until a tolerance is met or nothing more can be done; returns the `Result`."""
        loss, self.gradient = self.function(self.position)
        self.evaluations, self.norm = 1, float(largest(self.gradient))
        self.losses.append(float(loss))
        if not (math.isfinite(self.losses[0]) and math.isfinite(self.norm)):
            raise ValueError(
                "the loss and its gradient must be finite at the start, got a loss of "
                f"{self.losses[0]:g} and a largest component of {self.norm:g}: check the data and the weights"
            )
        with _Progress(self.optimizer.max_iterations, verbose) as progress:
            while not (reason := self._reason()):
                if not self._iterate():
                    reason = self.optimizer.failure
                    break
                progress.show(self.iterations, self.losses[-1], self.norm)
                if self.callback:
                    self.callback(self.iterations, self.losses[-1], self.norm)
        converged = reason in ("gradient", "loss")
        counts = self.iterations, self.evaluations
        return Result(converged, reason, *counts, self.losses[-1], self.norm, tuple(self.losses))

    def _reason(self):
        if self.norm <= self.optimizer.gradient_tolerance:
            return "gradient"
        recent = self.losses[-STALLED - 1 :]
        falls = [a - b <= self.optimizer.loss_tolerance * abs(b) for a, b in itertools.pairwise(recent)]
        if len(falls) == STALLED and all(falls):
            return "loss"
        return "iterations" if self.iterations >= self.optimizer.max_iterations else None

    def _iterate(self):
        """Takes one step and returns whether there was one; along the gradient where the memory fails."""
        for _ in range(2):
            direction, trial = self.memory.direction(self.gradient)
            trial = tf.constant(trial, self.position.dtype)
            loss = tf.constant(self.losses[-1], self.position.dtype)
            found = self.search(self.position, loss, self.gradient, direction, trial)
            displacement, gradient, change, numbers = found
            loss, norm, step, evaluations, accepted, product = numbers.numpy().tolist()
            self.evaluations += int(evaluations)
            if accepted:
                self.memory.update(displacement, change, gradient, step, product)
                self.position, self.gradient, self.norm = self.position + displacement, gradient, norm
                self.losses.append(loss)
                self.iterations += 1
                return True
            if self.memory.reset():
                return False
        return False


class _Progress:
    """A bar with the loss and the gradient on stderr; where that is no terminal, ten lines in all.

    Args:
        iterations: Most iterations.
        verbose: Whether to show anything.
    """

    def __init__(self, iterations, verbose):
        self.iterations, self.verbose, self.every = iterations, verbose, max(1, iterations // 10)
        columns = rich.progress.TextColumn("{task.fields[shown]}"), rich.progress.TimeElapsedColumn()
        counts = rich.progress.BarColumn(), rich.progress.MofNCompleteColumn()
        console = rich.console.Console(file=sys.stderr)
        hidden = not (verbose and console.is_terminal)
        self.bar = rich.progress.Progress(*counts, *columns, console=console, disable=hidden)
        self.task = self.bar.add_task("", total=iterations, shown="")

    def __enter__(self):
        self.bar.start()
        return self

    def __exit__(self, *error):
        self.bar.stop()

    def show(self, iteration, loss, norm):
        """Shows where the descent is.

        Args:
            iteration: Iterations done.
            loss: The loss.
            norm: The largest component of the gradient.
        """
        if not self.verbose:
            return
        shown = f"loss {loss:.6g}  gradient {norm:.2g}"
        self.bar.update(self.task, completed=iteration, shown=shown)
        if not self.bar.console.is_terminal and iteration % self.every == 0:
            print(f"iteration {iteration}/{self.iterations}  {shown}", file=sys.stderr, flush=True)
