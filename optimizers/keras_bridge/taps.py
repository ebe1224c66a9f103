"""Records the inputs a and pre-activations s of a model's layers while it runs.

A Keras optimizer sees only gradients. Kronecker factors and per-example gradients need, for each layer, its
input a and the gradient g = dLoss/ds with respect to its pre-activation s: the gradient of a dense kernel
is the sum over examples of a g^T. `record` collects both without changing the model; g is then
`tape.gradient(loss, call.preactivation)`.

A recurrent layer is unrolled while it is recorded. Its cell's bias is replaced by bias + delta_t, with a
watched zero delta_t for each example and time step. The gradient with respect to delta_t is that with respect
to the pre-activation.

Legend: B batch, T time steps, D features, n columns of a cell's kernel.
"""

import contextlib
import dataclasses
import functools
import threading

import keras
import tensorflow as tf

from .internals import recomputes_activations

KERNEL, RECURRENT_KERNEL = "kernel", "recurrent_kernel"
# Recurrent layers with a loop of their own that run their cell step by step when they are unrolled.
_EQUIVALENT = ("curvezoo>LSTM", "curvezoo>ReLURNN")

_ABSENT = object()
_LOCK = threading.RLock()
_HOOKS = {}
# Each replica of a MirroredStrategy runs in a thread of its own, which may pause in the middle of a call.
_THREAD = threading.local()


@dataclasses.dataclass(frozen=True, eq=False)
class Call:
    """One call of a layer, or one time step of one kernel of a recurrent layer.

    Attributes:
        layer: The layer.
        inputs: Its first tensor argument, a.
        preactivation: The input of its activation, s; its output where it has no activation.
        training: The layer's `training` argument; `False` if its `call` has none.
        role: `kernel`, or `recurrent_kernel` where `inputs` is a recurrent layer's previous state [B, units].
        args: The positional arguments of the call.
        kwargs: Its keyword arguments, as Keras completes them.
    """

    layer: keras.layers.Layer
    inputs: tf.Tensor
    preactivation: tf.Tensor
    training: bool
    role: str = KERNEL
    args: tuple = ()
    kwargs: dict = dataclasses.field(default_factory=dict)


@contextlib.contextmanager
def record(layers, tape=None):
    """Records the calls of layers. On exit the layers are always restored.

    Enter the context where the model runs (under a strategy, in the replica's own function), since a
    recording sees only the calls of its own thread.

    Args:
        layers: Layers with weights of their own, or recurrent layers.
        tape: The `tf.GradientTape` that differentiates with respect to pre-activations. It is needed for
            recurrent layers, and where the tape does not watch the variables.

    Yields:
        A dict from each layer to the list of its `Call`s, in order; a layer called twice has two.

    Raises:
        ValueError: If there is a recurrent layer and no tape, its number of time steps is not static, or a
            layer ran inside a loop, a condition or a function, whose tensors cannot be used outside it.

    Example:
        >>> import keras, tensorflow as tf
        >>> layer = keras.layers.Dense(2, kernel_initializer="ones", activation="relu")
        >>> with tf.GradientTape() as tape, record([layer]) as records:
        ...     loss = tf.reduce_sum(layer(tf.constant([[1.0, -3.0]])) + 1.0)
        >>> [call] = records[layer]
        >>> call.preactivation.numpy().tolist(), tape.gradient(loss, call.preactivation).numpy().tolist()
        ([[-2.0, -2.0]], [[0.0, 0.0]])
    """
    layers = list(layers)
    if tape is None:
        for layer in layers:
            if recurrent_cell(layer) is not None:
                raise ValueError(f"tape must be given to record the recurrent layer {layer.name!r}, got None")
    with recording(layers, tape) as records:
        yield records
    for layer, calls in records.items():
        if is_inaccessible(calls):
            raise ValueError(
                f"layer {layer.name!r} must not be called inside a TensorFlow loop, condition or function, "
                "where it cannot be recorded; KFAC can skip it by skip_layers"
            )


@contextlib.contextmanager
def recording(layers, tape):
    """Records the calls of layers as `record` does, without checking that they can be used.

    Args:
        layers: As in `record`.
        tape: As in `record`.
    """
    records = {layer: [] for layer in layers}
    listeners = _thread_list("listeners")
    with contextlib.ExitStack() as stack:
        for layer in records:
            stack.enter_context(_hooked(layer))
        listeners.append((records, tape))
        stack.callback(listeners.pop)
        yield records


def is_inaccessible(calls):
    """Returns whether a call was made inside a loop, a condition or a function, outside the current graph.

    Args:
        calls: The `Call`s of a layer.
    """
    current = None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()
    tensors = [x for call in calls for x in keras.tree.flatten(call.preactivation) if tf.is_tensor(x)]
    return any(getattr(x, "graph", None) is not current for x in tensors)


def recurrent_cell(layer):
    """Returns the cell of a recurrent layer whose kernels `record` can separate, else `None`.

    These are Keras's SimpleRNN, LSTM and GRU, RNN with one of their cells, and curvezoo's LSTM and ReLURNN.
    The last has one kernel for the concatenated state and input. Excluded are other subclasses that compute
    something else, GRU with `reset_after=False` (some columns of its recurrent kernel multiply the
    state times the reset gate, others the state), `implementation=1`, which LSTM and GRU use for recurrent
    dropout, and layers that recompute their activations in the backward pass.

    Args:
        layer: The layer.
    """
    known = (keras.layers.SimpleRNN, keras.layers.LSTM, keras.layers.GRU, keras.layers.RNN)
    own = keras.saving.get_registered_name(type(layer)) in _EQUIVALENT
    if not own and not any(
        type(layer).call is kind.call and type(layer).inner_loop is kind.inner_loop
        for kind in known
        if isinstance(layer, kind)
    ):
        return None
    cells = (keras.layers.SimpleRNNCell, keras.layers.LSTMCell, keras.layers.GRUCell)
    cell = layer.cell
    if not own and not any(type(cell).call is kind.call for kind in cells):
        return None
    separate_gates = getattr(cell, "implementation", 2) != 2 or not getattr(cell, "reset_after", True)
    recomputed = recomputes_activations(layer) or recomputes_activations(cell)
    return None if separate_gates or recomputed else cell


def _thread_list(name):
    if not hasattr(_THREAD, name):
        setattr(_THREAD, name, [])
    return getattr(_THREAD, name)


def _listeners(layer):
    return [(records[layer], tape) for records, tape in _thread_list("listeners") if layer in records]


@contextlib.contextmanager
def _hooked(layer):
    """Hooks a layer once, however many recordings in however many threads overlap."""
    with _LOCK:
        count, stack = _HOOKS.get(layer, (0, None))
        if stack is None:
            stack = contextlib.ExitStack()
            hook = _hook if recurrent_cell(layer) is None else _hook_recurrent
            hook(layer, stack)
        _HOOKS[layer] = count + 1, stack
    try:
        yield
    finally:
        with _LOCK:
            count, stack = _HOOKS.pop(layer)
            if count > 1:
                _HOOKS[layer] = count - 1, stack
            else:
                stack.close()


@contextlib.contextmanager
def _replaced(target, **values):
    """Sets attributes without Keras's tracking, and restores the old ones."""
    saved = {name: target.__dict__.get(name, _ABSENT) for name in values}
    for name, value in values.items():
        object.__setattr__(target, name, value)
    try:
        yield
    finally:
        for name, value in saved.items():
            if value is _ABSENT:
                object.__delattr__(target, name)
            else:
                object.__setattr__(target, name, value)


def _hook(layer, stack):
    call, activation = layer.call, layer.__dict__.get("activation")
    stack.enter_context(_replaced(layer, call=_tapped_call(layer, call)))
    if callable(activation):
        stack.enter_context(_replaced(layer, activation=_tapped_activation(layer, activation)))


def _tapped_call(layer, call):
    @functools.wraps(call)
    def tapped(*args, **kwargs):
        listeners = _listeners(layer)
        if not listeners:
            return call(*args, **kwargs)
        frames = _thread_list("frames")
        frame = [layer, None]
        frames.append(frame)
        try:
            outputs = call(*args, **kwargs)
        finally:
            frames.pop()
        tensors = [x for x in keras.tree.flatten([args, kwargs]) if keras.ops.is_tensor(x)]
        inputs = tensors[0] if tensors else None
        preactivation = outputs if frame[1] is None else frame[1]
        training = bool(kwargs.get("training", False))
        for calls, tape in listeners:
            if frame[1] is None and tape is not None:
                tape.watch(keras.tree.flatten(outputs))
            calls.append(Call(layer, inputs, preactivation, training, args=args, kwargs=kwargs))
        return outputs

    return tapped


def _tapped_activation(layer, activation):
    def tapped(x, *args, **kwargs):
        frames = _thread_list("frames")
        if frames and frames[-1][0] is layer and frames[-1][1] is None:
            frames[-1][1] = x
            for _, tape in _listeners(layer):
                if tape is not None:
                    tape.watch(x)
        return activation(x, *args, **kwargs)

    return tapped


def _hook_recurrent(layer, stack):
    cell = layer.cell
    values = {"unroll": True, "call": _static_call(layer, layer.call)}
    if hasattr(layer, "use_cudnn"):
        values["use_cudnn"] = False
    stack.enter_context(_replaced(layer, **values))
    stack.enter_context(_replaced(cell, call=_tapped_step(layer, cell, cell.call)))


def _static_call(layer, call):
    @functools.wraps(call)
    def checked(sequences, *args, **kwargs):
        if sequences.shape[1] is None:
            raise ValueError(
                f"the number of time steps must be static to record the recurrent layer {layer.name!r}, got "
                f"shape {tuple(sequences.shape)}: give keras.Input or the data set a fixed length"
            )
        return call(sequences, *args, **kwargs)

    return checked


def _tapped_step(layer, cell, call):
    @functools.wraps(call)
    def tapped(inputs, states, training=False, **kwargs):
        listeners = _listeners(layer)
        if not listeners:
            return call(inputs, states, training=training, **kwargs)
        state = keras.tree.flatten(states)[0]
        deltas = _zeros_per_example(cell, inputs)
        for _, tape in listeners:
            tape.watch(deltas)
        with _replaced(cell, bias=_bias_per_example(cell, deltas), use_bias=True):
            outputs = call(inputs, states, training=training, **kwargs)
        if training and cell.dropout:
            inputs = inputs * cell.get_dropout_mask(inputs)
        if training and cell.recurrent_dropout:
            state = state * cell.get_recurrent_dropout_mask(state)
        for calls, _ in listeners:
            if cell.recurrent_kernel is None:
                joined = tf.concat([state, tf.cast(inputs, state.dtype)], -1)
                calls.append(Call(layer, joined, deltas[0], bool(training), KERNEL))
                continue
            calls.append(Call(layer, inputs, deltas[0], bool(training), KERNEL))
            calls.append(Call(layer, state, deltas[-1], bool(training), RECURRENT_KERNEL))
        return outputs

    return tapped


def _zeros_per_example(cell, inputs):
    """Zeros [B, n] to differentiate with respect to: one tensor, or two for a GRU, which has two biases."""
    shape = (tf.shape(inputs)[0], cell.kernel.shape[-1])
    return [tf.zeros(shape, cell.compute_dtype) for _ in range(2 if hasattr(cell, "reset_after") else 1)]


def _bias_per_example(cell, deltas):
    """The cell's bias plus a delta for each example, [B, n], or [2, B, n] for a GRU."""
    per_example = deltas[0] if len(deltas) == 1 else tf.concat([d[tf.newaxis] for d in deltas], 0)
    if not cell.use_bias:
        return per_example
    bias = tf.cast(keras.ops.convert_to_tensor(cell.bias), cell.compute_dtype)
    return per_example + (bias if len(deltas) == 1 else bias[:, tf.newaxis])
