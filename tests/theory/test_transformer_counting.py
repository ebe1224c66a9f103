"""Oracles: every multiplication made and counted, Keras's parameters, published sizes, and XLA."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from curvezoo.layers import TransformerBlock
from curvezoo.publishing.accounting import account
from curvezoo.theory import counting
from curvezoo.theory.counting import TransformerShape
from curvezoo.zoo.language.transformer import TransformerLanguageModel

GPT2 = {
    "gpt2": (TransformerShape(12, 768, 12), 124_439_808),
    "gpt2-medium": (TransformerShape(24, 1024, 16), 354_823_168),
    "gpt2-large": (TransformerShape(36, 1280, 20), 774_030_080),
    "gpt2-xl": (TransformerShape(48, 1600, 25), 1_557_611_200),
}
"""Shapes and numbers of parameters of the published models, with 50,257 tokens and a context of 1,024."""

ORIGINAL = TransformerShape(6, 512, 8, norm="post")
"""The base model of "Attention Is All You Need", with a vocabulary of 37,000 tokens for both languages."""


class CountingNumber:
    """A number that counts the multiplications of all of its class."""

    count = 0

    def __mul__(self, other):
        CountingNumber.count += 1
        return self

    def __add__(self, other):
        return self


def numbers(*shape):
    """Returns an array of `CountingNumber`."""
    return np.full(shape, CountingNumber(), object)


def multiplications(function):
    """Returns the number of multiplications in a call."""
    CountingNumber.count = 0
    function()
    return CountingNumber.count


def attention(queries_from, memory, heads, key_size, value_size, width):
    """Multi-head attention of the notes with every product made; softmax and scale multiply no pairs."""
    concatenated = []
    for _ in range(heads):
        query = queries_from @ numbers(queries_from.shape[1], key_size)
        key = memory @ numbers(memory.shape[1], key_size)
        value = memory @ numbers(memory.shape[1], value_size)
        concatenated.append((query @ key.T) @ value)
    return np.concatenate(concatenated, axis=1) @ numbers(heads * value_size, width)


@pytest.mark.equation("5.4.17")
@pytest.mark.parametrize(
    ("n", "d", "heads", "key", "value", "hidden"), [(5, 4, 2, 2, 2, 16), (3, 5, 3, 2, 4, 7)]
)
def test_a_layer_makes_two_products_quadratic_in_length(n, d, heads, key, value, hidden):
    x = numbers(n, d)
    shape = TransformerShape(1, d, heads, hidden, head_size=key, value_sizes=value)
    products = shape.products(n)

    def layer():
        return attention(x, x, heads, key, value, d) @ numbers(d, hidden) @ numbers(hidden, d)

    assert multiplications(layer) == products.total == shape.block(n).forward
    assert products.scores == heads * n**2 * key
    assert products.averages == heads * n**2 * value
    assert products.projections == n * d * heads * (2 * key + 2 * value)
    if key == value and heads * key == d:
        printed = 2 * n * d * (hidden + 2 * d) + n**2 * d
        assert products.total == printed + n**2 * d
        # The text before the equation has n^2 d_k^2 for the scores of a head.
        assert multiplications(lambda: numbers(n, key) @ numbers(key, n)) == n**2 * key != n**2 * key**2


@pytest.mark.equation("5.4.17")
def test_attention_overtakes_at_six_widths_and_not_at_twelve():
    for width in (64, 512):
        shape = TransformerShape(1, width, 8)
        assert shape.crossover_length() == 6 * width
        at_six, at_twelve = shape.products(6 * width), shape.products(12 * width)
        assert at_six.quadratic == at_six.linear
        assert at_twelve.quadratic == 2 * at_twelve.linear
        # The printed equation has one of the two products: they are equal at twelve widths.
        assert at_twelve.scores == at_twelve.linear
        # Without the masked half of the pairs it is nearly twelve.
        length = shape.crossover_length(count_masked=False)
        causal = shape.products(round(length), count_masked=False)
        assert length == 12 * width - 1
        assert causal.quadratic == causal.linear
    assert TransformerShape(1, 8, 2, 24, head_size=3, value_sizes=5).crossover_length() == (
        (8 * 2 * 6 + 8 * 2 * 10 + 2 * 8 * 24) / (6 + 10)
    )


@pytest.mark.equation("5.4.17")
def test_decoding_with_a_cache_costs_in_sum_what_causal_attention_costs():
    shape, n = TransformerShape(2, 8, 2), 7
    options = {"vocabulary": 11, "context": n}
    steps = [shape.decoder(**options, length=1, cached=t).forward for t in range(n)]
    assert sum(steps) == shape.decoder(**options, count_masked=False).forward
    # Each token costs one more score and one more average per feature of the keys and values.
    assert np.all(np.diff(steps) == 2 * 8 * shape.num_layers)
    half, rest = shape.products(3), shape.products(4, cached=3)
    assert half.linear + rest.linear == shape.products(n).linear
    assert half.quadratic + rest.quadratic == shape.products(n).quadratic - 3 * 4 * 2 * 8


def test_projecting_the_values_before_averaging_gives_the_same_head_at_less_cost():
    n, d, key = 6, 8, 2
    generator = np.random.default_rng(0)
    weights, inputs, w = (generator.normal(size=size) for size in ((n, n), (n, d), (d, key)))
    np.testing.assert_allclose((weights @ inputs) @ w, weights @ (inputs @ w), rtol=1e-12)
    s, v, w = numbers(n, n), numbers(n, d), numbers(d, key)
    assert multiplications(lambda: (s @ v) @ w) == n**2 * d + n * d * key
    assert multiplications(lambda: s @ (v @ w)) == n**2 * key + n * d * key


def test_the_printed_sources_of_cross_attention_do_not_fit_unequal_lengths():
    source, target, d = 5, 3, 4
    encoder, decoder = np.ones((source, d)), np.ones((target, d))
    assert ((decoder @ encoder.T) @ encoder).shape == decoder.shape
    with pytest.raises(ValueError, match="mismatch"):
        (encoder @ encoder.T) @ decoder
    made = multiplications(lambda: attention(numbers(target, d), numbers(source, 6), 2, 3, 1, d))
    count = counting.cross_attention(
        d, 2, memory_width=6, head_size=3, value_sizes=1, length=target, memory_length=source
    )
    assert made == count.forward
    read = counting.cross_attention(
        d, 2, memory_width=6, head_size=3, value_sizes=1, length=target, memory_length=source, cached=True
    )
    assert count.forward - read.forward == source * 6 * 2 * (3 + 1)
    assert count.parameters == read.parameters


@pytest.mark.equation("5.4.10")
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("heads", "key", "value"), [(2, 4, 4), (2, 3, 6), (1, 4, 8)])
def test_attention_has_the_parameters_and_products_of_keras(heads, key, value, bias):
    layer = layers.MultiHeadAttention(heads, key, value, use_bias=bias)
    inputs = keras.Input((6, 8))
    model = keras.Model(inputs, layer(inputs, inputs))
    count = counting.self_attention(8, heads, head_size=key, value_sizes=value, bias=bias, length=6)
    assert count.parameters == model.count_params()
    assert count.forward == account(model).multiplications
    weights = 2 * 8 * heads * (key + value)
    assert count.parameters == weights + bias * (heads * (2 * key + value) + 8)
    # W_O has d_v n_heads d_emb weights, which are the printed d_emb^2 only if the heads fill the width.
    printed = 3 * heads * key * 8 + 8**2
    assert (printed == weights) == (heads * key == heads * value == 8)


def test_cross_attention_has_the_parameters_and_products_of_keras():
    queries, memory = keras.Input((6, 8)), keras.Input((4, 10))
    model = keras.Model([queries, memory], layers.MultiHeadAttention(2, 3, 5)(queries, memory))
    count = counting.cross_attention(
        8, 2, memory_width=10, head_size=3, value_sizes=5, length=6, memory_length=4
    )
    assert count.parameters == model.count_params()
    assert count.forward == account(model).multiplications


def test_heads_of_different_sizes_count_as_one_attention_each():
    joint = counting.self_attention(8, (1, 2, 5), value_sizes=(3, 1, 4), bias=False, length=6)
    single = [
        counting.self_attention(8, 1, head_size=key, value_sizes=value, bias=False, length=6)
        for key, value in ((1, 3), (2, 1), (5, 4))
    ]
    assert joint.parameters == sum(count.parameters for count in single)
    assert joint.forward == sum(count.forward for count in single)
    assert counting.self_attention(8, (4, 4)) == counting.self_attention(8, 2)


@pytest.mark.equation("5.4.12")
@pytest.mark.equation("5.4.13")
def test_the_feed_forward_network_has_twice_the_parameters_of_attention():
    model = keras.Sequential([keras.Input((6, 8)), layers.Dense(20, "relu"), layers.Dense(8)])
    count = counting.feed_forward(8, 20, length=6)
    assert count.parameters == model.count_params() == 2 * 20 * 8 + 20 + 8
    assert count.forward == account(model).multiplications
    for hidden in (100, 256):
        without_bias = TransformerShape(1, 64, 4, hidden, bias=False)
        assert without_bias.feed_forward_ratio() == hidden / (2 * 64)
    assert TransformerShape(1, 64, 4).feed_forward_ratio() == pytest.approx(2, rel=0.01)
    # Eq. 5.4.13 uses 4 d_emb^2 for attention, whatever the heads.
    assert TransformerShape(1, 64, 4, head_size=8, bias=False).feed_forward_ratio() == 4


@pytest.mark.equation("5.4.16")
@pytest.mark.parametrize("name", GPT2)
def test_decoders_have_the_published_parameters_of_gpt2(name):
    shape, published = GPT2[name]
    exact = shape.decoder(50_257, 1024).parameters
    assert exact == published
    d, bare = shape.width, shape.decoder(50_257, 1024, positions="none").parameters
    printed = 2 * shape.num_layers * d * (shape.hidden + 2 * d) + d * 50_257
    # Biases and layer norms are all that is missing besides the positions.
    assert bare - printed == shape.num_layers * (4 * d + shape.hidden + d + 4 * d) + 2 * d
    assert printed == pytest.approx(exact, rel=0.01)


@pytest.mark.equation("5.4.16")
def test_the_original_transformer_has_its_published_parameters_at_any_length():
    big = TransformerShape(6, 1024, 16, norm="post")
    for shape, published in ((ORIGINAL, 65e6), (big, 213e6)):
        counts = [shape.encoder_decoder(37_000, 37_000, n, n, shared=True) for n in (50, 512)]
        assert counts[0].parameters == counts[1].parameters == pytest.approx(published, rel=0.04)
        assert counts[0].forward < counts[1].forward


@pytest.mark.equation("5.4.16")
def test_parameters_are_cubic_in_scale_only_if_the_number_of_layers_grows_too():
    def ratio(deeper):
        small = TransformerShape(8, 512, 8, bias=False).decoder(512, 512, positions="none")
        large = TransformerShape(8 * deeper, 4096, 8, bias=False).decoder(4096, 4096, positions="none")
        return large.parameters / small.parameters

    assert ratio(deeper=8) == pytest.approx(8**3, rel=0.02)
    assert ratio(deeper=1) == pytest.approx(8**2, rel=0.001)


def language_model(shape, vocabulary, length):
    """A decoder of Keras's layers, untied, without positions."""
    tokens = keras.Input((length,), dtype="int32")
    x = layers.Embedding(vocabulary, shape.width)(tokens)
    for _ in range(shape.num_layers):
        attend = layers.MultiHeadAttention(
            shape.heads, shape.head_size, shape.value_sizes, use_bias=shape.bias
        )
        normed = layers.LayerNormalization()(x)
        x = x + attend(normed, normed, use_causal_mask=True)
        hidden = layers.Dense(shape.hidden, "relu", use_bias=shape.bias)(layers.LayerNormalization()(x))
        x = x + layers.Dense(shape.width, use_bias=shape.bias)(hidden)
    return keras.Model(tokens, layers.Dense(vocabulary, use_bias=False)(layers.LayerNormalization()(x)))


@pytest.mark.equation("5.4.17")
def test_a_decoder_and_its_gradient_have_the_products_that_xla_compiles(dot_multiplications):
    shape = TransformerShape(2, 8, 2, 20, head_size=3, value_sizes=5)
    model = language_model(shape, 11, 6)
    count = shape.decoder(11, 6, positions="none", tied=False, batch=3)
    tokens = tf.zeros((3, 6), tf.int32)

    def gradient(tokens):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(tokens) ** 2)
        return tape.gradient(loss, model.trainable_variables)

    assert count.parameters == model.count_params()
    assert count.forward == 3 * account(model).multiplications == dot_multiplications(model, tokens)
    assert count.forward + count.backward == dot_multiplications(gradient, tokens)


SETTINGS = [
    {"num_layers": 2, "heads": 2, "feed_forward": 20, "positions": "learned", "tied": True, "use_bias": True},
    {"num_layers": 1, "heads": (2, 6), "positions": "sinusoidal", "norm": "post"},
    {"num_layers": 1, "heads": 2, "positions": "rotary"},
]


@pytest.mark.equation("5.4.16")
@pytest.mark.equation("5.4.17")
@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: settings["positions"])
def test_language_models_of_the_zoo_have_the_counted_parameters_and_products(settings, dot_multiplications):
    model = TransformerLanguageModel(vocabulary=11, context=6, width=8, **settings)
    config = model.get_config()
    sizes = (config[name] for name in ("num_layers", "width", "heads", "feed_forward"))
    shape = TransformerShape(*sizes, norm=config["norm"], bias=config["use_bias"])
    options = {name: config[name] for name in ("vocabulary", "context", "positions", "tied")}
    count = shape.decoder(**options, length=5)
    assert count.parameters == model.count_params()
    assert count.forward == account(model, (5,)).multiplications
    assert count.forward == dot_multiplications(model, tf.zeros((1, 5), tf.int32))
    # A step multiplies with the whole buffer of the cache, the positions after it included.
    step = shape.decoder(**options, length=1, cached=5)
    state = model.initial_state(1, 6)
    tokens, position = tf.zeros((1,), tf.int32), tf.constant(2)
    made = dot_multiplications(lambda *inputs: model.step(*inputs)[0], tokens, position, state)
    assert step.forward == made


def test_a_layer_that_attends_to_a_memory_has_the_counted_parameters_and_products(dot_multiplications):
    layer = TransformerBlock(heads=2, units=20, causal=True, cross=True)
    inputs, memory = keras.Input((5, 8)), keras.Input((4, 8))
    model = keras.Model([inputs, memory], layer(inputs, memory))
    shape = TransformerShape(1, 8, 2, 20)
    count = shape.block(5, memory_length=4)
    assert count.parameters == model.count_params()
    assert count.forward == account(model).multiplications
    cache = layer.initial_cache(1, 6, tf.zeros((1, 4, 8)))
    made = dot_multiplications(
        lambda *inputs: layer.extend(*inputs)[0], tf.zeros((1, 1, 8)), cache, tf.constant(2)
    )
    assert shape.block(1, cached=5, memory_length=4).forward == made


@pytest.mark.equation("5.4.17")
def test_elementwise_operations_add_two_percent_to_the_flops_of_xla():
    jax = pytest.importorskip("jax")
    n, shape = 128, TransformerShape(1, 256, 4)
    sizes = [(256, 256)] * 4 + [(256, 1024), (1024, 256)]
    weights = [np.ones(size, np.float32) for size in sizes]

    def layer(weights, x):
        queries, keys, values = ((x @ w).reshape(n, 4, 64) for w in weights[:3])
        scores = jax.numpy.einsum("shk,thk->hst", queries / 8, keys)
        heads = jax.numpy.einsum("hst,thk->shk", jax.nn.softmax(scores), values)
        return jax.numpy.maximum((heads.reshape(n, 256) @ weights[3]) @ weights[4], 0) @ weights[5]

    compiled = jax.jit(layer).lower(weights, np.ones((n, 256), np.float32)).compile()
    flops, exact = compiled.cost_analysis()["flops"], 2 * shape.products(n).total
    assert exact < flops < 1.02 * exact


def test_the_decoder_of_a_pair_has_a_second_attention_and_norm_in_each_layer():
    shape, d = TransformerShape(3, 8, 2, bias=False, norm="post"), 8
    count = shape.encoder_decoder(11, 13, 6, 5, positions="learned", tied=False)
    layer = 12 * d**2
    assert count.parameters == (
        (11 + 13 + 13 + 6 + 5) * d + 3 * (layer + 4 * d) + 3 * (layer + 4 * d**2 + 6 * d)
    )
    encoder, decoder = shape.encoder(11, 6), shape.decoder(13, 5)
    cross = counting.cross_attention(d, 2, bias=False, length=5, memory_length=6)
    assert count.forward == encoder.forward + decoder.forward + 3 * cross.forward
    shared = shape.encoder_decoder(11, 11, 6, 5, shared=True)
    assert shape.encoder_decoder(11, 11, 6, 5).parameters - shared.parameters == 11 * d


def test_norms_positions_and_ties_count_parameters_and_no_products():
    shape = TransformerShape(3, 8, 2)
    post = TransformerShape(3, 8, 2, norm="post")
    assert shape.decoder(11, 6).parameters - post.decoder(11, 6).parameters == 2 * 8
    counts = {
        (positions, tied): shape.decoder(11, 6, positions=positions, tied=tied)
        for positions, tied in itertools.product(("learned", "sinusoidal", "rotary", "none"), (True, False))
    }
    assert len({count.forward for count in counts.values()}) == 1
    assert {count.parameters - counts["none", True].parameters for count in counts.values()} == {
        0,
        6 * 8,
        11 * 8,
        17 * 8,
    }


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: TransformerShape(2, 10, 3), "heads must divide width=10, got 3; or give head_size"),
        (lambda: TransformerShape(0, 8, 2), "num_layers"),
        (lambda: TransformerShape(2, 8, 2.5), "heads must be an integer of at least 1, got 2.5"),
        (lambda: TransformerShape(2, 8, 2, head_size=0), "head_size must be an integer of at least 1, got 0"),
        (lambda: TransformerShape(2, 8, 2, 0), "feed_forward"),
        (lambda: TransformerShape(2, 8, (3, 0)), r"heads\[1\] must be an integer of at least 1, got 0"),
        (lambda: TransformerShape(2, 8, (3, 5), head_size=4), "head_size must be left out"),
        (lambda: TransformerShape(2, 8, 2, value_sizes=(1, 2, 3)), "value_sizes must have a size for each"),
        (lambda: TransformerShape(2, 8, 2, norm="batch"), "norm"),
        (lambda: TransformerShape(2, 8, 2).decoder(11, 6, positions="relative"), "positions"),
        (lambda: TransformerShape(2, 8, 2).decoder(0, 6), "vocabulary"),
        (lambda: TransformerShape(2, 8, 2).products(0), "length"),
        (lambda: TransformerShape(2, 8, 2).products(1, cached=-1), "cached"),
        (lambda: TransformerShape(2, 8, 2).encoder_decoder(5, 6, 3, 3, shared=True), "shared must be False"),
        (lambda: counting.cross_attention(8, 2, memory_length=0), "memory_length"),
        (lambda: counting.layer_norm(0), "width"),
    ],
)
def test_invalid_shapes_of_transformers_raise_errors_that_name_them(call, message):
    with pytest.raises(ValueError, match=message):
        call()
