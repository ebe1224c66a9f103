"""Recorded inputs and pre-activations against the layers' own algebra, and restored layers."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from curvezoo.optimizers.keras_bridge import taps

SEED = 0


def values(shape, seed=SEED):
    return tf.constant(np.random.default_rng(seed).normal(size=shape))


def attributes(*targets):
    return [{k: v for k, v in vars(target).items() if "dropout_mask" not in k} for target in targets]


@pytest.fixture(autouse=True)
def double_precision():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    keras.utils.set_random_seed(SEED)
    yield
    keras.config.set_dtype_policy(policy)


def kernel_gradient(calls, gradients):
    return sum(
        tf.einsum(
            "bi,bj->ij", tf.reshape(c.inputs, (-1, c.inputs.shape[-1])), tf.reshape(g, (-1, g.shape[-1]))
        )
        for c, g in zip(calls, gradients, strict=True)
    )


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("activation", ["tanh", "softmax", None, "layer"])
def test_kernel_gradients_follow_from_inputs_and_preactivation_gradients(activation, compiled):
    """A layer that is called twice has two calls."""
    activation = layers.LeakyReLU(dtype="float64") if activation == "layer" else activation
    tied = layers.Dense(3, activation=activation)
    out = layers.Dense(2)
    x = values((4, 3))

    def both():
        with tf.GradientTape() as tape, taps.record([tied, out]) as records:
            loss = tf.reduce_sum(out(tied(tied(x))) ** 2)
        assert [len(records[tied]), len(records[out])] == [2, 1]
        sources = [c.preactivation for c in records[tied]], tied.kernel.value
        gradients, expected = tape.gradient(loss, sources)
        return kernel_gradient(records[tied], gradients), expected

    out(tied(x))
    assembled, expected = (tf.function(both) if compiled else both)()
    np.testing.assert_allclose(assembled, expected, rtol=1e-12)


def test_preactivations_are_watched_even_if_no_variable_is():
    layer = layers.Dense(2, activation="tanh")
    x = values((4, 3))
    layer(x)
    with tf.GradientTape(watch_accessed_variables=False) as tape, taps.record([layer], tape) as records:
        loss = tf.reduce_sum(layer(x))
    [call] = records[layer]
    expected = 1 - np.tanh(x.numpy() @ layer.kernel.numpy() + layer.bias.numpy()) ** 2
    np.testing.assert_allclose(tape.gradient(loss, call.preactivation), expected, rtol=1e-12)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.attention = layers.MultiHeadAttention(2, 3)
        self.norm = layers.BatchNormalization()
        self.out = layers.Dense(1)

    def call(self, x, training=None):
        x = self.attention(x, value=x, use_causal_mask=True)
        return self.out(inputs=self.norm(x, training=training))


def test_nested_layers_keyword_inputs_and_training_flags_are_recorded():
    model = Subclassed()
    x = values((2, 4, 5))
    model(x)
    query = model.attention._query_dense
    watched = [query, model.norm, model.out]
    with taps.record(watched) as records:
        model(x, training=True)
        outputs = model(x)
    assert [[c.training for c in records[layer]] for layer in (query, model.norm)] == [[True, False]] * 2
    np.testing.assert_array_equal(records[query][0].inputs, x)
    np.testing.assert_array_equal(records[model.out][1].inputs, records[model.norm][1].preactivation)
    np.testing.assert_array_equal(records[model.out][1].preactivation, outputs)


@pytest.mark.parametrize("fails", [False, True])
def test_recording_restores_layers_and_saved_models(fails, tmp_path):
    inputs = keras.Input((4, 3))
    x = layers.LSTM(2, return_sequences=True, name="lstm")(inputs)
    model = keras.Model(inputs, layers.Dense(2, activation="tanh", name="dense")(x))
    lstm, dense = model.get_layer("lstm"), model.get_layer("dense")
    model(values((2, 4, 3)))
    before = attributes(lstm, lstm.cell, dense)
    tracked = [list(layer.variables) for layer in (lstm, lstm.cell, dense)]
    config = json.dumps(model.get_config(), default=str)
    try:
        with tf.GradientTape() as tape, taps.record([lstm, dense], tape) as outer:
            with taps.record([dense]) as inner:
                model(values((2, 4, 3)))
            assert len(outer[dense]) == len(inner[dense]) == 1
            assert "call" in vars(dense)
            if fails:
                raise KeyError
    except KeyError:
        assert fails
    assert attributes(lstm, lstm.cell, dense) == before
    for layer, old in zip((lstm, lstm.cell, dense), tracked, strict=True):
        assert [id(v) for v in layer.variables] == [id(v) for v in old]
    assert json.dumps(model.get_config(), default=str) == config
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x = values((2, 4, 3))
    np.testing.assert_allclose(loaded(x), model(x), rtol=1e-12)


def test_a_layer_that_raises_is_restored():
    dense = layers.Dense(2)
    dense(values((2, 3)))
    before = attributes(dense)
    with pytest.raises(Exception, match="incompatible"), taps.record([dense]):
        dense(values((2, 5)))
    assert attributes(dense) == before
    with taps.record([dense]) as records:
        dense(values((2, 3)))
    assert len(records[dense]) == 1


CELLS = {
    "simple": (layers.SimpleRNN, {}),
    "simple dropout": (layers.SimpleRNN, {"dropout": 0.4, "recurrent_dropout": 0.3}),
    "lstm": (layers.LSTM, {}),
    "lstm dropout": (layers.LSTM, {"dropout": 0.4}),
    "gru": (layers.GRU, {}),
    "no bias": (layers.LSTM, {"use_bias": False}),
    "gru no bias": (layers.GRU, {"use_bias": False}),
    "backwards": (layers.LSTM, {"go_backwards": True, "return_sequences": True}),
}


@pytest.mark.parametrize("name", CELLS)
def test_recurrent_kernels_have_a_call_for_each_time_step(name):
    """The kernels' gradients are the sums over time of a g^T, and the outputs are unchanged."""
    kind, options = CELLS[name]
    layer = kind(3, seed=SEED, **options)
    x = values((4, 5, 2))
    plain = layer(x)
    training = "dropout" in name
    with tf.GradientTape() as tape, taps.record([layer], tape) as records:
        outputs = layer(x, training=training)
        loss = tf.reduce_sum(outputs**2)
    if not training:
        np.testing.assert_allclose(outputs, plain, rtol=1e-12)
    calls = records[layer]
    assert [c.role for c in calls] == [taps.KERNEL, taps.RECURRENT_KERNEL] * 5
    variables = [layer.cell.kernel.value, layer.cell.recurrent_kernel.value]
    gradients, expected = tape.gradient(loss, [[c.preactivation for c in calls], variables])
    for role in (0, 1):
        assembled = kernel_gradient(calls[role::2], gradients[role::2])
        np.testing.assert_allclose(assembled, expected[role], rtol=1e-10, atol=1e-13)


def test_both_directions_are_recorded():
    layer = layers.Bidirectional(layers.LSTM(3))
    x = values((2, 4, 2))
    layer(x)
    with tf.GradientTape() as tape, taps.record([layer.forward_layer, layer.backward_layer], tape) as records:
        layer(x)
    firsts = [records[side][0].inputs for side in (layer.forward_layer, layer.backward_layer)]
    np.testing.assert_array_equal(firsts, [x[:, 0], x[:, -1]])


def test_recurrent_layers_need_a_tape_and_a_static_length():
    layer = layers.LSTM(3)
    layer.build((None, None, 2))
    with pytest.raises(ValueError, match="tape must be given to record the recurrent layer 'lstm"):
        taps.record([layer]).__enter__()

    @tf.function(input_signature=[tf.TensorSpec((2, None, 2), tf.float64)])
    def run(x):
        with tf.GradientTape() as tape, taps.record([layer], tape):
            return layer(x)

    with pytest.raises(ValueError, match="time steps must be static to record the recurrent layer 'lstm"):
        run(values((2, 4, 2)))


@pytest.mark.parametrize(
    "kind, options", [(layers.GRU, {"reset_after": False}), (layers.LSTM, {"implementation": 1})]
)
def test_cells_with_separate_gate_inputs_are_not_supported(kind, options):
    assert taps.recurrent_cell(kind(2, **options)) is None
    assert taps.recurrent_cell(kind(2)) is not None


class Changed(layers.LSTM):
    def call(self, sequences, **kwargs):
        return super().call(-sequences, **kwargs)


def test_subclasses_with_another_call_are_not_supported():
    assert taps.recurrent_cell(Changed(2)) is None


@pytest.mark.parametrize("compiled", [False, True])
def test_a_layer_called_inside_a_loop_is_refused(compiled):
    """Its tensors cannot be used outside the loop, and a gradient with respect to them would be missing."""
    layer, x = layers.Dense(2, name="looped"), values((4, 3))
    layer(x)

    def run():
        over = tf.map_fn if compiled else tf.vectorized_map
        with taps.record([layer]):
            return over(lambda row: layer(row[tf.newaxis]), x)

    with pytest.raises(ValueError, match="'looped' must not be called inside a TensorFlow loop"):
        (tf.function(run) if compiled else run)()
    assert "call" not in vars(layer)
