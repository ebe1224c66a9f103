"""The statistics of a batch: a backward pass of labels drawn from the model, and the averages after it."""

import tensorflow as tf

from ..keras_bridge import taps
from ..vectors import precision


def observe(preconditioners, part, labels, states, weight, replicas=1, share=1.0):
    """Returns the preconditioners' states after one more batch of this replica's, and its weights.

    The latter are the sums over positions of w and of w^2, with their weights w in the loss, a tensor [2].

    Args:
        preconditioners: The `Preconditioner`s.
        part: The `Objective` of the examples.
        labels: Labels, or a function of the distribution and the outputs that draws them.
        states: A state for each.
        weight: The weight of the batch in the averages.
        replicas: Number of replicas, over which the states are then averaged.
        share: This replica's weight in the mean over replicas of their means.
    """
    distribution, values = part.distribution, part.values
    variables = part.model.trainable_variables
    blocks = [p.block for p in preconditioners]
    tapped = [block.layer for block in blocks if block.differentiates == "calls"]
    with tf.GradientTape() as tape, taps.record(tapped, tape) as records:
        tape.watch(values)
        outputs = part.outputs(values)
        targets = labels(distribution, outputs) if callable(labels) else labels
        weights = part.nll_weights(outputs)
        loss = tf.reduce_sum(tf.sqrt(weights) * distribution.nll(targets, outputs))
    value_of = {id(v): value for v, value in zip(variables, values, strict=True)}
    calls = [records.get(block.layer, []) for block in blocks]
    points = [
        [call.preactivation for call in called]
        if block.differentiates == "calls"
        else [value_of[id(v)] for v in block.variables]
        for block, called in zip(blocks, calls, strict=True)
    ]
    quadruples = zip(preconditioners, states, calls, tape.gradient(loss, points), strict=True)
    states = [p.observe(state, *seen, weight, replicas, share) for p, state, *seen in quadruples]
    weights = tf.cast(weights, precision(values))
    # The weights of a share of the batch are such that their sum is the whole batch's.
    squares = tf.cast(part.share, weights.dtype) * tf.reduce_sum(weights**2)
    return states, tf.stack([tf.reduce_sum(weights), squares])


def draw(distribution, outputs, seed):
    """Returns labels that the model deems likely; the same ones however the batch is split among replicas.

    Args:
        distribution: The `OutputDistribution`.
        outputs: This replica's outputs, [B, ..., D]; all replicas must have as many, for the same labels.
        seed: Two integers.
    """
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    size = tf.shape(outputs)[0]
    # Noise belongs to a place in the batch: those of the replicas before are drawn too, and left.
    copies = tf.concat([[replica + 1], tf.ones([len(outputs.shape) - 1], tf.int32)], 0)
    # Of undefined probabilities, labels may be drawn that do not exist, and end the program.
    outputs = tf.where(tf.math.is_finite(outputs), outputs, tf.zeros_like(outputs))
    return distribution.sample(tf.tile(outputs, copies), tf.stack(seed))[replica * size :]
