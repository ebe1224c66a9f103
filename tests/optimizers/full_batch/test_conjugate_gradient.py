"""Oracles: `theory.conjugate_directions` on quadratics, numpy.linalg.solve, and SciPy."""

import keras
import numpy as np
import pytest
import scipy.optimize
import tensorflow as tf

from curvezoo.optimizers.full_batch.conjugate_gradient import METHODS, ConjugateGradient
from curvezoo.optimizers.full_batch.optimizer import CompiledFunction
from curvezoo.theory import conjugate_directions

basis = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]
HESSIAN = basis * np.geomspace(1, 50, 6) @ basis.T
GRADIENT = np.random.default_rng(1).normal(size=6)
bowl = CompiledFunction(
    lambda x: tf.tensordot(GRADIENT, x, 1) + tf.tensordot(x, tf.linalg.matvec(HESSIAN, x), 1) / 2,
    jit_compile=False,
)


def test_the_linear_method_takes_the_steps_of_the_theory():
    path = conjugate_directions.gram_schmidt_descent(HESSIAN, GRADIENT).points
    for steps in (1, 3, 6):
        optimizer = ConjugateGradient(method="linear", max_iterations=steps, gradient_tolerance=0.0)
        result = optimizer.minimize_function(bowl, np.zeros(6))
        np.testing.assert_allclose(result.position, path[steps], atol=1e-9)
        assert result.evaluations == 1 + 2 * steps
    np.testing.assert_allclose(result.position, np.linalg.solve(HESSIAN, -GRADIENT), atol=1e-9)


def test_with_exact_steps_all_methods_have_the_same_directions():
    """On a quadratic loss these are the directions of Eq. 4.7.11."""
    run = conjugate_directions.gram_schmidt_descent(HESSIAN, GRADIENT)
    for method in METHODS:
        memory = ConjugateGradient(method=method).memory(20, tf.float64)
        for k, step in enumerate(run.steps):
            before, after = -tf.constant(run.residuals[k : k + 2])
            direction = memory.direction(before)[0]
            np.testing.assert_allclose(direction, run.directions[k], atol=1e-8)
            memory.update(step * direction, after - before, after, step, 1.0)


def test_polak_and_ribieres_coefficient_is_zero_where_it_would_be_negative():
    before, after = (tf.constant([x, 0.0], tf.float64) for x in (1.0, 0.5))
    memory = ConjugateGradient(method="polak-ribiere").memory(20, tf.float64)
    direction = memory.direction(before)[0]
    # g_1.(g_1 - g_0) = -1/4.
    memory.update(0.5 * direction, after - before, after, 0.5, 1.0)
    np.testing.assert_array_equal(memory.direction(after)[0], -after)
    memory.update(-0.5 * after, before - after, before, 0.5, 1.0)
    # g_2.(g_2 - g_1) / g_1.g_1 = 2.
    np.testing.assert_array_equal(memory.direction(before)[0], -2 * after - before)


rosenbrock = CompiledFunction(
    lambda x: tf.reduce_sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2), jit_compile=False
)


@pytest.mark.parametrize("method", METHODS[:2])
def test_the_nonlinear_methods_find_scipys_minimum(method):
    start = np.array([-1.2, 1.0, 0.8, -0.5])
    result = ConjugateGradient(method=method, gradient_tolerance=1e-9).minimize_function(rosenbrock, start)
    best = scipy.optimize.minimize(scipy.optimize.rosen, start, jac=scipy.optimize.rosen_der, tol=1e-12)
    assert result.reason == "gradient"
    np.testing.assert_allclose(result.position, best.x, atol=1e-8)


def test_the_linear_method_stops_where_the_loss_is_not_convex():
    saddle = CompiledFunction(lambda x: x[0] ** 2 - x[1] ** 2, jit_compile=False)
    result = ConjugateGradient(method="linear").minimize_function(saddle, [0.0, 1.0])
    assert not result.converged and result.reason == "curvature"
    np.testing.assert_array_equal(result.position, [0.0, 1.0])


def test_least_squares_with_a_model_takes_as_many_steps_as_parameters():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(40, 3)).astype("float32")
    y = (x @ [[1.0], [-2.0], [0.5]] + 3).astype("float32")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    optimizer = ConjugateGradient(method="linear", max_iterations=4)
    result = optimizer.minimize(model, (x, y), "mse", verbose=False)
    kernel, bias = model.get_weights()
    np.testing.assert_allclose(np.append(kernel, bias), [1, -2, 0.5, 3], atol=1e-4)
    assert result.loss < 1e-8


def test_compile_and_unknown_methods_are_refused():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    with pytest.raises(ValueError, match=r"ConjugateGradient\(\)\.minimize\(model, data\), or fit_lbfgs"):
        model.compile(ConjugateGradient(), "mse")
    with pytest.raises(ValueError, match=r"method must be one of 'polak-ribiere', .* got 'secant'"):
        ConjugateGradient(method="secant")
