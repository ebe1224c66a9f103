"""Minimization of a function of pixels by L-BFGS and by Adam, with the loss of every evaluation.

Both optimizers call one compiled function, which records the losses and the best pixels. An evaluation of
the loss with its gradient costs the same for both; all other costs are small.

Legend: D pixels, S evaluations.
"""

import contextlib
import math

import keras
import numpy as np
import tensorflow as tf

from ...optimizers import LBFGS
from ...optimizers.full_batch.optimizer import CompiledFunction


class RecordedFunction(CompiledFunction):
    """A compiled function that records the value of each evaluation and the position of the lowest one.

    Evaluations inside a compiled line search count, too.

    Args:
        function: A differentiable function from a tensor [D] to a scalar tensor.
        start: The initial vector [D], float32 or float64.
        capacity: Number of evaluations to record; later ones are ignored.
    """

    def __init__(self, function, start, capacity):
        # XLA's convolutions are slower on a CPU.
        super().__init__(function, jit_compile=False, inline=False)
        self.capacity = capacity
        self._start = tf.constant(start)
        dtype = self._start.dtype
        self._best, self._lowest = tf.Variable(self._start), tf.Variable(math.inf, dtype=dtype)
        # The last entry receives the values beyond the capacity.
        self._values = tf.Variable(tf.zeros([capacity + 1], dtype))
        self._count = tf.Variable(0)

    @property
    def count(self):
        """The number of recorded evaluations."""
        return min(int(self._count), self.capacity)

    @property
    def values(self):
        """The recorded values, [S]."""
        return self._values.numpy()[: self.count].astype(np.float64)

    @property
    def best(self):
        """The position [D] of the lowest value; the start before the first evaluation."""
        return self._best.numpy()

    def restart(self, values=(), best=None):
        """Replaces the record, by default by an empty one.

        Args:
            values: Values of earlier evaluations, [S].
            best: The position [D] of the lowest of them.
        """
        count = len(values)
        record = np.zeros(self.capacity + 1)
        record[:count] = values
        self._values.assign(record)
        self._count.assign(count)
        self._lowest.assign(min(values, default=math.inf))
        self._best.assign(self._start if best is None else best)

    def _evaluate(self, position):
        value, gradient = super()._evaluate(position)
        index = tf.minimum(self._count.assign_add(1, read_value=True) - 1, self.capacity)
        self._values.scatter_nd_update([[index]], [value])
        lower = (value < self._lowest) & (index < self.capacity)
        self._lowest.assign(tf.where(lower, value, self._lowest))
        self._best.assign(tf.where(lower, position, self._best))
        return value, gradient


class LBFGSMinimizer:
    """L-BFGS on a `RecordedFunction`. A resumed minimization starts with an empty memory of gradients.

    Args:
        function: The `RecordedFunction`.
    """

    def __init__(self, function):
        self.function = function

    def run(self, after):
        """Minimizes until all evaluations are used or no step decreases the loss.

        Args:
            after: Function without arguments that is called after each iteration.
        """

        def stop(iteration, loss, norm):
            after()
            if self.function.count >= self.function.capacity:
                raise _Finished

        capacity = self.function.capacity
        if self.function.count < capacity:
            optimizer = LBFGS(max_iterations=capacity, gradient_tolerance=0.0)
            with contextlib.suppress(_Finished):
                optimizer.minimize_function(self.function, self.function.best, callback=stop)

    def state(self):
        """Returns what `restore` needs, a dictionary of arrays."""
        return {"values": self.function.values, "best": self.function.best}

    def restore(self, state):
        """Continues from an earlier state.

        Args:
            state: The value that `state` returned.
        """
        self.function.restart(state["values"][: self.function.capacity], state["best"])


class AdamMinimizer(LBFGSMinimizer):
    """Keras's Adam on a `RecordedFunction`.

    Args:
        function: The `RecordedFunction`.
        learning_rate: The learning rate, in units of pixels.
    """

    def __init__(self, function, learning_rate):
        super().__init__(function)
        self._position = keras.Variable(function.best, dtype=function.best.dtype.name)
        self._optimizer = keras.optimizers.Adam(learning_rate)
        self._optimizer.build([self._position])

    def run(self, after):
        """Makes one step for each evaluation.

        Args:
            after: Function without arguments that is called after each step.
        """
        while self.function.count < self.function.capacity:
            value, gradient = self.function(self._position.value)
            if not math.isfinite(value):
                raise ArithmeticError(
                    f"the loss of Adam became {float(value)} after {self.function.count} evaluations; use a "
                    "smaller learning_rate"
                )
            self._optimizer.apply([gradient], [self._position])
            after()

    def state(self):
        """Returns what `restore` needs, a dictionary of arrays."""
        slots = {f"slot_{i}": v.numpy() for i, v in enumerate(self._optimizer.variables)}
        return super().state() | {"position": self._position.numpy()} | slots

    def restore(self, state):
        """Continues from an earlier state.

        Args:
            state: The value that `state` returned.
        """
        super().restore(state)
        self._position.assign(state["position"])
        for i, variable in enumerate(self._optimizer.variables):
            variable.assign(state[f"slot_{i}"])


def make(name, function, learning_rate):
    """Returns the minimizer with a name of `options.OPTIMIZERS`.

    Args:
        name: `lbfgs` or `adam`.
        function: The `RecordedFunction`.
        learning_rate: The learning rate of Adam.
    """
    return LBFGSMinimizer(function) if name == "lbfgs" else AdamMinimizer(function, learning_rate)


class _Finished(Exception):
    """Raised by a callback to end a minimization."""
