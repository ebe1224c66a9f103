"""Oracle: the gradient of each example alone, in double precision."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from curvezoo.optimizers.keras_bridge.compiled_objective import CompiledObjective as Objective
from curvezoo.optimizers.layer_rules import per_example

B = 5

pytestmark = pytest.mark.usefixtures("double_precision_rates")


def model_of(*parts, input_shape, dtype="float64", loss="mse"):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input(input_shape, dtype=dtype), *parts])
    return compiled(model, loss)


def compiled(model, loss="mse"):
    # Scales and shifts away from one and zero.
    rng = np.random.default_rng(1)
    for variable in model.trainable_variables:
        variable.assign(variable + 0.3 * rng.normal(size=variable.shape))
    model.compile("sgd", loss)
    return model


def batch(model, seed=0, vocabulary=None):
    rng = np.random.default_rng(seed)
    shape = (B, *model.input_shape[1:])
    x = rng.integers(0, vocabulary, shape) if vocabulary else rng.normal(size=shape)
    # Not model.output_shape, which Keras gets wrong for an einsum with dots.
    return tf.constant(x), tf.constant(rng.normal(size=model(x).shape))


def gradient_of(model, x, y, weight=None):
    objective = Objective(model, x, y, weight)
    with tf.GradientTape() as tape:
        values = objective.values
        tape.watch(values)
        loss = objective.loss(values)
    return [tf.convert_to_tensor(g) for g in tape.gradient(loss, values, unconnected_gradients="zero")]


def square(gradients):
    return sum(float(tf.reduce_sum(g**2)) for g in gradients)


def norms_one_by_one(model, x, y, weight=None):
    def part(tensor, i):
        return None if tensor is None else tensor[i : i + 1]

    return [square(gradient_of(model, part(x, i), part(y, i), part(weight, i))) for i in range(B)]


def tied():
    keras.utils.set_random_seed(0)
    dense = layers.Dense(4, activation="tanh")
    inputs = keras.Input((3, 4))
    return compiled(keras.Model(inputs, layers.Dense(2)(dense(dense(inputs)[:, ::2]))))


def tied_embedding():
    keras.utils.set_random_seed(0)
    table = layers.Embedding(6, 4)
    inputs = keras.Input((5,), dtype="int32")
    both = layers.Add()([table(inputs), layers.Dense(4, activation="tanh")(table(inputs[:, ::-1]))])
    return compiled(keras.Model(inputs, layers.Dense(2)(both)))


def attention():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((5, 6))
    x = layers.MultiHeadAttention(2, 3)(inputs, inputs, use_causal_mask=True)
    x = layers.LayerNormalization()(layers.Add()([x, inputs]))
    return compiled(keras.Model(inputs, layers.Dense(2)(x)))


def einsum(equation, shape, output_shape, bias_axes=None):
    return model_of(layers.EinsumDense(equation, output_shape, "tanh", bias_axes), input_shape=shape)


SOME = {
    "dense": lambda: model_of(layers.Dense(6, "tanh"), layers.Dense(3, "sigmoid"), input_shape=(4,)),
    "dense without bias": lambda: model_of(layers.Dense(3, use_bias=False), input_shape=(4,)),
    "dense, few positions": lambda: model_of(layers.Dense(9, "tanh"), layers.Dense(8), input_shape=(2, 8)),
    "dense, many positions": lambda: model_of(
        layers.Dense(3, "tanh"), layers.Dense(2), input_shape=(5, 4, 3)
    ),
    "dense called twice": tied,
    "conv1d": lambda: model_of(
        layers.Conv1D(3, 3, 2, activation="tanh"), layers.Dense(2), input_shape=(9, 2)
    ),
    "causal conv1d": lambda: model_of(
        layers.Conv1D(3, 3, padding="causal", dilation_rate=2), input_shape=(7, 2)
    ),
    "conv2d": lambda: model_of(
        layers.Conv2D(3, (3, 2), (2, 1), "same", activation="relu"),
        layers.Conv2D(2, 2),
        input_shape=(6, 5, 2),
    ),
    "dilated conv2d": lambda: model_of(layers.Conv2D(8, 3, dilation_rate=2), input_shape=(6, 6, 8)),
    "layer norm": lambda: model_of(layers.LayerNormalization(), layers.Dense(2), input_shape=(4, 3)),
    "layer norm, two axes": lambda: model_of(layers.LayerNormalization([1, 2]), input_shape=(4, 3, 2)),
    "rms norm": lambda: model_of(layers.RMSNormalization(), layers.Dense(2), input_shape=(4, 3)),
    "group norm": lambda: model_of(layers.GroupNormalization(2), layers.Dense(2), input_shape=(3, 4)),
    "batch norm, inference": lambda: model_of(
        layers.Dense(4), layers.BatchNormalization(), layers.Dense(2), input_shape=(3,)
    ),
    "einsum of heads": lambda: einsum("abc,cde->abde", (3, 4), (3, 2, 5), "de"),
    "einsum to heads, shared bias": lambda: einsum("abc,cde->abde", (3, 4), (3, 2, 5), "e"),
    "einsum with a kept letter": lambda: einsum("abc,bcd->abd", (3, 4), (3, 5), "bd"),
    "einsum with dots": lambda: einsum("...x,xy->...y", (3, 2, 4), 5, "y"),
    "attention": attention,
}


def found(model, x, y, weight=None):
    return per_example.squared_norms(Objective(model, x, y, weight))


@pytest.mark.parametrize("name", SOME)
def test_norms_are_those_of_each_example_alone(name):
    model = SOME[name]()
    assert per_example.unsupported_reason(model) is None
    x, y = batch(model)
    norms, gradients, regularization = found(model, x, y)
    np.testing.assert_allclose(norms, norms_one_by_one(model, x, y), rtol=1e-10)
    for ours, theirs in zip(gradients, gradient_of(model, x, y), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)
    assert square(regularization) == 0


def test_tokens_that_repeat_in_an_example_add_up():
    model = tied_embedding()
    x, y = batch(model, vocabulary=6)
    norms, *_ = found(model, x, y)
    np.testing.assert_allclose(norms, norms_one_by_one(model, x, y), rtol=1e-10)


def test_the_norms_are_those_of_the_jacobian_compiled_with_and_without_xla():
    model = SOME["conv2d"]()
    x, y = batch(model)
    variables = [v.value for v in model.trainable_variables]
    with tf.GradientTape() as tape:
        losses = tf.reduce_mean((model(x) - y) ** 2, axis=[1, 2, 3])
    jacobians = tape.jacobian(losses, variables)
    expected = sum(tf.reduce_sum(tf.reshape(j, [B, -1]) ** 2, axis=1) for j in jacobians)
    for jit in (False, True):
        norms = tf.function(lambda x, y: found(model, x, y)[0], jit_compile=jit)(x, y)
        np.testing.assert_allclose(norms, expected, rtol=1e-10)


def test_an_example_counts_with_its_weight():
    model = SOME["dense"]()
    x, y = batch(model)
    weight = tf.constant([1.0, 0.0, 2.0, 0.5, 3.0], tf.float64)
    norms, *_ = found(model, x, y, weight)
    np.testing.assert_allclose(norms, norms_one_by_one(model, x, y, weight), rtol=1e-10, atol=1e-25)


def test_regularizers_of_weights_stand_apart():
    part = layers.Dense(3, "tanh", kernel_regularizer=keras.regularizers.L2(0.1))
    model = model_of(part, layers.Dense(2), input_shape=(4,))
    x, y = batch(model)
    norms, gradients, regularization = found(model, x, y)
    np.testing.assert_allclose(regularization[0], 0.2 * part.kernel.numpy(), rtol=1e-6)
    np.testing.assert_allclose(gradients[0], gradient_of(model, x, y)[0], rtol=1e-12)
    # The same weights without a regularizer.
    part.kernel.regularizer = None
    np.testing.assert_allclose(norms, norms_one_by_one(model, x, y), rtol=1e-10)


@pytest.mark.parametrize("frozen", ["kernel", "layer"])
def test_what_is_frozen_has_no_share(frozen):
    model = SOME["dense"]()
    if frozen == "layer":
        model.layers[0].trainable = False
    else:
        model.layers[0].kernel.trainable = False
    model.compile("sgd", "mse")
    x, y = batch(model)
    norms, gradients, _ = found(model, x, y)
    assert len(gradients) == (2 if frozen == "layer" else 3)
    np.testing.assert_allclose(norms, norms_one_by_one(model, x, y), rtol=1e-10)


class Doubled(layers.Dense):
    def call(self, inputs, training=None):
        return 2 * super().call(inputs)


class Borrowing(layers.Dense):
    def __init__(self, lender):
        super().__init__(lender.units, use_bias=False)
        self.lender = lender

    def build(self, input_shape):
        self._kernel, self.bias, self.built = self.lender._kernel, None, True


def shared():
    first = layers.Dense(4, use_bias=False)
    model = keras.Sequential([keras.Input((4,)), first])
    model.add(Borrowing(first))
    return model


OBSTACLES = {
    "recurrent": (lambda: model_of(layers.LSTM(3), input_shape=(4, 2)), "has no rule"),
    "subclass": (lambda: model_of(Doubled(3), input_shape=(4,)), "has no rule"),
    "groups": (lambda: model_of(layers.Conv2D(4, 2, groups=2), input_shape=(4, 4, 4)), "has no rule"),
    "in a loop": (
        lambda: model_of(layers.TimeDistributed(layers.Dense(3)), input_shape=(4, 2)),
        "has no rule",
    ),
    "shared": (shared, "has no rule"),
}


@pytest.mark.parametrize("name", OBSTACLES)
def test_what_has_no_rule_is_named(name):
    make, message = OBSTACLES[name]
    model = make()
    assert message in per_example.unsupported_reason(model)
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=f"model has no per-example gradient norms: .*{message}"):
        found(model, *batch(model))


def test_batch_statistics_couple_the_examples():
    model = SOME["batch norm, inference"]()
    assert per_example.batch_coupling(model) == model.layers[1].name
    with pytest.raises(ValueError, match=r"layer 'batch_normal.*' couples the examples"):
        per_example.squared_norms(Objective(model, *batch(model), training=True))
    model.layers[1].trainable = False
    assert per_example.batch_coupling(model) is None
