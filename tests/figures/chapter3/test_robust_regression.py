import numpy as np
import pytest

from curvezoo.figures.chapter3 import robust_regression
from curvezoo.figures.chapter3.robust_regression_measurement import LOSSES, NO_MEAN, NOISES, measure


@pytest.fixture(scope="module")
def drawn():
    result = measure(points=40, replicates=20)
    return result, robust_regression.draw(result)


def test_the_panels_hold_the_data_and_the_fitted_lines(drawn):
    result, figure = drawn
    for panel, noise in zip(figure.axes[:3], NOISES, strict=True):
        x, y, lines = result.examples[noise]
        points, truth, *fits = panel.lines
        shown = np.isin(y, points.get_ydata())
        low, high = panel.get_ylim()
        np.testing.assert_array_equal(shown, (y > low) & (y < high))
        notes = [text.get_text() for text in panel.texts]
        hidden = np.count_nonzero(~shown)
        assert notes == ([f"{hidden} of 40 points outside"] if hidden else [])
        np.testing.assert_allclose(truth.get_ydata(), 1.0 + 2.0 * x)
        for line, (intercept, slope) in zip(fits, lines.values(), strict=True):
            np.testing.assert_allclose(line.get_ydata(), intercept + slope * x)


def test_the_heat_maps_hold_the_measured_numbers(drawn):
    result, figure = drawn
    ratio, excess = figure.axes[4], figure.axes[5]
    pairs = [(noise, name) for noise in NOISES for name in LOSSES]
    for pair, text in zip(pairs, ratio.texts, strict=True):
        value = result.cells[pair].rms / result.bounds[pair[0]]
        assert text.get_text() == ("no mean" if pair in NO_MEAN else f"{value:.2f}")
    for (noise, name), text in zip(pairs, excess.texts, strict=True):
        best = min(result.cells[noise, other].nll for other in LOSSES)
        assert float(text.get_text()) == pytest.approx(result.cells[noise, name].nll - best, abs=6e-4)
    for panel in (ratio, excess):
        frames = [patch.get_xy() for patch in panel.patches]
        assert frames == [(i - 0.5, i - 0.5) for i in range(3)]


def test_the_losses_of_one_residual_are_drawn_from_their_minimum(drawn):
    panel = drawn[1].axes[3]
    expected = (lambda z: z**2 / 2, np.abs, lambda z: np.log1p(z**2), huber)
    for line, function in zip(panel.lines, expected, strict=True):
        z = line.get_xdata()
        np.testing.assert_allclose(line.get_ydata(), function(z), atol=1e-12)


def huber(z):
    return np.where(np.abs(z) < 1.345, z**2 / 2, 1.345 * np.abs(z) - 1.345**2 / 2)
