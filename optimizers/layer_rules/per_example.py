r"""Squared norms of per-example gradients from one backward pass, by what enters and leaves each layer.

The gradient of one example's loss by a dense kernel is \(\sum_t a_t g_t^T\), a the layer's inputs and g the
gradient by its pre-activations, summed over positions and repeated calls. Its squared norm needs no gradient
per example: it is \(\sum_{tt'} (a_t \cdot a_{t'}) (g_t \cdot g_{t'})\), for one position \(|a|^2 |g|^2\);
where that sum over pairs of positions costs more than the product itself, the product is made.

Legend: B batch, T positions (pixels, tokens and repeated calls), m inputs and n outputs of a kernel.

References:
    I. Goodfellow, Efficient Per-Example Gradient Computations, arXiv:1510.01799.
    G. Rochette, A. Manoel, E. Tramel, Efficient Per-Example Gradient Computations in Convolutional Neural
    Networks, arXiv:1912.06015.
"""

import keras
import tensorflow as tf

from .. import replicas
from ..keras_bridge import taps
from ..vectors import at_least_float32


def unsupported_reason(model):
    """Returns why a model's per-example gradient norms can't be had from its layers, or None if they can.

    Args:
        model: A built `keras.Model`.
    """
    owners = {}
    trainable = {id(variable) for variable in model.trainable_variables}
    wrapped = {id(inner) for outer in _layers(model) for inner in _looped(outer)}
    for layer in _layers(model):
        for variable in layer._trainable_variables:
            if id(variable) not in trainable:
                continue
            if variable.path in owners or id(layer) in wrapped or _rule(layer, variable) is None:
                return f"{variable.path} of {type(layer).__name__} {layer.name!r} has no rule"
            owners[variable.path] = id(variable)
    missing = [v.path for v in model.trainable_variables if id(v) not in owners.values()]
    return f"{missing[0]} belongs to no layer" if missing else None


def batch_coupling(model):
    """Returns the name of a layer that mixes the examples of a batch in training, or None.

    Only `BatchNormalization` is known; a layer or loss of one's own may do it unseen.

    Args:
        model: A built `keras.Model`.
    """
    for layer in _layers(model):
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable:
            return layer.name
    return None


def squared_norms(objective):
    """Returns |g_i|^2 for each example of a batch, and the gradient of the loss.

    g_i = B dL/dtheta through example i, so that the mean of the g_i is the gradient: for a loss that averages
    over examples it is the gradient of the example's own loss, its sample weight included. Regularizers of
    weights belong to no example and are left out of g_i; losses of activations are in it.

    Args:
        objective: An `Objective` of a batch, under a strategy of one replica's share; its model must have no
            `unsupported_reason`, and `BatchNormalization` must run in inference mode.

    Returns:
        (norms, gradients, regularization): [B] in the type of the weights (at least float32), then the
        gradient of the whole loss and the regularizers' share of it, for each trainable variable. Under a
        strategy of R replicas all are of R times the replica's share of the loss.

    Raises:
        ValueError: If the model is not supported, or batch statistics couple the examples.
    """
    model = objective.model
    found = unsupported_reason(model)
    if found:
        raise ValueError(f"model has no per-example gradient norms: {found}")
    values = objective.values
    layers = [layer for layer in _layers(model) if layer._trainable_variables]
    with tf.GradientTape() as tape:
        tape.watch(values)
        with taps.record(layers, tape) as records:
            loss = objective.loss(values) * replicas.number()
    calls = [call for layer in layers for call in records[layer]]
    sources = [[call.preactivation for call in calls], values]
    signals, gradients = tape.gradient(loss, sources, unconnected_gradients="zero")
    signals = dict(zip(map(id, calls), signals, strict=True))
    size = tf.shape(keras.tree.flatten(objective.x)[0])[0]
    trainable = {id(variable) for variable in model.trainable_variables}
    total = 0.0
    for layer in layers:
        pairs = [(call, at_least_float32(signals[id(call)])) for call in records[layer]]
        _refuse_coupling(layer, pairs, objective.x)
        for variable in layer._trainable_variables:
            if pairs and id(variable) in trainable:
                total += _rule(layer, variable)(layer, variable, pairs)
    gradients = [at_least_float32(gradient) for gradient in gradients]
    regularization = _regularization_gradients(model, values)
    # Each g_i is B times its share of the mean.
    return total * tf.cast(size, total.dtype) ** 2, gradients, regularization


def _layers(model):
    return list(model._flatten_layers())


def _looped(layer):
    """Layers that run inside another's own loop, where their calls can't be recorded."""
    looping = isinstance(layer, keras.layers.TimeDistributed | keras.layers.RNN)
    return list(layer._flatten_layers(include_self=False)) if looping else []


def _refuse_coupling(layer, pairs, x):
    size = keras.tree.flatten(x)[0].shape[0]
    for call, signal in pairs:
        if isinstance(layer, keras.layers.BatchNormalization) and call.training:
            raise ValueError(
                f"layer {layer.name!r} couples the examples of a batch: they have no gradients of their own"
            )
        if size is not None and signal.shape[0] not in (None, size):
            raise ValueError(
                f"layer {layer.name!r} must see one example per entry of the first axis, {size} of them, "
                f"got shape {tuple(signal.shape)}"
            )


def _regularization_gradients(model, values):
    with tf.GradientTape() as tape:
        tape.watch(values)
        pairs = zip(model.trainable_variables, values, strict=True)
        losses = [v.regularizer(value) for v, value in pairs if v.regularizer is not None]
        total = tf.add_n([at_least_float32(loss) for loss in losses]) if losses else tf.zeros(())
    return [at_least_float32(g) for g in tape.gradient(total, values, unconnected_gradients="zero")]


def _rule(layer, variable):
    """The function (layer, variable, pairs of call and g) -> squared norms [B], or None."""
    for kind, rules in _RULES.items():
        if not isinstance(layer, kind) or type(layer).call is not kind.call:
            continue
        for attribute, rule in rules.items():
            if getattr(layer, attribute, None) is variable and _supported(layer):
                return rule
    return None


def _supported(layer):
    if isinstance(layer, keras.layers.EinsumDense):
        return _letters(layer.equation, 0) is not None
    if isinstance(layer, keras.layers.Conv1D | keras.layers.Conv2D):
        return layer.groups == 1 and layer.data_format == "channels_last"
    return True


def _flat(tensor, outer):
    """Axes between the first `outer` and the last become one; there is one of them at least."""
    shape = tf.shape(tensor)
    flat = tf.reshape(tensor, tf.concat([shape[:outer], [-1], shape[-1:]], 0))
    positions = tensor.shape[outer:-1].num_elements()
    flat.set_shape([*tensor.shape[:outer], positions, tensor.shape[-1]])
    return flat


def _product_norms(inputs, signals):
    """|sum_t a_t g_t^T|^2 of [..., T, m] and [..., T, n], by pairs of positions or by the product."""
    inputs, signals = tf.concat(inputs, -2), tf.concat(signals, -2)
    positions, m, n = inputs.shape[-2], inputs.shape[-1], signals.shape[-1]
    if positions == 1:
        return tf.reduce_sum(inputs**2, [-2, -1]) * tf.reduce_sum(signals**2, [-2, -1])
    if positions is not None and positions * (m + n) < m * n:
        overlaps = tf.matmul(inputs, inputs, transpose_b=True) * tf.matmul(signals, signals, transpose_b=True)
        return tf.reduce_sum(overlaps, [-2, -1])
    return tf.reduce_sum(tf.matmul(inputs, signals, transpose_a=True) ** 2, [-2, -1])


def _dense(layer, variable, pairs):
    return _product_norms(
        [_flat(at_least_float32(c.inputs), 1) for c, _ in pairs], [_flat(g, 1) for _, g in pairs]
    )


def _convolution(layer, variable, pairs):
    patches = [_flat(_patches(layer, at_least_float32(call.inputs)), 1) for call, _ in pairs]
    return _product_norms(patches, [_flat(g, 1) for _, g in pairs])


def _patches(layer, inputs):
    """What the kernel sees at each position, [B, ..., m]; a sequence is a picture of one row."""
    sizes, strides, rates = layer.kernel_size, layer.strides, layer.dilation_rate
    padding = layer.padding
    if isinstance(layer, keras.layers.Conv1D):
        if padding == "causal":
            inputs = tf.pad(inputs, [[0, 0], [rates[0] * (sizes[0] - 1), 0], [0, 0]])
            padding = "valid"
        inputs = inputs[:, tf.newaxis]
        sizes, strides, rates = (1, *sizes), (1, *strides), (1, *rates)
    return tf.image.extract_patches(inputs, [1, *sizes, 1], [1, *strides, 1], [1, *rates, 1], padding.upper())


def _einsum(layer, variable, pairs):
    norms = []
    left, kernel, right = _letters(layer.equation, len(pairs[0][0].inputs.shape))
    batch = left[0]
    shared = "".join(c for c in left[1:] if c in right and c in kernel)
    positions = "".join(c for c in left[1:] if c in right and c not in kernel)
    ins = "".join(c for c in left if c in kernel and c not in right)
    outs = "".join(c for c in right if c in kernel and c not in left)
    inputs = [_arranged(at_least_float32(c.inputs), left, (batch, shared, positions, ins)) for c, _ in pairs]
    signals = [_arranged(g, right, (batch, shared, positions, outs)) for _, g in pairs]
    norms = _product_norms(inputs, signals)
    return tf.reduce_sum(norms, axis=1)


def _arranged(tensor, letters, groups):
    """Transposes to the groups of letters and makes one axis of each group."""
    order = [letters.index(letter) for group in groups for letter in group]
    lengths, shape = tf.shape(tensor), []
    for group in groups:
        static = [tensor.shape[letters.index(c)] for c in group]
        unknown = [lengths[letters.index(c)] for c in group]
        shape.append(
            tf.reduce_prod(unknown) if None in static else int(tf.TensorShape(static).num_elements())
        )
    return tf.reshape(tf.transpose(tensor, order), shape)


def _letters(equation, rank):
    """(inputs, kernel, outputs) of an einsum that contracts or keeps every letter, else None."""
    equation = equation.replace(" ", "")
    left, rest = equation.split(",")
    kernel, right = rest.split("->")
    if "..." in equation:
        free = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in equation]
        dots = "".join(free[: max(rank - len(left) + 3, 1)])
        left, right = left.replace("...", dots), right.replace("...", dots)
    known = all((c in left) + (c in kernel) + (c in right) >= 2 for c in left + kernel + right)
    repeated = any(len(set(part)) < len(part) for part in (left, kernel, right))
    return (
        None if repeated or not known or left[0] != right[0] or left[0] in kernel else (left, kernel, right)
    )


def _bias(layer, variable, pairs):
    """The bias has the shape of the outputs' last axes, of length 1 where it is the same along one."""
    total = 0.0
    for _, signal in pairs:
        rank = len(signal.shape)
        shape = (1,) * (rank - len(variable.shape)) + tuple(variable.shape)
        total += tf.reduce_sum(signal, [i for i in range(1, rank) if shape[i] == 1], keepdims=True)
    return tf.reduce_sum(total**2, range(1, len(total.shape)))


def _embedding(layer, variable, pairs):
    ids, signals = [], []
    for call, signal in pairs:
        ids.append(_flat(tf.cast(call.inputs, tf.int32)[..., tf.newaxis], 1)[..., 0])
        signals.append(_flat(signal, 1))
    ids, signals = tf.concat(ids, 1), tf.concat(signals, 1)
    same = tf.cast(ids[:, :, tf.newaxis] == ids[:, tf.newaxis], signals.dtype)
    return tf.reduce_sum(same * tf.matmul(signals, signals, transpose_b=True), [1, 2])


def _scale(layer, variable, pairs):
    """Of y = scale * x_hat + shift, x_hat from the layer itself at scale 1 and shift 0."""
    shift = getattr(layer, "beta", None)
    unit = [tf.zeros_like(v) if v is shift else tf.ones_like(v) for v in layer.trainable_variables]
    state = [tf.convert_to_tensor(v) for v in layer.non_trainable_variables]

    def normalized(call):
        return at_least_float32(layer.stateless_call(unit, state, *call.args, **call.kwargs)[0])

    return _shift(layer, variable, [(call, signal * normalized(call)) for call, signal in pairs])


def _shift(layer, variable, pairs):
    total = 0.0
    for _, signal in pairs:
        rank = len(signal.shape)
        kept = {axis % rank for axis in keras.tree.flatten(layer.axis)}
        total += tf.reduce_sum(signal, [i for i in range(1, rank) if i not in kept])
    return tf.reduce_sum(tf.reshape(total, [tf.shape(total)[0], -1]) ** 2, axis=1)


_RULES = {
    keras.layers.Dense: {"kernel": _dense, "bias": _bias},
    keras.layers.EinsumDense: {"kernel": _einsum, "bias": _bias},
    keras.layers.Conv1D: {"kernel": _convolution, "bias": _bias},
    keras.layers.Conv2D: {"kernel": _convolution, "bias": _bias},
    keras.layers.Embedding: {"embeddings": _embedding},
    keras.layers.BatchNormalization: {"gamma": _scale, "beta": _shift},
    keras.layers.GroupNormalization: {"gamma": _scale, "beta": _shift},
    keras.layers.LayerNormalization: {"gamma": _scale, "beta": _shift},
    keras.layers.RMSNormalization: {"scale": _scale},
}
