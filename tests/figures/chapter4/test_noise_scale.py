"""Oracles: the closed forms of Eqs. 4.5.6 and 4.5.7, and the data of the drawn artists."""

import numpy as np
import pytest

from curvezoo.figures.chapter4 import noise_scale


@pytest.mark.equation("4.5.6")
@pytest.mark.equation("4.5.7")
@pytest.mark.parametrize("seed", [0, 1])
def test_simulated_steps_and_gains_saturate_as_the_closed_forms_do(seed):
    result = noise_scale.measure(np.geomspace(0.05, 50, 7), repeats=3000, seed=seed)
    expected = 1 / (1 + 1 / result.ratios)
    assert np.all(np.abs(result.steps - expected) < 5 * result.step_errors)
    assert np.all(np.abs(result.gains - expected) < 5 * result.gain_errors)
    # The errors are small enough to distinguish the curve from both of its limits.
    middle = np.argmin(np.abs(np.log(result.ratios)))
    assert result.gains[middle] + 20 * result.gain_errors[middle] < min(result.ratios[middle], 1)


def test_figure_shows_points_with_the_closed_form():
    result = noise_scale.measure((0.1, 1, 10), repeats=100)
    figure = noise_scale.plot(result)
    for axis, values in zip(figure.axes, (result.steps, result.gains), strict=True):
        points = axis.containers[0].lines[0]
        np.testing.assert_array_equal(points.get_xydata(), np.stack([result.ratios, values], axis=1))
        curve = next(line for line in axis.lines if line.get_label().startswith("$1"))
        x, y = curve.get_data()
        np.testing.assert_allclose(y, x / (1 + x), rtol=1e-12)
