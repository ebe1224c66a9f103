"""Second derivatives and forward derivatives by reverse mode alone.

Forward mode would do, but TensorFlow has none through loops, and so through recurrent layers. Twice reverse
mode costs the same: a derivative J^T u is linear in u, and its own derivative by u is J.
"""

import tensorflow as tf

ZERO = tf.UnconnectedGradients.ZERO


def second_derivative(function, values, tangents):
    """Returns the Hessian of a scalar function times a vector, the derivative of (gradient . vector).

    Args:
        function: Function of `values` that returns a scalar.
        values: A tensor or a nest of tensors.
        tangents: The vector, in the same structure.

    Returns:
        The product, in the same structure.
    """
    with tf.GradientTape() as outer:
        outer.watch(values)
        with tf.GradientTape() as inner:
            inner.watch(values)
            value = function(values)
        gradient = pull_back(inner, value, values)
    return pull_back(outer, gradient, values, tangents)


def push_forward(tape, results, values, tangents):
    """Returns the derivative of recorded results along a vector, J v.

    Args:
        tape: A persistent `tf.GradientTape` that recorded the results.
        results: A tensor or a nest of tensors.
        values: What the tape watched, a tensor or a nest of tensors.
        tangents: The vector v, in the structure of the values.

    Returns:
        The derivative, in the structure of the results.
    """
    # J^T u is linear in u, so that any u will do.
    weights = tf.nest.map_structure(tf.zeros_like, results)
    with tf.GradientTape() as outer:
        outer.watch(weights)
        gradient = pull_back(tape, results, values, weights)
    return pull_back(outer, gradient, weights, tangents)


def pull_back(tape, results, values, cotangents=None):
    """Returns the gradient of recorded results, J^T u, as dense tensors.

    Args:
        tape: A `tf.GradientTape` that recorded the results.
        results: A tensor or a nest of tensors.
        values: What the tape watched, a tensor or a nest of tensors.
        cotangents: The vector u, in the structure of the results; None for ones.

    Returns:
        The gradient, in the structure of the values.
    """
    cotangents = None if cotangents is None else tf.nest.flatten(cotangents)
    gradient = tape.gradient(tf.nest.flatten(results), tf.nest.flatten(values), cotangents, ZERO)
    # Those of embeddings are sparse.
    return tf.nest.pack_sequence_as(values, [tf.convert_to_tensor(g) for g in gradient])
