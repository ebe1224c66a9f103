"""Oracles: SciPy's minima, TensorFlow Probability's L-BFGS, `theory.quasi_newton`, and gradient descent."""

import keras
import numpy as np
import pytest
import scipy.optimize
import scipy.special
import tensorflow as tf
from sklearn.datasets import load_digits
from tensorflow_probability.python.optimizer import lbfgs as tfps

from curvezoo.optimizers.full_batch import quasi_newton
from curvezoo.optimizers.full_batch.optimizer import CompiledFunction
from curvezoo.optimizers.full_batch.quasi_newton import BFGS, LBFGS, fit_lbfgs
from curvezoo.theory import quasi_newton as theory

rosenbrock = CompiledFunction(lambda x: 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2, jit_compile=False)
himmelblau = CompiledFunction(
    lambda x: (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2, jit_compile=False
)


def scipys(function, start, method):
    def value(x):
        return [output.numpy() for output in function(tf.constant(x))]

    return scipy.optimize.minimize(value, start, jac=True, method=method, tol=1e-12).x


@pytest.mark.parametrize(("optimizer", "method"), [(BFGS, "BFGS"), (LBFGS, "L-BFGS-B")])
@pytest.mark.parametrize(("function", "start"), [(rosenbrock, [-1.2, 1.0]), (himmelblau, [1.0, 1.0])])
def test_minima_are_those_of_scipy(optimizer, method, function, start):
    result = optimizer(gradient_tolerance=1e-10).minimize_function(function, start)
    assert result.converged and result.reason == "gradient"
    np.testing.assert_allclose(result.position, scipys(function, start, method), rtol=1e-8)
    assert result.position.dtype == np.float64
    assert len(result.losses) == result.iterations + 1 <= result.evaluations <= 3 * result.iterations
    assert np.all(np.diff(result.losses) <= 1e-14)


def test_directions_are_those_of_the_theory_and_of_tensorflow_probability():
    rng = np.random.default_rng(0)
    steps, gradient = rng.normal(size=(4, 7)), rng.normal(size=7)
    root = rng.normal(size=(7, 7))
    changes = steps @ (root @ root.T + np.eye(7))
    products = np.einsum("md,md->m", steps, changes)
    scale = products[-1] / (changes[-1] @ changes[-1])
    newest = [tf.constant(array[::-1]) for array in (steps, changes)]
    pads = tf.zeros([7], tf.float64)
    lists = [[*tf.unstack(array), pads, pads] for array in newest]
    ours = quasi_newton.two_loops(
        tf.constant(gradient), *lists, tf.constant([*(1 / products[::-1]), 0, 0]), tf.constant(scale)
    )
    np.testing.assert_allclose(ours, -theory.two_loop_product(gradient, steps, changes, scale), rtol=1e-10)
    state = tfps.LBfgsOptimizerResults(
        converged=tf.constant(False),
        failed=tf.constant(False),
        num_iterations=tf.constant(4),
        num_objective_evaluations=tf.constant(5),
        position=tf.constant(gradient),
        objective_value=tf.constant(0.0, tf.float64),
        objective_gradient=tf.constant(gradient),
        position_deltas=tf.constant(steps),
        gradient_deltas=tf.constant(changes),
    )
    np.testing.assert_allclose(ours, tfps._get_search_direction(state), rtol=1e-10)
    inverse = np.eye(7)
    for step, change in zip(steps, changes, strict=True):
        updated = theory.inverse_update(inverse, step, change)
        graph = quasi_newton.inverse_update(*map(tf.constant, (inverse, step, change)))
        np.testing.assert_allclose(graph, updated, atol=1e-10 * np.abs(updated).max())
        inverse = updated


def test_without_history_the_direction_is_the_negative_gradient():
    memory = LBFGS(history=0).memory(2, tf.float64)
    gradient = tf.constant([3.0, -4.0], tf.float64)
    memory.update(gradient, gradient, gradient, 1.0, 25.0)
    direction, trial = memory.direction(gradient)
    np.testing.assert_array_equal(direction, -gradient)
    assert trial == pytest.approx(1 / 5)
    matrix = BFGS().memory(2, tf.float64)
    np.testing.assert_array_equal(matrix.direction(gradient)[0], -gradient)


def test_an_isotropic_quadratic_takes_two_iterations():
    bowl = CompiledFunction(lambda x: 50.0 * tf.reduce_sum((x - 1.0) ** 2), jit_compile=False)
    for optimizer in (LBFGS(gradient_tolerance=1e-8), BFGS(gradient_tolerance=1e-8)):
        assert optimizer.minimize_function(bowl, np.linspace(-3, 3, 9)).iterations <= 2


# A power of two, as Keras stores the strength of L2 in single precision.
STRENGTH = 2.0**-4


def softmax_regression():
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(10, "softmax", kernel_regularizer=keras.regularizers.L2(STRENGTH)),
        ]
    )
    model.compile(None, keras.losses.SparseCategoricalCrossentropy())
    return model


def test_softmax_regression_on_digits_reaches_scipys_optimum(double_precision_rates):
    digits = load_digits()
    x, y = digits.data[:500] / 16, digits.target[:500]
    model = softmax_regression()
    result = fit_lbfgs(model, (x, y), gradient_tolerance=1e-8, verbose=False)

    def loss(theta):
        kernel, bias = theta[:640].reshape(64, 10), theta[640:]
        logits = x @ kernel + bias
        logits -= scipy.special.logsumexp(logits, axis=1, keepdims=True)
        slope = np.exp(logits)
        slope[np.arange(len(y)), y] -= 1
        gradient = np.concatenate(
            [(x.T @ slope / len(y) + 2 * STRENGTH * kernel).ravel(), slope.mean(axis=0)]
        )
        return -logits[np.arange(len(y)), y].mean() + STRENGTH * (kernel**2).sum(), gradient

    options = {"gtol": 1e-9, "ftol": 0, "maxiter": 5000, "maxfun": 5000}
    best = scipy.optimize.minimize(loss, np.zeros(650), jac=True, method="L-BFGS-B", options=options)
    assert result.converged
    assert result.loss == pytest.approx(best.fun, rel=1e-8)
    assert result.loss == pytest.approx(model.evaluate(x, y, verbose=0), rel=1e-10)
    np.testing.assert_allclose(model.get_weights()[0].ravel(), best.x[:640], atol=1e-4)


def test_the_error_of_compile_names_the_function_to_call_instead():
    model = softmax_regression()
    for optimizer in (LBFGS(), BFGS()):
        with pytest.raises(
            ValueError, match=r"needs the loss over all data at once.* fit_lbfgs\(model, data\)"
        ):
            model.compile(optimizer, "mse")


def test_settings_survive_serialization():
    optimizer = LBFGS(history=3, gradient_tolerance=1e-3)
    config = keras.saving.serialize_keras_object(optimizer)
    assert keras.saving.deserialize_keras_object(config) == optimizer


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: LBFGS(history=-1), "history must be an integer of at least 0, got -1"),
        (lambda: BFGS(max_iterations=0), "max_iterations must be an integer of at least 1"),
        (lambda: LBFGS(gradient_tolerance=-1.0), "gradient_tolerance must not be negative"),
        (lambda: LBFGS(loss_tolerance=np.nan), "loss_tolerance must be finite"),
        (lambda: BFGS().memory(20_000, tf.float32), "at most 10000 parameters, got 20000: use LBFGS"),
        (lambda: LBFGS().minimize_function(rosenbrock, [[1.0, 2.0]]), "start must have 1 axis"),
        (lambda: LBFGS().minimize_function(rosenbrock, [1.0, np.inf]), r"start\[1\] must be finite"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
