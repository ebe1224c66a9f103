"""Computes the factors of F on one batch, by a backward pass for labels drawn from the model."""

import tensorflow as tf

from .. import replicas
from ..keras_bridge import taps
from ..vectors import precision


def observe(preconditioners, objective, labels, states, weight, share=1.0):
    """Returns the preconditioners' states after one more batch on this replica, and the batch's weights.

    The weights are the sums of w and of w^2 over positions with weights w in the loss, a tensor [2].

    Args:
        preconditioners: The `Preconditioner`s.
        objective: The `Objective` of the examples.
        labels: Labels, or a function of the distribution and its parameters that draws them.
        states: A state for each preconditioner.
        weight: The weight of the batch in the running averages.
        share: This replica's weight in the mean over replicas of their means.
    """
    distribution, values = objective.distribution, objective.values
    variables = objective.model.trainable_variables
    blocks = [p.block for p in preconditioners]
    tapped = [block.layer for block in blocks if block.differentiates == "calls"]
    with tf.GradientTape() as tape, taps.record(tapped, tape) as records:
        tape.watch(values)
        predictions = objective.predictions(values)
        targets = labels(distribution, predictions) if callable(labels) else labels
        weights = objective.nll_weights(predictions)
        loss = tf.reduce_sum(tf.sqrt(weights) * distribution.nll(targets, predictions))
    value_of = {id(v): value for v, value in zip(variables, values, strict=True)}
    calls = [records.get(block.layer, []) for block in blocks]
    points = [
        [call.preactivation for call in layer_calls]
        if block.differentiates == "calls"
        else [value_of[id(v)] for v in block.variables]
        for block, layer_calls in zip(blocks, calls, strict=True)
    ]
    gradients = tape.gradient(loss, points)
    observed = zip(preconditioners, states, calls, gradients, strict=True)
    states = [
        p.observe(state, layer_calls, slopes, weight, replicas.number(), share)
        for p, state, layer_calls, slopes in observed
    ]
    weights = tf.cast(weights, precision(values))
    # The weights of a subsample are scaled such that their sum is the whole batch's.
    squares = tf.cast(objective.share, weights.dtype) * tf.reduce_sum(weights**2)
    return states, tf.stack([tf.reduce_sum(weights), squares])


def draw(distribution, predictions, seed):
    """Returns labels drawn from the model, independent of how the batch is split among replicas.

    Args:
        distribution: The `OutputDistribution`.
        predictions: The distribution's parameters for this replica's examples, [B, ..., D]; for this
            independence all replicas must have the same number of examples.
        seed: Two integers.
    """
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    size = tf.shape(predictions)[0]
    # Noise depends on the index in the batch: also draw for the preceding replicas, and drop their labels.
    copies = tf.concat([[replica + 1], tf.ones([len(predictions.shape) - 1], tf.int32)], 0)
    return distribution.sample(tf.tile(predictions, copies), tf.stack(seed))[replica * size :]
