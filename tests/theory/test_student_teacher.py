"""Oracles: finite differences, SciPy's integrator, the pseudo-inverse, and conditioning of Gaussians."""

import dataclasses

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from curvezoo.theory import student_teacher

SHAPES = [(6, 4), (5, 5), (4, 9)]
"""More parameters than examples, as many, fewer."""


@pytest.fixture(params=SHAPES, ids=["P>D", "P=D", "P<D"])
def regression(request):
    return student_teacher.draw(*request.param, noise=0.7, teacher=1.3, seed=3)


@pytest.fixture
def weights(regression):
    return np.random.default_rng(8).normal(size=len(regression.teacher))


def central_differences(function, x, h=1e-4):
    return np.array([(function(x + h * e) - function(x - h * e)) / (2 * h) for e in np.eye(len(x))])


@pytest.mark.equation("6.0.1")
@pytest.mark.equation("6.0.2")
def test_the_expanded_loss_needs_the_teacher_in_the_product_and_minus_the_noise(regression, weights):
    x, teacher, noise = regression.inputs, regression.teacher, regression.noise
    labels = [sum(t * each for t, each in zip(teacher, column, strict=True)) for column in x.T] + noise
    np.testing.assert_allclose(regression.targets, labels, rtol=1e-12)
    squares = sum((weights @ column - y) ** 2 for column, y in zip(x.T, labels, strict=True)) / 2
    assert regression.loss(weights) == pytest.approx(squares, rel=1e-12)
    outer = np.outer(weights, weights) + np.outer(teacher, teacher)
    matrix, rest = x @ x.T, np.sum(noise**2) / 2
    linear = noise @ x.T @ (weights - teacher)
    correct = np.sum((outer - 2 * np.outer(weights, teacher)) * matrix) / 2 - linear + rest
    assert correct == pytest.approx(squares, rel=1e-11)
    printed = np.sum((outer - 2 * np.outer(weights, weights)) * matrix) / 2 + linear + rest
    assert abs(printed - squares) > 0.1 * squares


@pytest.mark.equation("6.0.3")
def test_the_gradient_of_the_loss_has_minus_the_noise(regression, weights):
    x, noise = regression.inputs, regression.noise
    exact = central_differences(regression.loss, weights)
    np.testing.assert_allclose(regression.gradient(weights), exact, rtol=1e-7, atol=1e-8)
    difference = (weights - regression.teacher) @ x
    np.testing.assert_allclose((difference - noise) @ x.T, exact, rtol=1e-7, atol=1e-8)
    # Where the loss is smallest, the printed gradient does not vanish.
    minimum = regression.limit(weights)
    np.testing.assert_allclose(regression.gradient(minimum), 0, atol=1e-10)
    assert np.linalg.norm(((minimum - regression.teacher) @ x + noise) @ x.T) > 0.1


@pytest.mark.equation("6.0.4")
@pytest.mark.equation("6.0.10")
def test_gradient_flow_is_the_solution_of_the_differential_equation(regression, weights):
    times = np.array([0.0, 0.3, 2.0, 15.0])

    def velocity(_, w):
        return regression.targets @ regression.inputs.T - w @ regression.inputs @ regression.inputs.T

    solution = solve_ivp(velocity, (0, 15), weights, "DOP853", times, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(regression.flow(weights, times), solution.y.T, rtol=1e-8, atol=1e-9)


@pytest.mark.equation("6.0.5")
def test_the_test_error_is_the_mean_squared_error_on_new_examples(regression, weights):
    rng, p = np.random.default_rng(4), len(weights)
    x = rng.normal(size=(200_000, p)) / np.sqrt(p)
    squares = (x @ (weights - regression.teacher) - 0.7 * rng.normal(size=len(x))) ** 2
    error = np.std(squares) / np.sqrt(len(x))
    assert abs(regression.test_error(weights, 0.7) - np.mean(squares)) < 4 * error
    assert error < 0.01 * np.mean(squares)


@pytest.mark.equation("6.0.5")
def test_with_unit_variance_the_test_error_has_no_factor_of_one_over_p():
    # The same teacher and student; inputs of unit variance instead of 1/P.
    unit, scaled = (student_teacher.draw(50, 20, noise=0.0, variance=v, seed=1) for v in (1.0, None))
    w = np.zeros(50)
    assert unit.test_error(w, 0.0) == pytest.approx(np.sum(unit.teacher**2), rel=1e-12)
    assert unit.test_error(w, 0.0) == pytest.approx(50 * scaled.test_error(w, 0.0), rel=1e-12)
    np.testing.assert_allclose(unit.modes.eigenvalues, 50 * scaled.modes.eigenvalues, rtol=1e-9, atol=1e-9)


@pytest.mark.equation("6.0.6")
def test_flow_ends_at_the_pseudo_inverse_only_from_weights_that_the_inputs_span(regression, weights):
    x, y = regression.inputs, regression.targets
    inverse = np.linalg.pinv(x.T) @ y
    np.testing.assert_allclose(regression.limit(np.zeros_like(weights)), inverse, rtol=1e-7, atol=1e-9)
    spanned = x @ np.linalg.lstsq(x, weights, rcond=None)[0]
    np.testing.assert_allclose(regression.limit(spanned), inverse, rtol=1e-7, atol=1e-9)
    final = regression.limit(weights)
    np.testing.assert_allclose(final @ x @ x.T, y @ x.T, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(regression.flow(weights, [1e9])[0], final, rtol=1e-8, atol=1e-9)
    # The part orthogonal to all examples stays as it was.
    np.testing.assert_allclose(final - inverse, weights - spanned, atol=1e-7)
    if x.shape[0] > x.shape[1]:
        assert np.linalg.norm(final - inverse) > 0.1


@pytest.mark.equation("6.0.7")
def test_the_eigenvectors_diagonalize_the_matrix_of_inputs(regression):
    eigenvalues, v, _, _ = regression.modes
    np.testing.assert_allclose(v.T @ v, np.eye(len(v)), atol=1e-13)
    matrix = regression.inputs @ regression.inputs.T
    np.testing.assert_allclose(v * eigenvalues @ v.T, matrix, atol=1e-13)
    assert np.sum(eigenvalues == 0) == max(0, regression.inputs.shape[0] - regression.inputs.shape[1])


@pytest.mark.equation("6.0.8")
@pytest.mark.equation("6.0.11")
def test_the_drive_has_a_part_of_the_teacher_and_a_part_of_the_noise(regression):
    eigenvalues, v, drive, noise = regression.modes
    pulled = regression.targets @ regression.inputs.T
    np.testing.assert_allclose(drive @ v.T, pulled, atol=1e-12)
    teacher = regression.teacher @ v
    both = (teacher * eigenvalues) @ v.T + (noise * np.sqrt(eigenvalues)) @ v.T
    np.testing.assert_allclose(both, pulled, atol=1e-12)


@pytest.mark.equation("6.0.11")
def test_the_noise_of_the_modes_is_a_rotation_of_that_of_the_examples():
    # Each mode then has the variance of the noise, and the modes are independent.
    x = student_teacher.draw(6, 4, noise=1.0, seed=2).inputs
    rows = [student_teacher.Regression(x, np.zeros(6), e, 1 / 6).modes.noise for e in np.eye(4)]
    np.testing.assert_allclose(np.array(rows).T @ rows, np.diag([1, 1, 1, 1, 0, 0]), atol=1e-13)


@pytest.mark.equation("6.0.9")
@pytest.mark.equation("6.0.10")
@pytest.mark.equation("6.0.12")
def test_each_mode_moves_by_itself_to_the_teacher_and_its_noise(regression, weights):
    eigenvalues, v, drive, noise = regression.modes
    t, h = np.array([0.0, 0.4, 3.0]) + 0.1, 1e-4
    z = regression.flow(weights, t) @ v
    slope = (regression.flow(weights, t + h) - regression.flow(weights, t - h)) @ v / (2 * h)
    np.testing.assert_allclose(slope, drive - z * eigenvalues, atol=1e-6)
    teacher = regression.teacher @ v
    np.testing.assert_allclose(slope, (teacher - z) * eigenvalues + noise * np.sqrt(eigenvalues), atol=1e-6)
    x, y = regression.inputs, regression.targets
    np.testing.assert_allclose(slope @ v.T, y @ x.T - regression.flow(weights, t) @ x @ x.T, atol=1e-6)


@pytest.mark.equation("6.0.13")
def test_mode_errors_are_those_of_the_weights(regression, weights):
    times, p = np.array([0.0, 0.2, 1.0, 30.0]), len(weights)
    x, labels = regression.inputs, regression.teacher @ regression.inputs + regression.noise
    # dw/dt = X y - X X^T w, with a constant 1 as a further component of w.
    rate = np.zeros((p + 1, p + 1))
    rate[:p, :p], rate[:p, p] = -x @ x.T, x @ labels
    solution = np.array([(expm(t * rate) @ np.append(weights, 1.0))[:p] for t in times])
    exact = (regression.teacher - solution) @ regression.modes.vectors
    np.testing.assert_allclose(regression.mode_errors(weights, times), exact, atol=1e-10)


def test_the_ridge_solution_is_the_posterior_mean_of_gaussian_teachers(regression):
    x, y, prior, variance = regression.inputs, regression.targets, 1.3**2, 0.7**2
    # Conditioning of the joint Gaussian of weights and labels.
    covariance = prior * x.T @ x + variance * np.eye(len(y))
    posterior = prior * x @ np.linalg.solve(covariance, y)
    np.testing.assert_allclose(regression.ridge(variance / prior), posterior, rtol=1e-10)
    gradient = central_differences(lambda w: regression.loss(w) + 0.2 * np.sum(w**2), regression.ridge(0.4))
    np.testing.assert_allclose(gradient, 0, atol=1e-8)


@pytest.mark.parametrize("strength", [1e-12, 1e-16, 1e-20, 1e-300])
def test_ridge_of_vanishing_strength_is_the_pseudo_inverse(strength):
    regression = student_teacher.draw(30, 10, noise=0.1)
    exact = regression.limit(np.zeros(30))
    np.testing.assert_allclose(regression.ridge(strength), exact, atol=1e-10)


def test_without_examples_no_mode_moves():
    regression = student_teacher.Regression(np.ones((3, 0)), np.ones(3), np.ones(0), 1.0)
    np.testing.assert_array_equal(regression.flow(np.arange(3.0), [0.0, 5.0]), [np.arange(3.0)] * 2)


def test_a_simulation_that_diverges_is_refused():
    with pytest.raises(ValueError, match=r"learning_rate must be so small .*, got 5"):
        student_teacher.simulate(5, 7, learning_rate=5, steps=[3000], noise=0.1, repeats=1)


def test_simulated_students_take_steps_along_the_gradient():
    steps, rate = np.array([0, 3, 4]), 0.1
    result = student_teacher.simulate(5, 7, learning_rate=rate, steps=steps, noise=0.5, repeats=2, seed=6)
    for regression, test, train in zip(result.regressions, result.test, result.train, strict=True):
        eigenvalues, v, drive, _ = regression.modes
        # A step multiplies the distance of each mode from its limit by 1 - rate * lambda.
        weights = (1 - (1 - rate * eigenvalues) ** steps[:, None]) * (drive / eigenvalues) @ v.T
        new = np.sum((weights - regression.teacher) ** 2, axis=1) / 5 + 0.5**2
        np.testing.assert_allclose(test, new, rtol=1e-11)
        residuals = weights @ regression.inputs - regression.targets
        np.testing.assert_allclose(train, np.mean(residuals**2, axis=1), rtol=1e-11)
    assert not np.allclose(result.test[0], result.test[1])


def test_a_regression_cannot_change_after_its_eigenvalues_are_known(regression):
    with pytest.raises(dataclasses.FrozenInstanceError):
        regression.noise = 0 * regression.noise


def test_invalid_arguments_are_named():
    with pytest.raises(ValueError, match="examples must be an integer of at least 1, got 0"):
        student_teacher.draw(3, 0, noise=1.0)
    with pytest.raises(ValueError, match=r"teacher must have shape \(3,\), got \(2,\)"):
        student_teacher.Regression(np.ones((3, 2)), np.ones(2), np.ones(2), 1.0)
    regression = student_teacher.draw(3, 2, noise=1.0)
    with pytest.raises(ValueError, match=r"initial must have shape \(3,\), got \(2,\)"):
        regression.flow(np.zeros(2), [1.0])
    with pytest.raises(ValueError, match=r"time\[0\] must not be negative, got -1"):
        regression.mode_errors(np.zeros(3), [-1.0])
    with pytest.raises(ValueError, match="steps must be an increasing sequence of integers"):
        student_teacher.simulate(3, 2, learning_rate=0.1, steps=[2, 1], noise=1.0)
    with pytest.raises(ValueError, match=r"steps\[0\] must be an integer of at least 0, got -1"):
        student_teacher.simulate(3, 2, learning_rate=0.1, steps=[-1, 2], noise=1.0)
