"""The oracle for a head of probabilities is the same model with a head and a loss of logits, in float64."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from curvezoo.optimizers import HessianFree
from curvezoo.optimizers.curvature import GaussNewton, products
from curvezoo.optimizers.keras_bridge.compiled_objective import CompiledObjective

L = keras.layers
N, CLASSES = 6, 3
SPARSE = "sparse_categorical_crossentropy"


@pytest.fixture(autouse=True)
def double_precision(double_precision_rates):
    keras.utils.set_random_seed(0)


class RawSoftmax(L.Layer):
    """A softmax by TensorFlow, to which Keras attaches nothing."""

    def call(self, inputs):
        return tf.nn.softmax(inputs)


class Written(L.Layer):
    """A softmax written out."""

    def call(self, inputs):
        powers = keras.ops.exp(inputs - keras.ops.max(inputs, -1, keepdims=True))
        return powers / keras.ops.sum(powers, -1, keepdims=True)


def network(*head, outputs=CLASSES):
    keras.utils.set_random_seed(1)
    return keras.Sequential([keras.Input((2,)), L.Dense(4, "tanh"), L.Dense(outputs), *head])


def data(classes=CLASSES):
    rng = np.random.default_rng(0)
    return rng.normal(size=(N, 2)), rng.integers(0, classes, N)


HEADS = {
    "activation": lambda: [L.Activation("softmax")],
    "tensorflow": lambda: [RawSoftmax()],
    "written": lambda: [Written()],
    "reshaped": lambda: [L.Softmax(), L.Reshape((CLASSES,))],
}


def check_a_product(model, y, loss, of_logits, loss_of_logits):
    """Compares the product with a random vector."""
    x = data()[0]
    expected, result = GaussNewton(of_logits, (x, y), loss_of_logits), GaussNewton(model, (x, y), loss)
    vector = np.random.default_rng(2).normal(size=expected.dimension)
    expected = expected @ vector
    assert np.max(np.abs(expected)) > 0.01
    np.testing.assert_allclose(result @ vector, expected, atol=1e-10)


@pytest.mark.parametrize("head", HEADS)
def test_the_gauss_newton_matrix_of_any_softmax_is_that_of_its_logits(head):
    y = data()[1]
    logits = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    check_a_product(network(*HEADS[head]()), y, SPARSE, network(), logits)


def test_the_gauss_newton_matrix_is_that_of_the_logits_without_a_graph():
    y = np.eye(CLASSES)[data()[1]]
    logits = keras.losses.CategoricalCrossentropy(from_logits=True)
    tf.config.run_functions_eagerly(True)
    try:
        for head in ("activation", "tensorflow"):
            check_a_product(network(*HEADS[head]()), y, "categorical_crossentropy", network(), logits)
    finally:
        tf.config.run_functions_eagerly(False)


@pytest.mark.parametrize("reshaped", [False, True])
def test_the_gauss_newton_matrix_of_a_sigmoid_is_that_of_its_logits(reshaped):
    y = data(2)[1]
    y = np.stack([y, 1 - y], axis=1)
    model = network(L.Activation("sigmoid"), *[L.Reshape((2,))] * reshaped, outputs=2)
    logits = keras.losses.BinaryCrossentropy(from_logits=True)
    check_a_product(model, y, keras.losses.BinaryCrossentropy(), network(outputs=2), logits)


def test_probabilities_of_another_type_than_the_loss_have_the_matrix_of_their_logits():
    y = data()[1]
    logits = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model = network(L.Softmax(), L.Activation("linear", dtype="float32"))
    x = data()[0]
    expected = GaussNewton(network(), (x, y), logits)
    vector = np.random.default_rng(2).normal(size=expected.dimension)
    result = GaussNewton(model, (x, y), keras.losses.SparseCategoricalCrossentropy())
    np.testing.assert_allclose(result @ vector, expected @ vector, atol=1e-5)


def test_a_squared_error_of_probabilities_uses_the_probabilities():
    x, y = data()
    model = network(L.Softmax())
    with tf.GradientTape() as tape:
        outputs = model(x)
    jacobian = [j.numpy() for j in tape.jacobian(outputs, [v.value for v in model.trainable_variables])]
    jacobian = np.concatenate([j.reshape(N * CLASSES, -1) for j in jacobian], axis=1)
    expected = 2 / (N * CLASSES) * jacobian.T @ jacobian
    result = GaussNewton(model, (x, np.eye(CLASSES)[y]), "mse").dense()
    np.testing.assert_allclose(result, expected, atol=1e-12)


def two_heads(head):
    keras.utils.set_random_seed(1)
    inputs = keras.Input((2,))
    return keras.Model(inputs, [L.Dense(CLASSES, head)(inputs), L.Dense(1)(inputs)])


def test_each_of_several_outputs_has_the_matrix_of_its_logits():
    x, y = data()
    targets, products_ = [y, x[:, :1]], []
    logits = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for model, loss in ((two_heads(None), logits), (two_heads("softmax"), SPARSE)):
        model.compile(loss=[loss, "mse"])
        objective = CompiledObjective(model, tf.constant(x), [tf.constant(t) for t in targets])
        vector = [tf.cos(value + 1) for value in objective.values]
        products_.append(products.gauss_newton_product(objective, objective.values, vector))
    for expected, result in zip(*products_, strict=True):
        np.testing.assert_allclose(result, expected, atol=1e-12)


def step(model, x, y, loss):
    model.compile(HessianFree(damping=0.1, steps=2), loss)
    model.fit(x, y, batch_size=N, shuffle=False, verbose=0)
    return [w.numpy() for w in model.trainable_variables]


def test_a_hessian_free_step_does_not_depend_on_where_the_softmax_is():
    x, y = data()
    expected = step(network(), x, y, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    result = step(network(L.Softmax()), x, y, SPARSE)
    for a, b in zip(result, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-8)
