import keras
import numpy as np
import pytest
import tensorflow as tf

from curvezoo.studies.gradient_check import gradient_check
from curvezoo.theory.differentiation import GradientReport


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((6, 5)).astype("float32")
    return x, rng.integers(3, size=6)


def mlp(*, activation="tanh", **options):
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [keras.Input((5,)), keras.layers.Dense(4, activation=activation, **options), keras.layers.Dense(3)]
    )


CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@tf.custom_gradient
def wrong_square(x):
    """x^2 with a gradient that is one part in a thousand too large."""
    return x * x, lambda upstream: 2.002 * x * upstream


@keras.saving.register_keras_serializable("curvezoo.tests")
class Square(keras.layers.Layer):
    def call(self, x):
        return keras.ops.square(x)


@keras.saving.register_keras_serializable("curvezoo.tests")
class WrongSquare(keras.layers.Layer):
    def call(self, x):
        return wrong_square(x)


def test_derivatives_agree_with_closed_form(data):
    # For softmax regression, dL/dW = x^T (p - y) / B. The report's labels locate the entries.
    x, y = data
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)])
    report = gradient_check(model, x, y, CROSS_ENTROPY, coordinates=100)
    kernel, bias = (weight.astype("float64") for weight in model.get_weights())
    logits = x.astype("float64") @ kernel + bias
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    residual = (p - np.eye(3)[y]) / len(y)
    kernel_gradient, bias_gradient = x.astype("float64").T @ residual, residual.sum(axis=0)
    assert isinstance(report, GradientReport) and report.passed
    assert len(report.labels) == 4 + 18
    for label, given, estimate in zip(
        report.labels[4:], report.given[4:], report.estimates["central difference"][4:], strict=True
    ):
        place = tuple(int(i) for i in label.partition("[")[2].rstrip("]").split(", "))
        exact = kernel_gradient[place] if len(place) == 2 else bias_gradient[place]
        assert given == pytest.approx(exact, abs=1e-11)
        assert estimate == pytest.approx(exact, abs=1e-9)


def test_a_wrong_gradient_fails_with_its_error(data):
    x, y = data
    right = keras.Sequential([mlp(), Square()])
    wrong = keras.Sequential([mlp(), WrongSquare()])
    right(x), wrong(x)
    assert gradient_check(right, x, y, CROSS_ENTROPY).passed
    report = gradient_check(wrong, x, y, CROSS_ENTROPY)
    assert not report.passed
    assert report.errors["central difference"] == pytest.approx(1e-3 * report.scale, rel=0.5)
    assert report.failures[0] == "direction 0"


def test_inference_and_training_modes_leave_the_model_unchanged(data):
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((4, 6, 6, 2)).astype("float32"), rng.standard_normal((4, 3)).astype("float32")
    inputs = keras.Input((6, 6, 2))
    hidden = keras.layers.Conv2D(3, 3, kernel_regularizer=keras.regularizers.L2(0.1))(inputs)
    hidden = keras.layers.BatchNormalization()(hidden)
    hidden = keras.layers.Activation("gelu")(hidden)
    hidden = keras.layers.Dropout(0.5, seed=3)(keras.layers.GlobalAveragePooling2D()(hidden))
    model = keras.Model(inputs, keras.layers.Dense(3)(hidden))
    model.compile(loss="mse")
    before = model.get_weights()
    inference = gradient_check(model, x, y)
    training = gradient_check(model, x, y, training=True)
    # In training mode, the derivative of a bias before batch normalization is zero up to rounding.
    assert inference.passed and inference.errors["central difference"] < 1e-8
    assert training.passed and training.errors["central difference"] < 1e-8
    assert not np.allclose(inference.given, training.given)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert keras.config.floatx() == "float32" and model.dtype_policy.name == "float32"


def test_regularizers_are_part_of_the_loss(data):
    # Without any other loss, |W|^2 / 8 has the derivative W / 4.
    x, y = data
    layer = keras.layers.Dense(3, use_bias=False, kernel_regularizer=keras.regularizers.L2(0.125))
    model = keras.Sequential([keras.Input((5,)), layer])
    report = gradient_check(model, x, y, lambda y, p: 0.0 * p, directions=0, coordinates=15)
    (kernel,) = model.get_weights()
    for label, given in zip(report.labels, report.given, strict=True):
        row, column = map(int, label.partition("[")[2].rstrip("]").split(", "))
        assert given == pytest.approx(0.25 * np.float64(kernel[row, column]), abs=1e-9)
    assert report.passed


def test_a_mixed_precision_model_is_checked_in_float64(data):
    x, y = data
    report = gradient_check(mlp(dtype="mixed_bfloat16"), x, y, CROSS_ENTROPY)
    assert report.passed and report.errors["central difference"] < 1e-8


def test_the_values_of_a_plain_function_are_averaged(data):
    x, _ = data
    targets = np.ones((6, 3), "float32")
    squares = gradient_check(mlp(), x, targets, lambda y, p: tf.square(y - p), seed=5)
    named = gradient_check(mlp(), x, targets, "mse", seed=5)
    assert squares.passed
    np.testing.assert_allclose(squares.given, named.given, rtol=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": None}, "loss"),
        ({"y": np.zeros(5)}, "same number"),
        ({"x": np.zeros((0, 5)), "y": np.zeros(0)}, "same number"),
        ({"directions": 0, "coordinates": 0}, "directions"),
        ({"directions": -1}, "directions"),
        ({"epsilon": 0.0}, "epsilon"),
        ({"tolerance": -1.0}, "tolerance"),
        ({"x": np.full((6, 5), np.nan)}, "finite"),
        ({"loss": lambda y, p: tf.cast(tf.reduce_sum(p), tf.float32)}, "precision"),
        ({"model": keras.Sequential([keras.layers.Dense(3)])}, "built"),
        ({"model": keras.Sequential([keras.Input((5,)), keras.layers.Flatten()])}, "trainable"),
    ],
)
def test_invalid_arguments_are_errors(data, options, message):
    x, y = data
    arguments = {"model": mlp(), "x": x, "y": y, "loss": CROSS_ENTROPY, **options}
    with pytest.raises(ValueError, match=message):
        gradient_check(**arguments)


def test_a_model_that_cannot_be_rebuilt_is_an_error(data):
    class Closed(keras.Model):
        def __init__(self, function):
            super().__init__()
            self.dense = keras.layers.Dense(3, activation=function)

        def call(self, x):
            return self.dense(x)

        def get_config(self):
            raise NotImplementedError

    model = Closed(tf.tanh)
    model(data[0])
    with pytest.raises(ValueError, match="rebuilds"):
        gradient_check(model, *data, CROSS_ENTROPY)
