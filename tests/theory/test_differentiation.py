"""Oracles: derivatives in closed form, exact decimal arithmetic, scipy.differentiate and TensorFlow."""

import decimal
from decimal import Decimal

import numpy as np
import pytest
import tensorflow as tf
from scipy.differentiate import derivative

from curvezoo.theory import differentiation
from curvezoo.theory.differentiation import (
    central_difference,
    complex_step,
    difference_error,
    forward_difference,
    gradient_check,
    optimal_step,
    two_layer_derivatives,
)

# The derivative of the notes' example.
EXACT = 20 / 9


def notes_function(x):
    """Returns 10^10 + x^2, Eq. 1.4.2."""
    return 1e10 + x[0] * x[0]


def smooth(x):
    """Returns an analytic function of three coordinates."""
    return np.sin(x[0]) * np.exp(x[1]) + x[2] ** 3 * x[0]


def smooth_gradient(x):
    """Returns the gradient of `smooth`."""
    return np.array(
        [np.cos(x[0]) * np.exp(x[1]) + x[2] ** 3, np.sin(x[0]) * np.exp(x[1]), 3 * x[2] ** 2 * x[0]]
    )


X = np.array([0.4, -0.3, 1.7])


@pytest.mark.equation("1.4.1")
def test_the_forward_difference_has_the_derivative_as_its_limit():
    # For every finite step the printed equality is off by epsilon f'' / 2.
    second = np.array([-np.sin(X[0]) * np.exp(X[1]), np.sin(X[0]) * np.exp(X[1]), 6 * X[2] * X[0]])
    for epsilon in (1e-3, 5e-4, 2.5e-4):
        error = forward_difference(smooth, X, epsilon) - smooth_gradient(X)
        np.testing.assert_allclose(error, epsilon * second / 2, rtol=3e-3)
    np.testing.assert_allclose(forward_difference(smooth, X), smooth_gradient(X), rtol=1e-6)


def test_the_central_difference_is_of_second_order():
    third = np.array([-np.cos(X[0]) * np.exp(X[1]), np.sin(X[0]) * np.exp(X[1]), 6 * X[0]])
    for epsilon in (1e-2, 5e-3):
        error = central_difference(smooth, X, epsilon) - smooth_gradient(X)
        np.testing.assert_allclose(error, epsilon**2 * third / 6, rtol=1e-3)
    np.testing.assert_allclose(central_difference(smooth, X), smooth_gradient(X), rtol=1e-9)


def test_central_difference_agrees_with_scipy():
    oracle = derivative(lambda t: np.sin(t) * np.exp(X[1]) + X[2] ** 3 * t, X[0])
    np.testing.assert_allclose(central_difference(smooth, X)[0], oracle.df, rtol=1e-9)


def test_the_complex_step_is_exact_to_rounding():
    np.testing.assert_allclose(complex_step(smooth, X), smooth_gradient(X), rtol=4e-16)


def test_differences_give_gradients_of_arrays_of_any_shape():
    x = np.arange(1.0, 7.0).reshape(2, 3)
    for method in (forward_difference, central_difference, complex_step):
        np.testing.assert_allclose(method(lambda a: (a**3).sum(), x), 3 * x**2, rtol=1e-5)


@pytest.mark.equation("1.4.2")
def test_the_printed_quotient_of_the_notes_differs_from_the_exact_one():
    # The exact quotient is (2 (10/9) epsilon + epsilon^2) / epsilon.
    forward = EXACT + 1e-3
    assert f"{forward:.6f}" == "2.223222"

    # The printed fraction, with (10/9)^2 epsilon^2 in place of epsilon^2, gives the printed 2.2234...
    printed, _ = _fractions_of_the_notes(digits=60)
    assert str(printed).startswith("2.22345679012345679")
    assert float(printed) == pytest.approx(EXACT + 1e-3 * (10 / 9) ** 2, rel=1e-15)
    assert abs(float(printed) - forward) > 2e-4

    # In 16-digit arithmetic the printed fraction gives 2.2221, and the difference of two values of f 2.22.
    printed, difference = _fractions_of_the_notes(digits=16)
    assert printed == Decimal("2.222098765432")
    assert difference == Decimal("2.22")

    # Near 10^10 doubles are 2^-19 apart, so the quotient is off by up to 2^-19 / epsilon.
    measured = forward_difference(notes_function, np.array([10 / 9]), 1e-3)[0]
    assert measured == pytest.approx(1166 * 2**-19 / 1e-3, rel=1e-12)
    assert f"{measured:.4f}" == "2.2240"
    assert abs(measured - forward) < 2**-19 / 1e-3


def _fractions_of_the_notes(digits):
    """Returns Eq. 1.4.2 as printed and (f(x + epsilon) - f(x)) / epsilon, in decimal arithmetic."""
    with decimal.localcontext(decimal.Context(prec=digits)):
        x, epsilon, large = Decimal(10) / 9, Decimal("1e-3"), Decimal(10) ** 10
        square = Decimal(100) / 81
        above = large + square + 2 * x * epsilon + square * Decimal("1e-6")
        printed = (above - large - square) / epsilon
        difference = ((large + (x + epsilon) * (x + epsilon)) - (large + x * x)) / epsilon
        return printed, difference


def test_the_notes_step_is_nearly_optimal_for_their_example():
    value, second = notes_function([10 / 9]), 2.0
    step = optimal_step(value, second, order=1)
    assert step == pytest.approx(1.49e-3, rel=1e-2)
    # The notes' step of 10^-3 is nearly optimal, and the optimal step has an error of about 10^-3.
    assert difference_error(step, value, second, order=1) == pytest.approx(2 * step * second / 2, rel=1e-12)
    errors = [_notes_error(forward_difference, e) for e in np.logspace(-1, 0, 20) * step * 3]
    assert max(errors) < 1e-2
    # The chain rule is exact in the same arithmetic.
    x = tf.constant(10 / 9, tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = 1e10 + x * x
    assert tape.gradient(value, x).numpy() == 2 * (10 / 9)
    assert complex_step(notes_function, np.array([10 / 9]))[0] == 2 * (10 / 9)


def _notes_error(method, epsilon):
    return abs(method(notes_function, np.array([10 / 9]), epsilon)[0] - EXACT)


@pytest.mark.parametrize(
    ("method", "order", "power"), [(forward_difference, 1, 1 / 2), (central_difference, 2, 1 / 3)]
)
def test_errors_are_v_shaped_with_the_predicted_optimum(method, order, power):
    # For e^x at 1, f = f'' = f''' = e, so the ratio |f| / |f''| is one.
    def error(epsilon):
        return abs(method(lambda x: np.exp(x[0]), np.array([1.0]), epsilon)[0] - np.e)

    def worst(center):
        return max(error(epsilon) for epsilon in center * np.linspace(0.5, 2, 40))

    step = optimal_step(np.e, np.e, order=order)
    assert step == pytest.approx((4 if order == 1 else 3) ** power * 2.0 ** (-53 * power), rel=1e-12)
    assert worst(step) < worst(30 * step) / 5
    assert worst(step) < worst(step / 30) / 5
    for epsilon in np.logspace(-12, -1, 60):
        # exp has an error of up to one unit in the last place; the bound assumes half a unit.
        assert error(epsilon) < 2.1 * difference_error(epsilon, np.e, np.e, order=order)


def test_the_optimal_step_minimizes_the_bound():
    for order in (1, 2):
        step = optimal_step(5.0, 0.3, order=order)
        steps = step * np.array([0.9, 1.0, 1.1])
        bounds = difference_error(steps, 5.0, 0.3, order=order)
        assert bounds.argmin() == 1


def test_gradient_check_passes_the_right_gradient_and_names_the_wrong_entry():
    report = gradient_check(smooth, smooth_gradient, X, analytic=True)
    assert report.passed
    assert report.errors["complex step"] < 1e-15
    assert report.errors["central difference"] < 1e-9

    wrong = gradient_check(smooth, lambda x: smooth_gradient(x) * [1, 1.001, 1], X, analytic=True)
    assert not wrong.passed
    assert wrong.failures == ("x[1]",)
    assert wrong.errors["complex step"] == pytest.approx(1e-3 * smooth_gradient(X)[1], rel=1e-9)
    assert "disagree at x[1]" in str(wrong)


def test_gradient_check_reports_the_resolution_of_differences():
    # Next to 10^10 the central difference cannot resolve an error that the complex step resolves.
    def gradient(x):
        return 2 * x + 1e-3

    report = gradient_check(notes_function, gradient, np.array([10 / 9]))
    assert report.passed
    assert report.resolutions["central difference"][0] > 1e-1
    assert not gradient_check(notes_function, gradient, np.array([10 / 9]), analytic=True).passed


def test_gradient_check_passes_the_gradient_of_tensorflow():
    def loss(x):
        return tf.reduce_sum(tf.math.log1p(tf.exp(x)) ** 2)

    def gradient(x):
        x = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = loss(x)
        return tape.gradient(value, x).numpy()

    x = np.random.default_rng(0).standard_normal((2, 3))
    report = gradient_check(lambda x: loss(tf.constant(x)).numpy(), gradient, x)
    assert report.passed and report.labels[-1] == "x[1, 2]" and report.errors["central difference"] < 1e-9


@pytest.mark.equation("1.4.4")
def test_the_chain_rule_is_the_same_forward_and_backward():
    # f(g(theta)) with g from R^5 to R^4 (Eq. 1.4.3): both orders of multiplication give the same sum over i.
    rng = np.random.default_rng(1)
    weights, theta = rng.standard_normal((4, 5)), rng.standard_normal(5)

    def g(t):
        return tf.sin(tf.linalg.matvec(weights, t))

    def f(g):
        return tf.reduce_sum(g**3) + tf.reduce_prod(g)

    inner = np.cos(weights @ theta)[:, None] * weights
    values = np.sin(weights @ theta)
    outer = 3 * values**2 + np.prod(values) / values
    expected = sum(outer[i] * inner[i] for i in range(4))

    t = tf.constant(theta)
    with tf.GradientTape() as tape:
        tape.watch(t)
        value = f(g(t))
    backward = tape.gradient(value, t)
    forward = []
    for direction in np.eye(5):
        with tf.autodiff.ForwardAccumulator(t, tf.constant(direction)) as accumulator:
            value = f(g(t))
        forward.append(accumulator.jvp(value))
    np.testing.assert_allclose(backward, expected, rtol=1e-13)
    np.testing.assert_allclose(forward, expected, rtol=1e-13)
    np.testing.assert_allclose(central_difference(lambda t: f(g(t)).numpy(), theta), expected, rtol=1e-8)


@pytest.mark.equation("1.4.5")
@pytest.mark.equation("1.4.6")
@pytest.mark.equation("1.4.7")
def test_two_layer_derivatives_match_automatic_differentiation():
    rng = np.random.default_rng(2)
    d0, d1, d2 = 4, 3, 2
    x, b1, b2 = (rng.standard_normal(d) for d in (d0, d1, d2))
    w1, w2 = rng.standard_normal((d1, d0)), rng.standard_normal((d2, d1))
    result = two_layer_derivatives(x, w1, b1, w2, b2, np.tanh, lambda a: 1 / np.cosh(a) ** 2)

    tw1, tw2 = tf.constant(w1), tf.constant(w2)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([tw1, tw2])
        hidden = tf.tanh(tf.linalg.matvec(tw1, x) + b1)
        y = tf.tanh(tf.linalg.matvec(tw2, hidden) + b2)
    np.testing.assert_allclose(result.y, y, rtol=1e-13)
    np.testing.assert_allclose(result.hidden, tape.jacobian(y, hidden), rtol=1e-12)
    np.testing.assert_allclose(result.w1, tape.jacobian(y, tw1), rtol=1e-12)
    jacobian = tape.jacobian(y, tw2).numpy()
    for i in range(d2):
        # y^i depends on row i of W_2 only, so one index suffices in Eq. 1.4.6.
        np.testing.assert_allclose(jacobian[i, i], result.w2[i], rtol=1e-12)
        assert not jacobian[i, 1 - i].any()

    # The printed Eq. 1.4.7 adds the bias of some other unit b to every hidden unit.
    for b in range(d1):
        printed = np.tanh(w1 @ x + b1[b])
        slope = 1 / np.cosh(w2 @ printed + b2) ** 2
        assert np.max(np.abs(slope[:, None] * w2 - result.hidden)) > 1e-2


@pytest.mark.parametrize("method", [forward_difference, central_difference, complex_step])
@pytest.mark.parametrize(
    ("x", "epsilon", "message"),
    [
        ([1.0, np.nan], 1e-3, r"x\[1\] must be finite, got nan$"),
        ([], 1e-3, r"x must hold at least one number, got shape \(0,\)$"),
        ([1.0], 0.0, "epsilon must be positive, got 0$"),
        ([1.0], -1e-3, r"epsilon must be positive, got -0\.001$"),
    ],
)
def test_invalid_points_and_steps_raise_errors_that_name_them(method, x, epsilon, message):
    with pytest.raises(ValueError, match=message):
        method(lambda x: x.sum(), np.array(x), epsilon)


def test_other_invalid_arguments_raise_errors_that_name_them():
    one = np.ones(1)
    with pytest.raises(ValueError, match=r"rounded away in x \+ epsilon, got 1e-17 for x = 1\.0$"):
        forward_difference(notes_function, np.array([0.0, 1.0]), 1e-17)
    with pytest.raises(ValueError, match=r"complex-analytic, got real 1\.0 for a complex x"):
        complex_step(lambda x: np.abs(x[0]), one)
    with pytest.raises(ValueError, match="one finite number, got -inf"), np.errstate(divide="ignore"):
        central_difference(lambda x: np.log(x[0] * 0), one)
    with pytest.raises(ValueError, match=r"one finite number, got ndarray of shape \(1000,\)"):
        central_difference(lambda x: np.zeros(1000), one)
    with pytest.raises(ValueError, match="shape of x"):
        gradient_check(smooth, lambda x: np.ones(2), X)
    with pytest.raises(ValueError, match=r"gradient\(x\)\[0\] must be finite, got nan"):
        gradient_check(smooth, lambda x: np.full(3, np.nan), X)
    with pytest.raises(ValueError, match="tolerance"):
        gradient_check(smooth, smooth_gradient, X, tolerance=0.0)
    with pytest.raises(ValueError, match="order"):
        optimal_step(1.0, 1.0, order=3)
    with pytest.raises(ValueError, match="derivative"):
        optimal_step(1.0, 0.0, order=2)


def test_unit_roundoff_is_half_of_epsilon():
    assert np.finfo(np.float64).eps / 2 == differentiation.UNIT_ROUNDOFF
