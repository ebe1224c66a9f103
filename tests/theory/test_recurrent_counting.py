"""Oracles: Keras's parameters, the products in TensorFlow's graph, and those that XLA compiles."""

import keras
import pytest
import tensorflow as tf
from keras import layers

from curvezoo.publishing.accounting import account
from curvezoo.theory import counting

CELLS = {"rnn": (counting.rnn, layers.SimpleRNN), "lstm": (counting.lstm, layers.LSTM)}


@pytest.mark.equation("5.2.2")
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("cell", CELLS)
def test_a_recurrent_layer_multiplies_every_weight_once_per_token(cell, bias):
    count_of, layer = CELLS[cell]
    inputs = keras.Input((6, 5))
    model = keras.Model(inputs, layer(7, use_bias=bias)(inputs))
    count = count_of(5, 7, bias=bias, length=6)
    gates = 4 if cell == "lstm" else 1
    weights = gates * 7 * (5 + 7)
    assert count.parameters == model.count_params() == weights + bias * gates * 7
    assert count.forward == account(model).multiplications == 6 * weights


@pytest.mark.parametrize("cell", CELLS)
def test_the_derivatives_of_a_recurrent_layer_have_the_products_that_xla_compiles(cell, dot_multiplications):
    count_of, layer = CELLS[cell]
    model = keras.Sequential([keras.Input((3, 5), 2), layer(7, unroll=True)])
    x = tf.random.normal([2, 3, 5])

    def gradient(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(x) ** 2)
        return tape.gradient(loss, model.trainable_variables)

    count = count_of(5, 7, length=3, batch=2)
    assert dot_multiplications(gradient, x) == count.forward + count.backward_weights
    assert count.backward == 2 * count.forward


@pytest.mark.parametrize(("units", "millions"), [(200, 4.65), (650, 19.8), (1500, 66.0)])
def test_the_word_models_of_zaremba_have_their_published_parameters(units, millions):
    model = counting.network(
        [
            counting.embedding(10_000, units),
            counting.lstm(units, units),
            counting.lstm(units, units),
            counting.unembedding(10_000, units, bias=True),
        ]
    )
    assert model.parameters / 1e6 == pytest.approx(millions, rel=1e-2)


def test_tied_logits_multiply_as_untied_ones_and_have_no_parameters():
    tied, untied = (counting.unembedding(11, 4, tied=tied, bias=True, length=3) for tied in (True, False))
    assert (tied.parameters, untied.parameters) == (11, 4 * 11 + 11)
    assert tied.forward == untied.forward == 3 * 4 * 11
    assert counting.embedding(11, 4) == counting.Count(44, 0, 0, 0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: counting.lstm(0, 3), "inputs must be an integer of at least 1, got 0"),
        (lambda: counting.rnn(3, 2.5), "units"),
        (lambda: counting.lstm(3, 3, length=0), "length"),
        (lambda: counting.embedding(-1, 3), "vocabulary"),
        (lambda: counting.unembedding(5, 3, batch=0), "batch"),
    ],
)
def test_invalid_sizes_of_recurrent_layers_raise_errors_that_name_them(call, message):
    with pytest.raises(ValueError, match=message):
        call()
