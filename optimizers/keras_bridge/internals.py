"""The private parts of Keras and TensorFlow that the optimizers read, each behind a function.

`requirements.check` verifies on import that they exist.
"""

import tensorflow as tf


def compiled_loss(model):
    """Returns the function (targets, outputs, sample weights) -> loss that `compile` made, or None."""
    return model._compile_loss


def compiled_loss_weights(model):
    """Returns the `loss_weights` that the model was compiled with; it must be compiled with a loss."""
    return model._compile_loss._user_loss_weights


def training_option(model, training):
    """Returns the keyword arguments that pass `training` to a model or layer; none if it does not accept it.

    Args:
        model: The model or layer.
        training: Whether it runs in training mode.
    """
    return {"training": training} if model._call_has_training_arg else {}


def all_layers(model):
    """Returns a model and all layers inside it, at any depth."""
    return list(model._flatten_layers())


def sublayers(layer, recursive=False):
    """Returns the layers inside a layer, without the layer itself.

    Args:
        layer: The layer.
        recursive: Whether to include layers at any depth.
    """
    return list(layer._flatten_layers(include_self=False, recursive=recursive))


def own_variables(layer):
    """Returns the variables that a layer holds itself as trainable, whether they are frozen or not."""
    return list(layer._trainable_variables)


def recomputes_activations(layer):
    """Returns whether a layer runs its forward pass again in the backward pass (`keras.remat`).

    Layers with an attribute `remat` do so if it is true, those made in a `keras.RematScope` in any case.
    """
    return getattr(layer, "_remat_mode", None) is not None or getattr(layer, "remat", False) is True


def wrapped_function(loss):
    """Returns the function that a Keras loss wraps and its options; the loss itself where it wraps none."""
    return getattr(loss, "fn", loss), getattr(loss, "_fn_kwargs", {})


def batches_seen(optimizer):
    """Returns the variable that counts an optimizer's batches; `iterations` counts accumulated updates."""
    return optimizer._iterations


def build_symbolically(model, data):
    """Builds a compiled model, its loss and its optimizer.

    Args:
        model: The model.
        data: A batch (x, y, sample_weight).
    """
    model._symbolic_build(data_batch=data)


def update_variables(strategy, function, variables, *args):
    """Calls function(variable, *args) on the device of each variable, from within a replica or outside.

    Args:
        strategy: The `tf.distribute.Strategy` of the variables.
        function: The function.
        variables: Keras variables.
        *args: Further arguments, the same on all replicas.
    """

    def update(strategy, variables, *args):
        for variable in variables:
            strategy.extended.update(variable.value, function, args=args, group=False)

    tf.__internal__.distribute.interim.maybe_merge_call(update, strategy, variables, *args)
