"""Base class and iteration of the optimizers that need the loss over all data at once.

Quasi-Newton methods and conjugate gradients use differences of gradients, which must therefore be gradients
of one function: the loss over all data, without random numbers. They are not Keras optimizers, which receive
one batch after another; `minimize` replaces `compile` and `fit`.

In each iteration the memory of the subclass chooses a direction, a search looks for a step along it, and the
memory is updated with the result. The trial step is accepted if it satisfies the strong Wolfe conditions;
otherwise TensorFlow Probability's Hager-Zhang search continues (on its own it evaluates at least three
points). A point with a non-finite loss or gradient is never accepted, nor one whose loss is higher by more
than rounding.

Legend: D parameters of the model as one flat vector, B examples in a microbatch, N examples in total.
"""

import dataclasses
import itertools
import math
from typing import ClassVar

import numpy as np
import rich.console
import rich.progress
import tensorflow as tf

from ... import arguments, streams
from .line_search import largest, line_search
from .loss import FullBatchLoss

STALLED = 5


@dataclasses.dataclass(frozen=True)
class Result:
    """How a minimization ended.

    Args:
        converged: Whether the gradient is below its tolerance, or the loss has stopped decreasing.
        reason: "gradient", "loss", "iterations" (the maximum was reached), "line search" (no step along the
            gradient decreases the loss) or "curvature" (linear conjugate gradients on a nonconvex loss).
        iterations: Number of iterations.
        evaluations: Number of evaluations of the loss and its gradient over all data.
        loss: The final loss, including regularization.
        gradient_norm: The largest absolute component of the gradient, in units of loss / theta.
        losses: The initial loss and the loss after each iteration.
        position: The parameters [D] as a NumPy array; None if they are the weights of a model.
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
    """Base class of the full-batch optimizers. Subclasses implement `memory` and set `curvature`.

    Args:
        max_iterations: Maximum number of iterations.
        gradient_tolerance: Converged if no component of the gradient is larger, in units of loss / theta.
            Single precision rarely gets below 1e-6.
        loss_tolerance: Converged if the relative decrease of the loss is at most this in each of the last
            five iterations; with 0, if the loss did not decrease in them.
        max_line_search: Maximum number of rounds of a line search.

    Raises:
        ValueError: If a number is out of range.
    """

    max_iterations: int = 500
    gradient_tolerance: float = 1e-5
    loss_tolerance: float = 0.0
    max_line_search: int = 30

    # Strong Wolfe condition: the slope decreases at least to this fraction.
    curvature: ClassVar[float] = 0.9
    failure: ClassVar[str] = "line search"

    def __post_init__(self):
        for name in ("max_iterations", "max_line_search"):
            arguments.integer(name, getattr(self, name), 1)
        for name in ("gradient_tolerance", "loss_tolerance"):
            arguments.nonnegative(name, getattr(self, name), 0)

    # Keras puts this string into the error message of `compile`.
    def __str__(self):
        return (
            f"{self!r} needs the loss over all data at once and is not a Keras optimizer: instead of compile "
            f"and fit call {type(self).__name__}().minimize(model, data), or fit_lbfgs(model, data)"
        )

    def get_config(self):
        """Returns the arguments that rebuild this optimizer."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config):
        """Rebuilds an optimizer.

        Args:
            config: The value that `get_config` returned.
        """
        return cls(**config)

    def memory(self, dimension, dtype):
        """Returns the object that chooses the directions.

        It has `direction(gradient)`, which returns a direction and a trial step; `update(displacement,
        change, gradient, step, product)`, with the changes of position and gradient, the new gradient, the
        step and the scalar product of both changes; and `reset()`, which forgets earlier iterations and
        returns whether there were none.

        Args:
            dimension: The number of parameters D.
            dtype: The type of all vectors.
        """
        raise NotImplementedError

    def search(self, function, dtype):
        """Returns a function that searches along a direction for the next point (see `line_search`).

        Args:
            function: A function from a tensor [D] to the loss and its gradient [D], with its `resolution`.
            dtype: The type of all vectors.
        """
        return line_search(function, self.curvature, self.max_line_search, dtype, function.resolution)

    @property
    def search_settings(self):
        """The settings that `search` depends on; optimizers that share them share its compiled function."""
        return self.curvature, self.max_line_search

    def minimize(
        self, model, data, loss=None, *, batch_size=4096, training=False, verbose=True, callback=None
    ):
        """Minimizes a model's loss over all data, and sets its weights to the best ones.

        The weights change only at the end. Ctrl-C stops after the current iteration (or the first
        evaluation) and raises KeyboardInterrupt, with the best weights so far in the model.

        Args:
            model: A Keras model, built or not; compiled if `loss` is None.
            data: A tuple of arrays (x, y) or (x, y, sample_weight), with x possibly nested, or a finite
                `tf.data.Dataset` or `keras.utils.PyDataset` of batches of these, which is iterated in each
                evaluation and must have the same examples in every one.
            loss: A Keras loss, its name or a function of (targets, outputs); None for the compiled loss with
                its weights. Regularization is added once, whatever the number of microbatches.
            batch_size: Number of examples in a microbatch B, for arrays. It limits the memory and has no
                other effect if the loss is a sum or mean over examples and no layer couples them.
            training: Whether layers run in training mode. If so, dropout drops the same units throughout,
                and batch normalization uses the statistics of each microbatch and does not update its moving
                averages.
            verbose: Whether to show a progress bar on stderr.
            callback: A function of (iteration, loss, gradient norm), called after each iteration.

        Returns:
            A `Result`.

        Raises:
            ValueError: If the model has no trainable weights or no loss, the data are empty, infinite,
                different from pass to pass or of any other form, or the initial loss or gradient is not
                finite.
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
            function: A function from a tensor [D] to a scalar tensor, in TensorFlow, or a `CompiledFunction`.
            start: The initial vector [D]; its type, float32 or float64, is that of the computation.
            verbose: Whether to show a progress bar on stderr.
            callback: A function of (iteration, value, gradient norm), called after each iteration.

        Returns:
            A `Result` with the position.

        Raises:
            ValueError: If `start` is not a vector of finite numbers or is empty, or the function does not
                return a scalar tensor, or it or its gradient is not finite there.
        """
        array = np.asarray(start)
        dtype = array.dtype if array.dtype in (np.float32, np.float64) else np.float64
        start = tf.constant(arguments.finite("start", array, 1), dtype)
        if not len(array):
            raise ValueError("start must have at least one component, got an empty vector")

        compiled = function if isinstance(function, CompiledFunction) else CompiledFunction(function)
        descent = _Descent(self, compiled, start, callback)
        return dataclasses.replace(descent.run(verbose), position=descent.position.numpy())


class CompiledFunction:
    """A compiled function with its gradient. Minimizing it again from another start compiles nothing.

    Args:
        function: A differentiable function from a tensor [D] to a scalar tensor.
        jit_compile: Whether XLA compiles it.
        inline: Whether TensorFlow may copy its graph into those that call it. A line search calls it in
            several places, and copies of a large graph take long to optimize.

    Attributes:
        resolution: The relative rounding error of the value; None for that of the position's type.
    """

    resolution = None

    def __init__(self, function, jit_compile=True, inline=True):
        self.function, self.searches = function, {}
        attributes = None if inline else {"_noinline": True}
        self._compiled = tf.function(
            self._evaluate, jit_compile=jit_compile, experimental_attributes=attributes
        )

    def __call__(self, position):
        """Returns the value and the gradient [D].

        Args:
            position: A tensor [D].
        """
        return self._compiled(position)

    def _evaluate(self, position):
        with tf.GradientTape() as tape:
            tape.watch(position)
            value = _checked_value(self.function(position))
        gradient = tape.gradient(value, position, unconnected_gradients="zero")
        return value, tf.convert_to_tensor(gradient)


def _checked_value(value):
    """Returns the value of a user's function after checking that it is a scalar tensor."""
    if not tf.is_tensor(value):
        raise ValueError(
            "function must return a scalar tensor that TensorFlow computed from the position, got "
            f"{arguments.described(value)}"
        )
    if value.shape.rank != 0:
        raise ValueError(f"function must return a scalar tensor, got shape {tuple(value.shape)}")
    return value


class _Descent:
    """The state of one minimization.

    Args:
        optimizer: The `FullBatchOptimizer`.
        function: A `CompiledFunction` or a `FullBatchLoss`, which returns the loss and its gradient [D].
        start: The initial position, a tensor [D].
        callback: As in `FullBatchOptimizer.minimize`.
    """

    def __init__(self, optimizer, function, start, callback):
        self.optimizer, self.position, self.callback = optimizer, start, callback
        self.function = function
        self.memory = optimizer.memory(start.shape[0], start.dtype)
        key = type(optimizer).search, optimizer.search_settings, start.dtype
        if key not in function.searches:
            function.searches[key] = tf.function(optimizer.search(function, start.dtype), autograph=False)
        self.search = function.searches[key]
        self.iterations, self.evaluations, self.losses = 0, 0, []

    def run(self, verbose):
        """Iterates until a tolerance is met or there is no next step; returns the `Result`."""
        loss, self.gradient = self.function(self.position)
        self.evaluations, self.norm = 1, float(largest(self.gradient))
        self.losses.append(float(loss))
        if not (math.isfinite(self.losses[0]) and math.isfinite(self.norm)):
            raise ValueError(
                "the loss and its gradient must be finite at the start, got a loss of "
                f"{self.losses[0]:g} and a largest gradient component of {self.norm:g}: check the data and "
                "the weights"
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
        stalled = [a - b <= self.optimizer.loss_tolerance * abs(b) for a, b in itertools.pairwise(recent)]
        if len(stalled) == STALLED and all(stalled):
            return "loss"
        return "iterations" if self.iterations >= self.optimizer.max_iterations else None

    def _iterate(self):
        """Takes one step, along the gradient if the memory's direction fails; returns whether it did."""
        for _ in range(2):
            direction, trial = self.memory.direction(self.gradient)
            trial = tf.constant(trial, self.position.dtype)
            loss = tf.constant(self.losses[-1], self.position.dtype)
            results = self.search(self.position, loss, self.gradient, direction, trial)
            displacement, gradient, change, numbers = results
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
    """A progress bar with the loss and the gradient on stderr, or ten lines if that is not a terminal.

    Args:
        iterations: Maximum number of iterations.
        verbose: Whether to show anything.
    """

    def __init__(self, iterations, verbose):
        self.iterations, self.verbose, self.every = iterations, verbose, max(1, iterations // 10)
        columns = rich.progress.TextColumn("{task.fields[status]}"), rich.progress.TimeElapsedColumn()
        counts = rich.progress.BarColumn(), rich.progress.MofNCompleteColumn()
        self.file = streams.stderr()
        console = rich.console.Console(file=self.file)
        hidden = not (verbose and console.is_terminal)
        self.bar = rich.progress.Progress(*counts, *columns, console=console, disable=hidden)
        self.task = self.bar.add_task("", total=iterations, status="")

    def __enter__(self):
        self.bar.start()
        return self

    def __exit__(self, *error):
        self.bar.stop()

    def show(self, iteration, loss, norm):
        """Shows the progress.

        Args:
            iteration: The number of iterations so far.
            loss: The loss.
            norm: The largest absolute component of the gradient.
        """
        if not self.verbose:
            return
        status = f"loss {loss:.6g}  gradient {norm:.2g}"
        self.bar.update(self.task, completed=iteration, status=status)
        if not self.bar.console.is_terminal and iteration % self.every == 0:
            print(f"iteration {iteration}/{self.iterations}  {status}", file=self.file, flush=True)
