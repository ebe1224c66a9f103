"""Oracles: iterating the notes' updates, closed forms, and brute-force searches."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from curvezoo.theory import descent

runs = settings(max_examples=150, deadline=None, derandomize=True)
momenta = st.floats(-0.95, 0.99)
steps_of_lambda = st.floats(0.01, 6.0)


def run_momentum(epsilon, m, curvature, steps=4000, late=False):
    """Returns the factor per step of Eqs. 4.3.1 and 4.3.2 with v^(n+1), or with v^(n) if `late`.

    The state is normalized after each step so that it stays finite.
    """
    theta, v, log = 1.0, 0.3, 0.0
    for n in range(steps):
        new = m * v + curvature * theta
        theta, v = theta - epsilon * (v if late else new), new
        size = np.hypot(theta, v)
        theta, v = theta / size, v / size
        log += np.log(size) if n >= steps // 2 else 0.0
    return np.exp(log / (steps - steps // 2))


def worst_sgd(epsilon, curvatures):
    """Returns the rate of SGD along its slowest direction."""
    return np.abs(descent.sgd_factor(epsilon, curvatures)).max()


@pytest.mark.equation("4.1.2")
def test_newtons_step_reaches_the_minimum_of_a_quadratic_in_any_units():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(4, 4))
    hessian, center, theta = root @ root.T + np.eye(4), rng.normal(size=4), rng.normal(size=4)

    def loss(x):
        return (x - center) @ hessian @ (x - center) / 2

    # Central differences of a quadratic are exact to rounding.
    gradient = np.array([(loss(theta + e) - loss(theta - e)) / 2e-3 for e in 1e-3 * np.eye(4)])
    np.testing.assert_allclose(gradient, hessian @ (theta - center), rtol=1e-9)
    np.testing.assert_allclose(descent.newton_step(theta, gradient, hessian), center, atol=1e-9)
    units = np.diag([1.0, 10.0, 0.1, 7.0])
    scaled = descent.newton_step(
        units @ theta, gradient @ np.linalg.inv(units), _congruent(hessian, units), 0.3
    )
    np.testing.assert_allclose(scaled, units @ descent.newton_step(theta, gradient, hessian, 0.3), rtol=1e-10)


def _congruent(hessian, units):
    """Returns the Hessian in rescaled parameters."""
    inverse = np.linalg.inv(units)
    return inverse @ hessian @ inverse


@pytest.mark.equation("4.1.3")
@pytest.mark.parametrize("epsilon", [0.1, 0.5, 0.9, 1.5, 1.9])
def test_newtons_rate_is_one_minus_epsilon_for_any_curvature(epsilon):
    curvature = np.array([1e-4, 1.0, 1e5])
    path = [np.ones(3)]
    for _ in range(20):
        path.append(descent.newton_step(path[-1], curvature * path[-1], np.diag(curvature), epsilon))
    measured = (np.array(path)[-1] / path[0]) ** (1 / 20) if epsilon < 1 else np.array(path)[1]
    np.testing.assert_allclose(measured, 1 - epsilon, rtol=1e-9)
    # theta keeps its sign for epsilon < 1 only.
    assert np.all(np.array(path)[1:].min(axis=0) > 0) == (epsilon < 1)


def test_newton_climbs_along_negative_curvature():
    theta = descent.newton_step([0.5, 0.5], [0.5, -0.5], np.diag([1.0, -1.0]), 0.5)
    np.testing.assert_allclose(theta, [0.25, 0.25])


@pytest.mark.equation("4.2.1")
@pytest.mark.equation("4.2.2")
def test_the_learning_rate_of_sgd_has_units_of_theta_squared_over_loss():
    a, c, curvature, epsilon = 7.0, 0.2, 3.0, 0.15

    def sgd(loss, theta, rate, steps=12):
        # Central differences of a quadratic are exact to rounding.
        for _ in range(steps):
            theta -= rate * (loss(theta + 0.1) - loss(theta - 0.1)) / 0.2
        return theta

    ours = sgd(lambda x: curvature * x**2 / 2, 2.0, epsilon)
    assert ours == pytest.approx(2 * descent.sgd_factor(epsilon, curvature) ** 12, rel=1e-9)
    # New units: theta' = a theta and L' = c L.
    rate = epsilon * a**2 / c
    scaled = sgd(lambda x: c * curvature * (x / a) ** 2 / 2, 2 * a, rate)
    assert scaled == pytest.approx(a * ours, rel=1e-9)
    assert descent.sgd_factor(rate, c * curvature / a**2) == pytest.approx(
        descent.sgd_factor(epsilon, curvature), rel=1e-14
    )


@pytest.mark.equation("4.2.3")
@pytest.mark.parametrize("euclidean", [True, False])
def test_steepest_descent_points_to_the_least_loss_on_a_small_ball(euclidean):
    rng = np.random.default_rng(3)
    root = rng.normal(size=(3, 3))
    metric = np.eye(3) if euclidean else root @ root.T + 0.1 * np.eye(3)
    theta, epsilon = np.array([0.3, -0.8, 1.1]), 1e-5

    def loss(x):
        return np.sin(x[0]) + x[1] ** 4 + x[0] * x[2]

    gradient = np.array([np.cos(theta[0]) + theta[2], 4 * theta[1] ** 3, theta[0]])
    to_sphere = np.linalg.inv(np.linalg.cholesky(metric)).T

    def on_ball(u):
        return (loss(theta + epsilon * to_sphere @ (u / np.linalg.norm(u))) - loss(theta)) / epsilon

    u = minimize(on_ball, rng.normal(size=3), method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-11}).x
    ours = descent.steepest_direction(gradient, None if euclidean else metric)
    np.testing.assert_allclose(ours, to_sphere @ (u / np.linalg.norm(u)), atol=2e-4)
    assert ours @ metric @ ours == pytest.approx(1, rel=1e-12)
    if euclidean:
        np.testing.assert_allclose(ours, -gradient / np.linalg.norm(gradient), rtol=1e-12)


@pytest.mark.equation("4.3.3")
@pytest.mark.equation("4.3.4")
@pytest.mark.equation("4.3.5")
@given(epsilon=st.floats(1e-3, 3), curvature=st.floats(1e-3, 3))
@runs
def test_the_phase_of_sgd_matches_its_measured_factor_and_signs(epsilon, curvature):
    theta = [1.0]
    for _ in range(10):
        theta.append(theta[-1] - epsilon * curvature * theta[-1])
    np.testing.assert_allclose(theta[-1], descent.sgd_factor(epsilon, curvature) ** 10, rtol=1e-6, atol=1e-12)
    phase = str(descent.sgd_phase(epsilon, curvature))
    assert (phase == "not converging") == (abs(theta[-1]) >= 1) == (not epsilon < 2 / curvature)
    if phase != "not converging":
        assert phase == ("same sign" if theta[1] >= 0 else "alternating")


def test_phases_of_sgd_at_their_boundaries():
    assert list(descent.sgd_phase([0.0, 0.5, 1.0, 1.5, 2.0, -0.1], 1.0)) == [
        "not converging",
        "same sign",
        "same sign",
        "alternating",
        "not converging",
        "not converging",
    ]


@pytest.mark.parametrize("kappa", [2.0, 50.0])
def test_the_best_rate_of_sgd_matches_a_search(kappa):
    best = descent.best_sgd(3.0, 3 * kappa)
    grid = np.linspace(0.5, 1.5, 2001) * best.learning_rate
    searched = min(worst_sgd(e, [3.0, 3 * kappa]) for e in grid)
    assert best.rate == pytest.approx(searched, rel=1e-9)
    assert best.rate == pytest.approx((kappa - 1) / (kappa + 1), rel=1e-12)


@pytest.mark.equation("4.3.1")
@pytest.mark.equation("4.3.2")
@pytest.mark.equation("4.3.6")
def test_momentum_uses_the_velocity_of_the_next_step():
    m, curvature = 0.6, 2.5
    for epsilon in (0.04, 0.1, 0.5, 1.2, 1.4):
        rate = descent.momentum_rate(epsilon, m, curvature)
        assert run_momentum(epsilon, m, curvature) == pytest.approx(rate, rel=0.01)
        late = np.abs(np.linalg.eigvals([[1, -epsilon], [curvature, m]])).max()
        assert run_momentum(epsilon, m, curvature, late=True) == pytest.approx(late, rel=0.01)
        # With Eq. 4.3.2 as printed the stable range ends at (1 - m) / lambda = 0.16, not at 1.28.
        assert (late < 1) == (epsilon < (1 - m) / curvature)
        assert (rate < 1) == (epsilon < descent.momentum_limit(m, curvature))


@pytest.mark.equation("4.3.7")
@pytest.mark.equation("4.3.8")
@given(x=steps_of_lambda, m=momenta, curvature=st.floats(0.1, 10))
@runs
def test_the_momentum_matrix_gives_the_update_and_the_eigenvalues(x, m, curvature):
    epsilon = x / curvature
    matrix = descent.momentum_matrix(epsilon, m, curvature)
    theta, v = 0.7, -0.2
    new = m * v + curvature * theta
    np.testing.assert_allclose(matrix @ [theta, v], [theta - epsilon * new, new], rtol=1e-12, atol=1e-12)
    ours = np.array(descent.momentum_eigenvalues(epsilon, m, curvature))
    # The sum and product of the eigenvalues are well conditioned even where the eigenvalues are not.
    np.testing.assert_allclose(ours.sum(), np.trace(matrix), atol=1e-12)
    np.testing.assert_allclose(ours.prod(), np.linalg.det(matrix), atol=1e-12)
    assert descent.momentum_rate(epsilon, m, curvature) == pytest.approx(np.abs(ours).max(), rel=1e-15)


@pytest.mark.equation("4.3.9")
@given(x=steps_of_lambda, m=st.floats(-2, 2))
@runs
def test_convergence_requires_a_spectral_radius_and_a_momentum_below_one(x, m):
    roots = np.roots([1, -(1 + m - x), m])
    converges = bool(np.abs(roots).max() < 1 - 1e-9)
    assert converges == (descent.momentum_rate(x, m, 1.0) < 1 - 1e-9)
    if abs(m) < 1 and abs(x - 2 * (1 + m)) > 1e-6:
        assert converges == (x < descent.momentum_limit(m, 1.0))
    if abs(m) >= 1:
        assert not converges
    # The printed bound admits m = 1.2, for which every learning rate diverges.
    assert descent.momentum_rate(min(x, 4.3), 1.2, 1.0) > 1


def test_real_parts_between_minus_one_and_one_do_not_imply_convergence():
    eigenvalues = np.array(descent.momentum_eigenvalues(2.0, 1.2, 1.0))
    assert np.all(np.abs(eigenvalues.real) < 1)
    assert run_momentum(2.0, 1.2, 1.0, 400) > 1.09


def test_rescaling_epsilon_by_one_plus_m_recovers_the_limit_of_sgd():
    m, curvature = 0.8, 3.0
    limit = descent.momentum_limit(m, curvature)
    assert limit / (1 + m) == pytest.approx(2 / curvature, rel=1e-15)
    assert m * limit / (1 + m) == pytest.approx(2 * m / curvature, rel=1e-15)


@pytest.mark.equation("4.3.10")
@pytest.mark.equation("4.3.11")
@pytest.mark.parametrize("x", [0.01, 0.2, 0.9, 1.7, 3.5])
def test_the_critical_momentum_is_the_best_for_one_curvature(x):
    curvature = 4.0
    epsilon = x / curvature
    m = descent.critical_momentum(epsilon, curvature)
    plus, minus = descent.momentum_eigenvalues(epsilon, m, curvature)
    np.testing.assert_allclose([plus, minus], 1 - np.sqrt(x), atol=1e-7)
    rate = abs(1 - np.sqrt(x))
    assert np.sqrt(m) == pytest.approx(rate, rel=1e-12)
    grid = np.linspace(-0.99, 1, 40_001)
    rates = descent.momentum_rate(epsilon, grid, curvature)
    # Below its minimum the rate varies as a square root of m.
    assert grid[np.argmin(rates)] == pytest.approx(m, abs=1e-4)
    assert rates.min() >= rate - 1e-7
    assert run_momentum(epsilon, m, curvature) == pytest.approx(rate, rel=0.01)
    # The other zero of the discriminant diverges.
    assert descent.momentum_rate(epsilon, (1 + np.sqrt(x)) ** 2, curvature) > 1


def test_at_critical_damping_theta_decreases_as_n_times_a_power():
    epsilon, curvature = 0.25, 1.0
    matrix = descent.momentum_matrix(epsilon, descent.critical_momentum(epsilon, curvature), curvature)
    sizes = [(np.linalg.matrix_power(matrix, n) @ [1.0, 0.0])[0] / 0.5**n for n in (100, 200, 400)]
    np.testing.assert_allclose(np.diff(sizes), (sizes[1] - sizes[0]) * np.array([1, 2]), rtol=1e-9)
    assert sizes[1] - sizes[0] > 1


@given(m=st.floats(0.01, 0.99), position=st.floats(0.001, 0.999))
@runs
def test_the_rate_is_constant_on_a_plateau_of_complex_eigenvalues(m, position):
    low, high = (1 - np.sqrt(m)) ** 2, (1 + np.sqrt(m)) ** 2
    x = low + position * (high - low)
    plus, minus = descent.momentum_eigenvalues(x, m, 1.0)
    assert plus == pytest.approx(np.conj(minus), abs=1e-15) and abs(plus.imag) > 0
    assert descent.momentum_rate(x, m, 1.0) == pytest.approx(np.sqrt(m), rel=1e-12)


@pytest.mark.equation("4.3.12")
@pytest.mark.equation("4.3.13")
@pytest.mark.equation("4.3.14")
@pytest.mark.parametrize("kappa", [1.5, 10.0, 400.0])
def test_the_best_momentum_matches_a_search_with_kappa_above_one(kappa):
    low, high = 0.2, 0.2 * kappa
    best = descent.best_momentum(low, high)
    curvatures = np.linspace(low, high, 33)
    discriminants = (best.momentum + 1 - np.array([low, high]) * best.learning_rate) ** 2 - 4 * best.momentum
    np.testing.assert_allclose(discriminants, 0, atol=1e-13)
    searched = minimize(
        lambda x: descent.momentum_rate(x[0], x[1], curvatures).max(),
        [1.2 * best.learning_rate, best.momentum * 0.8],
        method="Nelder-Mead",
        options={"xatol": 1e-12, "fatol": 1e-12, "maxiter": 4000},
    )
    assert best.rate == pytest.approx((np.sqrt(kappa) - 1) / (np.sqrt(kappa) + 1), rel=1e-12)
    assert best.rate - 1e-7 <= searched.fun <= best.rate * (1 + 1e-3)
    for curvature in (low, 1.3 * low, high):
        measured = run_momentum(best.learning_rate, best.momentum, curvature)
        assert measured == pytest.approx(best.rate, rel=0.01)
    # With the printed kappa = lambda_1 / lambda_2 and lambda_1 << lambda_2 the rate would be negative.
    assert (np.sqrt(low / high) - 1) / (np.sqrt(low / high) + 1) == pytest.approx(-best.rate, rel=1e-12)


@pytest.mark.parametrize("size", [1e-300, 1e-170, 1e170, 1e300])
def test_the_steepest_direction_does_not_depend_on_the_size_of_the_gradient(size):
    metric = np.array([[2.0, 1.0], [1.0, 3.0]])
    ours = descent.steepest_direction([3 * size, -4 * size], metric)
    np.testing.assert_allclose(ours, descent.steepest_direction([3.0, -4.0], metric), rtol=1e-13)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: descent.newton_step([1.0], [1.0, 2.0], [[1.0]]),
            "theta and gradient must have the same shape",
        ),
        (
            lambda: descent.momentum_rate(1e200, 0.5, [1e-200, 1e200]),
            r"1 \+ momentum - learning_rate \* curvature\[1\] must have a finite square, got -inf",
        ),
        (lambda: descent.newton_step([1.0], [1.0], np.eye(2)), r"hessian must have shape \(1, 1\)"),
        (lambda: descent.newton_step([1.0, 1.0], [1.0, 2.0], np.ones((2, 2))), "hessian must be invertible"),
        (lambda: descent.steepest_direction([0.0, 0.0]), "gradient must have an entry"),
        (lambda: descent.steepest_direction([1.0], np.eye(2)), "metric must have 1 rows"),
        (lambda: descent.steepest_direction([1.0, 1.0], -np.eye(2)), "metric"),
        (lambda: descent.sgd_factor([0.1, np.nan], 1.0), r"learning_rate\[1\] must be finite"),
        (lambda: descent.momentum_rate([1.0, 2.0], [1.0, 2.0, 3.0], 1.0), "shapes must broadcast"),
        (lambda: descent.momentum_limit([0.5, 1.0], 1.0), r"momentum\[1\] must be between -1 and 1, got 1$"),
        (lambda: descent.momentum_limit(0.5, 0.0), "curvature must be positive"),
        (lambda: descent.critical_momentum(-0.1, 1.0), "learning_rate must not be negative"),
        (lambda: descent.best_momentum(2.0, 1.0), "high must not be below low = 2, got 1"),
        (lambda: descent.best_sgd(0.0, 1.0), "low must be positive"),
    ],
)
def test_invalid_arguments_raise_errors_that_name_them(call, message):
    with pytest.raises(ValueError, match=message):
        call()
