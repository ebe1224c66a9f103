"""Second derivatives and forward derivatives by reverse mode only.

TensorFlow's forward mode does not support loops, and therefore not recurrent layers. Reverse mode applied
twice costs the same: J^T u is linear in u, so that differentiating v . J^T u with respect to u gives J v.
"""

import tensorflow as tf

from ..keras_bridge.moments import twice_differentiable_moments

ZERO = tf.UnconnectedGradients.ZERO


def second_derivative(function, values, tangents):
    """Returns the Hessian of a scalar function times a vector, as the gradient of (gradient . vector).

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
            with twice_differentiable_moments():
                value = function(values)
        gradient = pull_back(inner, value, values)
    return pull_back(outer, gradient, values, tangents)


def push_forward(tape, results, values, tangents):
    """Returns the derivative of recorded results along a vector, J v.

    Args:
        tape: A persistent `tf.GradientTape` that recorded the results.
        results: A tensor or a nest of tensors.
        values: The tensor, or nest of tensors, that the tape watched.
        tangents: The vector v, in the structure of the values.

    Returns:
        The derivative, in the structure of the results.
    """
    # J^T u is linear in u, so that its derivative is the same at any u.
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
        values: The tensor, or nest of tensors, that the tape watched.
        cotangents: The vector u, in the structure of the results; None for ones.

    Returns:
        The gradient, in the structure of the values.
    """
    cotangents = None if cotangents is None else tf.nest.flatten(cotangents)
    gradient = tape.gradient(tf.nest.flatten(results), tf.nest.flatten(values), cotangents, ZERO)
    # Gradients of embeddings are sparse.
    return tf.nest.pack_sequence_as(values, [tf.convert_to_tensor(g) for g in gradient])
