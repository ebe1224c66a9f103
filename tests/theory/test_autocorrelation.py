"""Oracles: the closed form of AR(1) series, direct sums, and blocking."""

import numpy as np
import pytest
from scipy.signal import lfilter

from curvezoo.theory.autocorrelation import autocorrelation, blocking, correlated_mean

REPEATS = 40


def ar1(coefficient, shape, seed):
    """Returns stationary series x_i = a x_{i-1} + noise of variance one, with rho(t) = a^t."""
    noise = np.random.default_rng(seed).normal(size=shape) * np.sqrt(1 - coefficient**2)
    # A first value of variance one starts the series in equilibrium.
    noise[..., 0] /= np.sqrt(1 - coefficient**2)
    return lfilter([1.0], [1.0, -coefficient], noise, axis=-1)


def time_of(coefficient):
    return (1 + coefficient) / (1 - coefficient) / 2


def test_autocorrelations_are_direct_sums():
    x = np.random.default_rng(0).normal(size=(2, 23)).cumsum(axis=1)
    d = x - x.mean()
    direct = np.array([np.sum(d[:, : 23 - t] * d[:, t:]) / (23 - t) for t in range(23)])
    np.testing.assert_allclose(autocorrelation(x), direct / direct[0], atol=1e-13)
    np.testing.assert_allclose(autocorrelation(x, lags=5), direct[:6] / direct[0], atol=1e-13)
    np.testing.assert_allclose(autocorrelation(1e200 * x + 3e201), direct / direct[0], atol=1e-11)


def test_the_mean_is_computed_by_its_equations():
    x = ar1(0.5, 400, 1)
    result = correlated_mean(x, window=5)
    rho = autocorrelation(x)
    reach = 0.5
    for end in range(1, 200):
        reach += abs(rho[end])
        if end >= 5 * reach:
            break
    time = (0.5 + rho[1 : end + 1].sum()) * (1 + (2 * end + 1) / 400)
    assert result.window == end
    assert result.time == pytest.approx(time, rel=1e-12)
    assert result.time_error == pytest.approx(time * np.sqrt(2 * (2 * end + 1) / 400), rel=1e-12)
    assert result.mean == pytest.approx(x.mean(), rel=1e-12)
    assert result.error == pytest.approx(np.sqrt(2 * time * x.var() / 400), rel=1e-12)
    assert result.effective_size == pytest.approx((x.std() / result.error) ** 2, rel=1e-12)


@pytest.mark.parametrize("coefficient", [-0.6, 0.0, 0.5, 0.9])
def test_times_and_errors_of_ar1_are_the_closed_forms_within_four_standard_errors(coefficient):
    results = [correlated_mean(x) for x in ar1(coefficient, (REPEATS, 8000), 2)]
    times, truth = np.array([r.time for r in results]), time_of(coefficient)
    # The sum ends where exp(-6) of the time is left.
    assert abs(times.mean() - truth) < 4 * times.std(ddof=1) / np.sqrt(REPEATS) + 0.005 * truth
    # The quoted errors are those of the repeats: of a standard deviation over 40, 11 % are known.
    if coefficient >= 0:
        quoted = np.mean([r.time_error for r in results])
        assert times.std(ddof=1) == pytest.approx(quoted, rel=0.45)
    expected = np.sqrt(2 * truth / 8000)
    assert np.mean([r.error for r in results]) == pytest.approx(expected, rel=0.02)
    means = np.array([r.mean for r in results])
    assert means.std(ddof=1) == pytest.approx(expected, rel=0.45)


def test_naive_errors_of_correlated_samples_are_far_too_small():
    x = ar1(0.9, 20_000, 3)
    naive = x.std(ddof=1) / np.sqrt(len(x))
    assert correlated_mean(x).error / naive == pytest.approx(np.sqrt(2 * time_of(0.9)), rel=0.15)


def test_blocking_reaches_the_error_of_the_windowed_sum():
    x = ar1(0.8, 2**15, 4)
    errors, uncertainties = blocking(x)
    assert errors[0] == pytest.approx(x.std(ddof=1) / np.sqrt(len(x)), rel=1e-12)
    assert errors[3] == pytest.approx(x.reshape(-1, 8).mean(axis=1).std(ddof=1) / np.sqrt(2**12), rel=1e-12)
    np.testing.assert_allclose(uncertainties[2], errors[2] / np.sqrt(2 * (2**13 - 1)), rtol=1e-12)
    # Blocks of 128 values are 28 times as long as tau = 4.5, and 256 of them have an error of 4 %.
    assert abs(errors[7] - correlated_mean(x).error) < 4 * uncertainties[7]
    assert errors[7] == pytest.approx(np.sqrt(2 * time_of(0.8) / len(x)), abs=4 * uncertainties[7])
    # The exact error of level l for AR(1): Var(block mean) / blocks.
    block = np.arange(1, 8)
    exact = (1 + 2 * np.sum((1 - block / 8) * 0.8**block)) / 8
    assert errors[3] == pytest.approx(np.sqrt(exact / 2**12), rel=0.06)
    assert len(errors) == 15


def test_chains_are_combined_about_their_common_mean():
    x = ar1(0.7, (8, 4000), 5)
    together = correlated_mean(x)
    assert together.time == pytest.approx(time_of(0.7), abs=4 * together.time_error)
    assert together.error == pytest.approx(np.sqrt(2 * time_of(0.7) / x.size), rel=0.1)
    # A chain that stays elsewhere is a correlation that does not decay.
    with pytest.raises(ValueError, match="x must be longer than its correlations"):
        correlated_mean(x + np.arange(8)[:, None])


@pytest.mark.parametrize("unit", [1e-300, 1e-170, 1e170, 1e300])
def test_errors_have_the_unit_of_the_series(unit):
    x = ar1(0.5, 2000, 6)
    assert correlated_mean(unit * x).error == pytest.approx(unit * correlated_mean(x).error, rel=1e-12)
    np.testing.assert_allclose(blocking(unit * x)[0] / unit, blocking(x)[0], rtol=1e-12)


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e-200])
def test_a_constant_series_is_refused_although_its_mean_is_rounded(value):
    for function in (autocorrelation, correlated_mean):
        with pytest.raises(ValueError, match="x must not be constant"):
            function(np.full(1000, value))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: correlated_mean(np.arange(50.0)), "x must be longer than its correlations.*half of its 50"),
        (lambda: correlated_mean(np.tile([1.0, -1.0], 500)), "x must be longer than its correlations"),
        (lambda: correlated_mean(np.ones(9)), "x must not be constant, got 1 only"),
        (lambda: correlated_mean([1.0, np.nan]), r"x\[1\] must be finite"),
        (lambda: correlated_mean([1.0]), r"x must have shape \[N\] or \[C, N\].* got \(1,\)"),
        (lambda: correlated_mean(np.arange(9.0), window=0.5), "window must be a finite number of at least 1"),
        (lambda: autocorrelation([1.0, 2.0], lags=2), "lags must be an integer from 0 to 1, got 2"),
        (lambda: blocking([1.0]), "x must hold at least 2 values, got 1"),
    ],
)
def test_invalid_arguments_raise_errors_that_name_them(call, message):
    with pytest.raises(ValueError, match=message):
        call()
