"""Products of position vectors against the sum of cosines."""

import numpy as np

from curvezoo.figures.chapter5 import positions


def test_sinusoidal_and_rotary_products_are_the_same_sum_of_cosines():
    distances = np.arange(9)[:, None]
    expected = np.cos(distances / 10_000 ** (2 * np.arange(4) / 8)).mean(axis=1)
    np.testing.assert_allclose(positions.products(8, 9), expected, atol=1e-12)
    np.testing.assert_allclose(positions.rotary_scores(8, 9), expected, atol=1e-12)


def test_the_figure_shows_lines_and_points_of_each_size():
    figure = positions.plot(8, (2, 4, 8), 9)
    lines = figure.axes[1].lines
    np.testing.assert_array_equal(lines[-2].get_ydata(), positions.products(8, 9))
    np.testing.assert_array_equal(lines[-1].get_ydata(), positions.rotary_scores(8, 9)[::4])
    assert len(lines) == 6
