"""Oracles: the equations of the notes line by line, explicit weighted sums, and changes of units."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curvezoo.theory import differentiation, rmsprop

runs = settings(max_examples=70, deadline=None, derandomize=True)


def run_rmsprop(theta, epsilon, beta, steps, curvature):
    """Runs Eqs. 4.4.1, 4.4.2 and 4.4.4 line by line, with the power n + 1."""
    v, path = 0.0, [theta]
    for n in range(steps):
        g = curvature * theta
        v = beta * v + (1 - beta) * g**2
        theta = theta - epsilon * g / np.sqrt(v / (1 - beta ** (n + 1)))
        path.append(theta)
    return np.array(path)


@pytest.mark.equation("4.4.1")
@pytest.mark.equation("4.4.2")
def test_the_bias_is_one_minus_beta_to_the_power_of_the_number_of_gradients():
    beta, gradients = 0.9, np.random.default_rng(0).normal(size=(30, 20_000))
    plain, corrected = (rmsprop.second_moments(gradients, beta, c) for c in (False, True))
    powers = 1 - beta ** np.arange(1, 31)
    weights = (1 - beta) * beta ** np.arange(30)
    for n in (0, 4, 29):
        np.testing.assert_allclose(plain[n], weights[n::-1] @ gradients[: n + 1] ** 2, rtol=1e-12)
    np.testing.assert_allclose(corrected, plain / powers[:, None], rtol=1e-12)
    # <g^2> = 1, and the mean square of 20,000 draws has a standard error of at most sqrt(2 / 20,000) = 0.01.
    np.testing.assert_allclose(corrected.mean(axis=1), 1, atol=0.05)
    np.testing.assert_allclose(plain.mean(axis=1), powers, atol=0.05)
    # With the printed power n, the second mean is too large by (1 - beta^2) / (1 - beta) = 1.9.
    assert (plain[1] / (1 - beta**1)).mean() == pytest.approx(1 + beta, abs=0.05)
    # The mean square of a constant gradient is right from the first step.
    np.testing.assert_allclose(rmsprop.second_moments(np.full(50, -3.0), 0.999), 9.0, rtol=1e-13)


def test_the_running_mean_is_a_second_moment_and_not_a_variance():
    noise = np.random.default_rng(0).normal(size=20_000)
    moment = rmsprop.second_moments(3 + noise, 0.999)[-1]
    # <g^2> = 9 + 1, and the memory of 1,000 steps has a standard error of about 6.2 / sqrt(2,000).
    assert moment == pytest.approx(10, abs=0.5)
    assert np.var(noise) == pytest.approx(1, abs=0.05)


@pytest.mark.equation("4.4.3")
@given(beta=st.floats(0, 0.999), n=st.integers(1, 60), seed=st.integers(0, 100))
@runs
def test_the_corrected_mean_weights_old_and_new_with_sum_one(beta, n, seed):
    gradients = np.random.default_rng(seed).normal(size=n + 1)
    plain, corrected = (rmsprop.second_moments(gradients, beta, c) for c in (False, True))
    weight = 1 / np.sum(beta ** np.arange(n + 1))
    mixed = weight * gradients[n] ** 2 + (1 - weight) * corrected[n - 1]
    assert corrected[n] == pytest.approx(mixed, rel=1e-10)
    # The printed second term has the uncorrected mean and no quotient.
    assert beta * plain[n - 1] / (1 - beta ** (n + 1)) == pytest.approx(
        (1 - weight) * corrected[n - 1], rel=1e-9
    )
    larger = max(1 / (n + 1), 1 - beta)
    assert larger * (1 - 1e-12) <= weight < larger / (1 - np.exp(-1))


def test_the_printed_second_term_is_too_small():
    beta, gradients = 0.9, np.ones(3)
    plain = rmsprop.second_moments(gradients, beta, False)
    printed = 1 / (1 + beta) + beta * plain[1]
    assert rmsprop.second_moments(gradients, beta)[2] == pytest.approx(1, rel=1e-14)
    assert printed == pytest.approx(0.69732, abs=1e-5)


@pytest.mark.equation("4.4.4")
def test_rmsprop_follows_its_equations_and_bounds_its_steps():
    ours = rmsprop.rmsprop_path(lambda x: 3 * x, [2.0], 0.01, 0.9, 400)[:, 0]
    np.testing.assert_allclose(ours, run_rmsprop(2.0, 0.01, 0.9, 400, 3.0), rtol=1e-8, atol=1e-10)
    # For noise with rare large gradients it matters that Vhat^(n+1) includes g^(n), and the printed Vhat^(n)
    # not.
    noise = np.random.default_rng(1).standard_cauchy(size=(500, 40))
    drawn = iter(noise)
    steps = np.abs(np.diff(rmsprop.rmsprop_path(lambda x: next(drawn), np.zeros(40), 1.0, 0.9, 500), axis=0))
    bound = np.sqrt((1 - 0.9 ** np.arange(1, 501)) / 0.1)
    assert np.all(steps <= bound[:, None] * (1 + 1e-12))
    assert steps.max() > 0.95 * bound[-1]
    printed = np.abs(noise[1:]) / np.sqrt(rmsprop.second_moments(noise, 0.9)[:-1])
    assert printed.max() > 10 * bound[-1]


@pytest.mark.equation("4.4.5")
@given(loss=st.floats(1e-3, 1e3), unit=st.floats(1e-3, 1e3))
@runs
def test_the_learning_rate_of_rmsprop_has_units_of_theta(loss, unit):
    start = np.array([0.6, -1.2])
    ours = rmsprop.rmsprop_path(np.cos, start, 0.02, 0.8, 30)
    scaled = rmsprop.rmsprop_path(
        lambda x: loss / unit * np.cos(x / unit), start * unit, 0.02 * unit, 0.8, 30
    )
    np.testing.assert_allclose(scaled, unit * ours, rtol=1e-9, atol=1e-11 * unit)


@pytest.mark.equation("4.4.6")
@pytest.mark.parametrize("beta", [0.5, 0.9])
def test_rmsprop_descends_a_quadratic_as_sgd_descends_the_modulus(beta):
    curvatures, epsilon, start = np.array([1e-6, 1.0, 1e6]), 0.01, 30.003
    path = rmsprop.rmsprop_path(lambda x: 2 * curvatures * x, np.full(3, start), epsilon, beta, 3800)
    # The curvature drops out from the first step on.
    np.testing.assert_allclose(path[:2500], path[:2500, 1:2] * np.ones(3), rtol=1e-8)
    theta = path[:, 1]
    distance, steps = theta[100:2001] / epsilon, -np.diff(theta)[100:2001] / epsilon
    predicted = 1 / (1 + beta / (1 - beta) / distance)
    np.testing.assert_allclose(steps, predicted, rtol=1e-3)
    arrival = np.argmax(np.abs(theta) < epsilon)
    extra = beta / (1 - beta) * np.log(3000 * (1 - beta))
    assert arrival == pytest.approx(3000 + extra, rel=0.01)
    np.testing.assert_allclose(path[-10:, 1], epsilon / 2 * np.sign(theta[-10:]), rtol=1e-3)
    assert np.all(np.diff(np.sign(theta[-10:])) != 0)


def test_a_hessian_with_the_entries_lambda_needs_the_factor_one_half_in_the_loss():
    curvatures, theta = np.array([0.3, 2.0]), np.array([0.7, -1.1])

    def hessian(loss):
        gradient = lambda x: differentiation.central_difference(loss, x, 1e-3)  # noqa: E731
        steps = 1e-2 * np.eye(2)
        return np.array([(gradient(theta + s) - gradient(theta - s)) / 2e-2 for s in steps])

    np.testing.assert_allclose(hessian(lambda x: curvatures @ x**2 / 2), np.diag(curvatures), atol=1e-7)
    np.testing.assert_allclose(hessian(lambda x: curvatures @ x**2), 2 * np.diag(curvatures), atol=1e-7)
    # RMSProp takes the same path for both.
    paths = [rmsprop.rmsprop_path(lambda x, c=c: c * curvatures * x, theta, 0.01, 0.9, 50) for c in (1, 2)]
    np.testing.assert_allclose(*paths, rtol=1e-12)


def test_a_memory_longer_than_the_path_takes_theta_far_below_epsilon():
    path = np.abs(rmsprop.rmsprop_path(lambda x: x, [100.0], 1.0, 0.999, 1000)[:, 0])
    assert path[100] > 20 and path[1000] < 1e-6


def test_rmsprop_preconditions_only_axes_aligned_with_the_parameters():
    turn = np.array([[np.cos(0.6), -np.sin(0.6)], [np.sin(0.6), np.cos(0.6)]])
    for basis, slow in ((np.eye(2), False), (turn, True)):
        hessian = basis @ np.diag([1.0, 1e4]) @ basis.T
        path = rmsprop.rmsprop_path(lambda x, h=hessian: h @ x, basis @ [100.0, 100.0], 1.0, 0.9, 200)
        assert (abs(path[-1] @ basis[:, 0]) > 10) == slow


def test_without_correction_the_first_step_is_longer_by_one_over_the_root():
    path = rmsprop.rmsprop_path(lambda x: x, [5.0], 0.1, 0.99, 1, correct=False)
    assert path[0, 0] - path[1, 0] == pytest.approx(0.1 / np.sqrt(0.01), rel=1e-12)
    np.testing.assert_array_equal(rmsprop.rmsprop_path(lambda x: x, [0.0], 0.1, 0.9, 3), 0.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rmsprop.second_moments([1.0], 1.0), "beta must be below 1, got 1"),
        (lambda: rmsprop.second_moments(1.0, 0.5), "gradients must have an axis of steps"),
        (lambda: rmsprop.rmsprop_path(np.cos, [1.0], 0.0, 0.5, 3), "learning_rate must be positive"),
        (lambda: rmsprop.rmsprop_path(np.cos, [1.0], 0.1, -0.5, 3), "beta must not be negative"),
        (lambda: rmsprop.rmsprop_path(lambda x: x * np.nan, [1.0], 0.1, 0.5, 3), r"gradient\(theta\)\[0\]"),
        (lambda: rmsprop.rmsprop_path(np.cos, [1.0], 0.1, 0.5, -1), "steps must be an integer of at least 0"),
    ],
)
def test_invalid_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("scale", [1e-300, 1e-170, 1e170, 1e300])
def test_the_path_does_not_depend_on_the_scale_of_the_loss(scale):
    def gradient(theta):
        return np.array([1.0, 3.0]) * theta

    ours = rmsprop.rmsprop_path(lambda theta: scale * gradient(theta), [1.0, -2.0], 0.1, 0.9, 30)
    np.testing.assert_allclose(ours, rmsprop.rmsprop_path(gradient, [1.0, -2.0], 0.1, 0.9, 30), rtol=1e-9)
