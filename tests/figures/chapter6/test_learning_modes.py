"""Oracle: averages over random teachers and noise."""

import numpy as np
import pytest

from curvezoo.figures.chapter6 import learning_modes


@pytest.mark.equation("6.0.13")
@pytest.mark.equation("6.0.14")
def test_averaged_modes_follow_the_two_terms():
    errors = learning_modes.measure(repeats=1000, points=9)
    expected = errors.signal + errors.overfitting
    # The squares of Gaussians have a relative standard error of sqrt(2 / 1000).
    np.testing.assert_allclose(errors.measured, expected, rtol=4 * np.sqrt(2 / 1000))
    assert np.all(errors.signal[0] == 1) and np.all(errors.overfitting[0] == 0)
    assert errors.overfitting[1, -1] == pytest.approx(learning_modes.NOISE**2 / 0.01)


def test_figure_shows_the_lowest_error_of_each_mode_as_a_star():
    errors = learning_modes.measure(repeats=2, points=3000)
    left, right = learning_modes.plot(errors).axes
    stars = [line.get_xydata()[0] for line in left.lines if line.get_marker() == "*"]
    total = (errors.signal + errors.overfitting)[1:]
    np.testing.assert_allclose([y for _, y in stars], total.min(axis=1), rtol=1e-4)
    np.testing.assert_allclose([x for x, _ in stars], errors.times[total.argmin(axis=1)], rtol=0.02)
    assert len(right.lines) == 2 * len(errors.eigenvalues)
