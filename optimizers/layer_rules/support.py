"""Checks that layers compute what their rules assume; a subclass may compute something else."""

import keras

from ..keras_bridge.internals import recomputes_activations

_UNIT_VARIANCE = ("curvezoo>UnitVarianceDense", "curvezoo>UnitVarianceConv2D")
# Subclasses whose own `call` computes the same function, or the same function of inputs times `scale`.
_EQUIVALENT = ("curvezoo>BatchNormalization", *_UNIT_VARIANCE)


def computes_as(layer, kind, *members):
    """Returns whether a layer computes the same function as a Keras class.

    True for the class and for subclasses that do not override the named members. False if the layer is
    quantized, has low-rank adapters, or recomputes its activations in the backward pass, where the taps do
    not see them.

    Args:
        layer: The layer.
        kind: A Keras class.
        *members: Names of the methods and properties that define its computation.
    """
    if not isinstance(layer, kind):
        return False
    same = all(getattr(type(layer), name) is getattr(kind, name) for name in members)
    adapted = layer.quantization_mode is not None or getattr(layer, "lora_enabled", False)
    recomputed = recomputes_activations(layer)
    return (same or registered_name(layer) in _EQUIVALENT) and not adapted and not recomputed


def input_scale(layer):
    """Returns the fixed factor on the inputs of layers with weights of unit variance, 1 for other layers.

    Args:
        layer: The layer.
    """
    return layer.scale if registered_name(layer) in _UNIT_VARIANCE else 1


def registered_name(layer):
    """Returns the name that a layer's class is saved under, `package>Class` if it is registered.

    Args:
        layer: The layer.
    """
    return keras.saving.get_registered_name(type(layer))


def trainable(variable):
    """Returns a variable if it exists and is trainable, else `None`.

    Args:
        variable: A Keras variable, or `None`.
    """
    return variable if variable is not None and variable.trainable else None
