"""Oracles: eigenvalues of random matrices, SciPy's quadrature of the density, and moments by hand."""

import decimal
import tracemalloc

import numpy as np
import pytest
from scipy.integrate import quad

from curvezoo.theory.random_matrix import NORMALIZATIONS, MarchenkoPastur

RATIOS = (0.1, 0.4, 0.999, 1.0, 1.001, 3.0, 40.0)


def eigenvalues(parameters, examples, variance, seed=0):
    x = np.sqrt(variance) * np.random.default_rng(seed).normal(size=(parameters, examples))
    return np.linalg.eigvalsh(x @ x.T)


def integral(law, function, low=None):
    """Returns the integral of density times function from `low` to the upper edge by SciPy."""
    ends = law.support
    # The square of the integration variable removes the singularity of r = 1 at zero.
    a, b = np.sqrt(ends[0] if low is None else low), np.sqrt(ends[1])
    return quad(lambda x: law.density(x**2) * function(x**2) * 2 * x, a, b, limit=400)[0]


@pytest.mark.equation("6.0.15")
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("examples", [120, 400, 1000])
def test_eigenvalues_of_a_random_matrix_follow_the_law(examples, normalization):
    p = 400
    variance = 1 / p if normalization == "parameters" else 1 / examples
    values = np.sort(eigenvalues(p, examples, variance))
    law = MarchenkoPastur(examples / p, normalization)
    assert np.sum(values < 1e-9) == round(p * law.mass_at_zero)
    positive = values[values > 1e-9]
    empirical = law.mass_at_zero + (np.arange(len(positive)) + 0.5) / p
    # Eigenvalues repel each other, so that the deviation is of the order of 1/P and not of 1/sqrt(P).
    np.testing.assert_allclose(law.cdf(positive), empirical, atol=0.01)
    for low in np.quantile(positive, [0.2, 0.5, 0.8]):
        assert integral(law, np.ones_like, low) == pytest.approx(np.mean(values > low), abs=0.01)
    scale = law.support[1]
    assert law.support[0] - 0.03 * scale < positive[0] and positive[-1] < 1.03 * scale


@pytest.mark.equation("6.0.15")
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("ratio", RATIOS)
def test_the_density_and_the_mass_at_zero_add_up_to_one(ratio, normalization):
    law = MarchenkoPastur(ratio, normalization)
    assert integral(law, np.ones_like) + law.mass_at_zero == pytest.approx(1, abs=1e-7)
    middle = np.mean(law.support)
    assert law.cdf(middle) == pytest.approx(1 - integral(law, np.ones_like, middle), abs=1e-7)
    ends = np.array([-1e-9, 0.0, law.support[1], 2 * law.support[1]])
    np.testing.assert_allclose(law.cdf(ends), [0, law.mass_at_zero, 1, 1], atol=1e-12)


@pytest.mark.equation("6.0.15")
def test_the_density_is_the_printed_one_for_inputs_of_variance_one_over_p():
    r, x = 0.3, np.array([0.25, 0.5, 1.0, 2.0])
    low, high = (1 - np.sqrt(r)) ** 2, (1 + np.sqrt(r)) ** 2
    printed = np.sqrt((high - x) * (x - low)) / x / (2 * np.pi)
    np.testing.assert_allclose(MarchenkoPastur(r).density(x), printed, rtol=1e-14)
    assert np.all(MarchenkoPastur(r).density([0.0, low - 1e-9, high + 1e-9]) == 0)


@pytest.mark.parametrize("ratio", RATIOS)
def test_moments_are_sums_of_narayana_numbers(ratio):
    law = MarchenkoPastur(ratio)
    r = ratio
    by_hand = [1, r, r + r**2, r + 3 * r**2 + r**3, r + 6 * r**2 + 6 * r**3 + r**4]
    for k, moment in enumerate(by_hand):
        assert law.moment(k) == pytest.approx(moment, rel=1e-14)
        assert law.mean(lambda x, k=k: x**k) == pytest.approx(moment, rel=1e-12)
    assert integral(law, lambda x: x**5) == pytest.approx(law.moment(5), rel=1e-7)


def test_moments_are_those_of_random_matrices():
    # The second moment of a finite Gaussian matrix is r + r^2 + r/P exactly.
    p, d = 10, 25
    traces = [np.mean(eigenvalues(p, d, 1 / p, seed) ** 2) for seed in range(4000)]
    error = np.std(traces) / np.sqrt(len(traces))
    assert abs(np.mean(traces) - (MarchenkoPastur(d / p).moment(2) + d / p**2)) < 4 * error
    assert error < 0.2 * d / p**2


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("ratio", [1e-6, *RATIOS, 1e6])
def test_integrals_agree_with_the_resolvent_at_all_scales(ratio, normalization):
    law, shifts = MarchenkoPastur(ratio, normalization), np.array([1e-7, 1e-2, 1.0, 1e3])
    values, weights = law.quadrature()
    assert weights.sum() == pytest.approx(1, abs=1e-13)
    inverse = np.array([law.mean(lambda x, z=z: 1 / (x + z)) for z in shifts])
    np.testing.assert_allclose(law.resolvent(shifts), inverse, rtol=1e-11)
    squares = np.sum(weights / (values + shifts[:, None]) ** 2, axis=1)
    np.testing.assert_allclose(law.resolvent_slope(shifts), -squares, rtol=1e-11)


def test_the_resolvent_is_that_of_a_random_matrix():
    for d in (200, 600):
        exact = np.mean(1 / (eigenvalues(400, d, 1 / 400) + 0.3))
        assert MarchenkoPastur(d / 400).resolvent(0.3) == pytest.approx(exact, rel=0.01)


@pytest.mark.equation("6.0.15")
def test_unit_variance_multiplies_the_printed_eigenvalues_by_the_number_of_parameters():
    p, d = 300, 150
    law = MarchenkoPastur(d / p)
    unit = eigenvalues(p, d, 1.0)
    assert unit.max() / p == pytest.approx(law.support[1], rel=0.05)
    assert unit.max() > 50 * law.support[1]


@pytest.mark.equation("6.0.15")
def test_eigenvalues_tend_to_zero_or_one_in_one_normalization_only():
    # The fraction of ones is r, which vanishes, too.
    tiny = 1e-6
    low, high = MarchenkoPastur(tiny).support
    assert 0.997 < low < high < 1.003
    assert MarchenkoPastur(tiny).mass_at_zero == pytest.approx(1 - tiny)
    np.testing.assert_allclose(np.multiply(MarchenkoPastur(tiny, "examples").support, tiny), (low, high))
    values = eigenvalues(2000, 4, 1 / 2000)[-4:]
    np.testing.assert_allclose(values, 1, atol=0.15)
    np.testing.assert_allclose(eigenvalues(2000, 4, 1 / 4)[-4:], 500, rtol=0.15)


@pytest.mark.parametrize("ratio", [1e-10, 0.5, 1.0, 1 + 1e-10, 2.0, 1e10])
def test_the_resolvent_and_the_edge_are_exact_at_extreme_scales(ratio):
    # The oracle has 1,000 digits.
    with decimal.localcontext(prec=1000):
        r, law = decimal.Decimal(ratio), MarchenkoPastur(ratio)
        for shift in (1e-150, 1e-20, 1e-16, 1e-8, 1.0, 1e8, 1e150, 1e200):
            z = decimal.Decimal(shift)
            b = z + r - 1
            root = (b * b + 4 * z).sqrt()
            m = (root - b) / (2 * z)
            assert law.resolvent(shift) == pytest.approx(float(m), rel=2e-15)
            assert law.resolvent_slope(shift) == pytest.approx(float(-m * (1 + m) / root), rel=4e-15)
        assert law.support[0] == pytest.approx(float((1 - r.sqrt()) ** 2), rel=2e-15, abs=0)


def test_moments_of_high_order_are_finite_where_their_terms_are_not():
    law = MarchenkoPastur(1e-3)
    assert law.moment(700) == pytest.approx(law.mean(lambda x: x**700), rel=1e-10)
    assert MarchenkoPastur(1e-200, "examples").moment(1) == 1.0
    with pytest.raises(ValueError, match=r"order must have a moment below 1.8e308, got 2"):
        MarchenkoPastur(1e200).moment(2)


def test_the_distribution_function_of_many_values_needs_little_memory():
    law, x = MarchenkoPastur(0.5), np.linspace(-1, 4, 60_000).reshape(3, -1)
    tracemalloc.start()
    values = law.cdf(x)
    assert tracemalloc.get_traced_memory()[1] < 100e6
    tracemalloc.stop()
    np.testing.assert_array_equal(values[:, ::5000], law.cdf(x[:, ::5000]))


def test_invalid_arguments_are_named():
    with pytest.raises(ValueError, match="ratio must be a positive finite number, got 0"):
        MarchenkoPastur(0)
    with pytest.raises(ValueError, match=r"normalization must be one of .*parameters.*, got 'unit'"):
        MarchenkoPastur(1.0, "unit")
    with pytest.raises(ValueError, match="order must be an integer of at least 0, got -1"):
        MarchenkoPastur(1.0).moment(-1)
    with pytest.raises(ValueError, match="shift must be positive, got 0"):
        MarchenkoPastur(1.0).resolvent(0.0)
    with pytest.raises(ValueError, match=r"eigenvalue\[1\] must be finite, got nan"):
        MarchenkoPastur(1.0).density([1.0, np.nan])
