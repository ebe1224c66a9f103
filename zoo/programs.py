"""Compiling functions of a model on the backend in use, and random numbers for them."""

import keras
import numpy as np


class Programs:
    """The compiled functions of one model, by the static arguments with which they were made.

    Args:
        model: A built `keras.Model`, whose current weights each call uses.
        jit_compile: Whether XLA compiles them on TensorFlow; it slows down convolutions on processors.
    """

    def __init__(self, model, jit_compile=True):
        self._model, self._jit_compile, self._compiled = model, jit_compile, {}

    def run(self, function, *inputs, **static):
        """Runs a function as one program.

        Args:
            function: A function of the model, the inputs and the static arguments.
            *inputs: Nested arrays; their shapes are compiled in.
            **static: Hashable arguments that are compiled in.

        Returns:
            What the function returns, as nested tensors.
        """
        # TensorFlow cannot generalize a program to another number of inputs.
        key = (function, len(inputs), tuple(sorted(static.items())))
        if key not in self._compiled:
            self._compiled[key] = _compile(self._model, function, static, self._jit_compile)
        return self._compiled[key](*inputs)


def _compile(model, function, static, jit_compile):
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.function(
            lambda *inputs: function(model, *inputs, **static),
            jit_compile=jit_compile,
            autograph=False,
            reduce_retracing=not jit_compile,
        )
    if backend != "jax":
        return lambda *inputs: function(model, *inputs, **static)
    import jax

    @jax.jit
    def pure(weights, *inputs):
        # Weights are arguments of the program: constants would not follow further training.
        with keras.StatelessScope(zip(model.variables, weights, strict=True)):
            return function(model, *inputs, **static)

    return lambda *inputs: pure([variable.value for variable in model.variables], *inputs)


def uniform_numbers(count, rows, seed):
    """Returns uniform random numbers in [0, 1), [rows, count], in float32.

    Each row depends on the seed and its index alone, and begins as a shorter row does.

    Args:
        count: Numbers for each row.
        rows: Number of rows.
        seed: An integer; with TensorFlow also an integer tensor.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        def row(index):
            key = tf.stack([tf.cast(seed, tf.int32), index])
            return tf.random.stateless_uniform((count,), key, alg="philox")

        return tf.map_fn(row, tf.range(rows), fn_output_signature=tf.float32)
    numbers = [np.random.default_rng([seed, row]).random(count, np.float32) for row in range(rows)]
    return np.stack(numbers)
