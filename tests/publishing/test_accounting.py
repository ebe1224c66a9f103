import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from curvezoo.publishing.accounting import account, totals
from curvezoo.theory import counting


def resnet20():
    """He et al. 2015, section 4.2, n = 3, with 1 x 1 projections where the shape changes."""

    def convolve(x, channels, kernel=3, strides=1):
        x = layers.Conv2D(channels, kernel, strides=strides, padding="same", use_bias=False)(x)
        return layers.BatchNormalization()(x)

    inputs = keras.Input((32, 32, 3))
    x = layers.ReLU()(convolve(inputs, 16))
    for channels, first in ((16, 1), (32, 2), (64, 2)):
        for strides in (first, 1, 1):
            y = convolve(layers.ReLU()(convolve(x, channels, strides=strides)), channels)
            x = convolve(x, channels, 1, strides) if strides == 2 else x
            x = layers.ReLU()(layers.Add()([x, y]))
    return keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def resnet20_by_hand():
    def convolution(size, *arguments, **options):
        return counting.convolution((size, size), *arguments, padding="same", bias=False, **options).forward

    first = convolution(32, 3, 16, 3)
    stages = 6 * convolution(32, 16, 16, 3) + 5 * convolution(16, 32, 32, 3) + 5 * convolution(8, 64, 64, 3)
    down = sum(convolution(s, c, 2 * c, k, strides=2) for s, c in ((32, 16), (16, 32)) for k in (3, 1))
    return first + stages + down + counting.dense(64, 10).forward


def small_cnn():
    return keras.Sequential(
        [
            keras.Input((12, 10, 3)),
            layers.Conv2D(8, 3, strides=2, padding="same", activation="relu"),
            layers.DepthwiseConv2D(3, depth_multiplier=2),
            layers.SeparableConv2D(4, 3, padding="same"),
            layers.MaxPooling2D(2),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dense(5, activation="softmax"),
        ]
    )


def test_counts_of_a_perceptron_match_those_by_hand():
    widths = [784, 300, 100, 10]
    model = keras.Sequential([keras.Input((784,)), *(layers.Dense(w, activation="relu") for w in widths[1:])])
    result = account(model)
    assert result.multiplications == counting.perceptron(widths).forward == 266_200
    assert result.flops == 532_400
    assert result.parameters == result.trainable_parameters == counting.perceptron(widths).parameters


def test_counts_of_a_convolutional_net_match_those_by_hand():
    result = account(small_cnn())
    expected = [
        counting.convolution((12, 10), 3, 8, 3, strides=2, padding="same"),
        counting.convolution((6, 5), 8, 16, 3, groups=8),
        counting.convolution((4, 3), 16, 16, 3, padding="same", groups=16, bias=False),
        counting.convolution((4, 3), 16, 4, 1, padding="same"),
        counting.dense(2 * 1 * 4, 5),
    ]
    assert result.multiplications == counting.network(expected).forward
    # batch normalization: scale and shift are trained, the two moving moments are not
    assert result.trainable_parameters == counting.network(expected).parameters + 2 * 4
    assert result.parameters == result.trainable_parameters + 2 * 4


def test_counts_of_resnet20_match_those_by_hand_and_the_paper():
    result = account(resnet20())
    assert result.multiplications == resnet20_by_hand()
    # about 41 million multiply-adds and 0.27 million parameters (He et al. 2015, table 6)
    assert result.multiplications == pytest.approx(41e6, rel=0.02)
    assert result.trainable_parameters == pytest.approx(0.27e6, rel=0.02)


def test_counts_of_resnet50_match_the_paper():
    result = account(keras.applications.ResNet50(weights=None))
    # He et al. 2015, table 1: 3.8 x 10^9 multiply-adds; the 4.1 x 10^9 variant strides in the 3 x 3 instead
    assert result.multiplications == pytest.approx(3.8e9, rel=0.02)
    assert result.parameters == 25_636_712
    assert result.trainable_parameters == 25_583_592


@pytest.mark.parametrize("build", [small_cnn, resnet20])
def test_flops_are_those_of_tensorflows_profiler(build):
    model = build()
    graph = tf.function(model).get_concrete_function(tf.TensorSpec((1, *model.input_shape[1:]))).graph
    profiler = tf.compat.v1.profiler
    options = profiler.ProfileOptionBuilder(profiler.ProfileOptionBuilder.float_operation())
    node = profiler.profile(graph, cmd="op", options=options.with_empty_output().build())
    flops = {}
    while node.children:
        (node,) = node.children
        flops[node.name] = node.float_ops
    products = ("Conv2D", "DepthwiseConv2dNative", "MatMul")
    assert account(model).flops == sum(flops.get(name, 0) for name in products)


def test_flops_are_those_of_xla():
    jax = pytest.importorskip("jax")
    layers_ = [layers.Conv2D(32, 3, use_bias=False), layers.Flatten(), layers.Dense(64, use_bias=False)]
    model = keras.Sequential([keras.Input((16, 16, 8)), *layers_])
    kernel, weights = model.get_weights()

    def forward(x):
        x = jax.lax.conv(x, kernel.transpose(3, 2, 0, 1), (1, 1), "VALID")
        return x.reshape(len(x), -1) @ weights

    batch = np.ones((4, 8, 16, 16), np.float32)
    flops = jax.jit(forward).lower(batch).compile().cost_analysis()["flops"]
    assert 4 * account(model).flops == flops


@keras.saving.register_keras_serializable("curvezoo.tests")
class Block(layers.Layer):
    """A layer made of layers, with a product of its own."""

    def __init__(self):
        super().__init__()
        self.inner = keras.Sequential([layers.Dense(7), layers.Dense(6)])

    def build(self, shape):
        self.inner.build(shape)
        self.kernel = self.add_weight(shape=(6, 2))

    def call(self, x):
        return keras.ops.matmul(self.inner(x), self.kernel)


def test_layers_inside_composite_layers_are_counted():
    model = keras.Sequential([keras.Input((5,)), Block(), keras.Sequential([layers.Dense(3)])])
    result = account(model)
    assert result.multiplications == 5 * 7 + 7 * 6 + 6 * 2 + 2 * 3
    assert result.parameters == (5 * 7 + 7) + (7 * 6 + 6) + 12 + (2 * 3 + 3)


def test_counts_of_grouped_and_transposed_convolutions_match_those_by_hand():
    model = keras.Sequential(
        [keras.Input((7, 7, 6)), layers.Conv2D(8, 3, groups=2), layers.Conv2DTranspose(4, 3, strides=2)]
    )
    grouped = counting.convolution((7, 7), 6, 8, 3, groups=2)
    # a transposed convolution pairs each of its 5 x 5 input pixels with all of its taps
    assert account(model).multiplications == grouped.forward + 5 * 5 * 8 * 4 * 9


def test_counts_of_attention_match_those_by_hand():
    time, features, heads, key = 7, 6, 2, 3
    inputs = keras.Input((time, features))
    model = keras.Model(inputs, layers.MultiHeadAttention(heads, key)(inputs, inputs))
    projections = 4 * time * features * heads * key
    scores_and_values = 2 * heads * time * time * key
    assert account(model).multiplications == projections + scores_and_values


@pytest.mark.parametrize(("layer", "gates"), [(layers.SimpleRNN, 1), (layers.LSTM, 4)])
def test_counts_of_recurrent_layers_match_those_by_hand(layer, gates):
    time, features, units = 9, 5, 4
    model = keras.Sequential([keras.Input((time, features)), layer(units)])
    assert account(model).multiplications == time * gates * units * (features + units)


def test_models_with_several_inputs_and_subclassed_models_are_counted():
    left, right = keras.Input((3,), name="left"), keras.Input((4,), name="right")
    summed = layers.Dense(2)(left) + layers.Dense(2)(right)
    assert account(keras.Model({"left": left, "right": right}, summed)).multiplications == 3 * 2 + 4 * 2

    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(3)

        def call(self, x):
            return self.dense(x)

    assert account(Net(), input_shape=(5,)).multiplications == 15
    free = keras.Sequential([keras.Input((None, None, 2)), layers.Conv2D(3, 3, padding="same")])
    assert account(free, input_shape=(4, 5, 2)).multiplications == 4 * 5 * 2 * 3 * 9
    with pytest.raises(ValueError, match="input_shape"):
        account(free)
    with pytest.raises(ValueError, match="input_shape"):
        account(Net())
    with pytest.raises(ValueError, match=r"keras\.Model"):
        account(layers.Dense(3))


def test_loop_of_unknown_length_is_refused():
    class Loop(layers.Layer):
        def call(self, x):
            def step(x):
                return tf.matmul(x, tf.ones((3, 3)))

            return tf.while_loop(lambda x: tf.reduce_sum(x) < 100.0, lambda x: (step(x),), (x,))[0]

    model = keras.Sequential([keras.Input((3,)), Loop()])
    with pytest.raises(ValueError, match="known number of times"):
        account(model)


def test_loop_whose_length_depends_on_the_data_is_refused():
    class Loop(layers.Layer):
        def call(self, x):
            steps = tf.cast(tf.reduce_sum(x), tf.int32)
            return tf.while_loop(
                lambda x: True, lambda x: (tf.matmul(x, tf.ones((3, 3))),), (x,), maximum_iterations=steps
            )[0]

    model = keras.Sequential([keras.Input((3,)), Loop()])
    with pytest.raises(ValueError, match="known number of times"):
        account(model)


def test_shapes_of_several_inputs_of_any_length_are_given_one_by_one():
    source, start = keras.Input((None,), dtype="int32"), keras.Input((None,), dtype="int32")
    read = layers.GlobalAveragePooling1D()(layers.Dense(7)(layers.Embedding(5, 3)(source)))
    joined = layers.Add()([layers.Dense(7)(layers.Embedding(5, 4)(start)), read])
    model = keras.Model([source, start], joined)
    assert account(model, [(6,), (2,)]).multiplications == 6 * 3 * 7 + 2 * 4 * 7
    with pytest.raises(ValueError, match=r"input_shape must hold a shape for each of the model's 2 inputs"):
        account(model, (6,))
    assert totals([model]) == (model.count_params(), None)
    assert totals([model], [(6,), (2,)])[1] == account(model, [(6,), (2,)]).flops


def test_a_window_of_tokens_is_counted_once_its_length_is_given():
    tokens = keras.Input((None,), dtype="int32")
    model = keras.Model(
        tokens, layers.Dense(9)(layers.LSTM(4, return_sequences=True)(layers.Embedding(9, 3)(tokens)))
    )
    expected = 10 * (4 * 4 * (3 + 4) + 4 * 9)
    assert account(model, (10,)).multiplications == expected
    assert totals([model], [(10,)])[1] == 2 * expected
