"""Oracles: gamma distributions, which are sums of exponential variables, and exact moments of the series."""

import numpy as np
import pytest
from numpy.polynomial import hermite_e
from scipy import stats

from curvezoo.theory import cumulants, edgeworth

EXPONENTIAL = np.array([0.0, 1.0, 1.0, 2.0, 6.0])  # <X^n>_c = (n - 1)!


@pytest.mark.equation("3.2.14")
@pytest.mark.parametrize("order", [0, 1, 2])
def test_errors_for_sums_of_exponential_variables_fall_with_the_predicted_power_of_n(order):
    z, errors = np.linspace(-2, 2, 41), []
    for n in (256, 1024):
        x = n + np.sqrt(n) * z
        density_error = np.sqrt(n) * (edgeworth.density(x, n * EXPONENTIAL, order) - stats.gamma.pdf(x, n))
        error = edgeworth.distribution(x, n * EXPONENTIAL, order) - stats.gamma.cdf(x, n)
        errors.append([np.abs(density_error).max(), np.abs(error).max()])
    # A factor of 4 in N is a factor of 2 in N^(1/2).
    np.testing.assert_allclose(np.divide(*errors), 2.0 ** (order + 1), rtol=0.1)


def test_the_second_order_is_close_for_ten_variables_and_each_order_is_better():
    n, x = 10, np.linspace(4, 18, 60)
    errors = [
        np.abs(edgeworth.distribution(x, n * EXPONENTIAL, order) - stats.gamma.cdf(x, n)).max()
        for order in (0, 1, 2)
    ]
    assert errors[0] > 0.03 and errors[1] < 0.01 and errors[2] < 0.002


@pytest.mark.parametrize("order", [0, 1, 2])
def test_the_density_has_the_cumulants_that_it_was_given(order):
    given = np.array([0.0, 0.7, 2.0, 0.9, 1.3])
    nodes, weights = hermite_e.hermegauss(12)
    x = given[1] + np.sqrt(given[2]) * nodes
    # A Gaussian times a polynomial is integrated exactly.
    ratio = edgeworth.density(x, given, order) * np.sqrt(given[2]) / np.exp(-(nodes**2) / 2)
    moments = [np.sum(weights * ratio * (x - given[1]) ** n) for n in range(5)]
    found = cumulants.cumulants_from_moments(moments)
    expected = np.where(np.arange(5) <= order + 2, given, 0.0)
    expected[1] = 0.0
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("order", [0, 1, 2])
def test_the_density_is_the_derivative_of_the_distribution(order):
    given, x, step = [0.0, -1.0, 0.25, 0.1, -0.02], np.linspace(-3, 1, 30), 1e-4
    differences = sum(
        weight * edgeworth.distribution(x + i * step, given, order)
        for i, weight in ((-2, 1), (-1, -8), (1, 8), (2, -1))
    ) / (12 * step)
    np.testing.assert_allclose(edgeworth.density(x, given, order), differences, atol=1e-10)
    ends = edgeworth.distribution([-1e3, 1e3], given, order)
    np.testing.assert_array_equal(ends, [0.0, 1.0])


def test_a_gaussian_needs_no_correction_and_units_do_not_matter():
    x = np.linspace(-5, 7, 20)
    for order in (0, 1, 2):
        ours = edgeworth.density(x, [0, 1, 4, 0, 0], order)
        np.testing.assert_allclose(ours, stats.norm.pdf(x, 1, 2), rtol=1e-13)
    scaled = EXPONENTIAL * 1e-20 ** np.arange(5)
    np.testing.assert_allclose(
        edgeworth.density(1e-20 * x, scaled), 1e20 * edgeworth.density(x, EXPONENTIAL), rtol=1e-12
    )


def test_the_normalized_sum_of_dice_is_matched_at_half_integers():
    values, count = np.arange(1, 7), 12
    die = cumulants.cumulants_from_moments(cumulants.moments(values - 3.5, 4))
    pmf = np.ones(1)
    for _ in range(count):
        pmf = np.convolve(pmf, np.full(6, 1 / 6))
    total = np.arange(count, 6 * count + 1) - 3.5 * count
    given = cumulants.cumulants_of_normalized_sum(die, count)
    ours = edgeworth.distribution((total + 0.5) / np.sqrt(count), given)
    # Sheppard's correction for the lattice is of order 1 / (24 N Var).
    np.testing.assert_allclose(ours, np.cumsum(pmf), atol=2e-3)
    plain = edgeworth.distribution((total + 0.5) / np.sqrt(count), given, order=0)
    assert np.abs(plain - np.cumsum(pmf)).max() > np.abs(ours - np.cumsum(pmf)).max()


@pytest.mark.parametrize("unit", [1e-70, 1e70])
def test_the_unit_may_be_so_small_that_powers_of_it_vanish(unit):
    # The fourth power of the unit is still a number, the square of the variance over 24 need not be.
    scaled = [0, unit, unit * unit, 2 * unit**3, 6 * unit**4]
    ours = edgeworth.density(0.5 * unit, scaled) * unit
    assert ours == pytest.approx(edgeworth.density(0.5, [0, 1, 1, 2, 6]), rel=1e-13)
    assert edgeworth.density(0.0, [0, 0, 1e-300, 0, 0]) == pytest.approx(stats.norm.pdf(0) * 1e150, rel=1e-13)


def test_the_density_vanishes_arbitrarily_far_from_the_mean():
    far = [-1e200, -1e60, -100.0, 100.0, 1e60, 1e200]
    np.testing.assert_array_equal(edgeworth.density(far, EXPONENTIAL), np.zeros(6))
    np.testing.assert_array_equal(edgeworth.distribution(far, EXPONENTIAL), [0, 0, 0, 1, 1, 1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.0, [0, 0, 1, 0]), r"cumulants must have the orders 0 to 4 for order 2, got shape \(4,\)"),
        ((0.0, [1, 0, 1, 0, 0]), r"cumulants\[0\] must be 0, got 1"),
        ((0.0, [0, 0, 0, 0, 0]), r"cumulants\[2\], the variance, must be positive, got 0"),
        ((0.0, EXPONENTIAL, 3), "order must be an integer from 0 to 2, got 3"),
        ((np.inf, EXPONENTIAL), "x must be finite"),
        ((0.0, [EXPONENTIAL]), "cumulants must have 1 axis"),
    ],
)
def test_invalid_arguments_raise_errors_that_name_them(arguments, message):
    for function in (edgeworth.density, edgeworth.distribution):
        with pytest.raises(ValueError, match=message):
            function(*arguments)
