"""Oracles: exact averages of quadratic forms, simulated gradient descent, and posterior covariances."""

import numpy as np
import pytest
from scipy.linalg import expm

from curvezoo.theory import generalization, student_teacher
from curvezoo.theory.generalization import LinearStudent

SHAPES = [(6, 4), (5, 5), (4, 9)]
DEVIATIONS = {"noise": 0.7, "teacher": 1.3, "initial": 0.4}
TIMES = np.array([0.0, 0.5, 3.0, 40.0])


def averaged(inputs, students, deviations=DEVIATIONS):
    """Averages test and training errors over teachers, noise and initial weights, exactly.

    The errors are quadratic in these P + D + P independent Gaussians, so the average is the sum over unit
    vectors, each times its variance.

    Args:
        inputs: Inputs X, [P, D].
        students: Function from a `Regression` and initial weights to weights [..., P].
        deviations: Standard deviations.
    """
    p, d = inputs.shape
    test = train = 0.0
    for kind, size in (("teacher", p), ("noise", d), ("initial", p)):
        for unit in np.eye(size):
            parts = {"teacher": np.zeros(p), "noise": np.zeros(d), "initial": np.zeros(p), kind: unit}
            regression = student_teacher.Regression(inputs, parts["teacher"], parts["noise"], 1 / p)
            weights = students(regression, parts["initial"])
            test = test + deviations[kind] ** 2 * regression.test_error(weights, 0.0)
            train = train + deviations[kind] ** 2 * regression.train_error(weights)
    return test + deviations["noise"] ** 2, train


def flow(regression, initial):
    """Returns the weights [T, P] under gradient flow by the exponential of a matrix."""
    x, p = regression.inputs, len(initial)
    # dw/dt = X y - X X^T w, with a constant 1 as a further component of w.
    rate = np.zeros((p + 1, p + 1))
    rate[:p, :p], rate[:p, p] = -x @ x.T, x @ (regression.teacher @ x + regression.noise)
    return np.array([(expm(t * rate) @ np.append(initial, 1.0))[:p] for t in TIMES])


@pytest.fixture(params=SHAPES, ids=["P>D", "P=D", "P<D"])
def inputs(request):
    return student_teacher.draw(*request.param, noise=0.0, seed=5).inputs


@pytest.mark.equation("6.0.14")
def test_errors_under_gradient_flow_are_exact_averages(inputs):
    student = LinearStudent.of_inputs(inputs, **DEVIATIONS)
    np.testing.assert_allclose(student.flow(TIMES), averaged(inputs, flow), rtol=1e-10)
    exact = averaged(inputs, lambda regression, initial: regression.limit(initial))
    np.testing.assert_allclose(student.final(), exact, rtol=1e-9, atol=1e-12)


@pytest.mark.equation("6.0.14")
def test_the_test_error_is_the_printed_sum_over_modes(inputs):
    p, (noise, teacher, initial) = len(inputs), DEVIATIONS.values()
    eigenvalues = np.linalg.eigvalsh(inputs @ inputs.T)
    eigenvalues = eigenvalues[eigenvalues > 1e-12]
    for t in TIMES:
        decay = np.exp(-eigenvalues * t)
        terms = (teacher**2 + initial**2) * decay**2 + noise**2 / eigenvalues * (1 - decay) ** 2
        frozen = (p - len(eigenvalues)) * (teacher**2 + initial**2)
        printed = (np.sum(terms) + frozen) / p + noise**2
        assert LinearStudent.of_inputs(inputs, **DEVIATIONS).flow(t).test == pytest.approx(printed, rel=1e-11)


def test_errors_under_gradient_descent_are_exact_averages(inputs):
    def descend(regression, initial):
        weights = [initial]
        for _ in range(7):
            weights.append(weights[-1] - 0.3 * regression.gradient(weights[-1]))
        return np.array(weights)

    student = LinearStudent.of_inputs(inputs, **DEVIATIONS)
    np.testing.assert_allclose(student.descent(0.3, np.arange(8)), averaged(inputs, descend), rtol=1e-11)
    # Small steps follow the flow.
    np.testing.assert_allclose(student.descent(1e-5, 300_000), student.flow(3.0), rtol=1e-4)


def test_errors_with_an_l2_penalty_are_exact_averages(inputs):
    student = LinearStudent.of_inputs(inputs, **DEVIATIONS)
    exact = averaged(inputs, lambda regression, initial: regression.ridge(0.4))
    np.testing.assert_allclose(student.ridge(0.4), exact, rtol=1e-11)
    # Without a penalty only the initial weights differ from infinite time.
    without = LinearStudent.of_inputs(inputs, noise=0.7, teacher=1.3)
    np.testing.assert_allclose(student.ridge(0.0), without.final(), rtol=1e-12)


@pytest.mark.equation("6.0.14")
@pytest.mark.parametrize("examples", [40, 200])
def test_simulated_gradient_descent_agrees_within_sampling_errors(examples):
    steps, rate = [0, 5, 20, 80, 400], 0.05
    result = student_teacher.simulate(
        100, examples, learning_rate=rate, steps=steps, repeats=40, seed=examples, **DEVIATIONS
    )
    students = [LinearStudent.of_inputs(each.inputs, **DEVIATIONS) for each in result.regressions]
    limit = LinearStudent.limit(examples / 100, **DEVIATIONS).descent(rate, steps)
    for kind in ("test", "train"):
        simulated = getattr(result, kind)
        exact = np.array([getattr(student.descent(rate, steps), kind) for student in students])
        errors = np.std(simulated, axis=0) / np.sqrt(40)
        assert np.all(np.abs(np.mean(simulated - exact, axis=0)) < 4 * errors)
        assert np.all(np.abs(np.mean(simulated, axis=0) - getattr(limit, kind)) < 4 * errors)
        assert np.all(errors < 0.05 * simulated[:, 0].mean())


@pytest.mark.equation("6.0.14")
@pytest.mark.equation("6.0.15")
@pytest.mark.parametrize("examples", [60, 150, 600])
def test_large_matrices_have_the_errors_of_the_limit(examples):
    x = student_teacher.draw(300, examples, noise=0.0, seed=1).inputs
    finite = LinearStudent.of_inputs(x, **DEVIATIONS)
    limit = LinearStudent.limit(examples / 300, **DEVIATIONS)
    times = np.append(TIMES, 1e6)
    for kind in ("test", "train"):
        ours = getattr(finite.flow(times), kind)
        np.testing.assert_allclose(ours, getattr(limit.flow(times), kind), rtol=0.02, atol=1e-3)


@pytest.mark.parametrize("ratio", [1e-4, 0.3, 0.99, 1.01, 2.5, 1e4])
def test_infinite_time_has_a_closed_form(ratio):
    limit = LinearStudent.limit(ratio, **DEVIATIONS)
    closed = generalization.final_test_error(ratio, **DEVIATIONS)
    assert limit.final().test == pytest.approx(closed, rel=1e-10)
    assert limit.flow(1e9).test == pytest.approx(closed, rel=1e-10)
    train = 0.7**2 * max(0, 1 - 1 / ratio)
    assert limit.final().train == pytest.approx(train, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("shape", [(20, 8), (8, 20)])
def test_the_mean_over_finite_gaussian_inputs_is_exact(shape):
    draws = [
        LinearStudent.of_inputs(student_teacher.draw(*shape, noise=0.0, seed=s).inputs, **DEVIATIONS)
        for s in range(600)
    ]
    errors = np.array([student.final().test for student in draws])
    exact = generalization.expected_final_test_error(*shape, **DEVIATIONS)
    standard_error = np.std(errors) / np.sqrt(len(errors))
    assert abs(np.mean(errors) - exact) < 4 * standard_error
    limit = generalization.final_test_error(shape[1] / shape[0], **DEVIATIONS)
    assert abs(limit - exact) > 8 * standard_error
    large = generalization.expected_final_test_error(1000 * shape[0], 1000 * shape[1], **DEVIATIONS)
    assert large == pytest.approx(limit, rel=1e-3)


def test_overfitting_peaks_at_as_many_examples_as_parameters_and_needs_noise():
    ratios = np.array([0.25, 0.5, 0.9, 1.0, 1.1, 2.0, 4.0])
    errors = generalization.final_test_error(ratios, noise=0.5)
    assert np.argmax(errors) == 3 and np.isinf(errors[3])
    assert np.all(np.diff(errors[1:4]) > 0) and np.all(np.diff(errors[3:]) < 0)
    assert np.isinf(generalization.expected_final_test_error(9, 10, noise=0.5))
    np.testing.assert_allclose(
        generalization.final_test_error(ratios, noise=0.0), np.maximum(1 - ratios, 0), atol=1e-15
    )


def test_many_parameters_do_not_overfit_but_learn_nothing_either():
    # The notes name the first half only. A student that stays at w = 0 has the error 1 + sigma^2.
    few = LinearStudent.limit(1e-3, noise=0.5)
    untrained = few.flow(0.0).test
    assert untrained == pytest.approx(1 + 0.5**2, rel=1e-12)
    assert few.final().test - few.best_stopping().errors.test < 1e-3
    assert few.best_stopping().errors.test > 0.999 * untrained
    # At the same ratio, less than one example a parameter, the peak is far above it.
    assert generalization.final_test_error(0.9, noise=0.5) > 2 * untrained


@pytest.mark.parametrize("noise", [0.1, 0.5, 2.0])
@pytest.mark.parametrize("ratio", [0.2, 0.8, 1.0, 1.5, 6.0])
def test_no_other_strength_and_no_other_filter_beats_the_best_ridge(ratio, noise):
    student = LinearStudent.limit(ratio, noise=noise, teacher=1.3)
    best = student.ridge(student.best_strength).test
    factors = np.array([0.3, 0.9, 1.1, 3.0])
    assert np.all(student.ridge(student.best_strength * factors).test > best)
    rng, eigenvalues = np.random.default_rng(0), student.eigenvalues
    wiener = eigenvalues / (eigenvalues + student.best_strength)
    for scale in (0.01, 0.3):
        learned = wiener + scale * rng.normal(size=len(wiener)) * (eigenvalues > 0)
        safe = np.where(eigenvalues > 0, eigenvalues, 1.0)
        risk = 1.3**2 * (1 - learned) ** 2 + noise**2 * learned**2 / safe
        assert np.sum(student.weights * risk) + noise**2 > best
    assert student.best_stopping().errors.test > best


def test_the_best_ridge_has_the_error_of_the_posterior_distribution(inputs):
    p, noise, teacher = len(inputs), 0.7, 1.3
    precision = inputs @ inputs.T / noise**2 + np.eye(p) / teacher**2
    expected = np.trace(np.linalg.inv(precision)) / p + noise**2
    student = LinearStudent.of_inputs(inputs, noise=noise, teacher=teacher)
    assert student.ridge(student.best_strength).test == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("ratio", [0.05, 0.7, 1.0, 1.2, 9.0])
def test_ridge_has_a_closed_form_in_the_limit(ratio):
    student, strengths = LinearStudent.limit(ratio, noise=0.6, teacher=1.4), np.array([1e-3, 0.2, 5.0])
    closed = generalization.ridge_test_error(ratio, strengths, noise=0.6, teacher=1.4)
    np.testing.assert_allclose(student.ridge(strengths).test, closed, rtol=1e-10)


@pytest.mark.parametrize("ratio", [1e-6, 0.5, 2.0])
def test_ridge_of_vanishing_or_infinite_strength_has_the_limit_of_no_or_full_penalty(ratio):
    noise, teacher = 0.6, 1.4
    weak = generalization.ridge_test_error(ratio, [1e-12, 1e-20, 1e-200], noise=noise, teacher=teacher)
    final = generalization.final_test_error(ratio, noise=noise, teacher=teacher)
    np.testing.assert_allclose(weak, final, rtol=1e-10)
    strong = generalization.ridge_test_error(ratio, [1e150, 1e200, 1e300], noise=noise, teacher=teacher)
    np.testing.assert_allclose(strong, noise**2 + teacher**2, rtol=1e-14)


def test_a_descent_that_diverges_has_infinite_errors_with_and_without_noise():
    for noise in (0.0, 0.1):
        errors = LinearStudent.limit(0.5, noise=noise).descent(1.0, [10, 100_000])
        assert np.isfinite(errors).T.tolist() == [[True, True], [False, False]]
        assert np.isposinf(errors.test[1]) and np.isposinf(errors.train[1])


def test_inputs_in_single_precision_have_the_errors_of_the_same_numbers_in_double(inputs):
    single = inputs.astype(np.float32)
    few = np.concatenate([single, single, single], axis=1)
    assert LinearStudent.of_inputs(few, noise=0.1).final() == (
        LinearStudent.of_inputs(few.astype(float), noise=0.1).final()
    )


def test_early_stopping_is_within_five_percent_of_the_best_ridge():
    worst = 0.0
    for ratio in np.geomspace(0.05, 20, 15):
        for noise in (0.05, 0.2, 0.5, 1.0, 3.0):
            student = LinearStudent.limit(ratio, noise=noise)
            ridge = student.ridge(student.best_strength).test
            stopped, final = student.best_stopping().errors.test, student.final().test
            assert ridge < stopped < final
            worst = max(worst, (stopped - noise**2) / (ridge - noise**2))
    assert 1.02 < worst < 1.05


def test_early_stopping_loses_to_ridge_from_large_initial_weights():
    # Ridge forgets the initial weights, early stopping keeps a part of them.
    student = LinearStudent.limit(2.0, noise=0.5, initial=2.0)
    zero = LinearStudent.limit(2.0, noise=0.5)
    assert student.ridge(student.best_strength).test == zero.ridge(zero.best_strength).test
    assert student.best_stopping().errors.test > zero.best_stopping().errors.test + 0.03


@pytest.mark.parametrize("ratio", [0.3, 1.0, 3.0])
def test_the_best_time_is_the_minimum_over_all_times(ratio):
    student = LinearStudent.limit(ratio, noise=0.4, initial=0.5)
    stopping = student.best_stopping()
    errors = student.flow(np.geomspace(1e-4, 1e6, 4001)).test
    assert stopping.errors.test <= errors.min() < stopping.errors.test * (1 + 1e-5)
    np.testing.assert_allclose(stopping.errors, student.flow(stopping.time))
    quiet = LinearStudent.limit(ratio, noise=0.0).best_stopping()
    assert quiet.time == np.inf and quiet.errors.test == pytest.approx(max(0, 1 - ratio), abs=1e-12)


def test_a_single_mode_is_best_stopped_at_its_own_time():
    student = LinearStudent([0.3], [1.0], 1.0, 0.5, teacher=1.0, initial=0.5)
    assert student.best_stopping().time == pytest.approx(np.log1p(0.3 * 1.25 / 0.25) / 0.3, rel=1e-6)


def test_invalid_arguments_are_named():
    with pytest.raises(ValueError, match="noise must be a nonnegative finite number, got -1"):
        LinearStudent.limit(1.0, noise=-1)
    with pytest.raises(ValueError, match="teacher must be a positive finite number, got 0"):
        LinearStudent.limit(1.0, noise=1.0, teacher=0)
    with pytest.raises(ValueError, match="ratio must be a positive finite number, got 0"):
        LinearStudent.limit(0, noise=1.0)
    with pytest.raises(ValueError, match=r"time\[1\] must not be negative, got -2"):
        LinearStudent.limit(1.0, noise=1.0).flow([0.0, -2.0])
    with pytest.raises(ValueError, match="strength must not be negative, got -1"):
        LinearStudent.limit(1.0, noise=1.0).ridge(-1.0)
    with pytest.raises(ValueError, match="learning_rate must be a positive finite number, got 0"):
        LinearStudent.limit(1.0, noise=1.0).descent(0, [1])
    with pytest.raises(ValueError, match="eigenvalues and weights must have the same shape"):
        LinearStudent([1.0, 2.0], [1.0], 1.0, 1.0)
    with pytest.raises(ValueError, match=r"inputs must hold at least one example.*, got shape \(0, 3\)"):
        LinearStudent.of_inputs(np.ones((0, 3)), noise=1.0)
    with pytest.raises(ValueError, match="inputs must have 2 axes"):
        LinearStudent.of_inputs(np.ones(3), noise=1.0)
