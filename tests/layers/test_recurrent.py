"""The oracles are Keras's layers with the same weights, NumPy loops, and automatic differentiation."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from curvezoo import layers

KINDS = {"rnn": layers.ReLURNN, "lstm": layers.LSTM, "layer_norm_lstm": layers.LayerNormLSTM}
B, T, D, H = 3, 6, 4, 5


def made(kind, **kwargs):
    """A layer with random weights in float64, and its inputs."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(B, T, D))
    layer = KINDS[kind](H, dtype="float64", **kwargs)
    layer.build(x.shape)
    layer.set_weights([rng.normal(size=w.shape) / np.sqrt(w.shape[0]) for w in layer.get_weights()])
    return layer, tf.constant(x)


def keras_twin(layer):
    """Keras's layer with the same weights."""
    if isinstance(layer, layers.LSTM):
        twin = keras.layers.LSTM(H, return_sequences=True, return_state=True, dtype="float64")
        weights = layer.get_weights()
    else:
        twin = keras.layers.SimpleRNN(
            H, activation="relu", return_sequences=True, return_state=True, dtype="float64"
        )
        kernel, bias = layer.get_weights()
        weights = [kernel[H:], kernel[:H], bias]
    twin.build((B, T, D))
    twin.set_weights(weights)
    return twin


def states_of(kind):
    rng = np.random.default_rng(2)
    return [tf.constant(np.abs(rng.normal(size=(B, H)))) for _ in range(1 if kind == "rnn" else 2)]


def loss_of(outputs):
    """A loss that weighs every entry of the outputs and of the final state differently."""
    rng = np.random.default_rng(3)
    return sum(tf.reduce_sum(x * tf.constant(rng.normal(size=x.shape))) for x in outputs)


@pytest.mark.equation("5.2.1")
@pytest.mark.parametrize("kind", ["rnn", "lstm"])
def test_outputs_states_and_gradients_equal_those_of_keras(kind):
    layer, x = made(kind, return_state=True)
    state = states_of(kind)
    results, gradients = [], []
    for one in (layer, keras_twin(layer)):
        with tf.GradientTape() as tape:
            tape.watch([x, *state])
            outputs = one(x, initial_state=state)
            loss = loss_of(outputs)
        results.append(outputs)
        gradients.append(tape.gradient(loss, [x, *state, *[w.value for w in one.trainable_weights]]))
    if kind == "rnn":
        *inputs, kernel, recurrent, bias = gradients[1]
        gradients[1] = [*inputs, tf.concat([recurrent, kernel], 0), bias]
    for one, other in zip([*results[0], *gradients[0]], [*results[1], *gradients[1]], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def relu_rnn(x, weights):
    """Eq. 5.2.1 with the matrix of the notes, [d_h, d_h + d_x]."""
    matrix, bias = weights[0].T, weights[1]
    h, states = np.zeros(H), []
    for x_k in x:
        h = np.maximum(matrix @ np.concatenate([h, x_k]) + bias, 0)
        states.append(h)
    return np.array(states)


def normalized(x):
    return (x - x.mean()) / np.sqrt(x.var() + 1e-5)


def layer_norm_lstm(x, weights):
    """Ba, Kiros and Hinton (2016), Eqs. 20 to 22, with the gates in Keras's order."""
    kernel, recurrent, bias, input_gain, recurrent_gain, cell_gain, cell_offset = weights
    h, c, states = np.zeros(H), np.zeros(H), []
    for x_t in x:
        z = normalized(x_t @ kernel) * input_gain + normalized(h @ recurrent) * recurrent_gain + bias
        i, f, g, o = np.split(z, 4)
        i, f, o = (1 / (1 + np.exp(-gate)) for gate in (i, f, o))
        c = f * c + i * np.tanh(g)
        h = o * np.tanh(normalized(c) * cell_gain + cell_offset)
        states.append(h)
    return np.array(states)


@pytest.mark.equation("5.2.1")
@pytest.mark.parametrize("kind, oracle", [("rnn", relu_rnn), ("layer_norm_lstm", layer_norm_lstm)])
def test_the_states_follow_the_recursion_of_a_numpy_loop(kind, oracle):
    layer, x = made(kind)
    expected = np.stack([oracle(sequence, layer.get_weights()) for sequence in x.numpy()])
    np.testing.assert_allclose(layer(x), expected, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("kind", KINDS)
def test_steps_one_by_one_give_the_whole_sequence_and_its_final_state(kind):
    layer, x = made(kind, return_state=True)
    outputs, *final = layer(x)
    state = layer.initial_state(B)
    assert not any(np.any(s) for s in state)
    for t in range(T):
        output, state = layer.step(x[:, t], state)
        np.testing.assert_allclose(output, outputs[:, t], rtol=1e-10, atol=1e-13)
    for one, other in zip(state, final, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-13)
    # A sequence in two parts, the second from the state after the first.
    first, *state = layer(x[:, :2])
    second, *_ = layer(x[:, 2:], initial_state=state)
    np.testing.assert_allclose(tf.concat([first, second], 1), outputs, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("kind", KINDS)
def test_the_loop_has_the_gradients_of_the_unrolled_cell(kind):
    """Automatic differentiation of the steps; graph mode with an unknown batch and length, and XLA."""
    layer, x = made(kind)
    weights = [w.value for w in layer.trainable_weights]

    def gradients(run, x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(tf.sin(2 * run(x)))
        return tape.gradient(loss, [x, *weights])

    def unrolled(x):
        state, outputs = layer.initial_state(B), []
        for t in range(T):
            output, state = layer.step(x[:, t], state)
            outputs.append(output)
        return tf.stack(outputs, 1)

    expected = gradients(unrolled, x)
    dynamic = tf.function(
        lambda x: gradients(layer, x), input_signature=[tf.TensorSpec((None, None, D), tf.float64)]
    )
    compiled = tf.function(lambda x: gradients(layer, x), jit_compile=True)
    for run in (lambda x: gradients(layer, x), dynamic, compiled):
        for one, other in zip(run(x), expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", ["rnn", "lstm"])
def test_second_derivatives_are_those_of_keras(kind):
    """Curvature products differentiate the written-out gradient once more."""
    layer, x = made(kind)
    results = []
    for one in (layer, keras_twin(layer)):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                outputs = one(x)
                loss = tf.reduce_sum(tf.sin(outputs if tf.is_tensor(outputs) else outputs[0]))
            (first,) = inner.gradient(loss, [x])
            value = tf.reduce_sum(first**3)
        results.append(outer.gradient(value, x))
    np.testing.assert_allclose(*results, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_depends_on_no_later_input(kind):
    layer, x = made(kind)
    with tf.GradientTape() as tape:
        tape.watch(x)
        states = tf.reduce_sum(layer(x), (0, 2))
    jacobian = np.abs(tape.jacobian(states, x).numpy()).sum((1, 3))  # [T, T]
    assert np.all(jacobian[np.triu_indices(T, 1)] == 0)
    assert np.all(np.tril(jacobian)[np.tril_indices(T)] > 0)


@pytest.mark.equation("5.2.2")
def test_an_lstm_has_four_d_h_times_d_x_plus_d_h_weights():
    counts = {}
    for kind, cls in KINDS.items():
        layer = cls(H)
        layer.build((None, None, D))
        counts[kind] = layer.count_params()
    assert counts["lstm"] == 4 * H * (D + H) + 4 * H
    assert counts["rnn"] == H * (D + H) + H
    assert counts["layer_norm_lstm"] == 4 * H * (D + H) + 3 * 4 * H + 2 * H
    without_bias = layers.LSTM(H, use_bias=False)
    without_bias.build((None, None, D))
    assert without_bias.count_params() == 4 * H * (D + H)


@pytest.mark.parametrize("kind", KINDS)
def test_masked_steps_keep_the_state(kind):
    layer, x = made(kind, return_sequences=False)
    mask = tf.constant([[True, True, True, False, False, False]] * B)
    np.testing.assert_allclose(layer(x, mask=mask), layer(x[:, :3]), rtol=1e-10, atol=1e-13)
    backwards = type(layer).from_config({**layer.get_config(), "go_backwards": True})
    backwards.build(x.shape)
    backwards.set_weights(layer.get_weights())
    np.testing.assert_allclose(backwards(x), layer(x[:, ::-1]), rtol=1e-10, atol=1e-13)


def test_initial_weights_are_orthogonal_for_the_state_and_one_at_the_forget_gate():
    layer = layers.ReLURNN(H)
    layer.build((None, None, D))
    kernel = layer.get_weights()[0]
    np.testing.assert_allclose(kernel[:H] @ kernel[:H].T, np.eye(H), atol=1e-6)
    for kind in (layers.LSTM, layers.LayerNormLSTM):
        layer = kind(H)
        layer.build((None, None, D))
        np.testing.assert_array_equal(layer.get_weights()[2], np.repeat([0, 1, 0, 0], H))


@pytest.mark.parametrize("cls", [layers.ReLURNN, layers.LSTM, layers.LayerNormLSTM])
@pytest.mark.parametrize("units", [0, -3, 2.5, True])
def test_units_that_are_not_a_positive_integer_are_rejected(cls, units):
    with pytest.raises(ValueError, match="units must be an integer of at least 1, got"):
        cls(units)


def test_an_epsilon_that_is_not_positive_is_rejected():
    with pytest.raises(ValueError, match="epsilon must be a positive finite number, got 0"):
        layers.LayerNormLSTM(3, epsilon=0)
