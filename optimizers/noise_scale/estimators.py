r"""Squared gradient norms of a batch and of smaller batches in it, to estimate a noise scale.

As \(E|G_{est}|^2 = |G|^2 + tr(\Sigma) / B\) (Eq. 4.5.2), the squared norms at two batch sizes give |G|^2 and
tr Sigma (`theory.noise_scale.two_batch_estimates`). The small batches are parts of the big one:

- `per_example`: single examples, whose norms follow from the layers' inputs and gradients in one backward
  pass;
- `microbatches`: equal parts of each replica's share, with one backward pass for each;
- `replicas`: the shares of the replicas of a strategy.

`curved` replaces |G_est|^2 by G_est^T H G_est, for the noise scale of Eq. 4.5.8. For an unbiased estimate, H
and the gradients must come from different examples: the batch is halved, and the H of each half is combined
with the gradients of the other.

Gradients are those of the compiled loss, including all regularizers. Weight regularizers are the same for
all examples, so that they contribute to G and not to the noise.

Legend: B examples in a batch, K microbatches, R replicas.
"""

import keras
import tensorflow as tf

from .. import replicas
from ..curvature.products import hessian_product
from ..keras_bridge.compiled_objective import objective_of
from ..keras_bridge.internals import all_layers
from ..keras_bridge.stateless import trainable_values
from ..layer_rules import per_example
from ..vectors import at_least_float32, dot, precision


def choose(model):
    """Returns the method that `auto` selects for a model: `per_example` or `microbatches`.

    Estimates from per-example norms have the smallest variance. Microbatches are used for models with layers
    that have no rule, with recurrent layers (which per-example norms would unroll), or with batch
    normalization (under which no example has a gradient of its own). Each microbatch is then normalized by
    its own statistics, as a replica's share is.

    Args:
        model: A built `keras.Model`.
    """
    recurrent = any(isinstance(layer, keras.layers.RNN) for layer in all_layers(model))
    if recurrent or per_example.unsupported_reason(model) or per_example.batch_coupling(model):
        return "microbatches"
    return "per_example"


def squares(method, model, data, pieces):
    """Returns squared gradient norms at two batch sizes, over the examples of all replicas.

    Args:
        method: `per_example`, `microbatches` or `replicas`.
        model: A built and compiled `keras.Model`.
        data: A batch in the form that `train_step` receives from `fit`.
        pieces: Number of microbatches in this replica's share, at most its number of examples.

    Returns:
        [mean of |G_s|^2, |G_b|^2, B_s, B_b] in one tensor, [4].
    """
    if method == "per_example":
        return _per_example_squares(model, data)
    return _piece_squares(model, data, 1 if method == "replicas" else pieces)


def _per_example_squares(model, data):
    norms, gradients, regularization = per_example.squared_norms(_objective(model, data))
    size = tf.cast(tf.shape(norms)[0], norms.dtype)
    total, count = replicas.total([tf.reduce_sum(norms), size])
    # A replica's gradient is the mean over its own examples.
    big = [g / count for g in replicas.total([size * g for g in gradients])]
    noisy = _square([g - r for g, r in zip(big, regularization, strict=True)])
    small = total / count - noisy + _square(big)
    return tf.stack([small, _square(big), tf.ones_like(count), count])


def _piece_squares(model, data, pieces):
    size = _size(data)
    pieces = tf.minimum(pieces, size)
    piece_size = size // tf.maximum(pieces, 1)
    values = trainable_values(model)

    def add(index, gradients, total):
        piece = _gradient(_objective(model, _piece(data, index, pieces, piece_size), index), values)
        return index + 1, [g + p for g, p in zip(gradients, piece, strict=True)], total + _square(piece)

    zeros = [tf.zeros_like(at_least_float32(v)) for v in values]
    start = (tf.constant(0), zeros, tf.zeros((), precision(zeros)))
    _, gradients, total = tf.while_loop(lambda i, *_: i < pieces, add, start)
    number, examples = (tf.cast(value, total.dtype) for value in (pieces, piece_size))
    total, number, inverses = replicas.total([total, number, number / examples])
    big = _square([g / tf.cast(number, g.dtype) for g in replicas.total(gradients)])
    # With these sizes, E|G_s|^2 and E|G_b|^2 are exact even if replicas have pieces of unequal sizes.
    return tf.stack([total / number, tf.cast(big, total.dtype), number / inverses, number**2 / inverses])


def curved(model, data, pieces):
    """Returns G_s^T H G_s and G_b^T H G_b for the microbatches in two halves of the batch and their means.

    This costs about three gradients of the batch and `pieces` products with the Hessian of a half. Each
    replica halves its own share, and the results are averaged over replicas.

    Args:
        model: A built and compiled `keras.Model`.
        data: A batch in the form that `train_step` receives from `fit`.
        pieces: Number of microbatches in this replica's share, half of them in each half.

    Returns:
        [mean of G_s^T H G_s, G_b^T H G_b, B_s, B_b] in one tensor, [4].
    """
    size = _size(data) // 2
    pieces = tf.minimum(pieces // 2, size)
    piece_size = size // tf.maximum(pieces, 1)
    values = trainable_values(model)
    zero = tf.zeros((), precision(values))

    def add(index, small, big):
        half, other = _piece(data, index, 2, size), _piece(data, 1 - index, 2, size)
        forms = _forms(model, half, other, values, pieces, piece_size)
        return index + 1, small + forms[0] / 2, big + forms[1] / 2

    # Loop over the halves, so that their graph is built only once.
    _, small, big = tf.while_loop(lambda index, *_: index < 2, add, (tf.constant(0), zero, zero))
    number, examples = (tf.cast(value, small.dtype) for value in (pieces, piece_size))
    # E[g^T H g] is linear in the inverse sizes, so that their mean is exact for shares of unequal sizes.
    local = [small, big, 1 / examples, 1 / (examples * number)]
    small, big, *inverses = tf.unstack(tf.stack(replicas.total(local)) / _replicas(small))
    return tf.stack([small, big, *(1 / inverse for inverse in inverses)])


def _forms(model, half, other, values, pieces, piece_size):
    """Returns the mean of g_j^T H g_j over microbatches of a half, and g^T H g of their mean gradient g.

    H is the Hessian of the other half.
    """
    objective = _objective(model, other, -1)

    def gradient(index):
        return _gradient(_objective(model, _piece(half, index, pieces, piece_size), index), values)

    def add(index, total):
        return index + 1, [t + g for t, g in zip(total, gradient(index), strict=True)]

    def unfinished(index, *_):
        return index < pieces

    zeros = [tf.zeros_like(at_least_float32(v)) for v in values]
    _, total = tf.while_loop(unfinished, add, (tf.constant(0), zeros))
    mean = [t / tf.cast(pieces, t.dtype) for t in total]

    def form(index, small, big):
        piece = gradient(index)
        tangents = [tf.cast(g, v.dtype) for g, v in zip(piece, values, strict=True)]
        product = hessian_product(objective, values, tangents)
        product = [at_least_float32(p) * _replicas(p) for p in product]
        return index + 1, small + dot(piece, product), big + dot(mean, product)

    zero = tf.zeros((), precision(zeros))
    _, small, big = tf.while_loop(unfinished, form, (tf.constant(0), zero, zero))
    number = tf.cast(pieces, zero.dtype)
    return small / number, big / number


def _objective(model, data, index=None):
    """Returns the loss of a batch in training mode; each microbatch draws its own dropout masks."""
    state = None
    if index is not None:
        state = [_reseeded(v, index) for v in model.non_trainable_variables]
    return objective_of(model, *keras.utils.unpack_x_y_sample_weight(data), training=True, state=state)


def _reseeded(variable, index):
    value = tf.convert_to_tensor(variable)
    if variable.name != "seed_generator_state":
        return value
    # Stay far from the seeds that training uses next.
    return value + tf.cast(tf.stack([0, (index + 2) * 1_000_003]), value.dtype)


def _gradient(objective, values):
    """Returns the gradient of the replica's mean loss, which Keras divides by the number of replicas."""
    with tf.GradientTape() as tape:
        tape.watch(values)
        loss = objective.loss(values)
    gradients = tape.gradient(loss, values, unconnected_gradients="zero")
    return [
        at_least_float32(tf.convert_to_tensor(g)) * _replicas(at_least_float32(v))
        for g, v in zip(gradients, values, strict=True)
    ]


def _replicas(like):
    return tf.cast(replicas.number(), like.dtype)


def _size(data):
    return tf.shape(keras.tree.flatten(data)[0])[0]


def _piece(data, index, pieces, piece_size):
    """Returns the piece of the given index, of `pieces` pieces of `piece_size` examples."""

    def take(tensor):
        if tensor is None:
            return None
        tensor = tf.convert_to_tensor(tensor)
        rows = tf.reshape(
            tensor[: pieces * piece_size], tf.concat([[pieces, piece_size], tf.shape(tensor)[1:]], 0)
        )
        piece = tf.gather(rows, index)
        piece.set_shape([None, *tensor.shape[1:]])
        return piece

    return keras.tree.map_structure(take, data)


def _square(tensors):
    return dot(tensors, tensors)
