"""Operations on vectors that are nests of tensors, such as one tensor for each variable."""

import math

import ml_dtypes
import tensorflow as tf

# Differences of losses below this many units in the last place are rounding errors.
ROUNDING = 16


def dot(a, b):
    """Returns the scalar product of two vectors, in the higher of their precisions and at least float32.

    Args:
        a: One vector, a tensor or a nest of tensors.
        b: The other, of the same structure.
    """
    dtype = precision([a, b])
    a, b = ([tf.cast(tf.reshape(t, [-1]), dtype) for t in tf.nest.flatten(vector)] for vector in (a, b))
    # A contraction does not store the elementwise products.
    return tf.add_n([tf.tensordot(x, y, 1) for x, y in zip(a, b, strict=True)])


def norm(a):
    """Returns the Euclidean length of a vector, in the precision of `dot`.

    Args:
        a: The vector, a tensor or a nest of tensors.
    """
    return tf.sqrt(dot(a, a))


def flat(vector):
    """Returns a vector as one tensor [D], in its `precision`.

    Args:
        vector: The vector, a tensor or a nest of tensors.
    """
    dtype = precision(vector)
    return tf.concat([tf.reshape(tf.cast(t, dtype), [-1]) for t in tf.nest.flatten(vector)], 0)


def unflat(tensor, like):
    """Returns a tensor [D] as a list of tensors.

    Args:
        tensor: The tensor.
        like: Tensors or variables whose shapes and types the result has.
    """
    parts = tf.split(tensor, [math.prod(t.shape) for t in like])
    return [tf.cast(tf.reshape(part, t.shape), t.dtype) for part, t in zip(parts, like, strict=True)]


def precision(vector):
    """Returns the type in which a vector is summed: float64 if any of its tensors has it, else float32.

    Args:
        vector: The vector, a tensor or a nest of tensors.
    """
    return tf.float64 if any(t.dtype == tf.float64 for t in tf.nest.flatten(vector)) else tf.float32


def resolution(dtype):
    """Returns the distance from 1 to the next larger number of a floating-point type.

    Args:
        dtype: The type, or its name.
    """
    return float(ml_dtypes.finfo(tf.as_dtype(dtype).as_numpy_dtype).eps)


def at_least_float32(tensor):
    """Returns a float64 tensor unchanged and any other as float32.

    Args:
        tensor: The tensor, of a floating-point type.
    """
    tensor = tf.convert_to_tensor(tensor)
    return tensor if tensor.dtype == tf.float64 else tf.cast(tensor, tf.float32)


def finite(vector):
    """Returns whether all entries of a vector are finite, a boolean scalar.

    Args:
        vector: The vector, a tensor or a nest of tensors.
    """
    # The sum of finite entries may overflow, which must not count.
    return tf.reduce_all([tf.reduce_all(tf.math.is_finite(t)) for t in tf.nest.flatten(vector)])


def select(flag, tensors, otherwise=None):
    """Returns `tensors` if the flag is true, and otherwise `otherwise`, by default zeros.

    Args:
        flag: A boolean scalar.
        tensors: A list of tensors.
        otherwise: A list of tensors of the same shapes.
    """
    # `tf.cond` passes the tensors through, whereas `tf.where` would copy them.
    return tf.cond(flag, lambda: list(tensors), lambda: otherwise or [tf.zeros_like(t) for t in tensors])


def scaled(factor, vector):
    """Returns a vector times a scalar, each tensor in its own precision.

    Args:
        factor: The scalar.
        vector: The vector, a tensor or a nest of tensors.
    """
    # A Python number takes the tensor's precision, while a cast would round it to single precision first.
    return tf.nest.map_structure(
        lambda t: (tf.cast(factor, t.dtype) if tf.is_tensor(factor) else factor) * t, vector
    )


def shifted(vector, factor, direction):
    """Returns vector + factor * direction.

    Args:
        vector: A tensor or a nest of tensors.
        factor: A scalar.
        direction: The direction, of the same structure.
    """
    return tf.nest.map_structure(tf.add, vector, scaled(factor, direction))
