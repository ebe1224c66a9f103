import numpy as np
import pytest
from matplotlib.figure import Figure

from curvezoo.figures.chapter2 import maxent


def drawn(panel, marker):
    """The points of a panel's lines with a marker, [curve] of [2, points]."""
    return [np.array(line.get_data()) for line in panel.lines if line.get_marker() == marker]


@pytest.mark.equation("2.4.3")
def test_loaded_dice_have_their_means_and_log_linear_weights():
    die = maxent.load_die()
    np.testing.assert_allclose(die.probabilities @ maxent.FACES, die.means, atol=1e-12)
    slopes = np.diff(np.log(die.probabilities), axis=1)
    np.testing.assert_allclose(slopes, -die.betas[:, None] * np.ones(5), rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(maxent.mean_throw(die.betas), die.means, atol=1e-12)
    # Faces turned over, mean 7 - mean: the same weights with the other sign.
    np.testing.assert_allclose(die.betas, -die.betas[::-1], atol=1e-12)


@pytest.mark.equation("2.4.8")
def test_solved_densities_are_the_closed_forms():
    solved = maxent.solve_densities()
    gaussian, laplace = solved["gaussian"], solved["laplace"]
    np.testing.assert_allclose(gaussian.density, gaussian.closed_form, atol=1e-12)
    # The grid of spacing 0.01 is off by its square over 12 or so at the kink, and by exp(-12) for its ends.
    np.testing.assert_allclose(laplace.density, laplace.closed_form, atol=1e-4)
    assert gaussian.density.max() < laplace.density.max()


def test_the_die_is_drawn_as_solved():
    die, figure = maxent.load_die(), maxent.draw_die()
    assert isinstance(figure, Figure)
    faces, betas = figure.axes
    for curve, p in zip(drawn(faces, "o"), die.probabilities, strict=True):
        np.testing.assert_array_equal(curve, [maxent.FACES, p])
    points = np.concatenate(drawn(betas, "o"), axis=1)
    np.testing.assert_array_equal(points, [die.means, die.betas])
    mean, beta = betas.lines[0].get_data()
    assert np.interp(4.5, mean[::-1], beta[::-1]) == pytest.approx(-0.37105, abs=1e-3)


def test_the_densities_are_drawn_as_solved_on_the_closed_forms():
    figure = maxent.draw_densities()
    linear, logarithmic = figure.axes
    assert (linear.get_yscale(), logarithmic.get_yscale()) == ("linear", "log")
    for panel in figure.axes:
        lines = [np.array(line.get_data()) for line in panel.lines if line.get_linestyle() == "-"]
        for (x, density), line in zip(drawn(panel, "o"), lines, strict=True):
            np.testing.assert_allclose(density, np.interp(x, *line), rtol=1e-3)
