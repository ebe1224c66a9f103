"""Oracles: exact algebra, counted steps, and simulated measurements."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curvezoo.theory import trade_off

steady = settings(max_examples=50, deadline=None, derandomize=True)


@pytest.mark.equation("4.5.11")
@pytest.mark.equation("4.5.12")
def test_steps_and_examples_lie_on_the_hyperbola():
    costs = trade_off.TradeOff(300.0, 12_000.0)
    batch_sizes = np.array([1, 3, 40, 1000])
    steps, examples = costs.steps(batch_sizes), costs.examples(batch_sizes)
    np.testing.assert_allclose(examples, batch_sizes * steps, rtol=1e-14)
    np.testing.assert_allclose(steps / 300 - 1, 1 / (examples / 12_000 - 1), rtol=1e-9)
    assert costs.critical_batch_size == pytest.approx(40)
    assert (steps[2], examples[2]) == pytest.approx((600, 24_000))


@pytest.mark.equation("4.5.11")
@pytest.mark.equation("4.5.12")
def test_a_path_of_many_noise_scales_costs_the_sum_over_its_steps():
    # By Eq. 4.5.7, this many steps with a batch of B replace each noiseless step.
    scales = np.geomspace(20, 900, 50)
    costs = trade_off.trade_off_of_path(scales)
    for size in (1, 64, 10**5):
        steps, examples = costs.steps(size), costs.examples(size)
        assert steps == pytest.approx(np.sum(1 + scales / size), rel=1e-12)
        assert examples == pytest.approx(size * steps, rel=1e-12)
        assert (steps / 50 - 1) * (examples / scales.sum() - 1) == pytest.approx(1, rel=1e-9)
    assert costs.critical_batch_size == pytest.approx(scales.mean(), rel=1e-12)


SIZES = np.array([4, 8, 16, 32, 64, 128, 256, 512])


@pytest.mark.equation("4.5.11")
@pytest.mark.equation("4.5.12")
@pytest.mark.parametrize("sizes", [SIZES, SIZES[[0, 7]], SIZES[[6, 2, 2]]])
def test_exact_measurements_are_fitted_exactly(sizes):
    truth = trade_off.TradeOff(300.0, 12_000.0)
    fit = trade_off.fit_trade_off(sizes, truth.steps(sizes))
    assert (fit.least_steps, fit.least_examples) == pytest.approx((300, 12_000), rel=1e-8)
    assert fit.critical_batch_size == pytest.approx(40, rel=1e-8)
    np.testing.assert_allclose(fit.residuals, 0, atol=1e-10)
    errors = (fit.least_steps_error, fit.least_examples_error, fit.critical_batch_size_error)
    assert errors == ((np.inf,) * 3 if len(sizes) == 2 else pytest.approx((0, 0, 0), abs=1e-3))


@pytest.mark.parametrize("known", [False, True])
def test_standard_errors_of_the_fit_match_the_spread_over_measurements(known):
    rng = np.random.default_rng(4)
    truth, sizes = trade_off.TradeOff(300.0, 12_000.0), np.repeat(SIZES, 3)
    sigma = np.where(sizes < 40, 0.08, 0.03) if known else np.full(len(sizes), 0.05)
    fits = [
        trade_off.fit_trade_off(
            sizes, truth.steps(sizes) * np.exp(sigma * rng.normal(size=len(sizes))), sigma if known else None
        )
        for _ in range(200)
    ]
    for name, value in (("least_steps", 300), ("least_examples", 12_000), ("critical_batch_size", 40)):
        estimates = np.array([getattr(fit, name) for fit in fits])
        errors = np.array([getattr(fit, f"{name}_error") for fit in fits])
        # The standard deviation of R = 200 repeats has a relative error of 1 / sqrt(2 R) = 5 %.
        assert np.sqrt(np.mean(errors**2)) == pytest.approx(estimates.std(), rel=0.14)
        # The exponential of a logarithm with error e is biased by e^2 / 2.
        bias = value * (estimates.std() / value) ** 2
        assert abs(estimates.mean() - value) < 5 * estimates.std() / np.sqrt(200) + bias


@steady
@given(st.floats(0.1, 1e4), st.floats(0.1, 1e6), st.floats(1e-3, 1e3))
def test_fits_scale_with_the_units_of_steps_and_batches(least_steps, critical, unit):
    truth = trade_off.TradeOff(least_steps, least_steps * critical)
    sizes = critical * np.array([0.1, 0.5, 2.0, 9.0])
    steps = truth.steps(sizes) * np.array([1.02, 0.97, 1.01, 0.99])
    fit, other = (
        trade_off.fit_trade_off(sizes, steps),
        trade_off.fit_trade_off(unit * sizes, steps / unit),
    )
    assert other.critical_batch_size == pytest.approx(unit * fit.critical_batch_size, rel=1e-6)
    assert other.least_steps == pytest.approx(fit.least_steps / unit, rel=1e-6)
    error = other.critical_batch_size_error / unit
    assert error == pytest.approx(fit.critical_batch_size_error, rel=1e-5)


def test_batch_sizes_on_one_side_of_the_turnover_are_refused():
    with pytest.raises(
        ValueError, match="S_min is not distinguishable from zero between 4 and 512; larger batches"
    ):
        trade_off.fit_trade_off(SIZES, 1e5 / SIZES)
    with pytest.raises(
        ValueError, match="E_min is not distinguishable from zero between 4 and 512; smaller batches"
    ):
        trade_off.fit_trade_off(SIZES, np.full(8, 100.0))
    with pytest.raises(ValueError, match="larger batches are needed"):
        trade_off.fit_trade_off([10, 20], [100, 40])
    with pytest.raises(ValueError, match="smaller batches are needed"):
        trade_off.fit_trade_off([10, 20], [100, 101])


@pytest.mark.parametrize(
    ("critical", "keywords", "expected"),
    [
        (900, {}, 1024),
        (720, {}, 512),
        (900, {"excess": 0.1}, 64),
        (0.2, {}, 1),
        (900, {"high": 300}, 300),
        (3, {"low": 24}, 24),
        (np.inf, {"high": 300}, 300),
    ],
)
def test_the_advised_batch_size_is_the_nearest_power_of_two(critical, keywords, expected):
    assert trade_off.advised_batch_size(critical, **keywords) == expected


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: trade_off.TradeOff(0.0, 1.0), "least_steps must be positive, got 0"),
        (lambda: trade_off.TradeOff(1.0, 1.0).steps([2, -1]), r"batch_size\[1\] must be positive, got -1"),
        (lambda: trade_off.trade_off_of_path([1.0, -1.0]), r"noise_scales\[1\] must not be negative"),
        (
            lambda: trade_off.fit_trade_off([8], [100]),
            "batch_sizes must contain at least two different values",
        ),
        (lambda: trade_off.fit_trade_off([8, 8], [99, 100]), "at least two different values"),
        (lambda: trade_off.fit_trade_off([8, 0], [99, 100]), r"batch_sizes\[1\] must be positive, got 0"),
        (lambda: trade_off.fit_trade_off([8, 9], [99]), "batch_sizes and steps must have the same shape"),
        (
            lambda: trade_off.fit_trade_off([1, 9], [99, 50], [0.1] * 3),
            "steps and relative_errors must have the same shape",
        ),
        (lambda: trade_off.advised_batch_size(np.inf), "critical must be finite"),
        (lambda: trade_off.advised_batch_size(9, excess=0), "excess must be positive, got 0"),
        (lambda: trade_off.advised_batch_size(9, low=8, high=4), "high must be an integer of at least 8"),
    ],
)
def test_invalid_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
