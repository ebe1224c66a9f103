"""Computes the factors of F on one batch, by a backward pass for labels drawn from the model."""

import tensorflow as tf

from .. import replicas
from ..keras_bridge import taps
from ..keras_bridge.internals import ignored_class
from ..vectors import precision


def observe(preconditioners, objective, labels, states, weight, share=1.0):
    """Returns the preconditioners' states after one more batch on this replica, and the batch's weights.

    The weights are the sums of w and of w^2 over each output's positions with weights w in the loss, a tensor
    with a row of two for each output.

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
        targets = (
            labels(distribution, predictions) if callable(labels) else distribution.valid_targets(labels)
        )
        weights = tf.nest.flatten(objective.nll_weights(predictions))
        losses = tf.nest.flatten(distribution.nll(targets, predictions))
        parts = zip(weights, losses, strict=True)
        loss = tf.add_n([tf.cast(tf.reduce_sum(tf.sqrt(w) * part), precision(values)) for w, part in parts])
    value_of = {id(v): value for v, value in zip(variables, values, strict=True)}
    calls = [records.get(block.layer, []) for block in blocks]
    points = [
        [call.preactivation for call in layer_calls]
        if block.differentiates == "calls"
        else [value_of[id(v)] for v in block.variables]
        for block, layer_calls in zip(blocks, calls, strict=True)
    ]
    gradients = tape.gradient(loss, points)
    counted = None
    if any(
        term.sample_weight is not None or ignored_class(term.loss) is not None for term in objective.terms
    ):
        counted = tf.reduce_any([_any_per_example(w > 0) for w in weights], 0)
    observed = zip(preconditioners, states, calls, gradients, strict=True)
    states = [
        p.observe(state, layer_calls, slopes, weight, replicas.number(), share, counted)
        for p, state, layer_calls, slopes in observed
    ]
    weights = [tf.cast(w, precision(values)) for w in weights]
    # The weights of a subsample are scaled such that their sum is the whole batch's.
    share = tf.cast(objective.share, precision(values))
    return states, tf.stack([[tf.reduce_sum(w), share * tf.reduce_sum(w**2)] for w in weights])


def _any_per_example(flags):
    return tf.reduce_any(flags, list(range(1, flags.shape.rank)))


def draw(distribution, predictions, seed):
    """Returns labels drawn from the model, independent of how the batch is split among replicas.

    Args:
        distribution: The `OutputDistribution`.
        predictions: The distribution's parameters for this replica's examples, [B, ..., D]; for this
            independence all replicas must have the same number of examples. A list for several outputs.
        seed: Two integers.
    """
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group

    def repeated(outputs):
        # Noise depends on the index in the batch: draw for the preceding replicas, too, and drop theirs.
        copies = tf.concat([[replica + 1], tf.ones([len(outputs.shape) - 1], tf.int32)], 0)
        return tf.tile(outputs, copies)

    labels = distribution.sample(tf.nest.map_structure(repeated, predictions), tf.stack(seed))
    size = tf.shape(tf.nest.flatten(predictions)[0])[0]
    return replicas.own_rows(labels, size)
