"""Masks of an Embedding reach the loss through every layer that keeps positions, and attention uses them."""

import keras
import numpy as np
import pytest

from curvezoo import layers

TOKENS = np.array([[3, 1, 0, 0], [2, 0, 0, 0], [1, 2, 3, 4]])
D = 4

KEEPING = {
    "DenseBlock": lambda: layers.DenseBlock(3),
    "DenseBlock, batch": lambda: layers.DenseBlock(3, normalization="batch"),
    "DenseBlock, weight": lambda: layers.DenseBlock(3, normalization="weight"),
    "FeedForward": lambda: layers.FeedForward(3),
    "GlobalScale": layers.GlobalScale,
    "GumbelSoftmax": layers.GumbelSoftmax,
    "LSTM": lambda: layers.LSTM(3),
    "LayerNormLSTM": lambda: layers.LayerNormLSTM(3),
    "LearnedPositions": lambda: layers.LearnedPositions(4),
    "LogStd": layers.LogStd,
    "MultiHeadAttention": lambda: layers.MultiHeadAttention(2),
    "ReLURNN": lambda: layers.ReLURNN(3),
    "ResidualDense": layers.ResidualDense,
    "RunningNormalization": layers.RunningNormalization,
    "SinusoidalPositions": lambda: layers.SinusoidalPositions(4),
    "StraightThrough": layers.StraightThrough,
    "TransformerBlock": lambda: layers.TransformerBlock(2),
    "UnitVarianceDense": lambda: layers.UnitVarianceDense(3),
    "WeightNormalization": lambda: layers.WeightNormalization(keras.layers.Dense(3)),
}


def embedded():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,), dtype="int32")
    return inputs, keras.layers.Embedding(5, D, mask_zero=True)(inputs)


@pytest.mark.filterwarnings("error:Layer .* does not support masking")
@pytest.mark.parametrize("name", KEEPING)
def test_masked_positions_do_not_count_in_the_loss(name):
    inputs, x = embedded()
    model = keras.Model(inputs, KEEPING[name]()(x))
    outputs = model(TOKENS)
    targets = np.array(outputs)
    targets[TOKENS == 0] += 5
    assert float(keras.losses.MeanSquaredError()(targets, outputs)) < 1e-10
    targets[TOKENS != 0] += 1
    assert float(keras.losses.MeanSquaredError()(targets, outputs)) > 0.1


@pytest.mark.parametrize("make", [layers.MultiHeadAttention, layers.TransformerBlock])
def test_attention_to_masked_positions_is_zero(make):
    inputs, x = embedded()
    layer = make(2)
    outputs = np.array(keras.Model(inputs, layer(x))(TOKENS))
    plain = keras.Model(inputs, x)(TOKENS)
    explicit = layer(np.array(plain), padding_mask=TOKENS != 0)
    np.testing.assert_allclose(outputs, explicit, rtol=1e-6)
    alone = layer(np.array(plain)[:1, :2])
    np.testing.assert_allclose(outputs[:1, :2], alone, rtol=1e-5, atol=1e-6)


def test_attention_to_a_masked_memory_uses_the_memorys_mask():
    inputs, memory = embedded()
    block = layers.TransformerBlock(2, cross=True)
    queries = keras.Input((3, D))
    model = keras.Model([queries, inputs], block(queries, memory))
    q = np.random.default_rng(0).normal(size=(3, 3, D)).astype("float32")
    outputs = np.array(model([q, TOKENS]))
    plain = np.array(keras.Model(inputs, memory)(TOKENS))
    np.testing.assert_allclose(outputs[:1], block(q[:1], plain[:1, :2]), rtol=1e-5, atol=1e-6)
