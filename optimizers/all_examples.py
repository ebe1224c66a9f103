"""Validates data for computations over all examples: arrays, or a finite dataset of batches.

Such a computation takes several passes over the data and compares them: a line search compares losses,
Lanczos iterations multiply by one matrix. The passes must therefore see the same examples.
"""

import hashlib
import re

import keras
import numpy as np
import tensorflow as tf

from .. import arguments

# The number of examples on which a loss is tried.
FIRST = 7
# What TensorFlow and Keras add to the reason of an error.
_NOISE = re.compile(r"{{.*?}} |\x1b\[\d*m| \[Op:.*| Arguments received by .*")


def checked(data, ordered=False):
    """Returns data after validating their form: a dataset of batches, or arrays as a tuple.

    Args:
        data: Arrays (x, y) or (x, y, sample_weight), where x may be nested and the weights may be None; or a
            `tf.data.Dataset` or `keras.utils.PyDataset` of such batches.
        ordered: Whether every pass must have the examples in the same order and the same batches.

    Returns:
        A dataset, or (x, y) or (x, y, sample_weight).

    Raises:
        ValueError: If the data have any other form, are empty or infinite, the arrays differ in length, or
            two passes over a dataset differ.
    """
    if isinstance(data, keras.utils.PyDataset):
        data = _dataset_of(data)
    if isinstance(data, tf.data.Dataset):
        if data.cardinality() == tf.data.INFINITE_CARDINALITY:
            raise ValueError(
                "data must be finite, got a dataset that repeats forever: limit it with its method take"
            )
        if not isinstance(data.element_spec, tuple) or len(data.element_spec) not in (2, 3):
            raise ValueError(
                f"data must have batches (x, y) or (x, y, sample_weight), got {data.element_spec!r}"
            )
        _check_constant(data, ordered)
        return data
    if hasattr(data, "__next__"):
        raise ValueError(
            f"data must be readable several times, got a {type(data).__name__}, which gives each batch once: "
            "join its batches into arrays, such as by numpy.concatenate, or write a keras.utils.PyDataset"
        )
    if not isinstance(data, tuple | list) or len(data) not in (2, 3):
        raise ValueError(
            "data must be (x, y), (x, y, sample_weight) or a tf.data.Dataset or PyDataset of such batches, "
            f"got {type(data).__name__}"
        )
    data = tuple(data[:2] if data[-1] is None else data)
    lengths = [(*np.shape(a), 0)[0] for a in keras.tree.flatten(data) if a is not None]
    if len(set(lengths)) != 1 or not lengths[0]:
        raise ValueError(
            "arrays of data must have one number of examples of at least 1, got "
            f"{arguments.described(lengths)}{_hint(data)}"
        )
    return data


def microbatches(data, batch_size):
    """Yields microbatches (x, y, sample_weight) of tensors.

    Args:
        data: Data that `checked` returned.
        batch_size: Number of examples in a microbatch, for arrays.
    """
    if isinstance(data, tf.data.Dataset):
        for batch in data:
            yield keras.utils.unpack_x_y_sample_weight(batch)
        return
    data = (*data, None)[:3]
    for start in range(0, len(keras.tree.flatten(data[0])[0]), batch_size):
        part = slice(start, start + batch_size)
        yield keras.tree.map_structure(
            lambda array, part=part: None if array is None else tf.convert_to_tensor(array[part]), data
        )


def first_examples(data):
    """Returns (x, y, sample_weight) of the first examples, seven or fewer.

    Args:
        data: Data that `checked` returned.

    Raises:
        ValueError: If there are none.
    """
    batch = next(microbatches(data, FIRST), None)
    if batch is None:
        raise ValueError("data must have at least one example, got an empty dataset")
    return keras.tree.map_structure(lambda t: None if t is None else t[:FIRST], batch)


def check_loss(data, loss):
    """Evaluates a function of the data on the first examples, outside a graph, where errors are short.

    Args:
        data: Data that `checked` returned.
        loss: Function of x, y and sample_weight, such as the loss or the number of its terms.

    Raises:
        ValueError: If there are no examples, or the function can't be evaluated.
    """
    x, y, sample_weight = first_examples(data)
    try:
        loss(x, y, sample_weight)
    except (ValueError, TypeError, tf.errors.OpError) as error:
        reason = _NOISE.sub("", " ".join(str(error).split()))
        raise ValueError(
            f"data must suit the model and the loss, got inputs {_shapes(x)} and targets {_shapes(y)}: "
            f"{reason}"
        ) from None


def _shapes(arrays):
    arrays = [array for array in keras.tree.flatten(arrays) if array is not None]
    shapes = [", ".join(["N", *map(str, array.shape[1:])]) for array in arrays]
    return " and ".join(f"of shape [{shape}]" for shape in shapes) or "None"


def _hint(data):
    lists = any(isinstance(part, list) and part and not hasattr(part[0], "shape") for part in data)
    return ": convert lists of numbers with numpy.asarray" if lists else ""


def _dataset_of(data):
    """Returns the batches of a `PyDataset`, in its order, as a `tf.data.Dataset`."""
    if data.num_batches is None:
        raise ValueError("data must be finite, got a PyDataset without a number of batches")
    if not data.num_batches:
        raise ValueError("data must have at least one example, got an empty PyDataset")

    def batch(index):
        parts = data[index]
        if not isinstance(parts, tuple | list) or len(parts) not in (2, 3):
            raise ValueError(
                f"data must have batches (x, y) or (x, y, sample_weight), got {type(parts).__name__}"
            )
        parts = parts[:2] if parts[-1] is None else parts
        return tuple(keras.tree.map_structure(np.asarray, part) for part in parts)

    def spec(array):
        return tf.TensorSpec((None, *array.shape[1:]), array.dtype)

    signature = keras.tree.map_structure(spec, batch(0))
    return tf.data.Dataset.from_generator(
        lambda: (batch(index) for index in range(data.num_batches)), output_signature=signature
    )


def _check_constant(data, ordered):
    """Raises unless two passes over a dataset have the same examples."""
    if _fingerprint(data, ordered) != _fingerprint(data, ordered):
        order, remainder = (" in the same order", "") if ordered else ("", " together with drop_remainder")
        raise ValueError(
            f"data must have the same examples{order} in every pass, got a dataset that changes: remove "
            f"random augmentation, and shuffle{remainder}, or call its method cache at the end"
        )


def _fingerprint(data, ordered):
    """Returns a number that depends on the examples of a dataset, and on their order if `ordered`."""
    total, previous = 0, b""
    for batch in data:
        arrays = [np.asarray(tensor) for tensor in tf.nest.flatten(batch, expand_composites=True)]
        sizes = {(*array.shape, 0)[0] for array in arrays}
        rows = range(sizes.pop()) if len(sizes) == 1 and not ordered else [slice(None)]
        for row in rows:
            content = b"".join(array[row].tobytes() for array in arrays)
            previous = hashlib.blake2b(content, key=previous if ordered else b"", digest_size=16).digest()
            total += int.from_bytes(previous)
    return total
