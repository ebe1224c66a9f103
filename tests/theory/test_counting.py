"""Oracles: counting each scalar multiplication, XLA's FLOPs, and Keras's shapes and parameters."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curvezoo.theory import counting


class CountingNumber:
    """A number that counts all multiplications of its class."""

    count = 0

    def __init__(self, value):
        self.value = value

    def __mul__(self, other):
        CountingNumber.count += 1
        return CountingNumber(self.value * other.value)

    def __add__(self, other):
        return CountingNumber(self.value + other.value)


def numbers(*shape):
    """Returns an array of `CountingNumber`."""
    array = np.empty(shape, object)
    for index in np.ndindex(shape):
        array[index] = CountingNumber(float(sum(index)))
    return array


def multiplications(function):
    """Returns the number of multiplications in a call."""
    CountingNumber.count = 0
    function()
    return CountingNumber.count


@pytest.mark.equation("1.4.5")
def test_a_two_layer_net_has_the_multiplications_that_its_products_make():
    d0, d1, d2 = 7, 5, 3
    x, w1, w2, output_gradient = numbers(d0), numbers(d1, d0), numbers(d2, d1), numbers(d2)
    count = counting.perceptron([d0, d1, d2])
    assert multiplications(lambda: w2 @ (w1 @ x)) == count.forward == d2 * d1 + d1 * d0

    def backward(data_gradient):
        hidden_gradient = output_gradient @ w2
        np.multiply.outer(output_gradient, numbers(d1))
        np.multiply.outer(hidden_gradient, x)
        if data_gradient:
            hidden_gradient @ w1

    # The notes' "two matrix multiplications per layer" includes the derivative with respect to the data.
    assert multiplications(lambda: backward(False)) == count.backward == 2 * d2 * d1 + d1 * d0
    with_data = counting.perceptron([d0, d1, d2], data_gradient=True)
    assert multiplications(lambda: backward(True)) == with_data.backward == 2 * count.forward


@pytest.mark.equation("1.4.5")
def test_the_count_of_a_two_layer_net_is_that_of_xla():
    jax = pytest.importorskip("jax")
    batch, widths = 32, [24, 16, 8]
    params = [np.ones(shape, np.float32) for shape in ((24, 16), (16, 8))]
    x, seed = np.ones((batch, 24), np.float32), np.ones((batch, 8), np.float32)

    def net(params, x):
        return (x @ params[0]) @ params[1]

    def weight_gradient(params, x):
        y, pullback = jax.vjp(lambda params: net(params, x), params)
        return y, pullback(seed)

    def weight_and_data_gradient(params, x):
        y, pullback = jax.vjp(net, params, x)
        return y, pullback(seed)

    count = counting.perceptron(widths, batch=batch)
    with_data = counting.perceptron(widths, batch=batch, data_gradient=True)
    # Without activations XLA's FLOPs are those of the matrix products alone.
    assert _xla_flops(jax, net, params, x) == count.flops
    assert _xla_flops(jax, weight_gradient, params, x) == 2 * (count.forward + count.backward)
    flops = _xla_flops(jax, weight_and_data_gradient, params, x)
    assert flops == 2 * (with_data.forward + with_data.backward)


def test_the_gradient_of_a_deep_relu_net_costs_about_three_forward_passes():
    jax = pytest.importorskip("jax")
    widths = [128] * 6
    params = [np.ones((128, 128), np.float32) for _ in widths[1:]]
    x = np.ones((64, 128), np.float32)

    def loss(params, x):
        for kernel in params:
            x = jax.numpy.maximum(x @ kernel, 0)
        return (x**2).sum()

    count = counting.perceptron(widths, batch=64)
    assert _xla_flops(jax, loss, params, x) == pytest.approx(count.flops, rel=0.01)
    flops = _xla_flops(jax, jax.grad(loss), params, x)
    assert flops == pytest.approx(2 * (count.forward + count.backward), rel=0.02)
    assert flops < 0.95 * 3 * count.flops


CONVOLUTIONS = [
    {"size": (9, 9), "kernel": 3, "padding": "valid"},
    {"size": (9, 7), "kernel": (3, 5), "padding": "same"},
    {"size": (10, 9), "kernel": 3, "strides": 2, "padding": "same"},
    {"size": (11, 9), "kernel": (3, 2), "strides": (2, 3), "padding": "valid"},
    {"size": (9, 9), "kernel": 3, "dilation": 2, "padding": "same"},
    {"size": (8, 8), "kernel": 3, "padding": "same", "groups": 2},
    {"size": (8, 8), "kernel": 3, "padding": "same", "groups": 4},
]


@pytest.mark.parametrize("options", CONVOLUTIONS)
def test_the_count_of_a_convolution_is_that_of_xla(options):
    jax = pytest.importorskip("jax")
    count = counting.convolution(in_channels=4, out_channels=8, batch=3, count_padding=False, **options)
    kernel, strides, dilation = (_pair(options.get(name, 1)) for name in ("kernel", "strides", "dilation"))
    groups = options.get("groups", 1)

    def convolve(kernel, x):
        return jax.lax.conv_general_dilated(
            x,
            kernel,
            strides,
            options["padding"].upper(),
            rhs_dilation=dilation,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=groups,
        )

    weights, x = np.ones((*kernel, 4 // groups, 8), np.float32), np.ones((3, *options["size"], 4), np.float32)
    assert _xla_flops(jax, convolve, weights, x) == count.flops
    # The forward count is that of all pairs of a tap and a pixel; the derivatives use the same pairs.
    assert count.forward == 3 * 4 * 8 // groups * _pairs(options, kernel, strides, dilation)
    assert count.backward_weights == count.backward_input == count.forward


def _pairs(options, kernel, strides, dilation):
    """Returns the number of pairs of a tap and a pixel, from Keras's convolution of ones with ones."""
    layer = keras.layers.Conv2D(
        1, kernel, strides, options["padding"], dilation_rate=dilation, kernel_initializer="ones"
    )
    return int(keras.ops.sum(layer(np.ones((1, *options["size"], 1), np.float32))))


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    size=st.tuples(st.integers(5, 12), st.integers(5, 12)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.integers(1, 3),
    padding=st.sampled_from(["valid", "same"]),
    groups=st.sampled_from([1, 2, 4]),
)
def test_output_lengths_and_parameters_of_convolutions_match_keras(size, kernel, stride, padding, groups):
    layer = keras.layers.Conv2D(8, kernel, strides=stride, padding=padding, groups=groups)
    shape = layer.compute_output_shape((1, *size, 4))
    layer.build((1, *size, 4))
    lengths = [
        counting.output_length(length, taps, stride, padding=padding)
        for length, taps in zip(size, kernel, strict=True)
    ]
    count = counting.convolution(size, 4, 8, kernel, strides=stride, padding=padding, groups=groups)
    assert (1, *lengths, 8) == shape
    assert count.parameters == layer.count_params()
    assert count.forward == np.prod(shape) * np.prod(kernel) * 4 // groups
    assert count.flops == 2 * count.forward


def test_parameters_of_dense_nets_match_keras():
    narrow = keras.layers.Dense(2, use_bias=False)
    model = keras.Sequential([keras.Input((9,)), keras.layers.Dense(5), narrow])
    layers = [counting.dense(9, 5), counting.dense(5, 2, bias=False)]
    # By default of one example.
    assert layers == [counting.dense(9, 5, batch=1), counting.dense(5, 2, bias=False, batch=1)]
    assert counting.network(layers).parameters == model.count_params() == 60
    assert counting.perceptron([784, 300, 10]).parameters == 784 * 300 + 300 + 300 * 10 + 10


@pytest.mark.parametrize("kind", [np.int16, np.int32, np.int64])
def test_sizes_from_arrays_do_not_overflow(kind):
    # As the number of tokens, tokens.max() + 1 of an array of 32 bits.
    vocabulary = kind(30_000)
    assert counting.embedding(vocabulary, 100_000).parameters == 3 * 10**9
    logits = counting.unembedding(vocabulary, 10**5, length=10**5, batch=10**5)
    assert (logits.parameters, logits.forward) == (3 * 10**9, 3 * 10**19)
    assert counting.dense(vocabulary, vocabulary).parameters == 9 * 10**8 + 30_000
    assert counting.rnn(vocabulary, vocabulary, length=10**11).forward == 18 * 10**19


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: counting.dense(0, 3), "inputs"),
        (lambda: counting.dense(3, 2.5), "outputs"),
        (lambda: counting.perceptron([3]), "widths"),
        (lambda: counting.network([]), "layers"),
        (lambda: counting.convolution((8, 8), 3, 4, 3, groups=2), "groups"),
        (lambda: counting.convolution((8, 8), 3, 4, 3, padding="full"), "padding"),
        (lambda: counting.convolution((2, 8), 3, 4, 3), "kernel"),
        (lambda: counting.convolution((8, 8), 3, 4, 3, strides=0), "stride"),
    ],
)
def test_invalid_arguments_raise_errors_that_name_them(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def _pair(value):
    return (value, value) if isinstance(value, int) else value


def _xla_flops(jax, function, *arguments):
    return jax.jit(function).lower(*arguments).compile().cost_analysis()["flops"]
