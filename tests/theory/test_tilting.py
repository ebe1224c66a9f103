"""Oracles: closed forms, and bisection in 50 digits."""

import decimal

import numpy as np
import pytest

from curvezoo.theory import tilting


def exact_tilt(values, mean, weights):
    """Returns beta from the plain condition on the mean, by bisection in 50 digits."""
    with decimal.localcontext(prec=50):
        deviations = [decimal.Decimal(x) - decimal.Decimal(mean) for x in values]
        low, high = decimal.Decimal(-100), decimal.Decimal(100)
        for _ in range(130):
            beta = (low + high) / 2
            terms = (
                decimal.Decimal(w) * d * (-beta * d).exp() for d, w in zip(deviations, weights, strict=True)
            )
            low, high = (beta, high) if sum(terms) > 0 else (low, beta)
        return float(low)


@pytest.mark.parametrize("distance", [1e-300, 1e-12, 1e-6, 0.3, 0.5])
def test_two_numbers_have_the_closed_form_at_any_distance_from_an_end(distance):
    expected = np.log1p(-distance) - np.log(distance)
    assert tilting.tilt([0.0, 1.0], distance, [1.0, 1.0]) == pytest.approx(expected, rel=1e-14, abs=1e-15)
    assert tilting.tilt([-1.0, 0.0], -distance, [1.0, 1.0]) == pytest.approx(-expected, rel=1e-14, abs=1e-15)
    # With a weight w of the upper number, beta is larger by log w.
    assert tilting.tilt([0.0, 1.0], distance, [1.0, 3.0]) == pytest.approx(expected + np.log(3), rel=1e-14)


@pytest.mark.parametrize("mean", [-1.9, -0.4, 0.2, 1.7, 2.4999])
def test_a_few_weighted_numbers_match_a_root_in_60_digits(mean):
    values, weights = [-2.0, -1.5, 0.0, 0.25, 2.5], [0.5, 2.0, 1e-3, 4.0, 1.0]
    expected = exact_tilt(values, mean, weights)
    assert tilting.tilt(values, mean, weights) == pytest.approx(expected, rel=1e-13, abs=0)
    for unit in (1e-200, 1e200):
        scaled = tilting.tilt(np.array(values) * unit, mean * unit, weights)
        assert scaled == pytest.approx(expected / unit, rel=1e-12, abs=0)


def test_scales_twelve_orders_apart_are_resolved():
    # (1 - exp(-b)) / 2 = (1e12 - 1/2) exp(-1e12 b), so b is about 2e12 exp(-1e12 b).
    beta = tilting.tilt([0.0, 1.0, 1e12], 0.5, np.ones(3))
    assert beta == pytest.approx(2e12 * np.exp(-1e12 * beta), rel=1e-4, abs=0)
    assert 5e-11 < beta < 5.4e-11


def test_only_the_ends_are_infinite_and_equal_numbers_need_no_tilt():
    ones = np.ones(3)
    assert tilting.tilt([1.0, 2.0, 4.0], 1.0, ones) == np.inf
    assert tilting.tilt([1.0, 2.0, 4.0], 4.0, ones) == -np.inf
    assert np.isfinite(tilting.tilt([1.0, 2.0, 4.0], np.nextafter(1.0, 2), ones))
    assert np.isfinite(tilting.tilt([1.0, 2.0, 4.0], np.nextafter(4.0, 2), ones))
    assert tilting.tilt([3.0, 3.0, 3.0], 3.0, ones) == 0
    # The difference of the numbers is above the largest float.
    assert tilting.tilt([-1.7e308, 1.7e308], 0.0, ones[:2]) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tilting.tilt([], 0, []), "values must contain at least one number, got none"),
        (lambda: tilting.tilt([1, 2], 3, [1, 1]), "mean must be between 1 and 2, got 3"),
        (lambda: tilting.tilt([1, 2], 1.5, [1, 0]), r"weights\[1\] must be positive, got 0"),
        (lambda: tilting.tilt([1, 2], 1.5, [1]), r"same shape, got \(2,\) and \(1,\)"),
        (lambda: tilting.tilt([1, np.inf], 1.5, [1, 1]), r"values\[1\] must be finite"),
    ],
)
def test_invalid_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
