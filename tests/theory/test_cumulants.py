import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import bernoulli

from curvezoo.theory import cumulants

REPEATABLE = settings(max_examples=50, deadline=None, derandomize=True)
FRACTIONS = st.fractions(-5, 5, max_denominator=20)


def set_partitions(points):
    if not points:
        yield []
        return
    first, *others = points
    for partition in set_partitions(others):
        yield [[first], *partition]
        for i, cluster in enumerate(partition):
            yield [*partition[:i], [first, *cluster], *partition[i + 1 :]]


def exact_moments(law, order):
    """Moments of {value: probability} in fractions; values are tuples, one entry a variable."""
    variables = len(next(iter(law)))
    found = np.empty((order + 1,) * variables, dtype=object)
    for n in np.ndindex(found.shape):
        found[n] = sum(p * math.prod(x**m for x, m in zip(value, n, strict=True)) for value, p in law.items())
    return found


def exact_sum(*laws):
    """The law {value: probability} of a sum of independent variables."""
    total = {}
    for outcome in product(*(law.items() for law in laws)):
        value = sum(x for x, _ in outcome)
        total[value] = total.get(value, 0) + math.prod(p for _, p in outcome)
    return total


def single(law):
    return {(x,): p for x, p in law.items()}


COIN = {0: Fraction(2, 3), 1: Fraction(1, 3)}
DIE = {x: Fraction(1, 6) for x in range(1, 7)}


@pytest.mark.equation("3.2.1")
@pytest.mark.parametrize(
    "law", [stats.gamma(2.5), stats.norm(-1, 2), stats.uniform(1, 3), stats.laplace(0.3)]
)
def test_moments_of_a_density_are_those_of_scipy(law):
    ours = cumulants.density_moments(law.pdf, 6, law.support())
    np.testing.assert_allclose(ours, [law.moment(n) if n else 1 for n in range(7)], rtol=1e-7)


@pytest.mark.equation("3.2.1")
def test_moments_of_values_are_weighted_sums():
    values, p = np.array([[0, 1], [2, -1], [3, 0.5]]), np.array([0.2, 0.3, 0.5])
    found = cumulants.moments(values, 3, p)
    assert found.shape == (4, 4)
    for n, m in np.ndindex(4, 4):
        assert found[n, m] == pytest.approx(np.sum(p * values[:, 0] ** n * values[:, 1] ** m), rel=1e-13)
    np.testing.assert_allclose(cumulants.moments(values[:, 0], 2), [1, 5 / 3, 13 / 3])


@pytest.mark.equation("3.2.2")
def test_derivatives_of_the_characteristic_function_are_moments():
    law = stats.laplace(0.5, 0.4)
    k = np.polynomial.chebyshev.chebpts1(21)
    transform = cumulants.characteristic_function(law.pdf, k, center=0.5)
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
def test_characteristic_functions_have_their_closed_forms(law, transform):
    k = np.array([[0.0, 0.1, 1.0], [-1.0, 5.0, 20.0]])
    ours = cumulants.characteristic_function(law.pdf, k, law.support())
    np.testing.assert_allclose(ours, transform(k), atol=1e-8)


@pytest.mark.equation("3.2.2")
def test_characteristic_function_of_a_sample_is_within_its_error():
    k, size = np.array([0.3, 1.0, 4.0]), 20_000
    sample = np.random.default_rng(0).gamma(2, size=size)
    exact = (1 + 1j * k) ** -2.0
    error = np.sqrt((1 - np.abs(exact) ** 2) / size)
    assert np.all(np.abs(cumulants.empirical_characteristic_function(sample, k) - exact) < 4 * error)


@pytest.mark.equation("3.2.3")
@pytest.mark.equation("3.2.4")
def test_the_logarithm_of_the_transform_is_the_series_of_cumulants():
    law, k = stats.gamma(3), np.array([-0.2, 0.05, 0.1, 0.2])
    exact = np.array([0, *(3 * math.factorial(n - 1) for n in range(1, 17))], dtype=float)
    generator = np.log(cumulants.characteristic_function(law.pdf, k, law.support()))
    np.testing.assert_allclose(generator, cumulants.generating_function(exact, k), atol=1e-9)


@pytest.mark.parametrize(
    ("law", "exact"),
    [
        (stats.gamma(3), [0, *(3 * math.factorial(n - 1) for n in range(1, 9))]),
        (stats.uniform(5, 1), [0, 5.5, *(bernoulli(8)[2:] / np.arange(2, 9))]),
        (stats.norm(3, 2), [0, 3, 4, 0, 0, 0, 0, 0, 0]),
        (stats.laplace(), [0, 0, 2, 0, 12, 0, 240, 0, 10080]),
    ],
)
def test_cumulants_of_densities_have_their_closed_forms(law, exact):
    ours = cumulants.density_cumulants(law.pdf, 8, law.support())
    np.testing.assert_allclose(ours, exact, rtol=1e-6, atol=1e-6)


def test_cumulants_all_one_give_the_bell_numbers():
    found = cumulants.moments_from_cumulants([0] + [1] * 10)
    assert found.tolist() == [1, 1, 2, 5, 15, 52, 203, 877, 4140, 21147, 115975]
    assert all(type(number) is int for number in found)


@given(st.lists(FRACTIONS, min_size=8, max_size=8))
@REPEATABLE
def test_joint_cumulants_and_moments_are_inverse_and_exact(entries):
    joint = np.array([Fraction(0), *entries], dtype=object).reshape(3, 3)
    moments = cumulants.moments_from_cumulants(joint)
    assert cumulants.cumulants_from_moments(moments).tolist() == joint.tolist()


@given(st.lists(FRACTIONS, min_size=8, max_size=8))
@REPEATABLE
def test_joint_moments_are_sums_over_set_partitions(entries):
    joint = np.array([Fraction(0), *entries], dtype=object).reshape(3, 3)
    moments = cumulants.moments_from_cumulants(joint)
    for orders in np.ndindex(joint.shape):
        points = [axis for axis, n in enumerate(orders) for _ in range(n)]
        blocks = [
            [tuple(cluster.count(axis) for axis in range(2)) for cluster in partition]
            for partition in set_partitions(points)
        ]
        assert moments[orders] == sum(math.prod(joint[b] for b in partition) for partition in blocks)
        # And back, with the alternating factor of the logarithm.
        if points:
            assert joint[orders] == sum(
                (-1) ** (len(partition) - 1)
                * math.factorial(len(partition) - 1)
                * math.prod(moments[b] for b in partition)
                for partition in blocks
            )


def series_product(a, b):
    """Product of power series, to the order of `a`."""
    return [sum(a[i] * b[n - i] for i in range(n + 1)) for n in range(len(a))]


@pytest.mark.equation("3.2.5")
def test_the_exponential_of_the_series_of_cumulants_is_that_of_moments_from_order_zero():
    kappa = [Fraction(n) for n in (0, 2, 3, -1, 4, 1, -2)]
    moments = cumulants.moments_from_cumulants(kappa)
    order = len(kappa) - 1
    one = [Fraction(int(n == 0)) for n in range(order + 1)]
    # In powers of -ik.
    generator = [c / math.factorial(n) for n, c in enumerate(kappa)]
    exponential, power = one, one
    for j in range(1, order + 1):
        power = series_product(power, generator)
        exponential = [e + p / math.factorial(j) for e, p in zip(exponential, power, strict=True)]
    assert exponential == [m / math.factorial(n) for n, m in enumerate(moments)]
    # The printed sum over moments begins at n = 1 and lacks the 1.
    assert exponential[0] == 1
    factors = one
    for n in range(1, order + 1):
        factor = [Fraction(0)] * (order + 1)
        for p in range(order // n + 1):
            factor[n * p] = (kappa[n] / math.factorial(n)) ** p / math.factorial(p)
        factors = series_product(factors, factor)
    assert factors == exponential


@pytest.mark.equation("3.2.6")
@given(st.lists(FRACTIONS, min_size=7, max_size=7))
@REPEATABLE
def test_moments_are_sums_over_groupings_with_the_missing_factorial(entries):
    kappa = [Fraction(0), *entries]
    for m, moment in enumerate(cumulants.moments_from_cumulants(kappa)):
        assert cumulants.moment_by_groupings(kappa, m) == moment
        printed = sum(
            math.prod(
                kappa[n] ** times / (math.factorial(times) * math.factorial(n) ** times)
                for n, times in p.items()
            )
            for p, _ in cumulants.groupings(m)
        )
        assert printed * math.factorial(m) == moment


@pytest.mark.equation("3.2.6")
@pytest.mark.parametrize("points", [0, 1, 4, 7])
def test_groupings_are_counted_as_drawn(points):
    drawn = {}
    for partition in set_partitions(list(range(points))):
        sizes = tuple(sorted(map(len, partition)))
        drawn[sizes] = drawn.get(sizes, 0) + 1
    counted = {
        tuple(sorted(n for n, times in p.items() for _ in range(times))): number
        for p, number in cumulants.groupings(points)
    }
    assert counted == drawn


def transform(kappa, x):
    """The Fourier transform of exp(G), for a polynomial G of the fourth order, by a sum exact to rounding."""
    k, step = np.linspace(0, 12, 4801, retstep=True)
    values = np.exp(cumulants.generating_function(kappa, k))
    values[0] /= 2
    return np.real(np.exp(1j * np.outer(x, k)) @ values) * step / np.pi


@pytest.mark.parametrize("kappa", [[0, 0, 1, 0.8], [0, 0, 1, 0, -1.0], [0, 0, 1, 0.3, -0.5]])
def test_exponentials_of_higher_polynomials_are_the_transforms_of_no_density(kappa):
    x, step = np.linspace(-18, 18, 1201, retstep=True)
    density = transform(kappa, x)
    # It integrates to one and has the cumulants, but is negative somewhere, far beyond rounding.
    found = cumulants.cumulants_from_moments([1.0, *(step * np.sum(density * x**n) for n in range(1, 5))])
    np.testing.assert_allclose(found, [*kappa, 0][:5], atol=1e-6)
    assert step * density.sum() == pytest.approx(1, abs=1e-10)
    assert density.min() < -1e-4
    np.testing.assert_allclose(transform([0, 0, 1], x), stats.norm.pdf(x), atol=1e-12)


@pytest.mark.equation("3.2.7")
def test_means_add_for_dependent_variables_too():
    law = {(0, 0): Fraction(1, 2), (1, 3): Fraction(1, 3), (2, -1): Fraction(1, 6)}
    joint = exact_moments(law, 1)
    total = sum(p * (x + y) for (x, y), p in law.items())
    assert total == joint[1, 0] + joint[0, 1]
    assert cumulants.cumulants_of_sum(cumulants.cumulants_from_moments(joint))[1] == total


@pytest.mark.equation("3.2.8")
def test_cumulants_of_independent_variables_add_and_their_joint_ones_vanish():
    coin, die, both = (
        cumulants.cumulants_from_moments(exact_moments(single(law), 8))
        for law in (COIN, DIE, exact_sum(COIN, DIE))
    )
    assert both.tolist() == (coin + die).tolist()
    moments = exact_moments(single(exact_sum(COIN, DIE)), 4)
    assert moments[4] != exact_moments(single(COIN), 4)[4] + exact_moments(single(DIE), 4)[4]
    law = {(x, y): p * q for (x, p), (y, q) in product(COIN.items(), DIE.items())}
    joint = cumulants.cumulants_from_moments(exact_moments(law, 3))
    assert not joint[1:, 1:].any()


@pytest.mark.equation("3.2.8")
def test_deviations_add_in_quadrature_and_not_by_their_root_mean_square():
    variances = [float(stats.norm(0, s).var()) for s in (3, 4)]
    both = cumulants.density_cumulants(stats.norm(0, 5).pdf, 2)[2]
    assert both == pytest.approx(sum(variances), rel=1e-9)
    assert both != pytest.approx(np.mean(variances), rel=0.1)


@pytest.mark.equation("3.2.10")
@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_sums_of_dice_are_counted_exactly(count):
    points, density = cumulants.density_of_sum(np.arange(1, 7), np.full(6, 1 / 6), count)
    exact = {0: Fraction(1)}
    for _ in range(count):
        exact = exact_sum(exact, DIE)
    np.testing.assert_array_equal(points, sorted(exact))
    np.testing.assert_allclose(density, [float(exact[x]) for x in sorted(exact)], rtol=1e-9)


@pytest.mark.equation("3.2.10")
@pytest.mark.parametrize("count", [2, 5, 16])
def test_sums_of_densities_have_their_closed_forms(count):
    h = 0.01
    x = (np.arange(4000) + 0.5) * h
    decay = np.exp(-x)
    points, density = cumulants.density_of_sum(x, decay / (h * decay.sum()), count)
    np.testing.assert_allclose(density, stats.gamma(count).pdf(points), atol=count * h**2 / 2)
    x = np.linspace(-9, 9, 361)
    points, density = cumulants.density_of_sum(x, stats.norm.pdf(x), count)
    np.testing.assert_allclose(density, stats.norm(0, np.sqrt(count)).pdf(points), atol=1e-13)


@pytest.mark.equation("3.2.11")
def test_the_transform_of_a_sum_is_the_joint_one_on_the_diagonal_and_a_product_if_independent():
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

    def of_sum(law):
        return joint_transform(
            {(sum(value), *value): p for value, p in law.items()}, waves, 0 * waves, 0 * waves
        )

    separate = math.prod(joint_transform(single(m), waves) for m in marginals)
    for law in (dependent, independent):
        np.testing.assert_allclose(of_sum(law), joint_transform(law, waves, waves), atol=1e-14)
    np.testing.assert_allclose(of_sum(independent), separate, atol=1e-14)
    assert np.abs(of_sum(dependent) - separate).max() > 0.1


@pytest.mark.equation("3.2.11")
def test_the_transform_of_a_sum_of_copies_is_a_power():
    x = np.arange(1, 7)
    points, density = cumulants.density_of_sum(x, np.full(6, 1 / 6), 5)
    for k in (0.2, 1.0, 3.0):
        one = np.mean(np.exp(-1j * k * x))
        assert density @ np.exp(-1j * k * points) == pytest.approx(one**5, abs=1e-13)


@pytest.mark.equation("3.2.12")
def test_cumulants_of_a_sum_of_dependent_variables_are_sums_over_all_joint_ones():
    law = {(0, 0, 1): Fraction(1, 2), (1, 3, 0): Fraction(1, 3), (2, -1, 5): Fraction(1, 6)}
    joint = cumulants.cumulants_from_moments(exact_moments(law, 3))
    total = {(sum(value),): p for value, p in law.items()}
    exact = cumulants.cumulants_from_moments(exact_moments(total, 3))
    assert cumulants.cumulants_of_sum(joint).tolist() == exact.tolist()
    covariance = np.cov(np.array(list(law)).T, aweights=[float(p) for p in law.values()], ddof=0)
    assert float(exact[2]) == pytest.approx(covariance.sum(), rel=1e-12)


@pytest.mark.equation("3.2.13")
def test_cumulants_of_copies_are_proportional_to_their_number():
    one = cumulants.cumulants_from_moments(exact_moments(single(COIN), 6))
    five = cumulants.cumulants_from_moments(exact_moments(single(exact_sum(*[COIN] * 5)), 6))
    assert five.tolist() == (5 * one).tolist()


@pytest.mark.equation("3.2.14")
@pytest.mark.parametrize("count", [1, 4, 25])
def test_normalized_sums_have_cumulants_that_fall_as_the_power_of_their_number(count):
    coin = cumulants.cumulants_from_moments(exact_moments(single(COIN), 6))
    law = stats.binom(count, 1 / 3)
    values = (np.arange(count + 1) - count / 3) / np.sqrt(count)
    measured = cumulants.cumulants_from_moments(cumulants.moments(values, 6, law.pmf(np.arange(count + 1))))
    np.testing.assert_allclose(cumulants.cumulants_of_normalized_sum(coin, count), measured, atol=1e-11)
    n = np.arange(2, 7)
    np.testing.assert_allclose(measured[2:], coin[2:].astype(float) * count ** (1 - n / 2), atol=1e-11)
    several = cumulants.cumulants_of_normalized_sum(coin, [1, count])
    np.testing.assert_allclose(several[1], measured, atol=1e-11)


@pytest.mark.equation("3.2.14")
def test_normalized_sums_gain_entropy_up_to_that_of_the_gaussian():
    h = 1 / 256
    x = (np.arange(256) + 0.5) * h - 0.5
    entropies = []
    for count in (1, 2, 3, 4, 8, 16):
        _, density = cumulants.density_of_sum(x, np.ones(256), count)
        entropies.append(stats.entropy(h * density) + np.log(h) - np.log(count) / 2)
    bound = stats.norm(0, np.sqrt(1 / 12)).entropy()
    assert np.all(np.diff(entropies) > 0)
    assert 0 < bound - entropies[-1] < 1e-3


def test_sample_cumulants_are_unbiased():
    law = {0: 0.5, 1: 0.3, 3: 0.2}
    samples = list(product(law, repeat=5))
    weights = [math.prod(law[x] for x in sample) for sample in samples]
    estimates = cumulants.sample_cumulants(samples)
    exact = cumulants.cumulants_from_moments(cumulants.moments(list(law), 4, list(law.values())))
    np.testing.assert_allclose(estimates @ weights, exact, atol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cumulants.moments([1.0, np.nan], 2), r"values\[1\] must be finite"),
        (lambda: cumulants.moments(3.0, 2), r"values must have shape \[S\]"),
        (lambda: cumulants.moments([1, 2], 2, [0.5, 0.6]), r"probabilities must sum to 1, got 1\.1"),
        (lambda: cumulants.moments([1, 2], 2, [1.0]), r"probabilities must have shape \(2,\)"),
        (lambda: cumulants.moments([1, 2], -1), "order must be an integer of at least 0, got -1"),
        (lambda: cumulants.cumulants_from_moments([2, 1]), "moments must begin with that of order zero, 1"),
        (lambda: cumulants.cumulants_from_moments([1, np.inf]), r"moments\[1\] must be finite"),
        (lambda: cumulants.moments_from_cumulants([1, 1]), "cumulants must begin with that of order zero, 0"),
        (lambda: cumulants.moment_by_groupings([0, 1], 2), "cumulants must be those of orders 0 to 2"),
        (lambda: list(cumulants.groupings(1.5)), "order must be an integer of at least 0, got 1.5"),
        (lambda: cumulants.cumulants_of_sum(np.zeros((2, 3))), r"axes of one length, got shape \(2, 3\)"),
        (lambda: cumulants.cumulants_of_normalized_sum([0, 1], [2, 0]), r"count\[1\] must be at least 1"),
        (lambda: cumulants.sample_cumulants([1, 2, 3], 5), "order must be at most 4, got 5"),
        (lambda: cumulants.sample_cumulants([1, 2, 3], 4), "4 values or more for order 4"),
        (
            lambda: cumulants.density_moments(stats.cauchy.pdf, 1),
            "moment of order 1 of density does not conv",
        ),
        (lambda: cumulants.density_cumulants(stats.t(3).pdf, 4), "does not converge"),
        (
            lambda: cumulants.density_moments(stats.norm.pdf, 1, (0, 1)),
            r"integrate to 1 over support \(0, 1\)",
        ),
        (lambda: cumulants.characteristic_function(stats.norm.pdf, np.nan), "k must be finite"),
        (lambda: cumulants.empirical_characteristic_function([], 1), "sample must hold at least one value"),
        (lambda: cumulants.density_of_sum([0, 1, 3], [0, 1, 0], 2), "x must increase in even steps"),
        (lambda: cumulants.density_of_sum([0, 1], [2, -1], 2), r"spacing\[1\] must not be negative"),
        (lambda: cumulants.density_of_sum([0, 1], [1], 2), "x and density must be two or more values each"),
        (lambda: cumulants.density_of_sum([0, 1], [0.5, 0.6], 2), "spacing must sum to 1, got 1.1"),
        (lambda: cumulants.density_of_sum([0, 1], [0.5, 0.5], 0), "count must be an integer of at least 1"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
