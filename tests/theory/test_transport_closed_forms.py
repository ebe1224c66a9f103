"""Oracles: SciPy, the linear program, exact fractions, closed forms, and Brenier's map."""

from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import norm, wasserstein_distance

from curvezoo.theory import transport


def clouds(size_x, size_y, seed=0):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(size_x, 1)), rng.normal(size=(size_y, 1)) + 0.7
    return x, y, rng.dirichlet(np.ones(size_x)), rng.dirichlet(np.ones(size_y))


def test_order_one_on_a_line_matches_scipy():
    x, y, p, q = clouds(9, 6)
    expected = wasserstein_distance(x[:, 0], y[:, 0], p, q)
    assert transport.wasserstein_1d(x[:, 0], y[:, 0], 1, p, q) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("order", [1, 1.5, 2, 4])
def test_any_order_on_a_line_matches_the_linear_program(order):
    x, y, p, q = clouds(9, 6)
    expected = transport.optimal_transport(p, q, transport.cost_matrix(x, y, order)).cost ** (1 / order)
    assert transport.wasserstein_1d(x[:, 0], y[:, 0], order, p, q) == pytest.approx(expected, rel=1e-12)


def test_order_infinity_is_the_largest_displacement_and_the_limit():
    x, y = np.array([0.0, 1.0, 5.0]), np.array([2.0, 0.5, 7.0])
    assert transport.wasserstein_1d(x, y, np.inf) == 2.0
    assert transport.wasserstein_1d(x, y, 2000) == pytest.approx(2.0, rel=1e-3)


@pytest.mark.parametrize("order", [1, 2, 3.5])
@pytest.mark.parametrize("sizes", [(9, 9), (12, 5), (1, 4)])
def test_samples_without_weights_equal_those_with_equal_weights(order, sizes):
    x, y, *_ = clouds(*sizes)
    x, y = x[:, 0], y[:, 0]
    weighted = transport.wasserstein_1d(x, y, order, np.full(len(x), 1 / len(x)))
    assert transport.wasserstein_1d(x, y, order) == pytest.approx(weighted, rel=1e-13)
    assert transport.wasserstein_1d(x, y) == pytest.approx(wasserstein_distance(x, y), rel=1e-13)


@pytest.mark.parametrize("tiny", [1e-15, 1e-18, 1e-25])
def test_no_mass_is_too_small_to_count(tiny):
    for place in range(3):
        x, weights = [0.0, 1.0, 2.0], np.array([0.25, 0.5, 0.25])
        x, weights = np.insert(x, place, 5.0), np.insert(weights, place, tiny)
        expected = sum(Fraction(w) * (5 if v == 5 else 0) for v, w in zip(x, weights, strict=True))
        distance = transport.wasserstein_1d(np.where(x == 5, 5.0, 0.0), [0.0], 1, weights)
        assert distance == pytest.approx(float(expected), rel=1e-12, abs=0)
        assert transport.wasserstein_1d(np.where(x == 5, 5.0, 0.0), [0.0], np.inf, weights) == 5
        assert transport.wasserstein_1d([0.0], np.where(x == 5, 5.0, 0.0), np.inf, None, weights) == 5
        # The same sample in another order.
        assert transport.wasserstein_1d(x, x[::-1], np.inf, weights, weights[::-1]) == 0


def test_a_rounded_complement_leaves_the_small_mass_intact():
    weights = [1 - 1e-15, 1e-15]
    assert transport.wasserstein_1d([0, 5], [0], np.inf, weights, [1.0]) == 5
    assert transport.wasserstein_1d([0, 1e9], [0], 1, weights) == pytest.approx(1e-6, rel=1e-12, abs=0)


@pytest.mark.parametrize("order", [1, 2, np.inf])
def test_rounded_cumulative_weights_do_not_pair_wrong_points(order):
    # Sums of 1/147 and of 1/49 that should agree differ in their last digits.
    y = np.arange(49.0)
    assert transport.wasserstein_1d(np.repeat(y, 3), y, order) == 0
    weights = np.full(147, 1 / 147), np.full(49, 1 / 49)
    assert transport.wasserstein_1d(np.repeat(y, 3), y, order, *weights) == 0


def test_differences_beyond_the_largest_float_do_not_give_nan():
    # One of two points moves by 3.4e308, but the mean is finite.
    assert transport.wasserstein_1d([1.7e308, 0], [-1.7e308, 0]) == pytest.approx(1.7e308, rel=1e-15)
    with pytest.warns(RuntimeWarning, match="overflow"):
        assert transport.wasserstein_1d([1.7e308], [-1.7e308]) == np.inf


def test_the_distance_between_gaussians_on_a_line_matches_their_quantiles():
    levels = (np.arange(200_000) + 0.5) / 200_000
    a, b = norm(1.0, 0.5).ppf(levels), norm(-0.4, 2.0).ppf(levels)
    closed = transport.gaussian_wasserstein([1.0], [[0.25]], [-0.4], [[4.0]])
    assert closed == pytest.approx(np.hypot(1.4, 1.5), rel=1e-14)
    # The midpoint rule misses the tails: about 2 log(n) / n of <z^2> in W_2^2 = <(1.4 + 1.5 z)^2>.
    assert transport.wasserstein_1d(a, b, 2) == pytest.approx(closed, rel=1e-4)


def test_gaussians_in_many_dimensions_are_moved_by_breniers_linear_map():
    rng = np.random.default_rng(1)
    m, n = rng.normal(size=(2, 3))
    a, b = (x @ x.T for x in rng.normal(size=(2, 3, 3)))
    values, vectors = np.linalg.eigh(a)
    root, inverse = ((vectors * values**power) @ vectors.T for power in (0.5, -0.5))
    values, vectors = np.linalg.eigh(root @ b @ root)
    move = inverse @ (vectors * np.sqrt(values)) @ vectors.T @ inverse
    np.testing.assert_allclose(move @ a @ move, b, rtol=1e-10)
    step = np.eye(3) - move
    expected = np.sum((m - n) ** 2) + np.trace(step @ a @ step)
    assert transport.gaussian_wasserstein(m, a, n, b) ** 2 == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("excess", [1e-6, 1e-9, 1e-12])
def test_close_gaussians_keep_the_digits_of_their_distance(excess):
    wider = np.diag([1 + excess, 1.0])
    expected = np.sqrt(wider[0, 0]) - 1
    distance = transport.gaussian_wasserstein([0, 0], np.eye(2), [0, 0], wider)
    assert distance == pytest.approx(expected, rel=1e-3 if excess < 1e-11 else 1e-6, abs=0)
    # In a rotated basis, rounding errors are those of the matrices.
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(2, 2)))[0]
    rotated = transport.gaussian_wasserstein([0, 0], np.eye(2), [0, 0], turn @ wider @ turn.T)
    assert rotated == pytest.approx(expected, abs=2e-15)


def test_a_gaussian_has_no_distance_from_itself():
    rng = np.random.default_rng(0)
    for _ in range(20):
        root = rng.normal(size=(4, 4))
        a = root @ root.T
        assert transport.gaussian_wasserstein(np.ones(4), a, np.ones(4), a) < 1e-13
    # The square of the distance between the means would overflow.
    far = transport.gaussian_wasserstein([3e200, 0], np.eye(2), [0, 4e200], np.eye(2))
    assert far == pytest.approx(5e200, rel=1e-15)


def test_singular_gaussians_on_points_and_lines_are_allowed():
    zero, line = np.zeros((2, 2)), np.diag([4.0, 0.0])
    assert transport.gaussian_wasserstein([0, 0], zero, [3, 4], zero) == pytest.approx(5.0, rel=1e-14)
    assert transport.gaussian_wasserstein([0, 0], zero, [0, 0], line) == pytest.approx(2.0, rel=1e-14)
