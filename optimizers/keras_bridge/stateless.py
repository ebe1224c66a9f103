"""Calls of a Keras model at other values of its variables, as a function of plain tensors."""

import keras
import tensorflow as tf

from .internals import training_option


def trainable_values(model):
    """Returns the current values of a model's trainable variables, a list of tensors.

    Args:
        model: The model.
    """
    return [tf.convert_to_tensor(v.value) for v in model.trainable_variables]


def stateless_call(model, values, state, x, training=False, return_losses=False):
    """Calls a model at other values of its variables, as `keras.Model.stateless_call` does.

    Keras's method bypasses `model.__call__`: layers that are not passed `training` explicitly do not receive
    it, and the losses of a layer that is called twice are counted once. This function avoids both problems.

    Args:
        model: The model.
        values: Values of the trainable variables.
        state: Values of the other variables.
        x: Inputs.
        training: Whether the model runs in training mode.
        return_losses: Whether to return the losses of layers, such as regularization.

    Returns:
        The outputs, the next values of the other variables and, if `return_losses`, the list of losses.
    """
    variables = [*model.trainable_variables, *model.non_trainable_variables]
    mapping = list(zip(variables, [*values, *state], strict=True))
    with keras.StatelessScope(state_mapping=mapping, collect_losses=return_losses) as scope:
        outputs = model(x, **training_option(model, training))
        losses = list(model.losses) if return_losses else None
    state = [scope.get_current_value(v) for v in model.non_trainable_variables]
    return (outputs, state, losses) if return_losses else (outputs, state)
