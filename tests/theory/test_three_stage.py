"""Oracles: the closed forms of `theory.descent`, Chebyshev polynomials, direct runs of a rule, and search."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import eval_chebyt

from curvezoo.theory import descent, three_stage
from curvezoo.theory.three_stage import Rule

runs = settings(max_examples=80, deadline=None, derandomize=True)


def run(rule, curvature, steps, center=0.0):
    """Returns theta after each step of a rule, with the sums in the module's docstring written out."""
    theta, velocities, gradients = [np.ones(np.shape(curvature))], [], []
    for _ in range(steps):
        gradients.insert(0, curvature * (theta[-1] - center))
        velocity = sum(m * v for m, v in zip(rule.momenta, velocities, strict=False))
        velocity += sum(e * g for e, g in zip(rule.learning_rates, gradients, strict=False))
        velocities.insert(0, velocity)
        theta.append(theta[-1] - velocity)
    return np.array(theta)


def worst_rate(rule, low, high, points=401):
    return three_stage.rate(rule, three_stage.interval(low, high, points)).max()


@given(epsilon=st.floats(0.01, 3), m=st.floats(-0.9, 0.99), curvature=st.floats(0.1, 3))
@runs
def test_two_stages_with_one_gradient_are_momentum(epsilon, m, curvature):
    rule = three_stage.heavy_ball(epsilon, m)
    rate = descent.momentum_rate(epsilon, m, curvature)
    assert three_stage.rate(rule, curvature) == pytest.approx(rate, abs=1e-6)
    matrix = descent.momentum_matrix(epsilon, m, curvature)
    np.testing.assert_allclose(three_stage.characteristic(rule, curvature), np.poly(matrix), atol=1e-9)


@pytest.mark.parametrize("stages", [1, 2, 3, 4])
def test_runs_obey_the_characteristic_polynomial_and_find_any_minimum(stages):
    rng = np.random.default_rng(stages)
    rule = Rule(tuple(rng.uniform(-0.4, 0.4, stages - 1)), tuple(rng.uniform(0, 0.5, stages)))
    theta = run(rule, 1.3, 60)
    polynomial = three_stage.characteristic(rule, 1.3)
    # The sequence satisfies the recurrence after the first K steps.
    residuals = np.convolve(theta, polynomial, mode="valid")[stages:]
    np.testing.assert_allclose(residuals, 0, atol=1e-12 * np.abs(theta).max())
    assert three_stage.characteristic(rule, 0.0).sum() == pytest.approx(0, abs=1e-15)
    if three_stage.rate(rule, 1.3) < 0.9:
        assert run(rule, 1.3, 400, center=5.0)[-1] == pytest.approx(5.0, abs=1e-9)


@pytest.mark.equation("4.3.14")
@pytest.mark.parametrize("kappa", [3.0, 100.0, 1e4])
@pytest.mark.parametrize("stages", [1, 2, 3, 4])
def test_measured_rates_at_two_eigenvalues_are_those_of_the_kth_root_of_kappa(kappa, stages):
    low, high = 0.3, 0.3 * kappa
    rule = three_stage.two_eigenvalues(low, high, stages)
    predicted = (kappa ** (1 / stages) - 1) / (kappa ** (1 / stages) + 1)
    assert three_stage.root_rate(kappa, stages) == pytest.approx(predicted, rel=1e-12)
    np.testing.assert_allclose(three_stage.measured_rate(rule, [low, high]), predicted, rtol=0.01)
    # The error of a computed root of multiplicity K is the K-th root of the rounding error.
    np.testing.assert_allclose(three_stage.rate(rule, [low, high]), predicted, rtol=2e-3)
    effective = three_stage.effective_condition(predicted)
    assert effective == pytest.approx(kappa ** (1 / stages), rel=1e-10)


def test_the_best_two_stage_rule_is_best_momentum_and_one_stage_is_best_sgd():
    sgd, momentum = descent.best_sgd(1.0, 30.0), descent.best_momentum(1.0, 30.0)
    np.testing.assert_allclose(three_stage.two_eigenvalues(1, 30, 1).learning_rates, [sgd.learning_rate])
    rule = three_stage.two_eigenvalues(1, 30, 2)
    np.testing.assert_allclose(rule.momenta, [momentum.momentum], rtol=1e-12)
    np.testing.assert_allclose(rule.learning_rates, [momentum.learning_rate, 0], rtol=1e-12, atol=1e-14)


def test_a_run_of_the_cube_root_rule_shrinks_at_its_rate():
    rule = three_stage.two_eigenvalues(1.0, 1000.0, 3)
    for curvature in (1.0, 1000.0):
        theta = np.abs(run(rule, curvature, 3000))
        # n^2 rho^n: the ratio over the last third has (3/2)^2 from the power.
        measured = (theta[2999] / theta[2000] / 1.5**2) ** (1 / 999)
        assert measured == pytest.approx(three_stage.root_rate(1000.0, 3), rel=0.002)


@given(
    kappa=st.floats(1.5, 200),
    roots=st.lists(st.floats(-0.99, 0.99), min_size=3, max_size=3),
    angle=st.floats(0, np.pi),
    stages=st.integers(1, 3),
)
@runs
def test_no_rule_beats_the_kth_root_on_two_eigenvalues(kappa, roots, angle, stages):
    """Tries any P_low, with the last root of P_high chosen such that P_high(1) = kappa P_low(1)."""
    low = np.poly([roots[0] * np.exp(1j * angle), roots[0] * np.exp(-1j * angle), roots[1]]).real
    low = {1: np.poly(roots[:1]), 2: np.poly(roots[:2]), 3: low}[stages]
    last = 1 - kappa * low.sum() / np.prod([1 - r for r in roots[: stages - 1]])
    high = np.poly([*roots[: stages - 1], last])
    gradients = (high - low) / (kappa - 1)
    velocities, _ = np.polydiv(low - gradients, [1, -1])
    rule = Rule(tuple(-velocities[1:]), tuple(gradients[1:]))
    bound = three_stage.root_rate(kappa, stages)
    assert three_stage.rate(rule, [1.0, kappa]).max() >= bound - 1e-6


@pytest.mark.parametrize("kappa", [10.0, 100.0])
@pytest.mark.parametrize("stages", [1, 2, 3])
def test_search_finds_the_kth_root_for_a_pair_and_square_root_for_an_interval(kappa, stages):
    # Fewer coefficients converge in fewer generations.
    iterations = {1: 40, 2: 100, 3: 300}[stages]
    pair = three_stage.best_rule([2.0, 2 * kappa], stages, iterations)
    bound = three_stage.root_rate(kappa, stages)
    assert bound - 1e-6 <= three_stage.rate(pair, [2.0, 2 * kappa]).max() <= bound * 1.005
    rule = three_stage.best_rule(three_stage.interval(2.0, 2 * kappa, 17), stages, min(iterations, 200))
    bound = three_stage.root_rate(kappa, min(stages, 2))
    # The cube root would give far smaller rates, 0.366 and 0.645 for these kappa.
    assert bound - 1e-6 <= worst_rate(rule, 2.0, 2 * kappa) <= bound * 1.003


def test_a_third_stage_gains_nothing_if_the_middle_eigenvalue_is_the_geometric_mean():
    kappa = 100.0
    geometric, arithmetic = (
        three_stage.rate(three_stage.best_rule(e, 3), e).max()
        for e in ([1.0, 10.0, kappa], [1.0, 50.5, kappa])
    )
    assert geometric == pytest.approx(three_stage.root_rate(kappa, 2), rel=1e-3)
    # This lies between the rates for the square root, 0.818, and the cube root, 0.645.
    assert arithmetic == pytest.approx(0.764, abs=2e-3)


def test_chebyshev_bounds_any_number_of_steps_and_hence_of_stages():
    kappa, bound = 50.0, three_stage.root_rate(50.0, 2)
    at_zero = (kappa + 1) / (kappa - 1)
    for n in (5, 50, 400):
        least = 1 / eval_chebyt(n, at_zero)
        assert bound**n <= least <= 2 * bound**n
    curvature = three_stage.interval(1.0, kappa, 4001)
    rng = np.random.default_rng(0)
    for stages in (2, 3, 5):
        for _ in range(5):
            rule = Rule(tuple(rng.normal(0, 0.3, stages - 1)), tuple(rng.normal(0, 1 / kappa, stages)))
            for n in (5, 20):
                # A residual polynomial is one at lambda = 0, so its maximum is at least Chebyshev's.
                assert run(rule, 0.0, n)[-1] == pytest.approx(1.0, rel=1e-14)
                assert np.abs(run(rule, curvature, n)[-1]).max() >= (1 - 1e-4) / eval_chebyt(n, at_zero)


@given(
    changes=st.lists(st.floats(-1, 1), min_size=5, max_size=5),
    size=st.sampled_from([1e-4, 1e-2, 0.3]),
    kappa=st.sampled_from([4.0, 60.0]),
)
@runs
def test_no_third_stage_perturbation_of_momentum_is_better_on_an_interval(changes, size, kappa):
    best = descent.best_momentum(1 / kappa, 1.0)
    coefficients = np.array([best.momentum, 0, best.learning_rate, 0, 0]) + size * np.array(changes)
    rule = Rule(tuple(coefficients[:2]), tuple(coefficients[2:]))
    assert worst_rate(rule, 1 / kappa, 1.0) >= best.rate - 1e-6


@pytest.mark.parametrize(("kappa", "diverges"), [(50.0, False), (54.0, True)])
def test_the_cube_root_rule_is_root_three_slower_between_its_eigenvalues(kappa, diverges):
    rule = three_stage.two_eigenvalues(1.0, kappa, 3)
    rho = three_stage.root_rate(kappa, 3)
    middle = (1 + kappa) / 2
    assert three_stage.rate(rule, middle) == pytest.approx(np.sqrt(3) * rho, rel=1e-6)
    assert worst_rate(rule, 1.0, kappa) == pytest.approx(np.sqrt(3) * rho, rel=1e-6)
    np.testing.assert_allclose(three_stage.measured_rate(rule, [middle]), np.sqrt(3) * rho, rtol=0.01)
    assert (np.sqrt(3) * rho > 1) == diverges
    assert ((np.sqrt(3) + 1) / (np.sqrt(3) - 1)) ** 3 == pytest.approx(52, abs=0.05)


def test_a_rule_that_reaches_the_minimum_exactly_has_rate_zero():
    assert three_stage.measured_rate(Rule((), (0.5,)), [2.0, 1.0]) == pytest.approx([0.0, 0.5])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Rule((0.5,), (0.1,)), "learning_rates must have one entry more than momenta, got 1 and 1"),
        (lambda: Rule((np.nan,), (0.1, 0.0)), r"momenta\[0\] must be finite"),
        (lambda: three_stage.rate(Rule((), (0.1,)), np.inf), "curvature must be finite"),
        (lambda: three_stage.root_rate([2.0, 0.5], 2), r"condition\[1\] must be at least 1, got 0.5"),
        (lambda: three_stage.root_rate(2.0, 0), "root must be positive"),
        (lambda: three_stage.effective_condition([0.5, 1.0]), r"rate\[1\] must be below 1, got 1"),
        (lambda: three_stage.two_eigenvalues(2.0, 2.0, 3), "high must be above low = 2"),
        (lambda: three_stage.two_eigenvalues(1.0, 2.0, 0), "stages must be an integer of at least 1"),
        (lambda: three_stage.best_rule([1.0, 1.0], 2), "curvature must contain at least two distinct"),
        (lambda: three_stage.best_rule([-1.0, 1.0], 2), r"curvature\[0\] must be positive"),
        (lambda: three_stage.interval(1.0, 2.0, 1), "points must be an integer of at least 2"),
        (lambda: three_stage.measured_rate(Rule((), (0.1,)), [1.0], 1), "steps must be an integer"),
    ],
)
def test_invalid_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
