"""A model's outputs on a whole split.

B batch, T positions, V vocabulary.
"""

import numpy as np
import tensorflow as tf


def outputs_and_targets(model, split):
    """Returns a model's outputs and the targets of a whole split, in its order.

    Args:
        model: A `keras.Model`.
        split: A `tf.data.Dataset` of (inputs, targets).

    Returns:
        Two NumPy arrays with a row for each example.
    """
    step = tf.function(lambda inputs: model(inputs, training=False), reduce_retracing=True)
    pairs = [(step(inputs).numpy(), targets.numpy()) for inputs, targets in split]
    outputs, targets = zip(*pairs, strict=True)
    return np.concatenate(outputs), np.concatenate(targets)


def images_of(splits):
    """Returns the images of the test split as they are in the data set, [N, H, W, C].

    Args:
        splits: The `Splits`, possibly of images that were binarized or dequantized.
    """
    return np.concatenate([images for images, _ in splits.source.test.as_numpy_iterator()])


def token_losses(model, split):
    """Yields the losses of the target tokens of a split, batch by batch.

    Args:
        model: A `keras.Model` of logits `[B, T, V]`.
        split: A `tf.data.Dataset` of (inputs, targets), the targets `[B, T]`.

    Yields:
        Three NumPy arrays `[B, T]`: the negative log-likelihood of each target in nats, float64; whether it
        has the largest logit; and the targets.
    """

    @tf.function(reduce_retracing=True)
    def losses(inputs, targets):
        logits = tf.cast(model(inputs, training=False), tf.float64)
        nats = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
        return nats, tf.equal(tf.argmax(logits, axis=-1, output_type=targets.dtype), targets)

    for inputs, targets in split:
        # Keras takes several inputs as a list.
        nats, correct = losses(list(inputs) if isinstance(inputs, tuple) else inputs, targets)
        yield nats.numpy(), correct.numpy(), targets.numpy()


def inputs_at(split, indices):
    """Returns some inputs of a split, holding one batch at a time.

    Args:
        split: A `tf.data.Dataset` of (inputs, targets).
        indices: Positions in the split's order.

    Returns:
        The inputs in the order of `indices`, one NumPy array.
    """
    inputs_by_index, first, needed = {}, 0, set(map(int, indices))
    for inputs, _ in split:
        here = [i for i in needed if first <= i < first + len(inputs)]
        inputs_by_index |= {i: inputs[i - first].numpy() for i in here}
        first += len(inputs)
        if len(inputs_by_index) == len(needed):
            break
    return np.stack([inputs_by_index[int(i)] for i in indices])
