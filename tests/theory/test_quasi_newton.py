"""Oracles: NumPy's inverse and solve, the secant equation, SciPy's updates, and conjugate gradients."""

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st

from curvezoo.theory import conjugate_directions
from curvezoo.theory import quasi_newton as qn

runs = settings(max_examples=60, deadline=None, derandomize=True)
seeds = st.integers(0, 10_000)
sizes = st.integers(2, 8)


def definite(rng, dimension):
    """Returns a random positive definite matrix with a condition number of at most 30."""
    basis = np.linalg.qr(rng.normal(size=(dimension, dimension)))[0]
    return basis * rng.uniform(1, 30, dimension) @ basis.T


def pair(seed, dimension):
    """Returns an estimate, a step, and the change of the gradient of another quadratic along the step."""
    rng = np.random.default_rng(seed)
    step = rng.normal(size=dimension)
    return definite(rng, dimension), step, definite(rng, dimension) @ step


@pytest.mark.equation("4.7.14")
def test_the_gradient_changes_by_the_hessian_times_the_step_to_first_order():
    start, direction = np.array([-0.7, 0.3]), np.array([0.6, -0.8])
    hessian, slope = scipy.optimize.rosen_hess(start), scipy.optimize.rosen_der(start)
    errors = [
        np.linalg.norm(
            scipy.optimize.rosen_der(start + size * direction) - slope - size * hessian @ direction
        )
        for size in (1e-2, 1e-3)
    ]
    assert errors[0] / errors[1] == pytest.approx(100, rel=0.05)
    # The secant equation therefore changes the true Hessian by the size of the step only.
    changes = []
    for size in (1e-2, 1e-3):
        change = scipy.optimize.rosen_der(start + size * direction) - slope
        changes.append(np.linalg.norm(qn.hessian_update(hessian, size * direction, change) - hessian))
    assert changes[0] / changes[1] == pytest.approx(10, rel=0.05)


@pytest.mark.equation("4.7.15")
@pytest.mark.equation("4.7.16")
@pytest.mark.equation("4.7.21")
@given(seed=seeds, dimension=sizes)
@runs
def test_the_update_satisfies_the_secant_equation_and_is_positive_definite(seed, dimension):
    estimate, step, change = pair(seed, dimension)
    updated = qn.hessian_update(estimate, step, change)
    np.testing.assert_allclose(updated @ step, change, atol=1e-10 * np.linalg.norm(change))
    np.testing.assert_allclose(updated, updated.T, atol=1e-12 * np.abs(updated).max())
    assert np.linalg.eigvalsh(updated)[0] > 0
    # The printed formula. Davidon, Fletcher and Powell's update also has the properties above.
    bfgs = np.outer(change, change) / (change @ step)
    bfgs = bfgs - np.outer(estimate @ step, estimate @ step) / (step @ estimate @ step)
    np.testing.assert_allclose(updated - estimate, bfgs, atol=1e-10 * np.abs(updated).max())
    # The correction has rank two.
    values = np.linalg.svd(updated - estimate, compute_uv=False)
    np.testing.assert_allclose(values[2:], 0, atol=1e-10 * values[0])


@pytest.mark.equation("4.7.18")
@pytest.mark.equation("4.7.19")
@pytest.mark.equation("4.7.20")
@given(seed=seeds, dimension=sizes)
@runs
def test_the_coefficients_solve_the_secant_equation_for_v_equal_to_h_d(seed, dimension):
    estimate, step, change = pair(seed, dimension)
    predicted = estimate @ step
    alpha, beta = qn.secant_coefficients(estimate, step, change)
    # H d + alpha y (y.d) + beta H d (d H d) = y is linear in alpha and beta: solve it by least squares.
    columns = np.stack([change * (change @ step), predicted * (predicted @ step)], axis=1)
    solution = np.linalg.lstsq(columns, change - predicted, rcond=None)[0]
    np.testing.assert_allclose([alpha, beta], solution, rtol=1e-6)
    # If B_k of the notes were the inverse, no alpha and beta would satisfy the secant equation.
    wrong = np.linalg.solve(estimate, step)
    columns = np.stack([change * (change @ step), wrong * (wrong @ step)], axis=1)
    solution = np.linalg.lstsq(columns, change - predicted, rcond=None)[0]
    assert dimension == 2 or np.linalg.norm(columns @ solution - (change - predicted)) > 1e-6


def test_the_printed_transpose_of_a_row_does_not_give_a_matrix():
    estimate, step, change = pair(0, 4)
    column, row = estimate @ step[:, None], step[None] @ estimate
    with pytest.raises(ValueError, match="matmul"):
        column @ row.T
    updated = estimate + np.outer(change, change) / (change @ step) - column @ row / (step @ estimate @ step)
    np.testing.assert_allclose(qn.hessian_update(estimate, step, change), updated, rtol=1e-12)


@pytest.mark.equation("4.7.22")
@given(seed=seeds, dimension=sizes)
@runs
def test_the_inverse_update_is_the_inverse_of_the_update(seed, dimension):
    estimate, step, change = pair(seed, dimension)
    inverse = qn.inverse_update(np.linalg.inv(estimate), step, change)
    product = inverse @ qn.hessian_update(estimate, step, change)
    np.testing.assert_allclose(product, np.eye(dimension), atol=1e-10 * np.linalg.cond(inverse))
    # The expanded form equals the printed one.
    left = np.eye(dimension) - np.outer(step, change) / (step @ change)
    printed = left @ np.linalg.inv(estimate) @ left.T + np.outer(step, step) / (step @ change)
    np.testing.assert_allclose(inverse, printed, atol=1e-10 * np.abs(printed).max())
    np.testing.assert_allclose(inverse @ change, step, atol=1e-10)


@pytest.mark.parametrize("kind", ["hess", "inv_hess"])
def test_both_updates_match_scipy(kind):
    _, step, change = pair(1, 5)
    theirs = scipy.optimize.BFGS(init_scale=np.eye(5))
    theirs.initialize(5, kind)
    theirs.update(step, change)
    update = qn.hessian_update if kind == "hess" else qn.inverse_update
    np.testing.assert_allclose(update(np.eye(5), step, change), theirs.get_matrix(), atol=1e-12)


@given(seed=seeds, dimension=sizes, pairs=st.integers(0, 6), scale=st.floats(0.1, 10))
@runs
def test_the_two_loops_multiply_by_the_updated_inverse(seed, dimension, pairs, scale):
    rng = np.random.default_rng(seed)
    hessian, vector = definite(rng, dimension), rng.normal(size=dimension)
    steps = rng.normal(size=(pairs, dimension))
    changes = steps @ hessian
    inverse = scale * np.eye(dimension)
    for step, change in zip(steps, changes, strict=True):
        inverse = qn.inverse_update(inverse, step, change)
    product = qn.two_loop_product(vector, steps, changes, scale)
    np.testing.assert_allclose(product, inverse @ vector, atol=1e-9 * np.linalg.norm(inverse @ vector))
    if not pairs:
        np.testing.assert_allclose(product, scale * vector)


def test_the_two_loops_match_scipys_operator():
    rng = np.random.default_rng(2)
    hessian, steps = definite(rng, 6), rng.normal(size=(3, 6))
    theirs = scipy.optimize.LbfgsInvHessProduct(steps, steps @ hessian)
    vector = rng.normal(size=6)
    np.testing.assert_allclose(
        qn.two_loop_product(vector, steps, steps @ hessian), theirs @ vector, rtol=1e-10
    )


@pytest.mark.equation("4.7.17")
def test_each_estimate_maps_the_last_step_to_the_change_of_the_gradient():
    rng = np.random.default_rng(4)
    hessian, gradient = definite(rng, 5), rng.normal(size=5)
    points, estimates = qn.quadratic_bfgs(hessian, gradient)
    slopes = np.array(
        [scipy.optimize.approx_fprime(p, lambda x: gradient @ x + x @ hessian @ x / 2) for p in points]
    )
    for k in range(len(points) - 1):
        step, change = points[k + 1] - points[k], slopes[k + 1] - slopes[k]
        np.testing.assert_allclose(estimates[k + 1] @ step, change, atol=1e-5)
        # With the change of the previous step the equation does not hold.
        assert k == 0 or np.linalg.norm(estimates[k + 1] @ step - (slopes[k] - slopes[k - 1])) > 1e-3
        np.testing.assert_allclose(qn.hessian_update(estimates[k], step, change), estimates[k + 1], atol=1e-2)


@given(seed=seeds, dimension=sizes)
@runs
def test_on_a_quadratic_bfgs_is_conjugate_gradients_and_finds_the_hessian(seed, dimension):
    rng = np.random.default_rng(seed)
    hessian, gradient = definite(rng, dimension), rng.normal(size=dimension)
    points, estimates = qn.quadratic_bfgs(hessian, gradient)
    expected = conjugate_directions.gram_schmidt_descent(hessian, gradient).points
    common = min(len(points), len(expected))
    np.testing.assert_allclose(points[:common], expected[:common], atol=1e-7)
    np.testing.assert_allclose(points[-1], np.linalg.solve(hessian, -gradient), atol=1e-7)
    # The last estimate satisfies the secant equations of all steps, so after D steps it is the Hessian.
    steps = np.diff(points, axis=0)
    units = steps / np.linalg.norm(steps, axis=1, keepdims=True)
    np.testing.assert_allclose(units @ estimates[-1], units @ hessian, atol=1e-5)
    if len(steps) == dimension and np.linalg.cond(units) < 1e4:
        np.testing.assert_allclose(estimates[-1], hessian, atol=1e-3)


def test_fewer_steps_are_the_first_ones():
    rng = np.random.default_rng(4)
    hessian, gradient = definite(rng, 5), rng.normal(size=5)
    points, estimates = qn.quadratic_bfgs(hessian, gradient)
    for steps in (0, 2):
        first = qn.quadratic_bfgs(hessian, gradient, steps=steps)
        np.testing.assert_array_equal(first[0], points[: steps + 1])
        np.testing.assert_array_equal(first[1], estimates[: steps + 1])


def test_on_other_losses_an_update_satisfies_only_the_last_secant_equation():
    points = np.array([[-1.2, 1.0], [-1.0, 0.9], [-0.9, 1.1]])
    slopes = np.array([scipy.optimize.rosen_der(p) for p in points])
    steps, changes = np.diff(points, axis=0), np.diff(slopes, axis=0)
    estimate = np.eye(2)
    for step, change in zip(steps, changes, strict=True):
        estimate = qn.hessian_update(estimate, step, change)
    np.testing.assert_allclose(estimate @ steps[1], changes[1], rtol=1e-10)
    assert np.linalg.norm(estimate @ steps[0] - changes[0]) > 1


def test_a_single_parameter_may_be_given_as_a_number():
    np.testing.assert_allclose(qn.hessian_update(2.0, [1.0], [3.0]), [[3.0]], rtol=1e-15)
    np.testing.assert_allclose(qn.inverse_update(0.5, [1.0], [3.0]), [[1 / 3]], rtol=1e-15)


@pytest.mark.parametrize("size", [1e-6, 1e-4, 1e-2, 1e4, 1e12, 1e100])
def test_bfgs_finds_hessians_of_any_size_from_the_unit_matrix(size):
    curvatures = np.linspace(1, 2, 6)
    points, estimates = qn.quadratic_bfgs(size * np.diag(curvatures), np.ones(6))
    np.testing.assert_allclose(size * points[-1], -1 / curvatures, rtol=1e-8)
    np.testing.assert_allclose(estimates[-1] / size, np.diag(curvatures), atol=1e-8)


@pytest.mark.parametrize("size", [1e-300, 1e-170, 1e170, 1e300])
def test_bfgs_follows_a_gradient_of_any_size(size):
    hessian = np.array([[2.0, 1.0], [1.0, 3.0]])
    points, estimates = qn.quadratic_bfgs(hessian, [size, -size])
    np.testing.assert_allclose(points[-1] / size, np.linalg.solve(hessian, [-1, 1]), rtol=1e-12)
    np.testing.assert_allclose(estimates[-1], hessian, rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: qn.hessian_update(np.eye(2), [1, 0], [-1, 0]), "must have a positive product, got -1"),
        (lambda: qn.inverse_update(np.eye(2), [1, 0], [0, 1]), "must have a positive product, got 0"),
        (lambda: qn.secant_coefficients(np.eye(3), [1, 0], [1, 0]), "hessian must have 2 rows"),
        (lambda: qn.hessian_update(np.eye(2), [1, 0, 0], [1, 0]), "step and change must have the same shape"),
        (lambda: qn.two_loop_product([1.0, 2], [[1, 0]], [[-1, 0]]), r"d\.y\[0\] must be positive"),
        (lambda: qn.two_loop_product([1.0, 2], [[1, 0, 0]], [[1, 0, 0]]), r"steps must have shape \(m, 2\)"),
        (lambda: qn.two_loop_product([1.0, 2], [], [], scale=0), "scale must be positive"),
        (lambda: qn.quadratic_bfgs(np.eye(2), [1.0, 2, 3]), "hessian must have 3 rows"),
        (
            lambda: qn.quadratic_bfgs(np.eye(2), [1.0, 2], start=-np.eye(2)),
            r"start\[0\] must have a diagonal",
        ),
    ],
)
def test_invalid_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
