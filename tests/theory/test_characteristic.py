"""Oracles: closed-form transforms and densities, exact sums over dice, and a Chebyshev fit."""

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from scipy import stats
from scipy.special import jv

from curvezoo.theory import characteristic, cumulants

DIE = {x: Fraction(1, 6) for x in range(1, 7)}


def exact_sum(*laws):
    """Returns the distribution {value: probability} of a sum of independent variables."""
    total = {}
    for outcome in product(*(law.items() for law in laws)):
        value = sum(x for x, _ in outcome)
        total[value] = total.get(value, 0) + math.prod(p for _, p in outcome)
    return total


@pytest.mark.equation("3.2.2")
def test_derivatives_of_the_characteristic_function_are_moments():
    law = stats.laplace(0.5, 0.4)
    k = np.polynomial.chebyshev.chebpts1(21)
    transform = characteristic.characteristic_function(law.pdf, k)
    np.testing.assert_allclose(transform, np.exp(-0.5j * k) / (1 + 0.16 * k**2), atol=1e-9)
    series = np.polynomial.Chebyshev.fit(k, transform, 20, domain=[-1, 1])
    for n, moment in enumerate(cumulants.density_moments(law.pdf, 4)):
        derivative = series.deriv(n)(0.0)
        assert derivative == pytest.approx((-1j) ** n * moment, abs=1e-6)


@pytest.mark.equation("3.2.2")
@pytest.mark.parametrize(
    ("law", "transform"),
    [
        (stats.norm(2, 0.5), lambda k: np.exp(-2j * k - k**2 / 8)),
        (stats.cauchy(), lambda k: np.exp(-np.abs(k))),
        (stats.gamma(2), lambda k: (1 + 1j * k) ** -2.0),
        (stats.uniform(-3, 2), lambda k: np.exp(2j * k) * np.sinc(k / np.pi)),
    ],
)
def test_characteristic_functions_match_closed_forms(law, transform):
    k = np.array([[0.0, 0.1, 1.0], [-1.0, 5.0, 20.0]])
    ours = characteristic.characteristic_function(law.pdf, k, law.support())
    np.testing.assert_allclose(ours, transform(k), atol=1e-9)


def gaussian_transform(mean, deviation):
    """Returns the characteristic function of a normal distribution."""
    return lambda k: np.exp(-1j * k * mean - (k * deviation) ** 2 / 2)


@pytest.mark.equation("3.2.2")
@pytest.mark.parametrize(
    ("density", "transform"),
    [
        (stats.norm(mean, deviation).pdf, gaussian_transform(mean, deviation))
        for mean, deviation in [(0, 1), (50, 1), (40, 1), (1e4, 1), (-1e4, 1), (0, 1e-3), (0, 0.01), (0, 1e6)]
    ]
    + [
        (stats.cauchy.pdf, lambda k: np.exp(-np.abs(k))),
        (stats.levy.pdf, lambda k: np.exp(-np.sqrt(2j * k))),
        (stats.laplace(0.5, 0.4).pdf, lambda k: np.exp(-0.5j * k) / (1 + 0.16 * k**2)),
        (stats.expon.pdf, lambda k: 1 / (1 + 1j * k)),
        (stats.gamma(0.5).pdf, lambda k: (1 + 1j * k) ** -0.5),
        (stats.uniform(-3, 2).pdf, lambda k: np.exp(2j * k) * np.sinc(k / np.pi)),
        (
            lambda x: (stats.norm.pdf(x, -100) + stats.norm.pdf(x, 100)) / 2,
            lambda k: np.cos(100 * k) * np.exp(-(k**2) / 2),
        ),
    ],
)
def test_transforms_are_accurate_for_any_place_and_width_of_the_mass(density, transform):
    k = np.array([0, 1e-6, 1e-4, 1e-3, 0.1, 1, 2, 20, -3, 300])
    assert abs(characteristic.characteristic_function(density, 1e300)) < 1e-9
    np.testing.assert_allclose(characteristic.characteristic_function(density, k), transform(k), atol=1e-9)


@pytest.mark.equation("3.2.2")
def test_a_given_support_resolves_singular_ends_and_distant_mass():
    k = np.array([0, 1e-3, 1.0, 30.0])
    arcsine = characteristic.characteristic_function(stats.arcsine.pdf, k, (0, 1))
    np.testing.assert_allclose(arcsine, np.exp(-0.5j * k) * jv(0, k / 2), atol=1e-8)
    far = characteristic.characteristic_function(stats.norm(1e7, 1).pdf, k, (1e7 - 50, 1e7 + 50))
    # The phase k x of a position x = 1e7 has a large rounding error.
    rounding = 1e-9 + 2 * np.finfo(float).eps * 1e7 * k
    assert np.all(np.abs(far - gaussian_transform(1e7, 1)(k)) < rounding)


@pytest.mark.equation("3.2.2")
def test_the_transform_of_a_sample_is_within_its_standard_error():
    k, size = np.array([0.3, 1.0, 4.0]), 20_000
    sample = np.random.default_rng(0).gamma(2, size=size)
    exact = (1 + 1j * k) ** -2.0
    error = np.sqrt((1 - np.abs(exact) ** 2) / size)
    assert np.all(np.abs(characteristic.empirical_characteristic_function(sample, k) - exact) < 4 * error)


@pytest.mark.equation("3.2.3")
@pytest.mark.equation("3.2.4")
def test_the_logarithm_of_the_transform_is_the_series_of_cumulants():
    law, k = stats.gamma(3), np.array([-0.2, 0.05, 0.1, 0.2])
    exact = np.array([0, *(3 * math.factorial(n - 1) for n in range(1, 17))], dtype=float)
    generator = np.log(characteristic.characteristic_function(law.pdf, k, law.support()))
    np.testing.assert_allclose(generator, characteristic.generating_function(exact, k), atol=1e-9)


def transform(kappa, x):
    """Returns the Fourier transform of exp(G) for a quartic polynomial G, a sum that is exact to rounding."""
    k, step = np.linspace(0, 12, 4801, retstep=True)
    values = np.exp(characteristic.generating_function(kappa, k))
    values[0] /= 2
    return np.real(np.exp(1j * np.outer(x, k)) @ values) * step / np.pi


@pytest.mark.parametrize("kappa", [[0, 0, 1, 0.8], [0, 0, 1, 0, -1.0], [0, 0, 1, 0.3, -0.5]])
def test_exponentials_of_higher_polynomials_transform_to_negative_densities(kappa):
    x, step = np.linspace(-18, 18, 1201, retstep=True)
    density = transform(kappa, x)
    # It integrates to one and has the right cumulants, but is negative somewhere, far beyond rounding.
    moments = [1.0, *(step * np.sum(density * x**n) for n in range(1, 5))]
    np.testing.assert_allclose(cumulants.cumulants_from_moments(moments), [*kappa, 0][:5], atol=1e-6)
    assert step * density.sum() == pytest.approx(1, abs=1e-10)
    assert density.min() < -1e-4
    np.testing.assert_allclose(transform([0, 0, 1], x), stats.norm.pdf(x), atol=1e-12)


@pytest.mark.equation("3.2.10")
@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_distributions_of_sums_of_dice_are_exact(count):
    points, density = characteristic.density_of_sum(np.arange(1, 7), np.full(6, 1 / 6), count)
    exact = {0: Fraction(1)}
    for _ in range(count):
        exact = exact_sum(exact, DIE)
    np.testing.assert_array_equal(points, sorted(exact))
    np.testing.assert_allclose(density, [float(exact[x]) for x in sorted(exact)], rtol=1e-9)


@pytest.mark.equation("3.2.10")
@pytest.mark.parametrize("count", [2, 5, 16])
def test_densities_of_sums_match_closed_forms(count):
    h = 0.01
    x = (np.arange(4000) + 0.5) * h
    decay = np.exp(-x)
    points, density = characteristic.density_of_sum(x, decay / (h * decay.sum()), count)
    np.testing.assert_allclose(density, stats.gamma(count).pdf(points), atol=count * h**2 / 2)
    x = np.linspace(-9, 9, 361)
    points, density = characteristic.density_of_sum(x, stats.norm.pdf(x), count)
    np.testing.assert_allclose(density, stats.norm(0, np.sqrt(count)).pdf(points), atol=1e-13)


@pytest.mark.equation("3.2.11")
def test_the_transform_of_a_sum_is_the_diagonal_of_the_joint_one():
    waves = np.array([0.3, 1.1, 2.5])
    dependent = {(0, 0): 0.5, (1, 2): 0.3, (1, 0): 0.2}
    marginals = [{}, {}]
    for value, p in dependent.items():
        for marginal, x in zip(marginals, value, strict=True):
            marginal[x] = marginal.get(x, 0) + p
    independent = {(x, y): p * q for (x, p), (y, q) in product(*(m.items() for m in marginals))}

    def joint_transform(law, *k):
        return sum(
            p * np.exp(-1j * sum(a * x for a, x in zip(k, value, strict=True))) for value, p in law.items()
        )

    def sum_transform(law):
        return joint_transform(
            {(sum(value), *value): p for value, p in law.items()}, waves, 0 * waves, 0 * waves
        )

    factors = math.prod(joint_transform({(x,): p for x, p in m.items()}, waves) for m in marginals)
    for law in (dependent, independent):
        np.testing.assert_allclose(sum_transform(law), joint_transform(law, waves, waves), atol=1e-14)
    np.testing.assert_allclose(sum_transform(independent), factors, atol=1e-14)
    # The transform of a sample in which each pair occurs as often as in ten draws.
    sums = np.repeat([sum(value) for value in dependent], [round(10 * p) for p in dependent.values()])
    ours = characteristic.empirical_characteristic_function(sums, waves)
    np.testing.assert_allclose(ours, joint_transform(dependent, waves, waves), atol=1e-14)
    assert np.abs(sum_transform(dependent) - factors).max() > 0.1


@pytest.mark.equation("3.2.11")
def test_the_transform_of_a_sum_of_copies_is_a_power():
    x = np.arange(1, 7)
    points, density = characteristic.density_of_sum(x, np.full(6, 1 / 6), 5)
    for k in (0.2, 1.0, 3.0):
        one = np.mean(np.exp(-1j * k * x))
        assert density @ np.exp(-1j * k * points) == pytest.approx(one**5, abs=1e-13)


@pytest.mark.equation("3.2.14")
def test_the_entropy_of_normalized_sums_rises_to_that_of_the_gaussian():
    h = 1 / 256
    x = (np.arange(256) + 0.5) * h - 0.5
    entropies = []
    for count in (1, 2, 3, 4, 8, 16):
        _, density = characteristic.density_of_sum(x, np.ones(256), count)
        entropies.append(stats.entropy(h * density) + np.log(h) - np.log(count) / 2)
    bound = stats.norm(0, np.sqrt(1 / 12)).entropy()
    assert np.all(np.diff(entropies) > 0)
    assert 0 < bound - entropies[-1] < 1e-3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: characteristic.characteristic_function(stats.norm.pdf, np.nan), "k must be finite"),
        (
            lambda: characteristic.empirical_characteristic_function([], 1),
            "sample must hold at least one value",
        ),
        (lambda: characteristic.density_of_sum([0, 1, 3], [0, 1, 0], 2), "x must increase in even steps"),
        (lambda: characteristic.density_of_sum([0, 1], [2, -1], 2), r"spacing\[1\] must not be negative"),
        (
            lambda: characteristic.density_of_sum([0, 1], [1], 2),
            "x and density must hold the same number of values, at least 2, got 2 and 1",
        ),
        (lambda: characteristic.density_of_sum([0, 1], [0.5, 0.6], 2), "spacing must sum to 1, got 1.1"),
        (
            lambda: characteristic.density_of_sum([0, 1], [0.5, 0.5], 0),
            "count must be an integer of at least 1",
        ),
        (
            lambda: characteristic.characteristic_function(lambda x: 3 * stats.norm.pdf(x), 0.0),
            r"density must integrate to 1 over support \(-inf, inf\), got 3;",
        ),
        (
            lambda: characteristic.characteristic_function(stats.norm(1e9, 1).pdf, 1.0),
            "got 0; a peak far narrower than its distance from zero is found in a narrower support",
        ),
        (
            lambda: characteristic.characteristic_function(stats.norm.pdf, 1.0, (np.inf, -np.inf)),
            r"support must be an increasing pair of numbers, got \(inf, -inf\)",
        ),
    ],
)
def test_invalid_arguments_raise_errors_that_name_them(call, message):
    with pytest.raises(ValueError, match=message):
        call()
