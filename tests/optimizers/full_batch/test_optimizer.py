"""Oracles: Keras's own loss of one batch of all data, and the weights before and after."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from curvezoo.optimizers.full_batch.conjugate_gradient import ConjugateGradient
from curvezoo.optimizers.full_batch.loss import FullBatchLoss
from curvezoo.optimizers.full_batch.optimizer import CompiledFunction
from curvezoo.optimizers.full_batch.quasi_newton import LBFGS, fit_lbfgs

rng = np.random.default_rng(0)
X = rng.normal(size=(23, 4)).astype("float32")
Y = rng.integers(0, 3, 23)
W = rng.uniform(0.1, 2, 23).astype("float32")


def network(dropout=0.0, loss=None):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(5, "tanh", kernel_regularizer="l2", activity_regularizer="l2"),
            keras.layers.Dropout(dropout),
            keras.layers.Dense(3),
        ]
    )
    model.compile("sgd", loss or keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def whole(model, *data):
    """Keras's own loss of one batch of all data, and its gradient."""
    x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
    with tf.GradientTape() as tape:
        loss = model.compute_loss(x, y, model(x, training=False), weights, training=False)
    slopes = tape.gradient(loss, [v.value for v in model.trainable_variables])
    return loss, np.concatenate([np.ravel(slope) for slope in slopes])


@pytest.fixture
def eager_functions():
    """For tests of few evaluations, which take less time than compiling."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.filterwarnings("ignore:Even though the `tf.config")
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "mean", "sum", "mean_with_sample_weight"])
@pytest.mark.parametrize("data", [(X, Y), (X, Y, W)], ids=["plain", "weighted"])
def test_microbatches_equal_one_batch_and_count_regularization_once(reduction, data, request):
    if reduction != "sum_over_batch_size":
        request.getfixturevalue("eager_functions")
    model = network(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=reduction))
    expected, slopes = whole(model, *data)
    dataset = tf.data.Dataset.from_tensor_slices(data).shuffle(23, seed=1).batch(6)
    for objective in (
        FullBatchLoss(model, data, None, 100, False),
        FullBatchLoss(model, data, None, 5, False),
        FullBatchLoss(model, dataset, None, 100, False),
    ):
        loss, gradient = objective(objective.start())
        np.testing.assert_allclose(loss, expected, rtol=2e-6)
        np.testing.assert_allclose(gradient, slopes, atol=2e-6 * np.abs(slopes).max() + 1e-7)


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight"])
def test_ignored_labels_do_not_count_in_microbatches(reduction, eager_functions):
    """The loss of one batch and of microbatches with different numbers of ignored labels."""
    labels = np.where(np.arange(23) < 9, -1, Y)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=reduction, ignore_class=-1)
    model = network(loss=loss)
    for data in ((X, labels), (X, labels, W)):
        expected, slopes = whole(model, *data)
        objective = FullBatchLoss(model, data, None, 5, False)
        value, gradient = objective(objective.start())
        np.testing.assert_allclose(value, expected, rtol=2e-6)
        np.testing.assert_allclose(gradient, slopes, atol=2e-6 * np.abs(slopes).max() + 1e-7)


def test_a_loss_argument_replaces_the_compiled_loss(eager_functions):
    model, targets = network(), np.eye(3, dtype="float32")[Y]
    penalty = sum(map(float, (model(X), model.losses)[1]))
    expected = float(np.mean((model(X) - targets) ** 2)) + penalty
    for loss in ("mse", keras.losses.MeanSquaredError(), lambda y, p: keras.ops.mean((y - p) ** 2, axis=-1)):
        objective = FullBatchLoss(model, (X, targets), loss, 100, False)
        assert float(objective(objective.start())[0]) == pytest.approx(expected, rel=1e-5)


def test_dropout_is_off_by_default_and_drops_the_same_units_in_training():
    model = network(dropout=0.5)
    inference, dropped = (FullBatchLoss(model, (X, Y), None, 100, training) for training in (False, True))
    assert float(inference(inference.start())[0]) == pytest.approx(float(whole(model, X, Y)[0]), rel=1e-6)
    values = {float(dropped(dropped.start())[0]) for _ in range(4)}
    assert len(values) == 1 and values != {float(inference(inference.start())[0])}


def test_the_best_weights_are_kept_and_nothing_is_printed_unless_verbose(capsys):
    model = network()
    before = float(whole(model, X, Y)[0])
    capsys.readouterr()
    logged = []
    result = fit_lbfgs(
        model, (X, Y), max_iterations=15, verbose=False, callback=lambda *numbers: logged.append(numbers)
    )
    assert capsys.readouterr() == ("", "")
    assert result.reason == "iterations" and not result.converged and result.position is None
    after, slopes = whole(model, X, Y)
    assert result.loss == pytest.approx(float(after), rel=1e-5) and result.loss < 0.9 * before
    assert result.gradient_norm == pytest.approx(np.abs(slopes).max(), rel=0.02, abs=1e-5)
    assert logged == [(k + 1, result.losses[k + 1], logged[k][2]) for k in range(15)]
    assert int(model.optimizer.iterations) == 0


def test_batch_norm_does_not_update_its_moving_averages():
    keras.utils.set_random_seed(0)
    layers = [keras.layers.BatchNormalization(scale=False, center=False), keras.layers.Dropout(0.3)]
    model = keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(3)])
    before = [v.numpy() for v in model.non_trainable_variables]
    optimizer = ConjugateGradient(method="linear", max_iterations=3)
    result = optimizer.minimize(model, (X, np.eye(3)[Y]), "mse", training=True, verbose=False)
    assert result.losses[-1] < result.losses[0]
    for a, b in zip(before, model.non_trainable_variables, strict=True):
        np.testing.assert_array_equal(a, b)


def least_squares():
    """A model whose loss is quadratic in its five parameters."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(loss="mse")
    return model


def test_an_interrupt_keeps_the_best_weights_and_is_raised_again():
    model = least_squares()
    start, targets = model.get_weights(), X[:, :1] - 3

    def interrupt(iteration, loss, norm):
        interrupt.loss = loss
        if iteration == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ConjugateGradient(method="linear").minimize(model, (X, targets), verbose=False, callback=interrupt)
    assert float(whole(model, X, targets)[0]) == pytest.approx(interrupt.loss, rel=1e-5)
    assert not np.allclose(model.get_weights()[0], start[0])


def test_the_search_backs_off_from_nan_and_ends_on_an_unbounded_function():
    # One function with variable coefficients, to compile once: x - log x, then -exp x.
    a, b = (tf.Variable(value, dtype=tf.float64) for value in (1.0, 0.0))
    function = CompiledFunction(
        lambda x: tf.reduce_sum(a * (x - tf.math.log(x)) - b * tf.exp(x)), jit_compile=False
    )
    result = LBFGS(gradient_tolerance=1e-9).minimize_function(function, [30.0, 0.01])
    assert result.converged
    np.testing.assert_allclose(result.position, 1, rtol=1e-8)
    a.assign(0.0), b.assign(1.0)
    result = LBFGS().minimize_function(function, [1.0, 1.0])
    assert not result.converged and result.reason == "line search"
    assert np.isfinite(result.loss) and np.isfinite(result.position).all()


def test_rounding_ends_the_iteration_in_single_precision():
    bowl = CompiledFunction(lambda x: 1e3 + tf.reduce_sum((x - 0.3) ** 2), jit_compile=False)
    result = LBFGS(gradient_tolerance=0.0, max_iterations=100).minimize_function(bowl, np.float32([5, -3]))
    assert result.iterations < 60 and result.position.dtype == np.float32
    assert result.reason in ("gradient", "loss", "line search")
    np.testing.assert_allclose(result.position, 0.3, atol=0.02)


def test_progress_is_shown_on_stderr(capsys):
    ConjugateGradient(method="linear", max_iterations=3).minimize(least_squares(), (X, X[:, :1] - 3))
    assert "iteration 3/3  loss" in capsys.readouterr().err


def without_weights():
    return keras.Sequential([keras.Input((4,)), keras.layers.Flatten()])


@pytest.mark.parametrize(
    ("model", "data", "settings", "message"),
    [
        (network, X, {}, "data must be .x, y.* got ndarray"),
        (network, (X, Y[:5]), {}, r"one number of examples of at least 1, got \[23, 5\]"),
        (network, (X[:0], Y[:0]), {}, r"at least 1, got \[0, 0\]"),
        (network, tf.data.Dataset.from_tensor_slices((X, Y)).batch(5).repeat(), {}, "data must be finite"),
        (network, tf.data.Dataset.from_tensor_slices((X, Y)).take(0).batch(5), {}, "at least one example"),
        (network, tf.data.Dataset.from_tensor_slices(X).batch(5), {}, "data must have batches"),
        (network, (X, None, W), {}, "data must have targets, got None for y"),
        (network, (X, Y, 0 * W), {}, "sample weights must have a positive sum, got 0"),
        (network, (X * np.nan, Y), {}, "must be finite at the start, got a loss of nan"),
        (network, (X, Y), {"batch_size": 0}, "batch_size must be an integer of at least 1, got 0"),
        (without_weights, (X, X), {"loss": "mse"}, "model must have trainable weights"),
        (without_weights, (X, X), {}, "loss must be given"),
        (network, (X, Y), {"loss": keras.losses.MeanSquaredError("none")}, "losses must have one reduction"),
    ],
)
def test_bad_arguments_are_named(model, data, settings, message):
    with pytest.raises(ValueError, match=message):
        fit_lbfgs(model(), data, verbose=False, **settings)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x[:1] ** 2, r"function must return a scalar tensor, got shape \(1,\)"),
        (lambda x: 1.0, "function must return a scalar tensor that TensorFlow computed .*, got 1.0"),
        (lambda x: None, "function must return a scalar tensor that TensorFlow computed .*, got None"),
    ],
)
def test_a_function_that_returns_no_scalar_tensor_is_named(function, message):
    with pytest.raises(ValueError, match=message):
        LBFGS().minimize_function(function, [1.0, 2.0])


def test_an_empty_start_is_refused():
    with pytest.raises(ValueError, match="start must have at least one component"):
        LBFGS().minimize_function(tf.reduce_sum, [])
