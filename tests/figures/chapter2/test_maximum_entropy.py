import numpy as np
import pytest

from curvezoo.figures.chapter2 import maximum_entropy


@pytest.mark.equation("2.4.8")
def test_solved_densities_are_the_closed_forms():
    densities = maximum_entropy.measure()
    gaussian, laplace = densities["gaussian"], densities["laplace"]
    np.testing.assert_allclose(gaussian.density, gaussian.closed_form, atol=1e-12)
    # The spacing of 0.01 costs about its square over 12 at the kink, the ends of the grid cost exp(-12).
    np.testing.assert_allclose(laplace.density, laplace.closed_form, atol=1e-4)
    assert gaussian.density.max() < laplace.density.max()


def test_figure_shows_the_solutions_on_the_closed_forms():
    figure = maximum_entropy.draw()
    linear, logarithmic = figure.axes
    assert (linear.get_yscale(), logarithmic.get_yscale()) == ("linear", "log")
    for panel in figure.axes:
        points = [np.array(line.get_data()) for line in panel.lines if line.get_marker() == "o"]
        lines = [np.array(line.get_data()) for line in panel.lines if line.get_linestyle() == "-"]
        for (x, density), line in zip(points, lines, strict=True):
            np.testing.assert_allclose(density, np.interp(x, *line), rtol=1e-3)
