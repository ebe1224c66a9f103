"""Finds layers whose calls `taps` cannot record, before the first training step is traced."""

import tensorflow as tf

from . import taps
from .stateless import stateless_call, trainable_values


def unrecorded_layers(model, layers):
    """Returns the layers that a model never calls, or only inside a TensorFlow loop, condition or function.

    The model is traced once, in training mode, on symbolic inputs of the shape that it was built with. The
    result is empty if this shape is not known; a training step then raises the error of `taps.record`.
    Recurrent layers are left out.

    Args:
        model: A built model.
        layers: Layers inside the model.
    """
    layers = [layer for layer in layers if taps.recurrent_cell(layer) is None]
    inputs, unrecorded = _symbolic_inputs(model), []
    # A model that is made of inputs and outputs calls all of its own layers.
    own = getattr(model, "layers", ()) if isinstance(inputs, list) else ()
    if inputs is None or all(any(layer is other for other in own) for layer in layers):
        return []

    def call(inputs):
        state = [tf.convert_to_tensor(v.value) for v in model.non_trainable_variables]
        with tf.GradientTape() as tape, taps.recording(layers, tape) as records:
            x = inputs[0] if len(inputs) == 1 else inputs
            stateless_call(model, trainable_values(model), state, x, training=True)
        unrecorded.extend(
            layer for layer in layers if not records[layer] or taps.is_inaccessible(records[layer])
        )

    try:
        tf.function(call).get_concrete_function(inputs)
    # A model may reject symbolic inputs for any reason. If it also fails on data, training raises that error.
    except Exception:
        return []
    return unrecorded


def _symbolic_inputs(model):
    """Returns a list of specifications for the inputs of a model, a tuple for a subclass, or None."""
    try:
        inputs = model.inputs
    except (AttributeError, ValueError):
        inputs = None
    if inputs:
        return [tf.TensorSpec(x.shape, x.dtype) for x in inputs]
    shape = (model.get_build_config() or {}).get("input_shape")
    if not isinstance(shape, tuple | list) or not all(n is None or isinstance(n, int) for n in shape):
        return None
    return (tf.TensorSpec((None, *shape[1:]), model.compute_dtype),)
