r"""The logits behind a model's probabilities, which Keras's cross-entropies read in their place.

Keras's softmax and sigmoid attach their inputs, the logits, to the probabilities that they return. A
cross-entropy of such probabilities is a function of the logits alone; its derivative with respect to the
probabilities is zero. The Gauss-Newton matrix is therefore formed with respect to the outputs AND the logits
that come with them.

Probabilities without logits, such as those after a `Reshape` or a cast, have the logits log p for a softmax
and log p - log(1 - p) for a sigmoid, up to a constant on which the loss does not depend. With them the
Gauss-Newton matrix of a cross-entropy does not depend on how the model computes its probabilities.
"""

import keras
import tensorflow as tf

from ..keras_bridge.internals import ignored_class, wrapped_function


def expose(outputs, losses):
    """Returns the logits behind a model's outputs, by their index among the flattened outputs.

    Args:
        outputs: The model's outputs, a tensor or a nest of tensors.
        losses: The loss of each of the flattened outputs, in any form accepted by `compile`, or None where it
            is not known.
    """
    logits = {}
    for index, (output, loss) in enumerate(zip(keras.tree.flatten(outputs), losses, strict=True)):
        found = _attached(output)
        if inverse := _inverse_of(loss):
            # Keras casts the outputs to the type of the loss, which drops the logits of another type.
            dtype = getattr(loss, "dtype", None) or output.dtype
            if found is None or found.dtype != dtype:
                found = inverse(_clipped(tf.cast(output, dtype)))
        if found is not None:
            logits[index] = found
    return logits


def attach(outputs, logits, losses):
    """Returns outputs that carry the given logits, where Keras's cross-entropies look for them.

    A cross-entropy that ignores a class reads a copy of the probabilities, which has no logits. It gets the
    softmax of the logits.

    Args:
        outputs: The model's outputs, a tensor or a nest of tensors.
        logits: The value of `expose`.
        losses: As in `expose`.
    """
    flat = keras.tree.flatten(outputs)
    for i, tensor in logits.items():
        if _inverse_of(losses[i]) and ignored_class(losses[i]) is not None:
            copy = tf.nn.softmax(tensor)
        else:
            copy = tf.cast(tf.identity(flat[i]), tensor.dtype)
            copy._keras_logits = tensor
        if hasattr(flat[i], "_keras_mask"):
            copy._keras_mask = flat[i]._keras_mask
        flat[i] = copy
    return keras.tree.pack_sequence_as(outputs, flat)


def _attached(output):
    """Returns the logits that Keras finds behind probabilities, or None."""
    if hasattr(output, "_keras_logits"):
        return output._keras_logits
    symbolic = not isinstance(output, tf.__internal__.EagerTensor)
    return output.op.inputs[0] if symbolic and output.op.type in ("Softmax", "Sigmoid") else None


def _inverse_of(loss):
    """Returns the function from probabilities to logits for a cross-entropy of probabilities, else None."""
    function, options = wrapped_function(keras.losses.get(loss) if isinstance(loss, str) else loss)
    return None if options.get("from_logits", False) else _INVERSES.get(function)


def _clipped(probabilities):
    """Returns probabilities in the range in which Keras's losses depend on them."""
    epsilon = keras.config.epsilon()
    return tf.clip_by_value(probabilities, epsilon, 1 - epsilon)


def _log_odds(probabilities):
    return tf.math.log(probabilities) - tf.math.log1p(-probabilities)


_INVERSES = {
    keras.losses.categorical_crossentropy: tf.math.log,
    keras.losses.sparse_categorical_crossentropy: tf.math.log,
    keras.losses.binary_crossentropy: _log_odds,
}
