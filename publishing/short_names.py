"""Short names for the operations in a SavedModel's functions.

TensorFlow names an operation after the layers that made it, as in
`while/decoder/block_3/attention/query/Tensordot/Reshape`. The names are two thirds of the file of a graph
and have no meaning for the computation. Functions, their arguments, outputs, variables and endpoints keep
theirs.
"""

import pathlib

from tensorflow.core.protobuf import saved_model_pb2

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def shorten(folder):
    """Renames the operations in the functions of a folder's `saved_model.pb`.

    Args:
        folder: The folder of a SavedModel.
    """
    path = pathlib.Path(folder) / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    for graph in model.meta_graphs:
        functions = graph.graph_def.library.function
        names = {function.signature.name: _shorten(function) for function in functions}
        for node in graph.object_graph_def.nodes:
            if node.WhichOneof("kind") == "captured_tensor":
                tensor = node.captured_tensor
                tensor.name = _renamed(tensor.name, names[tensor.concrete_function])
    path.write_bytes(model.SerializeToString(deterministic=True))


def _shorten(function):
    """Renames the operations of one function, a `FunctionDef`; returns the new names by the old ones."""
    taken = {argument.name for argument in function.signature.input_arg}
    numbers = (name for number in range(2**31) if (name := _name(number)) not in taken)
    names = {node.name: next(numbers) for node in function.node_def}

    for node in function.node_def:
        node.name = names[node.name]
        node.input[:] = [_renamed(reference, names) for reference in node.input]
        node.ClearField("experimental_debug_info")
        # Operations with one device need no colocation, which names others.
        if "_class" in node.attr:
            del node.attr["_class"]
    for outputs in (function.ret, function.control_ret):
        for key in list(outputs):
            outputs[key] = _renamed(outputs[key], names)
    return names


def _renamed(reference, names):
    """Returns a reference with the new name: `^name` to control, `name:output:index` or `name:index`."""
    control = "^" if reference.startswith("^") else ""
    name, colon, rest = reference.removeprefix("^").partition(":")
    # The names of arguments stay.
    return f"{control}{names.get(name, name)}{colon}{rest}"


def _name(number):
    """Returns a number in base 36 behind a letter, since names begin with one."""
    digits = ""
    while True:
        number, digit = divmod(number, len(_DIGITS))
        digits = _DIGITS[digit] + digits
        if not number:
            return f"n{digits}"
