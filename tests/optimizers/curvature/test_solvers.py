"""Oracles: numpy.linalg.solve, and the minimum of the quadratic model over Krylov spaces."""

import numpy as np
import pytest
import tensorflow as tf

from curvezoo.optimizers.curvature.solvers import conjugate_gradients


def positive(n, seed=0, samples=None):
    x = np.random.default_rng(seed).normal(size=(n, samples or 2 * n))
    return x @ x.T / n


def product_of(matrix):
    return lambda v: tf.linalg.matvec(tf.constant(matrix), v)


@pytest.mark.parametrize("unroll", [False, True])
@pytest.mark.parametrize("compiled", [False, True])
def test_the_solution_is_that_of_a_dense_solve(unroll, compiled):
    matrix, b = positive(6), np.random.default_rng(1).normal(size=6)

    def solve(b):
        return conjugate_gradients(
            product_of(matrix), b, damping=0.1, tolerance=1e-12, steps=10, unroll=unroll
        )

    result = (tf.function(solve) if compiled else solve)(tf.constant(b))
    exact = np.linalg.solve(matrix + 0.1 * np.eye(6), b)
    np.testing.assert_allclose(result.solution, exact, rtol=1e-10)
    assert float(result.residual) <= 1e-12 and not bool(result.negative_curvature)
    assert float(result.value) == pytest.approx(-0.5 * b @ exact, rel=1e-10)
    assert int(result.steps) < 10


def test_a_list_of_tensors_is_solved_as_one_vector():
    matrix, b = positive(10), np.random.default_rng(1).normal(size=10)

    def split(v):
        return [tf.reshape(v[:6], (2, 3)), v[6:]]

    def product(parts):
        return split(
            tf.linalg.matvec(tf.constant(matrix), tf.concat([tf.reshape(p, [-1]) for p in parts], 0))
        )

    result = conjugate_gradients(product, split(tf.constant(b)), tolerance=1e-12)
    exact = np.linalg.solve(matrix, b)
    np.testing.assert_allclose(result.solution[0], exact[:6].reshape(2, 3), rtol=1e-9)
    np.testing.assert_allclose(result.solution[1], exact[6:], rtol=1e-9)


def test_as_many_steps_as_distinct_eigenvalues_suffice():
    q, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(20, 20)))
    matrix = (q * np.repeat([1.0, 2.0, 5.0, 9.0], 5)) @ q.T
    result = conjugate_gradients(product_of(matrix), tf.ones(20, tf.float64), tolerance=1e-12)
    assert int(result.steps) == 4


@pytest.mark.parametrize("steps", [1, 3, 7])
def test_each_step_reaches_the_minimum_over_the_krylov_space(steps):
    matrix, b = positive(15), np.random.default_rng(2).normal(size=15)
    result = conjugate_gradients(product_of(matrix), tf.constant(b), steps=steps, tolerance=0.0)
    space, _ = np.linalg.qr(np.stack([np.linalg.matrix_power(matrix, k) @ b for k in range(steps)], axis=1))
    best = space @ np.linalg.solve(space.T @ matrix @ space, space.T @ b)
    np.testing.assert_allclose(result.solution, best, rtol=1e-8, atol=1e-10)


def test_a_preconditioner_saves_steps_and_leaves_the_solution():
    scales = np.logspace(0, 3, 20)
    matrix = positive(20, samples=400) * scales[:, None] * scales
    b = np.random.default_rng(1).normal(size=20)
    plain = conjugate_gradients(product_of(matrix), tf.constant(b), tolerance=1e-9, steps=500)
    diagonal = tf.constant(1 / np.diag(matrix))
    better = conjugate_gradients(
        product_of(matrix), tf.constant(b), preconditioner=lambda v: diagonal * v, tolerance=1e-9, steps=500
    )
    np.testing.assert_allclose(better.solution, np.linalg.solve(matrix, b), rtol=1e-6)
    assert int(better.steps) <= 20 < int(plain.steps)


def test_an_exact_start_takes_no_step():
    matrix, b = positive(8), np.random.default_rng(1).normal(size=8)
    start = np.linalg.solve(matrix, b)
    result = conjugate_gradients(product_of(matrix), tf.constant(b), x0=tf.constant(start))
    assert int(result.steps) == 0
    np.testing.assert_array_equal(result.solution, start)
    assert float(result.value) == pytest.approx(-0.5 * b @ start, rel=1e-10)
    other = conjugate_gradients(
        product_of(matrix), tf.constant(b), x0=tf.ones(8, tf.float64), tolerance=1e-12
    )
    np.testing.assert_allclose(other.solution, start, rtol=1e-9)


@pytest.mark.parametrize("unroll", [False, True])
def test_negative_curvature_is_reported_with_its_direction_without_nan(unroll):
    matrix, b = np.diag([1.0, -2.0]), np.array([1.0, 0.1])
    result = conjugate_gradients(product_of(matrix), tf.constant(b), steps=10, unroll=unroll)
    direction = result.direction.numpy()
    assert bool(result.negative_curvature) and direction @ matrix @ direction <= 0
    assert np.isfinite(result.solution).all() and int(result.steps) == 1
    # The step before is an exact line search.
    np.testing.assert_allclose(result.solution, b * (b @ b) / (b @ matrix @ b), rtol=1e-12)
    at_once = conjugate_gradients(product_of(-np.eye(2)), tf.constant(b), unroll=unroll, steps=5)
    np.testing.assert_array_equal(at_once.solution, np.zeros(2))
    np.testing.assert_allclose(at_once.direction, b)
    assert bool(at_once.negative_curvature)


def test_damping_above_the_most_negative_eigenvalue_gives_a_solution():
    matrix, b = np.diag([3.0, 1.0, -2.0]), np.ones(3)
    result = conjugate_gradients(product_of(matrix), tf.constant(b), damping=tf.constant(2.5, tf.float64))
    np.testing.assert_allclose(result.solution, b / np.array([5.5, 3.5, 0.5]), rtol=1e-9)
    assert not bool(result.negative_curvature)


@pytest.mark.parametrize("unroll", [False, True])
def test_a_zero_right_hand_side_or_a_non_finite_product_leaves_zero(unroll):
    b = tf.zeros(3, tf.float64)
    result = conjugate_gradients(product_of(np.eye(3)), b, unroll=unroll, steps=3)
    np.testing.assert_array_equal(result.solution, np.zeros(3))
    assert float(result.residual) == 0 and not bool(result.negative_curvature)
    result = conjugate_gradients(product_of(np.eye(3) * np.nan), b + 1, unroll=unroll, steps=3)
    np.testing.assert_array_equal(result.solution, np.zeros(3))
    assert not bool(result.negative_curvature) and int(result.steps) == 0


def test_relative_progress_stops_at_the_first_step_that_meets_the_rule():
    matrix = np.diag(np.linspace(0.03, 1.0, 60))
    b = np.ones(60)
    result = conjugate_gradients(
        product_of(matrix), tf.constant(b), relative_progress=5e-4, tolerance=0.0, steps=60
    )
    stop = int(result.steps)

    def value(steps):
        if not steps:
            return 0.0
        x = conjugate_gradients(
            product_of(matrix), tf.constant(b), tolerance=0.0, steps=steps
        ).solution.numpy()
        return x @ matrix @ x / 2 - b @ x

    def stalls(steps):
        k, last = max(10, steps // 10), value(steps)
        return (value(steps - k) - last) / abs(last) < k * 5e-4

    assert 10 < stop < 60 and stalls(stop) and not stalls(stop - 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps must be an integer of at least 1, got 0"),
        ({"tolerance": -1.0}, "tolerance must not be negative, got -1"),
        ({"damping": -0.1}, "damping must not be negative, got -0.1"),
        ({"relative_progress": 0.0}, "relative_progress must be positive, got 0"),
    ],
)
def test_bad_input_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        conjugate_gradients(lambda v: v, tf.ones(2), **options)
