"""Attention against loops over positions, Keras's layer, single heads, and its own cache.

The masks and sizes are given by arguments; all layers compute in float64.
"""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from curvezoo.layers import attention_weights, scaled_dot_product_attention
from curvezoo.layers.attention import MultiHeadAttention

B, T, S, D = 2, 5, 4, 6


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def averaged(q, k, v, allowed=None):
    """Returns weights and averages for one head: a loop over queries and keys."""
    weights, outputs = np.zeros((len(q), len(k))), np.zeros((len(q), v.shape[1]))
    for t in range(len(q)):
        for s in range(len(k)):
            if allowed is None or allowed[t, s]:
                weights[t, s] = np.exp(sum(q[t, i] * k[s, i] for i in range(q.shape[1])) / q.shape[1] ** 0.5)
        weights[t] /= weights[t].sum()
        outputs[t] = sum(weights[t, s] * v[s] for s in range(len(k)))
    return weights, outputs


def made(heads=2, inputs=(B, T, D), memory=None, **settings):
    """Returns a built layer in float64 with random weights."""
    layer = MultiHeadAttention(heads, dtype="float64", **settings)
    layer.build(inputs, memory)
    layer.set_weights([normal(*w.shape, seed=i) for i, w in enumerate(layer.get_weights())])
    return layer


ALLOWED = np.array([[1, 0, 1, 1], [0, 0, 0, 1], [1, 1, 1, 1], [1, 1, 0, 0], [0, 1, 1, 0]], bool)


@pytest.mark.equation("5.4.5")
@pytest.mark.equation("5.4.6")
@pytest.mark.parametrize("allowed", [None, ALLOWED], ids=["all keys", "masked"])
def test_queries_average_the_values_with_softmax_weights(allowed):
    q, k, v = normal(T, 3), normal(S, 3, seed=1), normal(S, 2, seed=2)
    weights, outputs = averaged(q, k, v, allowed)
    tensors = [tf.constant(x) for x in (q, k, v)]
    np.testing.assert_allclose(attention_weights(*tensors[:2], allowed), weights, rtol=1e-12)
    np.testing.assert_allclose(scaled_dot_product_attention(*tensors, allowed), outputs, rtol=1e-12)


@pytest.mark.equation("5.4.1")
@pytest.mark.equation("5.4.2")
def test_weights_in_the_unit_interval_highlight_the_values_whose_keys_match():
    """With one-hot values, an output is the list of the factors sigma(Q, K) of the values."""
    k = tf.constant(5 * np.eye(3))
    query = tf.constant([[0.0, 2.0, 0.0]], tf.float64)
    sigma = scaled_dot_product_attention(query, k, tf.eye(3, dtype=tf.float64))[0].numpy()
    assert np.all((sigma >= 0) & (sigma <= 1)) and sigma.argmax() == 1
    np.testing.assert_allclose(sigma.sum(), 1, rtol=1e-12)
    np.testing.assert_allclose(sigma[1] / sigma[0], np.exp(10 / np.sqrt(3)), rtol=1e-12)
    v = tf.constant(normal(3, 4))
    outputs = scaled_dot_product_attention(query, k, v)
    np.testing.assert_allclose(outputs[0], sum(sigma[s] * v[s] for s in range(3)), rtol=1e-12)


@pytest.mark.equation("5.4.3")
@pytest.mark.equation("5.4.4")
@pytest.mark.equation("5.4.7")
@pytest.mark.equation("5.4.8")
@pytest.mark.equation("5.4.9")
def test_a_layer_concatenates_heads_of_projected_queries_keys_and_values():
    """Heads of different sizes, with the loop for each and matrices cut from the layer's."""
    layer, v = made((3, 1, 2), value_sizes=(2, 2, 4), use_bias=False), normal(B, T, D)
    query, key, value, output = layer.get_weights()
    for one, result, weights in zip(v, layer(v), layer.weights_of(v), strict=True):
        heads = []
        for h, (keys, values) in enumerate([((0, 3), (0, 2)), ((3, 4), (2, 4)), ((4, 6), (4, 8))]):
            w_q, w_k, w_v = query[:, slice(*keys)], key[:, slice(*keys)], value[:, slice(*values)]
            expected, head = averaged(one @ w_q, one @ w_k, one @ w_v)
            heads.append(head)
            np.testing.assert_allclose(weights[h], expected, rtol=1e-11)
        np.testing.assert_allclose(result, np.concatenate(heads, axis=1) @ output, rtol=1e-11)


MASKS = {
    "none": {},
    # Every query attends to at least one key.
    "attention mask": {"attention_mask": (normal(B, T, S) > 0) | (np.arange(S) == 1)},
    "padding": {"padding_mask": np.array([[1, 1, 1, 0], [1, 0, 1, 1]], bool)},
}


def keras_twin(layer, heads, head_size, inputs, memory):
    """Returns Keras's layer with the same weights, which it stores by heads.

    Keras rounds 1 / sqrt(d) to float32, so that d must be a power of four.
    """
    twin = keras.layers.MultiHeadAttention(heads, head_size, dtype="float64")
    twin.build(inputs, memory)
    twin.set_weights([w.reshape(s.shape) for w, s in zip(layer.get_weights(), twin.weights, strict=True)])
    return twin


@pytest.mark.parametrize("name", MASKS)
def test_cross_attention_equals_that_of_keras(name):
    x, memory = normal(B, T, D), normal(B, S, 3, seed=1)
    layer = made(2, x.shape, memory.shape, head_size=4)
    twin = keras_twin(layer, 2, 4, x.shape, memory.shape)
    masks = MASKS[name]
    mask = masks.get("attention_mask")
    if "padding_mask" in masks:
        mask = np.broadcast_to(masks["padding_mask"][:, None], (B, T, S))
    expected, weights = twin(x, memory, attention_mask=mask, return_attention_scores=True)
    np.testing.assert_allclose(layer(x, memory, **masks), expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(layer.weights_of(x, memory, **masks), weights, rtol=1e-9, atol=1e-12)


def test_causal_self_attention_with_padding_equals_that_of_keras():
    x = normal(B, T, D)
    layer = made(3, head_size=4, causal=True)
    twin = keras_twin(layer, 3, 4, x.shape, x.shape)
    padding = np.array([[1, 1, 1, 1, 1], [1, 1, 0, 1, 0]], bool)
    expected = twin(x, x, attention_mask=padding[:, None] & np.ones((T, 1), bool), use_causal_mask=True)
    np.testing.assert_allclose(layer(x, padding_mask=padding), expected, rtol=1e-9, atol=1e-12)


def test_masks_of_all_examples_and_of_each_example_agree():
    layer, x, allowed = made(), normal(B, T, D), normal(T, T) > -0.3
    each = layer(x, attention_mask=np.stack([allowed, allowed]))
    np.testing.assert_array_equal(layer(x, attention_mask=allowed), each)
    np.testing.assert_array_equal(layer(x, attention_mask=allowed.tolist()), each)
    assert np.abs(each - layer(x)).max() > 0.1


@pytest.mark.parametrize("rotary", [False, True])
def test_self_attention_is_equivariant_to_permutations_unless_rotary(rotary):
    layer, x = made(head_size=4, rotary=rotary), normal(B, T, D)
    order = np.array([3, 0, 4, 1, 2])
    permuted, outputs = layer(x[:, order]), layer(x).numpy()[:, order]
    assert np.allclose(permuted, outputs, rtol=1e-10) != rotary


@pytest.mark.parametrize("heads", [2, (4, 2)], ids=["one size", "two sizes"])
def test_causal_outputs_have_no_gradient_from_later_inputs(heads):
    layer, x = made(heads, causal=True, rotary=True, inputs=(1, T, 8)), tf.constant(normal(1, T, 8))
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = layer(x)
    jacobian = np.abs(tape.jacobian(outputs, x)[0, :, :, 0]).sum((1, 3))  # [T, T]
    assert np.all(jacobian[np.triu_indices(T, 1)] == 0)
    assert np.all(jacobian[np.tril_indices(T)] > 1e-6)


def test_padding_does_not_change_the_outputs_at_other_positions():
    layer, x, mask = made(), normal(B, T, D), np.arange(T) < np.array([[3], [5]])
    changed = np.where(mask[..., None], x, 99.0)
    outputs = [np.asarray(layer(inputs, padding_mask=mask))[mask] for inputs in (x, changed)]
    np.testing.assert_array_equal(*outputs)
    alone = layer(x[:1, :3])
    np.testing.assert_allclose(outputs[0][:3], alone[0], rtol=1e-12)


def test_a_query_without_keys_attends_to_all_equally():
    layer, x = made(), tf.constant(normal(B, T, D))
    mask = np.array([[False] * T, [True] * T])
    np.testing.assert_allclose(layer.weights_of(x, padding_mask=mask)[0], np.full((2, T, T), 1 / T))
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(layer(x, padding_mask=mask))
    assert np.isfinite(total) and np.all(np.isfinite(tape.gradient(total, x)))


@pytest.mark.parametrize(
    "settings", [{"heads": 2}, {"heads": (4, 2), "value_sizes": (1, 3)}], ids=["one size", "two sizes"]
)
@pytest.mark.parametrize("pieces", [(1,) * T, (2, 3), (T,)])
def test_extending_a_cache_piece_by_piece_equals_attending_at_once(settings, pieces):
    layer, x = made(**settings, inputs=(B, T, 8), causal=True, rotary=True), normal(B, T, 8)
    cache, outputs, position = layer.initial_cache(B, T + 2), [], 0
    for size in pieces:
        output, cache = layer.extend(x[:, position : position + size], cache, tf.constant(position))
        outputs.append(output)
        position += size
    np.testing.assert_allclose(np.concatenate(outputs, axis=1), layer(x), rtol=1e-10)


def test_reading_a_cached_memory_equals_cross_attention():
    x, memory, mask = normal(B, T, D), normal(B, S, 3, seed=1), MASKS["padding"]["padding_mask"]
    layer = made(2, x.shape, memory.shape)
    cache = layer.memory_cache(memory)
    np.testing.assert_allclose(layer.read(x, cache, mask), layer(x, memory, padding_mask=mask), rtol=1e-12)


def test_dropout_of_weights_keeps_their_mean_and_acts_in_training_only():
    layer = made(1, (1, 1, 2), (1, 64, 2), dropout=0.5, use_bias=False)
    for kernel in (layer.query, layer.key):
        kernel.kernel.assign(tf.zeros((2, 2)))
    x, memory = np.ones((1000, 1, 2)), np.ones((1000, 64, 2))
    expected = layer(x, memory)
    outputs = layer(x, memory, training=True) / expected
    np.testing.assert_array_equal(layer(x, memory, training=False), expected)
    # Each output averages 64 values that are kept with probability 1/2 and doubled.
    assert np.mean(outputs) == pytest.approx(1, abs=5 / np.sqrt(64_000))
    assert np.var(outputs[..., 0]) == pytest.approx(1 / 64, rel=0.3)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"heads": 0}, "heads must be an integer of at least 1, got 0"),
        ({"heads": 2.5}, "heads must be an integer of at least 1, got 2.5"),
        ({"heads": ()}, "the number of heads must be an integer of at least 1, got 0"),
        ({"heads": (2, 0)}, "heads must be an integer of at least 1, got 0"),
        ({"heads": 4}, "heads must divide the 6 features, got 4"),
        ({"heads": 2, "head_size": 1.5}, "head_size must be an integer of at least 1, got 1.5"),
        ({"heads": (2, 2), "head_size": 2}, "head_size must be None if heads lists the sizes, got 2"),
        ({"heads": 2, "value_sizes": (1, 2, 3)}, "value_sizes must have a size for each of the 2 heads"),
        ({"heads": 2, "rotary": True}, r"rotary heads must have even sizes, got \(3, 3\)"),
        ({"heads": 2, "dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0"),
    ],
)
def test_invalid_sizes_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        MultiHeadAttention(**settings).build((None, T, D))


@pytest.mark.parametrize(
    "name, shape, message",
    [
        ("attention_mask", (T, S), r"\[T, S\] or \[B, T, S\], here \(5, 5\) or \(2, 5, 5\), got \(5, 4\)"),
        ("attention_mask", (B, T), r"\[T, S\] or \[B, T, S\], here \(5, 5\) or \(2, 5, 5\), got \(2, 5\)"),
        (
            "attention_mask",
            (3, T, T),
            r"\[T, S\] or \[B, T, S\], here \(5, 5\) or \(2, 5, 5\), got \(3, 5, 5\)",
        ),
        ("padding_mask", (B, S), r"\[B, S\], here \(2, 5\), got \(2, 4\)"),
        ("padding_mask", (T,), r"\[B, S\], here \(2, 5\), got \(5,\)"),
    ],
)
def test_masks_of_wrong_shape_are_rejected(name, shape, message):
    with pytest.raises(ValueError, match=f"{name} must have shape {message}"):
        made()(normal(B, T, D), **{name: np.ones(shape, bool)})


@pytest.mark.parametrize("shape", [(2, 1, T, S + 1), (T + 1, S), (1, 2, 1, T, S)])
def test_a_mask_that_does_not_broadcast_to_queries_by_keys_is_rejected(shape):
    q, k = np.zeros((2, 1, T, 2)), np.zeros((2, 1, S, 2))
    message = re.escape(f"a shape that broadcasts to [..., T, S], here {(2, 1, T, S)}, got {shape}")
    with pytest.raises(ValueError, match=message):
        scaled_dot_product_attention(q, k, k, np.ones(shape, bool))


def test_a_causal_layer_in_a_graph_of_unknown_length_equals_the_eager_one():
    layer, x, memory = made(causal=True, rotary=True, head_size=2), normal(B, T, D), normal(B, S, D, seed=1)
    signature = [tf.TensorSpec((None, None, D), tf.float64)] * 2
    graph = tf.function(
        lambda x, memory: (layer(x), layer(x, memory)), input_signature=signature, autograph=False
    )
    for result, expected in zip(graph(x, memory), (layer(x), layer(x, memory)), strict=True):
        np.testing.assert_allclose(result, expected, rtol=1e-12)


def test_a_mask_that_keras_attaches_to_inputs_is_a_padding_mask_and_no_attention_mask():
    """The inputs have as many examples as positions, so that the shapes would fit either."""
    tokens = np.array([[1, 0], [0, 1]])
    embedding = keras.layers.Embedding(2, 4, mask_zero=True, dtype="float64")
    layer = made(inputs=(2, 2, 4))
    embedded = embedding(tokens)
    expected = layer(np.asarray(embedded), padding_mask=tokens != 0)
    np.testing.assert_allclose(layer(embedded), expected, rtol=1e-12)
    unmasked = layer(np.asarray(embedded))
    assert np.abs(np.asarray(layer(embedded)) - unmasked).max() > 1e-3
