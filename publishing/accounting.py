"""Parameter and operation counts of any Keras model (notes, section 1.4).

Multiplications are counted in the TensorFlow graph of one example's forward pass, from the shapes of its
matrix products and convolutions. The graph also contains the operations of composite and custom layers, so
no layer needs a formula of its own.

Convention: flops = 2 x multiplications of matrix products, einsums and convolutions. Products with the zeros
of padding are counted. Elementwise operations (biases, activations, normalization, pooling) are not;
attention scores and the steps of recurrent layers are matrix products and are counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import keras
import tensorflow as tf

from ..theory.counting import matrix_product


@dataclass(frozen=True)
class Account:
    """The size and the cost of a model.

    Args:
        parameters: Number of weights, moving averages included.
        trainable_parameters: Number of trainable weights.
        multiplications: Multiply-adds of one example's forward pass.
    """

    parameters: int
    trainable_parameters: int
    multiplications: int

    @property
    def flops(self) -> int:
        """Floating-point operations of one example's forward pass, 2 x `multiplications`."""
        return 2 * self.multiplications


def account(model: keras.Model, input_shape: Sequence | None = None) -> Account:
    """Counts a model's parameters and the operations of one example's forward pass.

    Args:
        model: A Keras model on the TensorFlow backend.
        input_shape: Shape of one example, without the batch axis; for several inputs a list of shapes, one
            for each. Required for subclassed models and for inputs with axes of unknown length, such as the
            positions of a language model: `(128,)` counts one window of 128 tokens.

    Returns:
        The `Account`.

    Raises:
        ValueError: If `model` is not a Keras model, the input's shape is unknown, `input_shape` has not one
            shape for each input, or the graph contains a product that can't be counted, because it is inside
            a branch or a loop of unknown length or has an unknown shape.
    """
    if not isinstance(model, keras.Model):
        raise ValueError(f"model must be a keras.Model, got {model!r}")
    spec = _input_spec(model, input_shape)
    if not model.built:
        model(keras.tree.map_structure(lambda part: tf.zeros(part.shape, part.dtype), spec))
    forward = tf.function(lambda inputs: model(inputs, training=False))
    return Account(
        parameters=model.count_params(),
        trainable_parameters=sum(prod(variable.shape) for variable in model.trainable_variables),
        multiplications=_graph_multiplications(forward.get_concrete_function(spec).graph),
    )


def totals(models: list[keras.Model], shapes: Sequence | None = None) -> tuple[int, int | None]:
    """Returns the parameters of all models together, and the FLOPs of the first one's forward pass.

    Args:
        models: Built Keras models.
        shapes: Shape of one example of each input of the first model, for axes of unknown length.

    Returns:
        The two numbers; the second is `None` where `account` can't count it.
    """
    parameters = sum(model.count_params() for model in models)
    try:
        if shapes is None or not _has_free_axes(models[0]):
            return parameters, account(models[0]).flops
        return parameters, account(models[0], shapes if len(models[0].inputs) > 1 else shapes[0]).flops
    except ValueError:
        return parameters, None


def _input_spec(model: keras.Model, input_shape: Sequence | None):
    symbolic = None
    if getattr(model, "inputs", None):
        symbolic = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
    if input_shape is not None:
        if symbolic is not None and not isinstance(symbolic, keras.KerasTensor):
            return _several_specs(symbolic, input_shape)
        dtype = keras.config.floatx() if symbolic is None else symbolic.dtype
        return tf.TensorSpec((1, *input_shape), dtype)
    if symbolic is None:
        raise ValueError(f"input_shape must be given: model {model.name!r} does not know its input")
    free = [tensor.shape for tensor in keras.tree.flatten(symbolic) if None in tensor.shape[1:]]
    if free:
        raise ValueError(f"input_shape must be given for an input with axes of unknown length, got {free}")
    return keras.tree.map_structure(lambda t: tf.TensorSpec((1, *t.shape[1:]), t.dtype), symbolic)


def _has_free_axes(model: keras.Model) -> bool:
    return any(None in tensor.shape[1:] for tensor in getattr(model, "inputs", None) or [])


def _several_specs(symbolic, shapes: Sequence):
    tensors = keras.tree.flatten(symbolic)
    if len(shapes) != len(tensors) or not all(isinstance(shape, tuple | list) for shape in shapes):
        raise ValueError(
            f"input_shape must hold a shape for each of the model's {len(tensors)} inputs, got {shapes}"
        )
    specs = [tf.TensorSpec((1, *shape), t.dtype) for shape, t in zip(shapes, tensors, strict=True)]
    return keras.tree.pack_sequence_as(symbolic, specs)


def _graph_multiplications(graph: tf.Graph) -> int:
    return sum(_multiplications(operation) for operation in _live_operations(graph))


def _live_operations(graph: tf.Graph) -> set[tf.Operation]:
    """Returns the operations on which the outputs depend; layers may trace others, which never run."""
    live, reached = set(), [tensor.op for tensor in graph.outputs] + list(graph.control_outputs)
    while reached:
        operation = reached.pop()
        if operation not in live:
            live.add(operation)
            reached += [tensor.op for tensor in operation.inputs] + list(operation.control_inputs)
    return live


def _multiplications(operation: tf.Operation) -> int:
    """Counts the multiplications of one node, including those of the functions that it calls."""
    if operation.type in _COUNTS:
        shapes = [tensor.shape for tensor in (*operation.inputs, *operation.outputs)]
        if not all(shape.is_fully_defined() for shape in shapes):
            raise ValueError(f"model must have known shapes at {operation.name!r}, got {shapes}")
        return _COUNTS[operation.type](operation)
    inner = sum(_graph_multiplications(graph) for graph in _called_graphs(operation))
    if inner and operation.type not in _CALLS:
        return inner * _repetitions(operation)
    return inner


def _called_graphs(operation: tf.Operation) -> list[tf.Graph]:
    attributes = operation.node_def.attr.values()
    names = [value.func.name for value in attributes if value.HasField("func")]
    names += [function.name for value in attributes for function in value.list.func]
    return [operation.graph._get_function(name).graph for name in names]


def _repetitions(operation: tf.Operation) -> int:
    if operation.type in ("While", "StatelessWhile"):
        # The second operand of a loop is its maximum number of iterations; for a recurrent layer, its time
        # steps.
        steps = _constant(operation.inputs[1])
        if steps is not None and steps > 0:
            return int(steps)
    raise ValueError(
        f"model must run its products a known number of times, got them inside {operation.type} "
        f"{operation.name!r}"
    )


def _constant(tensor: tf.Tensor):
    """Evaluates a tensor of the graph; returns `None` if it depends on data."""
    with tf.compat.v1.Session(graph=tensor.graph) as session:
        try:
            return session.run(tensor)
        except tf.errors.InvalidArgumentError:
            return None


def _matmul(operation: tf.Operation) -> int:
    left, output = operation.inputs[0].shape, operation.outputs[0].shape
    transposed = operation.get_attr("transpose_a" if operation.type == "MatMul" else "adj_x")
    inner = left[-2] if transposed else left[-1]
    return matrix_product(prod(output[:-1]), inner, output[-1])


def _einsum(operation: tf.Operation) -> int:
    """Counts an einsum: each element of the output is a sum over the labels that the output lacks."""
    operands, output = operation.get_attr("equation").decode().replace(" ", "").split("->")
    sizes = {}
    for labels, tensor in zip(operands.split(","), operation.inputs, strict=True):
        before, _, after = labels.partition("...")
        sizes.update(zip(before, tensor.shape, strict=False))
        sizes.update(zip(reversed(after), reversed(tensor.shape), strict=False))
    if len(operation.inputs) == 1:
        return 0
    contracted = prod(size for label, size in sizes.items() if label not in output)
    return contracted * prod(operation.outputs[0].shape)


def _convolution(operation: tf.Operation) -> int:
    kernel, output = operation.inputs[1].shape, operation.outputs[0].shape
    channels = kernel[-1]
    return matrix_product(prod(output) // channels, prod(kernel[:-1]), channels)


def _depthwise(operation: tf.Operation) -> int:
    kernel, output = operation.inputs[1].shape, operation.outputs[0].shape
    return prod(output) * prod(kernel[:-2])


def _transposed_convolution(operation: tf.Operation) -> int:
    kernel, small = operation.inputs[1].shape, operation.inputs[2].shape
    channels = kernel[-1]
    return matrix_product(prod(small) // channels, prod(kernel[:-1]), channels)


_CALLS = ("PartitionedCall", "StatefulPartitionedCall")

_COUNTS: dict[str, Callable[[tf.Operation], int]] = {
    "MatMul": _matmul,
    "BatchMatMul": _matmul,
    "BatchMatMulV2": _matmul,
    "Einsum": _einsum,
    "Conv2D": _convolution,
    "Conv3D": _convolution,
    "DepthwiseConv2dNative": _depthwise,
    "Conv2DBackpropInput": _transposed_convolution,
    "Conv3DBackpropInputV2": _transposed_convolution,
}
