r"""Squared norms of per-example gradients from one backward pass, computed by the rules of the layers.

The gradient of one example's loss with respect to a kernel is \(\sum_t a_t g_t^T\), with a the inputs of
the layer and g the gradient with respect to its pre-activations. Its squared norm follows from a and g alone;
each kind of layer has a rule for it (`Block.squared_norms`).

Legend: B batch.
"""

import keras
import tensorflow as tf

from .. import replicas
from ..keras_bridge import taps
from ..keras_bridge.internals import all_layers
from ..vectors import at_least_float32
from .blocks import owned_variables, rule_blocks


def unsupported_reason(model):
    """Returns why per-example gradient norms of a model are not available, or None if they are.

    Args:
        model: A built `keras.Model`.
    """
    owners = set()
    for layer, variables in owned_variables(model):
        covered = {id(v) for block in rule_blocks(layer) for v in block.variables}
        for variable in variables:
            if id(variable) in owners or id(variable) not in covered:
                return f"{variable.path} of {type(layer).__name__} {layer.name!r} has no rule"
            owners.add(id(variable))
    without_owner = [v.path for v in model.trainable_variables if id(v) not in owners]
    return f"{without_owner[0]} belongs to no layer" if without_owner else None


def batch_coupling(model):
    """Returns the name of a layer that couples the examples of a batch in training, or None.

    Only `BatchNormalization` is recognized, not custom layers or losses that do the same.

    Args:
        model: A built `keras.Model`.
    """
    return next((layer.name for layer in _batch_normalizations(model)), None)


def squared_norms(objective):
    """Returns |g_i|^2 for each example of a batch, and the gradient of the loss.

    g_i = B dL/dtheta through example i, so that the mean of the g_i is the gradient: for a loss that averages
    over examples it is the gradient of the example's own loss, its sample weight included. Weight
    regularizers belong to no example and do not enter g_i; activity regularizers do.

    Args:
        objective: An `Objective` of a batch; under a strategy, of one replica's share. Its model must have no
            `unsupported_reason`, and `BatchNormalization` must run in inference mode. Recurrent layers are
            unrolled and must have a static number of time steps.

    Returns:
        (norms, gradients, regularization): [B] in the type of the weights (at least float32), then the
        gradient of the whole loss and the part of it from weight regularizers, for each trainable variable.
        Under a strategy of R replicas all are of R times the replica's share of the loss.

    Raises:
        ValueError: If the model is not supported, or batch statistics couple the examples.
    """
    model, values = objective.model, objective.values
    reason = unsupported_reason(model)
    if reason:
        raise ValueError(f"model has no per-example gradient norms: {reason}")
    blocks = [block for layer, _ in owned_variables(model) for block in rule_blocks(layer)]
    layers = list(dict.fromkeys([*(block.layer for block in blocks), *_batch_normalizations(model)]))
    with tf.GradientTape() as tape:
        tape.watch(values)
        with taps.record(layers, tape) as records:
            loss = objective.loss(values) * replicas.number()
    _refuse_coupling(records, objective.x)
    preactivations = [[call.preactivation for call in records[layer]] for layer in layers]
    sources = [preactivations, values]
    signals, gradients = tape.gradient(loss, sources, unconnected_gradients="zero")
    signals = dict(zip(layers, signals, strict=True))
    called = [block for block in blocks if records[block.layer]]
    norms = sum(block.squared_norms(records[block.layer], signals[block.layer]) for block in called)
    size = tf.cast(tf.shape(keras.tree.flatten(objective.x)[0])[0], norms.dtype)
    gradients = [at_least_float32(gradient) for gradient in gradients]
    # The backward pass gives g_i / B.
    return norms * size**2, gradients, _regularization_gradients(model, values)


def _batch_normalizations(model):
    """Returns the layers that normalize by batch statistics in training."""
    kind = keras.layers.BatchNormalization
    return [layer for layer in all_layers(model) if isinstance(layer, kind) and layer.trainable]


def _refuse_coupling(records, x):
    size = keras.tree.flatten(x)[0].shape[0]
    for layer, calls in records.items():
        for call in calls:
            if isinstance(layer, keras.layers.BatchNormalization) and call.training:
                raise ValueError(
                    f"layer {layer.name!r} couples the examples of a batch, so that none has its own gradient"
                )
            shape = call.preactivation.shape
            if size is not None and shape[0] not in (None, size):
                raise ValueError(
                    f"layer {layer.name!r} must see one example per entry of the first axis, {size} of them, "
                    f"got shape {tuple(shape)}"
                )


def _regularization_gradients(model, values):
    with tf.GradientTape() as tape:
        tape.watch(values)
        pairs = zip(model.trainable_variables, values, strict=True)
        losses = [v.regularizer(value) for v, value in pairs if v.regularizer is not None]
        total = tf.add_n([at_least_float32(loss) for loss in losses]) if losses else tf.zeros(())
    return [at_least_float32(g) for g in tape.gradient(total, values, unconnected_gradients="zero")]
