"""Oracles: SciPy, the linear program, closed forms, and textbook iterations."""

import itertools
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment, linprog
from scipy.special import rel_entr

from curvezoo.theory import transport

PROPERTY = settings(max_examples=50, deadline=None, derandomize=True)
UNIFORM = np.full(5, 0.2)


def clouds(size_x=7, size_y=5, dimensions=2, seed=0):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(size_x, dimensions)), rng.normal(size=(size_y, dimensions)) + 0.7
    return x, y, rng.dirichlet(np.ones(size_x)), rng.dirichlet(np.ones(size_y))


def samples(dimensions):
    """Draws three weighted sets of four points on a coarse grid, so that ties occur."""
    numbers = st.integers(-6, 6)
    shape = 4 * dimensions
    points = st.lists(numbers, min_size=shape, max_size=shape).map(
        lambda v: np.reshape(v, (4, dimensions)) / 2.0
    )
    weights = (
        st.lists(st.integers(0, 5), min_size=4, max_size=4).filter(any).map(lambda w: np.array(w) / sum(w))
    )
    return st.lists(st.tuples(points, weights), min_size=3, max_size=3)


# Exact plans.


@pytest.mark.parametrize("power", [1, 2, 3])
def test_equal_weights_give_the_optimal_assignment(power):
    x, y, *_ = clouds(30, 30)
    cost, weights = transport.cost_matrix(x, y, power), np.full(30, 1 / 30)
    result = transport.optimal_transport(weights, weights, cost)
    rows, columns = linear_sum_assignment(cost)
    assert result.cost == pytest.approx(cost[rows, columns].mean(), rel=1e-12)
    np.testing.assert_allclose(result.plan[rows, columns], 1 / 30, rtol=1e-9)
    assert result.marginal_error < 1e-12


@pytest.mark.filterwarnings("error")
def test_the_potentials_certify_that_the_plan_is_optimal():
    x, y, a, b = clouds(12, 9)
    cost = transport.cost_matrix(x, y)
    result = transport.optimal_transport(a, b, cost)
    f, g = result.potentials
    assert np.all(f[:, None] + g <= cost + 1e-9)
    assert f @ a + g @ b == pytest.approx(result.cost, rel=1e-9)
    np.testing.assert_allclose(result.plan.sum(axis=1), a, atol=1e-12)
    np.testing.assert_allclose(result.plan.sum(axis=0), b, atol=1e-12)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_the_network_simplex_agrees_with_the_linear_program(scale):
    pytest.importorskip("ot")
    x, y, a, b = clouds(12, 9)
    # Points without weight, and costs of either sign.
    a, b = np.insert(a, 3, 0), np.insert(b, 0, 0)
    cost = scale * (transport.cost_matrix(np.insert(x, 3, 5, axis=0), np.insert(y, 0, -5, axis=0)) - 3)
    exact, fast = (transport.optimal_transport(a, b, cost, solver) for solver in ("highs", "pot"))
    assert fast.cost == pytest.approx(exact.cost, rel=1e-9)
    f, g = fast.potentials
    assert np.all(f[:, None] + g <= cost + 1e-9 * scale)
    assert f @ a + g @ b == pytest.approx(exact.cost, rel=1e-9)
    np.testing.assert_allclose(fast.plan, exact.plan, atol=1e-9)
    assert fast.marginal_error < 1e-12


FORBIDDEN = np.random.default_rng(1).random((12, 9)) < 0.3


def with_bounds(a, b, cost, forbidden):
    """Returns the least cost by the linear program in which forbidden moves are bounded by zero."""
    n, m = cost.shape
    sums = np.vstack([np.kron(np.eye(n), np.ones(m)), np.kron(np.ones(n), np.eye(m))])
    bounds = [(0, 0 if f else None) for f in forbidden.ravel()]
    return linprog(cost.ravel(), A_eq=sums, b_eq=np.concatenate([a, b]), bounds=bounds).fun


@pytest.mark.parametrize("solver", ["highs", "pot"])
def test_forbidden_moves_have_no_mass(solver):
    if solver == "pot":
        pytest.importorskip("ot")
    x, y, a, b = clouds(12, 9)
    finite = transport.cost_matrix(x, y) - 3
    cost = np.where(FORBIDDEN, np.inf, finite)
    free = transport.optimal_transport(a, b, finite, solver)
    assert free.plan[FORBIDDEN].any()
    result = transport.optimal_transport(a, b, cost, solver)
    assert not result.plan[FORBIDDEN].any()
    assert result.cost == pytest.approx(with_bounds(a, b, finite, FORBIDDEN), rel=1e-9)
    f, g = result.potentials
    assert np.all(f[:, None] + g <= cost + 1e-9)
    assert f @ a + g @ b == pytest.approx(result.cost, rel=1e-9)
    assert result.marginal_error < 1e-9


def test_an_assignment_avoids_forbidden_moves():
    x, y, *_ = clouds(9, 9)
    weights, forbidden = np.full(9, 1 / 9), FORBIDDEN[:9]
    finite = transport.cost_matrix(x, y)
    result = transport.optimal_transport(weights, weights, np.where(forbidden, np.inf, finite))
    assert result.cost == pytest.approx(with_bounds(weights, weights, finite, forbidden), rel=1e-9)
    f, g = result.potentials
    assert np.all(f[:, None] + g <= np.where(forbidden, np.inf, finite) + 1e-12)


def test_points_without_weight_need_no_allowed_move():
    x, y, a, b = clouds()
    cost = transport.cost_matrix(x, y)
    wide, heavier = np.insert(cost, 2, np.inf, axis=0), np.insert(a, 2, 0)
    exact = transport.optimal_transport(heavier, b, wide)
    assert exact.cost == pytest.approx(transport.optimal_transport(a, b, cost).cost, rel=1e-12)
    smooth = transport.sinkhorn(heavier, b, wide, 0.3)
    np.testing.assert_allclose(smooth.plan[2], 0)
    assert smooth.cost == pytest.approx(transport.sinkhorn(a, b, cost, 0.3).cost, rel=1e-9)
    assert smooth.potentials[0][2] == np.inf


@pytest.mark.parametrize("power", [1, 2])
def test_an_assignment_has_potentials_that_certify_it(power):
    x, y, *_ = clouds(40, 40)
    cost, weights = transport.cost_matrix(x, y, power) - 3.0, np.full(40, 1 / 40)
    # Columns in another order than the assignment's.
    result = transport.optimal_transport(weights, weights, cost)
    f, g = result.potentials
    assert np.all(f[:, None] + g <= cost + 1e-12)
    assert (f.sum() + g.sum()) / 40 == pytest.approx(result.cost, rel=1e-12)
    assert result.marginal_error < 1e-15
    # The linear program of almost equal weights.
    perturbed = weights + 1e-9 * np.linspace(-1, 1, 40)
    assert transport.optimal_transport(perturbed, weights, cost).cost == pytest.approx(result.cost, rel=1e-7)


def test_the_distance_of_equally_many_points_is_the_best_assignment():
    x, y, *_ = clouds(30, 30)
    cost = transport.cost_matrix(x, y, 2)
    expected = np.sqrt(cost[linear_sum_assignment(cost)].mean())
    assert transport.wasserstein(x, y, 2) == pytest.approx(expected, rel=1e-14)
    assert transport.wasserstein(x, y, 2, np.full(30, 1 / 30)) == pytest.approx(expected, rel=1e-12)


def test_the_scale_of_the_costs_does_not_affect_precision():
    x, y, a, b = clouds(12, 9)
    cost = transport.cost_matrix(x, y)
    result = transport.optimal_transport(a, b, cost)
    for scale in (1e-9, 1e9):
        assert transport.optimal_transport(a, b, scale * cost).cost == pytest.approx(
            scale * result.cost, rel=1e-9
        )


def test_the_distance_depends_on_the_geometry_and_kl_does_not():
    places = np.arange(6.0)
    a = np.array([0.5, 0.3, 0.1, 0.05, 0.03, 0.02])
    b = a[::-1]
    near, far = (transport.wasserstein_1d(places * scale, places * scale, 1, a, b) for scale in (1.0, 10.0))
    assert far == pytest.approx(10 * near, rel=1e-12)
    # Reordering the bins of both histograms changes W but not KL.
    shuffle = [0, 5, 1, 4, 2, 3]
    shuffled = transport.wasserstein_1d(places, places, 1, a[shuffle], b[shuffle])
    assert np.sum(rel_entr(a[shuffle], b[shuffle])) == pytest.approx(np.sum(rel_entr(a, b)), rel=1e-12)
    assert shuffled < 0.5 * near
    # If all moves cost the same, it is the total variation.
    flat = transport.optimal_transport(a, b, 1 - np.eye(6))
    assert flat.cost == pytest.approx(np.abs(a - b).sum() / 2, rel=1e-12)


@PROPERTY
@given(samples(dimensions=1), st.sampled_from([1, 2, 3.5, np.inf]))
def test_the_distance_on_a_line_is_a_metric(sets, order):
    (x, p), (y, q), (z, r) = ((points[:, 0], weights) for points, weights in sets)
    xy, yz, xz = (
        transport.wasserstein_1d(u, v, order, s, t)
        for u, s, v, t in ((x, p, y, q), (y, q, z, r), (x, p, z, r))
    )
    assert xz <= xy + yz + 1e-9
    assert transport.wasserstein_1d(y, x, order, q, p) == pytest.approx(xy, abs=1e-12)
    assert transport.wasserstein_1d(x[::-1], x, order, p[::-1], p) == 0


@settings(PROPERTY, max_examples=15)
@given(samples(dimensions=2), st.sampled_from([1, 2]))
def test_the_distance_in_the_plane_is_a_metric(sets, order):
    (x, p), (y, q), (z, r) = sets
    xy = transport.wasserstein(x, y, order, p, q)
    assert transport.wasserstein(x, z, order, p, r) <= xy + transport.wasserstein(y, z, order, q, r) + 1e-7
    assert transport.wasserstein(y, x, order, q, p) == pytest.approx(xy, abs=1e-7)
    assert transport.wasserstein(x[::-1], x, order, p[::-1], p) == pytest.approx(0, abs=1e-7)


def test_both_functions_agree_in_one_dimension():
    x, y, p, q = clouds(9, 6, dimensions=1)
    line = transport.wasserstein_1d(x[:, 0], y[:, 0], 2, p, q)
    assert transport.wasserstein(x, y, 2, p, q) == pytest.approx(line, rel=1e-10)
    assert transport.wasserstein(x, y, 2) == pytest.approx(
        transport.wasserstein_1d(x[:, 0], y[:, 0], 2), rel=1e-10
    )


def test_the_default_order_will_be_that_of_the_line():
    x, y, *_ = clouds(9, 6, dimensions=1)
    with pytest.warns(FutureWarning, match="order is 2 by default, and will be 1 in the next version"):
        assert transport.wasserstein(x, y) == transport.wasserstein(x, y, 2)
    assert transport.wasserstein(x, y, 1) == pytest.approx(
        transport.wasserstein_1d(x[:, 0], y[:, 0]), rel=1e-10
    )


# Sinkhorn.


def log_domain(a, b, cost, epsilon, iterations):
    """Returns the plan of the textbook iteration in the log domain."""
    f, g = np.zeros(len(a)), np.zeros(len(b))
    for _ in range(iterations):
        f = -epsilon * np.logaddexp.reduce(np.log(b) + (g - cost) / epsilon, axis=1)
        g = -epsilon * np.logaddexp.reduce(np.log(a) + (f - cost.T) / epsilon, axis=1)
    return np.outer(a, b) * np.exp((f[:, None] + g - cost) / epsilon)


@pytest.mark.parametrize("epsilon", [3.0, 0.3, 0.05])
def test_the_plan_matches_the_textbook_iteration(epsilon):
    x, y, a, b = clouds()
    cost = transport.cost_matrix(x, y)
    result = transport.sinkhorn(a, b, cost, epsilon, tolerance=1e-13)
    np.testing.assert_allclose(result.plan, log_domain(a, b, cost, epsilon, 5000), atol=1e-11)
    assert result.cost == pytest.approx(np.sum(result.plan * cost), rel=1e-13)


@pytest.mark.parametrize("epsilon", [1.0, 0.1])
def test_sinkhorn_puts_no_mass_on_forbidden_moves(epsilon):
    x, y, a, b = clouds(12, 9)
    cost = np.where(FORBIDDEN, np.inf, transport.cost_matrix(x, y))
    result = transport.sinkhorn(a, b, cost, epsilon, tolerance=1e-13, max_iterations=100_000)
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(result.plan, log_domain(a, b, cost, epsilon, 5000), atol=1e-10)
    assert not result.plan[FORBIDDEN].any()
    exact = transport.optimal_transport(a, b, cost).cost
    assert exact < result.cost < exact + epsilon * -np.sum(a * np.log(a))


@pytest.mark.parametrize("epsilon", [1e-3, 2e-4])
def test_annealing_makes_small_regularization_cheap(epsilon):
    grid, weights = np.linspace(0, 1, 40)[:, None], np.full(40, 1 / 40)
    cost = transport.cost_matrix(grid, grid + 0.37)
    result = transport.sinkhorn(weights, weights, cost, epsilon, tolerance=1e-6)
    # The exact plan moves every point by 0.37.
    assert 0.37**2 <= result.cost < 0.37**2 + epsilon * np.log(40)
    assert result.marginal_error <= 1.1e-6
    plain = log_domain(weights, weights, cost, epsilon, 2 * result.iterations)
    assert np.abs(plain.sum(axis=1) - weights).sum() > 1e-5


def test_costs_within_twice_the_regularization_are_not_annealed():
    # Chains of forbidden moves converge slowly although the costs are small.
    places, rng = np.arange(10), np.random.default_rng(0)
    cost = np.where(np.abs(places[:, None] - places) > 1, np.inf, rng.uniform(0, 1.5, (10, 10)))
    a, b = np.full(10, 0.1), rng.dirichlet(np.full(10, 50))
    result = transport.sinkhorn(a, b, cost, 1.0, tolerance=1e-9)
    # The textbook iteration from the same start, until the sums of the columns are within the tolerance.
    kernel, errors, v = np.exp(-cost) * np.outer(a, b), [1.0], np.exp((cost - cost.min(1)[:, None]).min(0))
    while errors[-1] > 1e-9:
        u = a / (kernel @ v)
        errors.append(np.abs(v * (u @ kernel) - b).sum())
        v = b / (u @ kernel)
    assert abs(result.iterations - (len(errors) - 1)) <= 2 < len(errors) / 100


def test_the_plan_between_two_points_has_a_closed_form():
    # P = [[s, 1/2 - s], [1/2 - s, s]] with s / (1/2 - s) = exp(1 / epsilon).
    cost, half = 1 - np.eye(2), np.full(2, 0.5)
    for epsilon in (0.2, 1.0, 5.0):
        stays = 0.5 / (1 + np.exp(-1 / epsilon))
        result = transport.sinkhorn(half, half, cost, epsilon)
        np.testing.assert_allclose(np.diag(result.plan), stays, rtol=1e-12)
        assert result.cost == pytest.approx(1 - 2 * stays, rel=1e-12)


def test_potentials_plan_and_minimum_are_consistent():
    x, y, a, b = clouds()
    cost, epsilon = transport.cost_matrix(x, y), 0.2
    result = transport.sinkhorn(a, b, cost, epsilon, tolerance=1e-12)
    f, g = result.potentials
    form = np.outer(a, b) * np.exp((f[:, None] + g - cost) / epsilon)
    np.testing.assert_allclose(result.plan, form, rtol=1e-9)
    minimum = result.cost + epsilon * np.sum(rel_entr(result.plan, np.outer(a, b)))
    assert f @ a + g @ b == pytest.approx(minimum, rel=1e-9)
    # Any other plan with these marginals costs more.
    direction = np.zeros_like(cost)
    direction[:2, :2] = [[1, -1], [-1, 1]]
    for step in (1e-3, -1e-3):
        other = result.plan + step * direction
        assert np.sum(other * cost) + epsilon * np.sum(rel_entr(other, np.outer(a, b))) > minimum


def test_the_bias_of_the_entropy_vanishes_with_the_regularization():
    x, y, a, b = clouds(12, 9)
    cost = transport.cost_matrix(x, y)
    exact = transport.optimal_transport(a, b, cost).cost
    costs = [transport.sinkhorn(a, b, cost, eps, max_iterations=100_000).cost for eps in (100, 1, 0.1, 0.03)]
    assert np.all(np.diff(costs) < 0)
    assert costs[-1] > exact
    assert costs[-1] == pytest.approx(exact, rel=0.01)
    # Infinite regularization leaves the product of the marginals.
    assert costs[0] == pytest.approx(a @ cost @ b, rel=0.02)
    # The excess is at most epsilon times the largest mutual information.
    entropy = -np.sum(a * np.log(a))
    assert costs[2] - exact < 0.1 * entropy


def test_the_divergence_vanishes_for_equal_clouds_and_is_closer_to_the_cost():
    x, y, a, b = clouds(12, 9)
    cost, cost_x, cost_y = (transport.cost_matrix(u, v) for u, v in ((x, y), (x, x), (y, y)))
    exact = transport.optimal_transport(a, b, cost).cost
    # With exact row sums, the error of the minimum is only the square of that of the marginals.
    loose = {"tolerance": 1e-5}
    reverse = (a, a[::-1], cost_x[:, ::-1], cost_x, cost_x[::-1, ::-1])
    for epsilon in (0.1, 0.5):
        f, g = transport.sinkhorn(a, b, cost, epsilon, **loose).potentials
        debiased = transport.sinkhorn_divergence(a, b, cost, cost_x, cost_y, epsilon, **loose)
        assert abs(debiased - exact) < 0.5 * abs(f @ a + g @ b - exact)
        # The same cloud in another order.
        assert transport.sinkhorn_divergence(*reverse, epsilon, **loose) == pytest.approx(0, abs=1e-9)
        assert transport.sinkhorn(a, a, cost_x, epsilon, **loose).cost > 0.1 * epsilon
    # As epsilon grows, it tends to half the energy distance of the costs.
    far = transport.sinkhorn_divergence(a, b, cost, cost_x, cost_y, 1e4)
    assert far == pytest.approx(a @ cost @ b - (a @ cost_x @ a + b @ cost_y @ b) / 2, rel=1e-3)


@settings(PROPERTY, max_examples=12)
@given(samples(dimensions=2), st.sampled_from([0.5, 2.0]))
def test_the_divergence_is_never_negative(sets, epsilon):
    (x, p), (y, q), _ = sets
    costs = (transport.cost_matrix(u, v, power=1) for u, v in ((x, y), (x, x), (y, y)))
    assert transport.sinkhorn_divergence(p, q, *costs, epsilon, tolerance=1e-5) > -1e-7


def test_a_kernel_that_underflows_is_handled_in_the_log_domain():
    x, y, a, b = clouds()
    cost = 1000 * transport.cost_matrix(x, y)
    assert np.all(np.exp(-cost.max(axis=1) / 0.5) == 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = transport.sinkhorn(a, b, cost, 0.5, max_iterations=200_000)
    assert result.marginal_error < 2e-9
    assert result.cost == pytest.approx(transport.optimal_transport(a, b, cost).cost, rel=1e-3)


def test_scalings_are_absorbed_before_they_overflow():
    # With such offsets of rows and columns, exp(-C / epsilon) spans more than 1e-308 ... 1e308.
    offsets = np.array([0.0, 3.0, -7.0, 400.0, 900.0])
    cost = np.add.outer(offsets, -offsets[::-1]) + 1 - np.eye(5)
    result = transport.sinkhorn(UNIFORM, UNIFORM, cost, 0.4)
    # The offsets change the potentials but not the plan.
    np.testing.assert_allclose(
        result.plan, transport.sinkhorn(UNIFORM, UNIFORM, 1 - np.eye(5), 0.4).plan, atol=1e-9
    )


@pytest.mark.parametrize("epsilon", [1.0, 3e-3])
def test_points_of_zero_weight_do_not_change_the_plan(epsilon):
    x, y, a, b = clouds()
    cost = transport.cost_matrix(x, y)
    reference = transport.sinkhorn(a, b, cost, epsilon, max_iterations=100_000)
    wide = np.insert(np.insert(cost, 2, 5e3, axis=0), 0, 1e-9, axis=1)
    result = transport.sinkhorn(np.insert(a, 2, 0), np.insert(b, 0, 0), wide, epsilon, max_iterations=100_000)
    np.testing.assert_allclose(np.delete(np.delete(result.plan, 2, 0), 0, 1), reference.plan, atol=1e-8)
    assert np.all(result.plan[2] == 0) and np.all(result.plan[:, 0] == 0)
    assert np.all(np.isfinite(np.concatenate(result.potentials)))


def test_too_few_iterations_warn_and_return_the_current_plan():
    x, y, a, b = clouds()
    cost = transport.cost_matrix(x, y)
    with pytest.warns(RuntimeWarning, match=r"are off by .* after 3 iterations.*max_iterations"):
        result = transport.sinkhorn(a, b, cost, 0.05, max_iterations=3)
    assert result.iterations == 3
    np.testing.assert_allclose(result.plan.sum(axis=1), a, rtol=1e-12)
    assert result.marginal_error == pytest.approx(np.abs(result.plan.sum(axis=0) - b).sum(), rel=1e-9)


# Invalid arguments.

VALID = {"a": UNIFORM, "b": UNIFORM, "cost": np.ones((5, 5))}


@pytest.mark.parametrize(
    "change, message",
    [
        ({"a": [0.5, 0.6, 0, 0, 0]}, "a must sum to 1, got 1.1"),
        ({"b": [0.5, 0.6, -0.1, 0, 0]}, r"b\[2\] must not be negative"),
        ({"a": [0.5, np.nan, 0.5, 0, 0]}, r"a\[1\] must be finite"),
        ({"a": np.full((1, 5), 0.2)}, "a must have one axis"),
        ({"cost": np.ones((4, 5))}, r"cost must have shape \(5, 5\)"),
        ({"cost": np.where(np.eye(5), np.nan, 1)}, r"cost\[0, 0\] must be finite, got nan"),
        ({"cost": np.where(np.eye(5), -np.inf, 1)}, r"cost\[0, 0\] must be finite, got -inf"),
        (
            {"cost": np.where(np.outer(np.ones(5), np.arange(5) == 2), np.inf, 1)},
            r"points \[0, 1, 2, 3, 4\] of a hold the mass 1, but .* lead only to the mass 0.8 of b",
        ),
        (
            {"cost": np.where(np.outer([1, 0, 0, 1, 1], [1, 1, 1, 0, 0]), np.inf, 1)},
            r"cost must allow a plan: the points \[0, 3, 4\] of a hold the mass 0.6, but .* mass 0.4 of b",
        ),
    ],
)
def test_invalid_problems_are_named(change, message):
    for solve in (transport.optimal_transport, lambda **k: transport.sinkhorn(**k, regularization=1.0)):
        with pytest.raises(ValueError, match=message):
            solve(**{**VALID, **change})


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan])
@pytest.mark.parametrize("name", ["regularization", "tolerance"])
def test_sinkhorn_settings_must_be_positive(name, value):
    with pytest.raises(ValueError, match=name):
        transport.sinkhorn(**{**VALID, "regularization": 1.0, name: value})


def test_other_invalid_arguments_are_named():
    x, y, *_ = clouds()
    line = np.arange(3.0)
    with pytest.raises(ValueError, match="max_iterations must be an integer of at least 1"):
        transport.sinkhorn(**VALID, regularization=1.0, max_iterations=0)
    with pytest.raises(ValueError, match="same number of coordinates"):
        transport.cost_matrix(x, y[:, :1])
    with pytest.raises(ValueError, match="power must be positive"):
        transport.cost_matrix(x, y, 0)
    with pytest.raises(ValueError, match="solver must be one of highs, pot, got 'simplex'"):
        transport.optimal_transport(**VALID, solver="simplex")
    for order, function in itertools.product(
        (0.5, np.nan, "a"), (transport.wasserstein_1d, transport.wasserstein)
    ):
        with pytest.raises(ValueError, match="order must be"):
            function(line, line, order)
    with pytest.raises(ValueError, match="order must be finite"):
        transport.wasserstein(x, y, np.inf)
    with pytest.raises(ValueError, match=r"x_weights must have shape \(3,\)"):
        transport.wasserstein_1d(line, line, 1, [0.5, 0.5])
    with pytest.raises(ValueError, match=r"y\[1\] must be finite"):
        transport.wasserstein_1d(line, [0.0, np.nan])
    with pytest.raises(ValueError, match="x must contain at least one point, got none"):
        transport.wasserstein_1d([], line)
    with pytest.raises(ValueError, match="y must contain at least one point, got none"):
        transport.wasserstein(x, np.zeros((0, 2)), 2)
    with pytest.raises(ValueError, match=r"y_weights must have shape \(5,\), got shape \(1,\)"):
        transport.wasserstein(x, y, 2, None, [1.0])
    with pytest.raises(ValueError, match=r"covariance_a must be a square matrix, got shape \(0, 0\)"):
        transport.gaussian_wasserstein([], np.zeros((0, 0)), [], np.zeros((0, 0)))
    with pytest.raises(ValueError, match=r"covariance_b must be symmetric, which fails at \[0, 1\]"):
        transport.gaussian_wasserstein([0, 0], np.eye(2), [0, 0], [[1, 0.5], [0, 1]])
    with pytest.raises(ValueError, match="covariance_a must be positive semidefinite"):
        transport.gaussian_wasserstein([0, 0], [[1, 2], [2, 1]], [0, 0], np.eye(2))
    with pytest.raises(ValueError, match=r"covariance_a must have shape \(2, 2\)"):
        transport.gaussian_wasserstein([0, 0], np.eye(3), [0, 0], np.eye(2))
