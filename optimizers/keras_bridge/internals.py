"""The private parts of Keras and TensorFlow that the optimizers read, each behind a function.

`requirements.check` verifies on import that they exist.
"""

import dataclasses

import keras
import tensorflow as tf


def compiled_loss(model):
    """Returns the function (targets, outputs, sample weights) -> loss that `compile` made, or None."""
    return model._compile_loss


def compiled_loss_weights(model):
    """Returns the list of `loss_weights` that a model was compiled with; it must be compiled with a loss."""
    return [w for w in keras.tree.flatten(model._compile_loss._user_loss_weights) if w is not None]


@dataclasses.dataclass(frozen=True, eq=False)
class MatchedLoss:
    """One of the losses that a model is compiled with, and its arguments.

    Attributes:
        loss: The loss.
        weight: Its weight in the sum of the losses.
        targets: Its targets.
        outputs: The output of the model that it reads.
        sample_weight: Its sample weights, or None.
    """

    loss: object
    weight: float
    targets: object
    outputs: object
    sample_weight: object


def matched_losses(function, targets, outputs, sample_weight):
    """Returns the losses of a compiled loss with the arguments that Keras calls them with, without a call.

    Args:
        function: The function that `compile` made, built.
        targets: Targets in any form that Keras accepts.
        outputs: The model's outputs, or any nest of their structure.
        sample_weight: Weights, or None.
    """
    matched = []

    def recorder(entry):
        def record(*arguments):
            weight = 1.0 if entry.loss_weights is None else entry.loss_weights
            matched.append(MatchedLoss(entry.loss, weight, *arguments))
            return tf.zeros(())

        return entry._replace(loss=record, loss_weights=None)

    recording = shallow_copy(function)
    recording._flat_losses = [recorder(entry) for entry in function._flat_losses]
    # Keras updates a metric for each loss, unless it is None.
    recording._metrics = [None] * len(function._flat_losses)
    recording.call(targets, outputs, sample_weight)
    return matched


def reads_one_tensor(function):
    """Returns whether a compiled loss is built for a model whose output is one tensor with one loss.

    Args:
        function: The function that `compile` made, or None.
    """
    return function is not None and function.built and [loss.path for loss in function._flat_losses] == [()]


def build_loss(function, targets, outputs):
    """Builds a compiled loss for targets and outputs, unless it is built.

    Args:
        function: The function that `compile` made.
        targets: Targets.
        outputs: The model's outputs.
    """
    if function.built:
        return
    names = function.output_names or ()
    if isinstance(outputs, list | tuple) and isinstance(targets, dict) and set(targets) == set(names):
        targets = [targets[name] for name in names]
    function.build(targets, outputs)


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


def shallow_copy(loss):
    """Returns a shallow copy; `copy.copy` serializes a Keras loss, which fails for unregistered classes.

    Args:
        loss: A Keras loss, or the function that `compile` made.
    """
    copied = object.__new__(type(loss))
    vars(copied).update(vars(loss))
    return copied


def wrapped_function(loss):
    """Returns the function that a Keras loss wraps and its options; the loss itself where it wraps none."""
    return getattr(loss, "fn", loss), getattr(loss, "_fn_kwargs", {})


def ignored_class(loss):
    """Returns the class whose positions a loss ignores, its `ignore_class`, or None.

    Args:
        loss: A loss as accepted by `compile`.
    """
    options = wrapped_function(loss)[1]
    return options["ignore_class"] if "ignore_class" in options else getattr(loss, "ignore_class", None)


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


def build_layers(model, x):
    """Creates the variables of a model's layers by a symbolic call.

    Args:
        model: The model.
        x: Inputs.
    """
    model(
        keras.tree.map_structure(
            lambda v: keras.KerasTensor(v.shape, keras.backend.standardize_dtype(v.dtype)), x
        )
    )


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
