"""Oracles: exact fractions, brute-force set partitions, closed forms, and SciPy's moments."""

import math
import tracemalloc
from fractions import Fraction
from itertools import pairwise, product

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
    """Yields all partitions of a list into clusters."""
    if not points:
        yield []
        return
    first, *others = points
    for partition in set_partitions(others):
        yield [[first], *partition]
        for i, cluster in enumerate(partition):
            yield [*partition[:i], [first, *cluster], *partition[i + 1 :]]


def exact_moments(law, order):
    """Returns the moments of {value: probability} in fractions; values are tuples, one entry per variable."""
    variables = len(next(iter(law)))
    moments = np.empty((order + 1,) * variables, dtype=object)
    for n in np.ndindex(moments.shape):
        moments[n] = sum(
            p * math.prod(x**m for x, m in zip(value, n, strict=True)) for value, p in law.items()
        )
    return moments


def exact_sum(*laws):
    """Returns the distribution {value: probability} of a sum of independent variables."""
    total = {}
    for outcome in product(*(law.items() for law in laws)):
        value = sum(x for x, _ in outcome)
        total[value] = total.get(value, 0) + math.prod(p for _, p in outcome)
    return total


def single(law):
    """Returns a distribution of one variable with its values as tuples."""
    return {(x,): p for x, p in law.items()}


COIN = {0: Fraction(2, 3), 1: Fraction(1, 3)}
DIE = {x: Fraction(1, 6) for x in range(1, 7)}


@pytest.mark.equation("3.2.1")
@pytest.mark.parametrize(
    "law", [stats.gamma(2.5), stats.norm(-1, 2), stats.uniform(1, 3), stats.laplace(0.3)]
)
def test_moments_of_a_density_match_scipy(law):
    ours = cumulants.density_moments(law.pdf, 6, law.support())
    # SciPy's moments of the Laplace distribution have errors of 2e-9.
    np.testing.assert_allclose(ours, [law.moment(n) if n else 1 for n in range(7)], rtol=1e-8)


@pytest.mark.equation("3.2.1")
@pytest.mark.parametrize(("mean", "deviation"), [(1e4, 1), (-300, 0.1), (0, 1e-3), (0, 1e6)])
def test_moments_are_accurate_for_any_place_and_width_of_the_mass(mean, deviation):
    law = stats.norm(mean, deviation)
    ours = cumulants.density_moments(law.pdf, 4, center=mean)
    np.testing.assert_allclose(ours / deviation ** np.arange(5), [1, 0, 1, 0, 3], atol=1e-10)
    about_zero = cumulants.density_moments(law.pdf, 4)[[2, 4]]
    np.testing.assert_allclose(about_zero, [law.moment(2), law.moment(4)], rtol=1e-12)
    from_density = cumulants.density_cumulants(law.pdf, 4)
    np.testing.assert_allclose(
        (from_density - [0, mean, 0, 0, 0]) / deviation ** np.arange(5), [0, 0, 1, 0, 0], atol=1e-9
    )


@pytest.mark.equation("3.2.1")
def test_moments_of_values_are_weighted_sums():
    values, p = np.array([[0, 1], [2, -1], [3, 0.5]]), np.array([0.2, 0.3, 0.5])
    moments = cumulants.moments(values, 3, p)
    assert moments.shape == (4, 4)
    for n, m in np.ndindex(4, 4):
        assert moments[n, m] == pytest.approx(np.sum(p * values[:, 0] ** n * values[:, 1] ** m), rel=1e-13)
    np.testing.assert_allclose(cumulants.moments(values[:, 0], 2), [1, 5 / 3, 13 / 3])


@pytest.mark.parametrize(
    ("law", "exact"),
    [
        (stats.gamma(3), [0, *(3 * math.factorial(n - 1) for n in range(1, 9))]),
        (stats.uniform(5, 1), [0, 5.5, *(bernoulli(8)[2:] / np.arange(2, 9))]),
        (stats.norm(3, 2), [0, 3, 4, 0, 0, 0, 0, 0, 0]),
        (stats.laplace(), [0, 0, 2, 0, 12, 0, 240, 0, 10080]),
    ],
)
def test_cumulants_of_densities_match_closed_forms(law, exact):
    ours = cumulants.density_cumulants(law.pdf, 8, law.support())
    np.testing.assert_allclose(ours, exact, rtol=1e-6, atol=1e-6)


def test_unit_cumulants_give_the_bell_numbers():
    moments = cumulants.moments_from_cumulants([0] + [1] * 10)
    assert moments.tolist() == [1, 1, 2, 5, 15, 52, 203, 877, 4140, 21147, 115975]
    assert all(type(number) is int for number in moments)


@pytest.mark.parametrize("large", [2**63, 10**400], ids=["2**63", "10**400"])
def test_integers_of_any_size_stay_exact(large):
    moments = cumulants.moments_from_cumulants([0, large, 1])
    assert moments.tolist() == [1, large, large**2 + 1]
    assert cumulants.cumulants_from_moments(moments).tolist() == [0, large, 1]
    mixed = cumulants.moments_from_cumulants([np.int64(0), np.int64(2**40), Fraction(1, 3)])
    assert mixed.tolist() == [1, 2**40, 2**80 + Fraction(1, 3)]


@given(st.lists(FRACTIONS, min_size=8, max_size=8))
@REPEATABLE
def test_joint_cumulants_and_moments_convert_exactly_both_ways(entries):
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
        # The inverse has the alternating factor of the logarithm's series.
        if points:
            assert joint[orders] == sum(
                (-1) ** (len(partition) - 1)
                * math.factorial(len(partition) - 1)
                * math.prod(moments[b] for b in partition)
                for partition in blocks
            )


def series_product(a, b):
    """Returns the product of two power series, to the order of `a`."""
    return [sum(a[i] * b[n - i] for i in range(n + 1)) for n in range(len(a))]


@pytest.mark.equation("3.2.5")
def test_the_exponential_of_the_cumulant_series_is_the_whole_moment_series():
    kappa = [Fraction(n) for n in (0, 2, 3, -1, 4, 1, -2)]
    moments = cumulants.moments_from_cumulants(kappa)
    order = len(kappa) - 1
    one = [Fraction(int(n == 0)) for n in range(order + 1)]
    # Coefficients of powers of -ik.
    generator = [c / math.factorial(n) for n, c in enumerate(kappa)]
    exponential, power = one, one
    for j in range(1, order + 1):
        power = series_product(power, generator)
        exponential = [e + p / math.factorial(j) for e, p in zip(exponential, power, strict=True)]
    assert exponential == [m / math.factorial(n) for n, m in enumerate(moments)]
    # The printed sum over moments begins at n = 1 and omits the 1.
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
def test_moments_are_sums_over_groupings_times_the_missing_factorial(entries):
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
def test_groupings_are_counted_as_by_enumeration(points):
    enumerated = {}
    for partition in set_partitions(list(range(points))):
        sizes = tuple(sorted(map(len, partition)))
        enumerated[sizes] = enumerated.get(sizes, 0) + 1
    counted = {
        tuple(sorted(n for n, count in p.items() for _ in range(count))): number
        for p, number in cumulants.groupings(points)
    }
    assert counted == enumerated


@pytest.mark.equation("3.2.7")
def test_means_of_dependent_variables_add():
    law = {(0, 0): Fraction(1, 2), (1, 3): Fraction(1, 3), (2, -1): Fraction(1, 6)}
    joint = exact_moments(law, 1)
    total = sum(p * (x + y) for (x, y), p in law.items())
    assert total == joint[1, 0] + joint[0, 1]
    assert cumulants.cumulants_of_sum(cumulants.cumulants_from_moments(joint))[1] == total


@pytest.mark.equation("3.2.8")
def test_independent_variables_have_additive_cumulants_and_no_cross_cumulants():
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
def test_standard_deviations_add_in_quadrature():
    variances = [float(stats.norm(0, s).var()) for s in (3, 4)]
    both = cumulants.density_cumulants(stats.norm(0, 5).pdf, 2)[2]
    assert both == pytest.approx(sum(variances), rel=1e-9)
    assert both != pytest.approx(np.mean(variances), rel=0.1)


@pytest.mark.equation("3.2.12")
def test_cumulants_of_a_sum_are_sums_over_all_joint_cumulants():
    law = {(0, 0, 1): Fraction(1, 2), (1, 3, 0): Fraction(1, 3), (2, -1, 5): Fraction(1, 6)}
    joint = cumulants.cumulants_from_moments(exact_moments(law, 3))
    total = {(sum(value),): p for value, p in law.items()}
    exact = cumulants.cumulants_from_moments(exact_moments(total, 3))
    assert cumulants.cumulants_of_sum(joint).tolist() == exact.tolist()
    covariance = np.cov(np.array(list(law)).T, aweights=[float(p) for p in law.values()], ddof=0)
    assert float(exact[2]) == pytest.approx(covariance.sum(), rel=1e-12)


@pytest.mark.equation("3.2.13")
def test_cumulants_of_a_sum_of_copies_are_proportional_to_their_number():
    one = cumulants.cumulants_from_moments(exact_moments(single(COIN), 6))
    five = cumulants.cumulants_from_moments(exact_moments(single(exact_sum(*[COIN] * 5)), 6))
    assert five.tolist() == (5 * one).tolist()
    # N times the cumulants of the sum, as the text after Eq. 3.2.13 reads, would be five times as large.
    assert five[2] == 5 * one[2] != 5 * five[2]


@pytest.mark.parametrize("count", [2, 3, 4])
def test_sums_with_cross_cumulants_of_leading_order_become_gaussian(count):
    # y_i = e_i + e_(i+1), with independent coins e.
    law = {}
    for faces in product(COIN, repeat=count + 1):
        value = tuple(map(sum, pairwise(faces)))
        law[value] = law.get(value, 0) + math.prod(COIN[face] for face in faces)
    total = cumulants.cumulants_of_sum(cumulants.cumulants_from_moments(exact_moments(law, 4)))
    one = cumulants.cumulants_from_moments(exact_moments(single(COIN), 4))
    # The sum is e_1 + 2 (e_2 + ... + e_N) + e_(N+1).
    expected = [2 * one[n] + 2**n * (count - 1) * one[n] for n in range(5)]
    assert total.tolist() == expected
    # Independent terms with these laws would have 2 N kappa_n, so the cross-cumulants also grow as N; yet the
    # standardized cumulants fall with N as for independent terms.
    assert total[2] - 2 * count * one[2] == 2 * (count - 1) * one[2]
    large = [(2 + 16 * (n - 1)) / (2 + 4 * (n - 1)) ** 2 * n for n in (10**6, 10**9)]
    assert large == pytest.approx([1, 1], rel=1e-5)


@pytest.mark.equation("3.2.14")
@pytest.mark.parametrize("count", [1, 4, 25])
def test_cumulants_of_normalized_sums_fall_with_the_predicted_power_of_n(count):
    coin = cumulants.cumulants_from_moments(exact_moments(single(COIN), 6))
    law = stats.binom(count, 1 / 3)
    values = (np.arange(count + 1) - count / 3) / np.sqrt(count)
    measured = cumulants.cumulants_from_moments(cumulants.moments(values, 6, law.pmf(np.arange(count + 1))))
    np.testing.assert_allclose(cumulants.cumulants_of_normalized_sum(coin, count), measured, atol=1e-11)
    n = np.arange(2, 7)
    np.testing.assert_allclose(measured[2:], coin[2:].astype(float) * count ** (1 - n / 2), atol=1e-11)
    several = cumulants.cumulants_of_normalized_sum(coin, [1, count])
    np.testing.assert_allclose(several[1], measured, atol=1e-11)


def test_sample_cumulants_are_unbiased():
    law = {0: 0.5, 1: 0.3, 3: 0.2}
    samples = list(product(law, repeat=5))
    weights = [math.prod(law[x] for x in sample) for sample in samples]
    estimates = cumulants.sample_cumulants(samples)
    exact = cumulants.cumulants_from_moments(cumulants.moments(list(law), 4, list(law.values())))
    np.testing.assert_allclose(estimates @ weights, exact, atol=1e-12)


@pytest.mark.parametrize("mean", [1e4, 1e8])
def test_sample_cumulants_are_accurate_far_from_zero(mean):
    sample = mean + np.random.default_rng(0).normal(size=(2, 1000))
    # The subtraction is exact in floating point.
    centered = cumulants.sample_cumulants(sample - mean)
    shifted = cumulants.sample_cumulants(sample)
    np.testing.assert_allclose(shifted[1], mean + centered[1], rtol=1e-15)
    np.testing.assert_allclose(shifted[2:], centered[2:], atol=mean * 1e-14)


def test_joint_moments_of_many_values_take_little_memory_and_equal_plain_sums():
    values = np.random.default_rng(0).normal(size=(30_000, 4))
    tracemalloc.start()
    joint = cumulants.moments(values, 4)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # All products of powers at once would take 30,000 x 625 numbers, 150 MB.
    assert peak < 40e6
    for orders in ((0, 0, 0, 0), (4, 0, 1, 2), (1, 3, 2, 4), (0, 0, 4, 4)):
        assert joint[orders] == pytest.approx(np.mean(np.prod(values**orders, axis=1)), rel=1e-10, abs=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cumulants.moments([1.0, np.nan], 2), r"values\[1\] must be finite"),
        (lambda: cumulants.moments(3.0, 2), r"values must have shape \[S\]"),
        (lambda: cumulants.moments([1, 2], 2, [0.5, 0.6]), r"probabilities must sum to 1, got 1\.1"),
        (lambda: cumulants.moments([1, 2], 2, [1.0]), r"probabilities must have shape \(2,\)"),
        (lambda: cumulants.moments([1, 2], -1), "order must be an integer of at least 0, got -1"),
        (lambda: cumulants.cumulants_from_moments([2, 1]), r"moments\[0\] must be 1, got 2$"),
        (lambda: cumulants.cumulants_from_moments([]), r"moments must have at least one axis and one entry"),
        (lambda: cumulants.cumulants_from_moments([1, np.inf]), r"moments\[1\] must be finite"),
        (lambda: cumulants.moments_from_cumulants([1, 1]), r"cumulants\[0\] must be 0, got 1$"),
        (lambda: cumulants.moments_from_cumulants(np.eye(2)), r"cumulants\[0, 0\] must be 0, got 1\.0$"),
        (
            lambda: cumulants.moment_by_groupings([0, 1], 2),
            r"cumulants must have the orders 0 to 2, got shape \(2,\)",
        ),
        (lambda: list(cumulants.groupings(1.5)), "order must be an integer of at least 0, got 1.5"),
        (lambda: cumulants.cumulants_of_sum(np.zeros((2, 3))), r"axes of one length, got shape \(2, 3\)"),
        (
            lambda: cumulants.cumulants_of_normalized_sum([0, 10**400], 2),
            "cumulants must hold numbers of",
        ),
        (
            lambda: cumulants.density_moments(stats.norm.pdf, 1, (1, -1)),
            r"support must be an increasing pair of numbers, got \(1, -1\)",
        ),
        (
            lambda: cumulants.density_moments(lambda x: -stats.norm.pdf(x), 1),
            "density must not be negative, got -0",
        ),
        (lambda: cumulants.density_moments(lambda x: x * np.nan, 1, (0, 1)), "does not converge: got nan at"),
        (lambda: cumulants.density_moments(lambda x: 1 / x, 1, (0, 1)), "does not converge"),
        (lambda: cumulants.cumulants_of_normalized_sum([0, 1], [2, 0]), r"count\[1\] must be at least 1"),
        (lambda: cumulants.sample_cumulants([1, 2, 3], 5), "order must be at most 4, got 5"),
        (lambda: cumulants.sample_cumulants([1, 2, 3], 4), "at least 4 values for order 4"),
        (
            lambda: cumulants.density_moments(stats.cauchy.pdf, 1),
            "moment of order 1 of density does not conv",
        ),
        (lambda: cumulants.density_cumulants(stats.t(3).pdf, 4), "does not converge"),
        (
            lambda: cumulants.density_moments(stats.norm.pdf, 1, (0, 1)),
            r"integrate to 1 over support \(0, 1\)",
        ),
    ],
)
def test_invalid_arguments_raise_errors_that_name_them(call, message):
    with pytest.raises(ValueError, match=message):
        call()
