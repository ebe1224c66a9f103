import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy import stats

from curvezoo.figures.chapter3 import cumulants

# Cumulants 3 to 5 over the power of the variance.
EXACT = {"exponential": (2, 6, 24), "laplace": (0, 3, 0), "uniform": (0, -1.2, 0)}


@pytest.mark.equation("3.2.14")
@pytest.mark.parametrize("name", cumulants.laws())
def test_convolved_densities_have_the_predicted_cumulants(name):
    measured, predicted = cumulants.measure(cumulants.laws()[name])
    np.testing.assert_allclose(measured[:, 1:3], predicted[:, 1:3], atol=1e-9)
    np.testing.assert_allclose(measured[:, 3:], predicted[:, 3:], rtol=1e-5, atol=1e-8)
    counts = np.array(cumulants.SCALING_COUNTS)
    for n in cumulants.ORDERS:
        np.testing.assert_allclose(predicted[:, n], predicted[0, n] * counts ** (1 - n / 2), rtol=1e-9)


@pytest.mark.parametrize("name", EXACT)
def test_cells_carry_the_cumulants_of_the_law(name):
    _, predicted = cumulants.measure(cumulants.laws()[name], counts=(1,))
    np.testing.assert_allclose(predicted[0, 3:], EXACT[name], rtol=2e-3, atol=1e-9)


@pytest.mark.equation("3.2.10")
@pytest.mark.equation("3.2.14")
def test_normalized_sums_of_exponentials_are_gamma_and_approach_the_gaussian():
    distances = []
    for count in cumulants.DENSITY_COUNTS:
        y, density = cumulants.normalized_sum(cumulants.laws()["exponential"], count)
        root = np.sqrt(count)
        np.testing.assert_allclose(density, root * stats.gamma(count).pdf(count + root * y), atol=5e-3)
        width = y[1] - y[0]
        assert density.sum() * width == pytest.approx(1, abs=1e-9)
        distances.append(0.5 * width * np.sum(np.abs(density - stats.norm.pdf(y))))
    # The total variation falls as 1 / sqrt(N), as the third cumulant: by 2 from 4 to 16 copies.
    assert distances == sorted(distances, reverse=True)
    assert distances[2] / distances[3] == pytest.approx(2, rel=0.1)


def test_the_scaling_is_drawn_as_measured():
    figure = cumulants.draw_scaling()
    assert isinstance(figure, Figure)
    measured, predicted = cumulants.measure(cumulants.laws()["exponential"])
    for axis, n in zip(figure.axes, cumulants.ORDERS, strict=True):
        assert (axis.get_xscale(), axis.get_yscale()) == ("log", "log")
        line, points = axis.lines[:2]
        np.testing.assert_array_equal(points.get_ydata(), np.abs(measured[:, n]))
        np.testing.assert_array_equal(line.get_ydata(), np.abs(predicted[:, n]))
    # The symmetric laws, whose odd cumulants are rounding, are drawn at the fourth order only.
    curves = [sum(len(line.get_xdata()) > 0 for line in axis.lines) for axis in figure.axes]
    assert curves == [4, 8, 4]


def test_the_densities_are_drawn_with_the_gaussian():
    figure = cumulants.draw_densities()
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["exponential", "two bumps", "uniform"]
    for axis in figure.axes:
        *sums, gaussian = axis.lines
        assert len(sums) == len(cumulants.DENSITY_COUNTS)
        y = gaussian.get_xdata()
        np.testing.assert_array_equal(gaussian.get_ydata(), stats.norm.pdf(y))
        gaps = [np.max(np.abs(np.interp(y, *line.get_data()) - stats.norm.pdf(y))) for line in sums]
        assert gaps[-1] == min(gaps) < 0.1
