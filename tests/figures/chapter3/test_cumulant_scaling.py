"""Oracle: the cumulants of the laws in closed form."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from curvezoo.figures.chapter3 import cumulant_scaling
from curvezoo.figures.chapter3.normalized_sums import laws

# Third to fifth cumulants of the standardized laws.
EXACT = {"exponential": (2, 6, 24), "laplace": (0, 3, 0), "uniform": (0, -1.2, 0)}


@pytest.mark.equation("3.2.14")
@pytest.mark.parametrize("name", laws())
def test_convolved_densities_have_the_predicted_cumulants(name):
    measured, predicted = cumulant_scaling.measure(laws()[name])
    np.testing.assert_allclose(measured[:, 1:3], predicted[:, 1:3], atol=1e-9)
    np.testing.assert_allclose(measured[:, 3:], predicted[:, 3:], rtol=1e-5, atol=1e-8)
    counts = np.array(cumulant_scaling.COUNTS)
    for n in cumulant_scaling.ORDERS:
        np.testing.assert_allclose(predicted[:, n], predicted[0, n] * counts ** (1 - n / 2), rtol=1e-9)


@pytest.mark.parametrize("name", EXACT)
def test_the_lattice_has_the_cumulants_of_the_law(name):
    _, predicted = cumulant_scaling.measure(laws()[name], counts=(1,))
    np.testing.assert_allclose(predicted[0, 3:], EXACT[name], rtol=2e-3, atol=1e-9)


def test_figure_shows_measured_and_predicted_cumulants():
    figure = cumulant_scaling.draw()
    assert isinstance(figure, Figure)
    measured, predicted = cumulant_scaling.measure(laws()["exponential"])
    for axis, n in zip(figure.axes, cumulant_scaling.ORDERS, strict=True):
        assert (axis.get_xscale(), axis.get_yscale()) == ("log", "log")
        line, points = axis.lines[:2]
        np.testing.assert_array_equal(points.get_ydata(), np.abs(measured[:, n]))
        np.testing.assert_array_equal(line.get_ydata(), np.abs(predicted[:, n]))
    # The odd cumulants of symmetric laws are rounding errors; only their fourth cumulant is drawn.
    curves = [sum(len(line.get_xdata()) > 0 for line in axis.lines) for axis in figure.axes]
    assert curves == [4, 8, 4]
