"""Oracles: the exact mean over finite Gaussian inputs, and the data of the drawn artists."""

import numpy as np
import pytest

from curvezoo.figures.chapter6 import overfitting_peak
from curvezoo.theory.generalization import expected_final_test_error


@pytest.fixture(scope="module")
def peak():
    return overfitting_peak.measure(0.7, points=6, examples=20, repeats=30)


@pytest.mark.equation("6.0.14")
@pytest.mark.equation("6.0.15")
def test_simulated_students_have_the_exact_mean_error(peak):
    ratios, means, errors = peak.simulated
    for ratio, mean, error in zip(ratios, means, errors, strict=True):
        exact = expected_final_test_error(round(20 * ratio), 20, noise=0.7)
        # Within P = D +- 2 the variance of the error is infinite.
        if abs(ratio - 1) * 20 > 3:
            assert abs(mean - exact) < 5 * error


def test_only_infinite_time_has_the_peak(peak):
    nearest = np.argmin(np.abs(np.log(peak.ratios)))
    assert peak.final[nearest] > 50
    assert np.all(np.diff(peak.ridge) > 0)
    assert np.all((peak.ridge <= peak.stopped) & (peak.stopped < 1.05 * peak.ridge))
    assert peak.final[-1] < 1.02 * peak.stopped[-1]


def test_figure_shows_the_curves(peak):
    [axis] = overfitting_peak.plot([peak]).axes
    drawn = [line.get_xydata() for line in axis.lines]
    for errors in (peak.final, peak.stopped, peak.ridge):
        curve = np.stack([peak.ratios, errors], axis=1)
        assert any(np.array_equal(curve, line) for line in drawn)
