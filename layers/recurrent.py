"""Recurrent layers: the ReLU network of Eq. 5.2.1, the LSTM, and the LSTM with layer norm (Sec. 5.2).

All are `keras.layers.RNN`s. They map sequences to the states of all steps, unless `return_sequences=False`.
With `return_state=True` they also return the state after the last step, and with `initial_state=` they start
from one. `step` advances a state by one token, for decoding.

`ReLURNN` and `LSTM` multiply the inputs by their weights for all steps at once, before the loop.

Legend: B batch, T time steps, D input features, H units.
"""

import keras
from keras import ops

from .. import arguments
from .recurrence import lstm_recurrence, relu_recurrence


class _Recurrent:
    """What the layers have in common: decoding step by step, and a config without the cell."""

    def initial_state(self, batch):
        """Returns the state before the first step: a list of zeros [B, H].

        Args:
            batch: The batch size B.
        """
        return self.get_initial_state(batch)

    def step(self, inputs, state):
        """Advances the state by one step.

        Args:
            inputs: The inputs of one step, [B, D].
            state: The state, as `initial_state` or this method returns it.

        Returns:
            The output [B, H] and the new state.
        """
        if not self.built:
            self.build((None, None, inputs.shape[-1]))
        return self.cell(inputs, state, training=False)

    @classmethod
    def from_config(cls, config):
        """Returns the layer that `get_config` describes."""
        return cls(**config)


class ReLURNNCell(keras.layers.Layer):
    r"""One step of `ReLURNN`: \(h_{k+1} = \text{ReLU}((h_k, x_k) W + b)\).

    Args:
        units: The dimension \(d_h\) of the state.
        kernel_initializer: Initializer of the rows of \(W\) that multiply \(x\).
        recurrent_initializer: Initializer of the rows of \(W\) that multiply \(h\).
        bias_initializer: Initializer of \(b\).
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    use_bias = True
    recurrent_kernel = None  # It is part of the kernel.
    dropout = recurrent_dropout = 0.0

    def __init__(
        self,
        units,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.units = self.state_size = self.output_size = arguments.integer("units", units, 1)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def build(self, input_shape):
        """Creates W [H + D, H], whose first H rows multiply the state, and b [H]."""
        features = input_shape[-1]

        def concatenated(_, dtype=None):
            parts = (self.recurrent_initializer, self.units), (self.kernel_initializer, features)
            return ops.concatenate([draw((rows, self.units), dtype=dtype) for draw, rows in parts])

        self.kernel = self.add_weight(
            shape=(self.units + features, self.units), name="kernel", initializer=concatenated
        )
        self.bias = self.add_weight(shape=(self.units,), name="bias", initializer=self.bias_initializer)

    def call(self, inputs, states, training=False):
        """Returns the new state, as the output and in a list."""
        joined = ops.concatenate([states[0], inputs], axis=-1)
        state = ops.relu(ops.matmul(joined, self.kernel) + self.bias)
        return state, [state]

    def get_initial_state(self, batch_size=None):
        """Returns a list of zeros [B, H]."""
        return [ops.zeros((batch_size, self.units), dtype=self.compute_dtype)]

    def get_config(self):
        """Returns the arguments that rebuild this cell."""
        return {**super().get_config(), "units": self.units, **_serialized(self, _INITIALIZERS)}


@keras.saving.register_keras_serializable("curvezoo")
class ReLURNN(_Recurrent, keras.layers.RNN):
    r"""The recurrent network of Eq. 5.2.1, with one weight for the concatenated state and input.

    \[ h_{k+1} = \text{ReLU}\left((h_k, x_k) W + b\right) \]

    The weight `cell.kernel`, \(W\), is `[d_h + d_x, d_h]`, the transpose of the notes' matrix. Its first
    \(d_h\) rows multiply the state. There are \(d_h (d_x + d_h)\) weights and \(d_h\) biases.

    Args:
        units: The dimension \(d_h\) of the state.
        kernel_initializer: Initializer of the rows of \(W\) that multiply \(x\).
        recurrent_initializer: Initializer of the rows of \(W\) that multiply \(h\). Le et al. (2015) take the
            identity.
        bias_initializer: Initializer of \(b\).
        return_sequences: Whether to return the states of all steps `[B, T, H]`, or the last one `[B, H]`.
        **kwargs: Further arguments of `keras.layers.RNN`, such as `return_state`.

    Raises:
        ValueError: If `units` is not a positive integer.

    References:
        Le, Jaitly and Hinton, "A Simple Way to Initialize Recurrent Networks of Rectified Linear Units"
        (2015), arXiv:1504.00941.

    Example:
        >>> layer = ReLURNN(3)
        >>> layer(keras.ops.ones((2, 5, 4))).shape, layer.count_params()
        (TensorShape([2, 5, 3]), 24)
    """

    def __init__(
        self,
        units,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
        return_sequences=True,
        **kwargs,
    ):
        cell = ReLURNNCell(
            units, kernel_initializer, recurrent_initializer, bias_initializer, dtype=kwargs.get("dtype")
        )
        super().__init__(cell, return_sequences=return_sequences, **kwargs)

    def inner_loop(self, sequences, initial_state, mask, training=False):
        """Runs all steps; masked and unrolled sequences take Keras's loop over the cell."""
        if mask is not None or self.unroll or self.go_backwards:
            return super().inner_loop(sequences, initial_state, mask, training)
        recurrent, kernel = ops.split(_tensor(self.cell.kernel, self), [self.cell.units], axis=0)
        projected = ops.matmul(_time_major(sequences), kernel) + _tensor(self.cell.bias, self)
        states = relu_recurrence(projected, recurrent, initial_state[0])
        return states[-1], _time_major(states), [states[-1]]

    def get_config(self):
        """Returns the arguments that rebuild this layer."""
        config = super().get_config()
        del config["cell"]
        return {**config, "units": self.cell.units, **_serialized(self.cell, _INITIALIZERS)}


@keras.saving.register_keras_serializable("curvezoo")
class LSTM(_Recurrent, keras.layers.LSTM):
    r"""Keras's LSTM, with a gradient that multiplies by the states of all steps at once.

    \[ (i, f, g, o) = x_t W + h_{t-1} U + b, \qquad c_t = \sigma(f) c_{t-1} + \sigma(i) \tanh g, \qquad
    h_t = \sigma(o) \tanh c_t \]

    Weights, their order and initial values, and results are those of `keras.layers.LSTM`. There are
    \(4 d_h (d_x + d_h)\) weights (Eq. 5.2.2) and \(4 d_h\) biases. The gradient of the loop is written out
    (see `recurrence`). Sequences with a mask, other activations than the default ones, dropout inside the
    layer, `unroll` and `go_backwards` take Keras's own loop.

    Args:
        units: The dimension \(d_h\) of the state and of the cell.
        return_sequences: Whether to return the states of all steps `[B, T, H]`, or the last one `[B, H]`.
        **kwargs: Further arguments of `keras.layers.LSTM`, such as `return_state`.

    Raises:
        ValueError: If `units` is not a positive integer.

    References:
        Hochreiter and Schmidhuber, "Long Short-Term Memory" (1997).

    Example:
        >>> layer = LSTM(3)
        >>> layer(keras.ops.ones((2, 5, 4))).shape, layer.count_params()
        (TensorShape([2, 5, 3]), 96)
    """

    def __init__(self, units, return_sequences=True, **kwargs):
        units = arguments.integer("units", units, 1)
        super().__init__(units, return_sequences=return_sequences, **kwargs)

    def inner_loop(self, sequences, initial_state, mask, training=False):
        """Runs all steps."""
        cell = self.cell
        common = (
            mask is None
            and not self.unroll
            and not self.go_backwards
            and not (training and (cell.dropout or cell.recurrent_dropout))
            and cell.activation is keras.activations.tanh
            and cell.recurrent_activation is keras.activations.sigmoid
        )
        if not common:
            return super().inner_loop(sequences, initial_state, mask, training)
        projected = ops.matmul(_time_major(sequences), _tensor(cell.kernel, self))
        if cell.use_bias:
            projected = projected + _tensor(cell.bias, self)
        h, c = lstm_recurrence(projected, _tensor(cell.recurrent_kernel, self), *initial_state)
        return h[-1], _time_major(h), [h[-1], c[-1]]


class LayerNormLSTMCell(keras.layers.Layer):
    r"""One step of `LayerNormLSTM`.

    Args:
        units: The dimension of the state and of the cell.
        epsilon: Added to the variances.
        kernel_initializer: Initializer of the weights of the inputs.
        recurrent_initializer: Initializer of the weights of the state.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(
        self,
        units,
        epsilon=1e-5,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.units = self.output_size = arguments.integer("units", units, 1)
        self.state_size = [self.units, self.units]
        self.epsilon = arguments.positive_number("epsilon", epsilon)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)

    def build(self, input_shape):
        """Creates the kernels, the gains and offsets of the norms, and the bias, 1 for the forget gate."""
        columns = 4 * self.units

        def forget_by_one(_, dtype=None):
            parts = [make((self.units,), dtype=dtype) for make in (ops.zeros, ops.ones, ops.zeros, ops.zeros)]
            return ops.concatenate(parts)

        def weight(name, shape, initializer):
            return self.add_weight(shape=shape, name=name, initializer=initializer)

        self.kernel = weight("kernel", (input_shape[-1], columns), self.kernel_initializer)
        self.recurrent_kernel = weight("recurrent_kernel", (self.units, columns), self.recurrent_initializer)
        self.bias = weight("bias", (columns,), forget_by_one)
        self.input_gain = weight("input_gain", (columns,), "ones")
        self.recurrent_gain = weight("recurrent_gain", (columns,), "ones")
        self.cell_gain = weight("cell_gain", (self.units,), "ones")
        self.cell_offset = weight("cell_offset", (self.units,), "zeros")

    def call(self, inputs, states, training=False):
        """Returns the new state, and the new state and cell in a list."""
        h, c = states
        z = self.normalize(ops.matmul(inputs, self.kernel)) * self.input_gain + self.bias
        z = z + self.normalize(ops.matmul(h, self.recurrent_kernel)) * self.recurrent_gain
        i, f, g, o = ops.split(z, 4, axis=-1)
        c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
        h = ops.sigmoid(o) * ops.tanh(self.normalize(c) * self.cell_gain + self.cell_offset)
        return h, [h, c]

    def normalize(self, x):
        """Returns x with mean 0 and variance 1 over its last axis (Eqs. 5.1.4 and 5.1.5)."""
        mean = ops.mean(x, axis=-1, keepdims=True)
        variance = ops.mean(ops.square(x - mean), axis=-1, keepdims=True)
        # A tensor: Keras would cast a Python float to float32 on its way to float64.
        return (x - mean) * ops.rsqrt(variance + ops.convert_to_tensor(self.epsilon, variance.dtype))

    def get_initial_state(self, batch_size=None):
        """Returns zeros [B, H] for the state and for the cell."""
        return [ops.zeros((batch_size, self.units), dtype=self.compute_dtype) for _ in range(2)]

    def get_config(self):
        """Returns the arguments that rebuild this cell."""
        own = {"units": self.units, "epsilon": self.epsilon}
        return {**super().get_config(), **own, **_serialized(self, _INITIALIZERS[:2])}


@keras.saving.register_keras_serializable("curvezoo")
class LayerNormLSTM(_Recurrent, keras.layers.RNN):
    r"""The LSTM with layer norm of both projections and of the cell (Ba, Kiros and Hinton, 2016).

    \[ (i, f, g, o) = \text{LN}(x_t W) + \text{LN}(h_{t-1} U) + b, \qquad
    c_t = \sigma(f) c_{t-1} + \sigma(i) \tanh g, \qquad h_t = \sigma(o) \tanh \text{LN}(c_t) \]

    Batch norm would need statistics of every time step. Layer norm takes them over the features of one
    example (Sec. 5.2.3). Every norm has learned gains. Only that of the cell has offsets of its own, since
    the bias \(b\) serves both projections. \(b\) starts at 1 for the forget gate.

    Args:
        units: The dimension \(d_h\) of the state and of the cell.
        epsilon: Added to the variances.
        kernel_initializer: Initializer of \(W\).
        recurrent_initializer: Initializer of \(U\).
        return_sequences: Whether to return the states of all steps `[B, T, H]`, or the last one `[B, H]`.
        **kwargs: Further arguments of `keras.layers.RNN`, such as `return_state`.

    Raises:
        ValueError: If `units` is not a positive integer, or `epsilon` not a positive number.

    References:
        Ba, Kiros and Hinton, "Layer Normalization" (2016), arXiv:1607.06450, Eqs. 20 to 22.

    Example:
        >>> layer = LayerNormLSTM(3)
        >>> layer(keras.ops.ones((2, 5, 4))).shape, layer.count_params()
        (TensorShape([2, 5, 3]), 126)
    """

    def __init__(
        self,
        units,
        epsilon=1e-5,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        return_sequences=True,
        **kwargs,
    ):
        cell = LayerNormLSTMCell(
            units, epsilon, kernel_initializer, recurrent_initializer, dtype=kwargs.get("dtype")
        )
        super().__init__(cell, return_sequences=return_sequences, **kwargs)

    def get_config(self):
        """Returns the arguments that rebuild this layer."""
        config = super().get_config()
        del config["cell"]
        own = {"units": self.cell.units, "epsilon": self.cell.epsilon}
        return {**config, **own, **_serialized(self.cell, _INITIALIZERS[:2])}


_INITIALIZERS = ("kernel_initializer", "recurrent_initializer", "bias_initializer")


def _serialized(cell, names):
    return {name: keras.initializers.serialize(getattr(cell, name)) for name in names}


def _time_major(sequences):
    """[B, T, ...] to [T, B, ...], and back."""
    return ops.transpose(sequences, (1, 0, 2))


def _tensor(variable, layer):
    return ops.cast(ops.convert_to_tensor(variable), layer.compute_dtype)
