import numpy as np
import pytest
from matplotlib.figure import Figure

from curvezoo.figures.chapter2 import die


def points(panel):
    """Returns the data of the lines drawn with dots, [curve] of [2, points]."""
    return [np.array(line.get_data()) for line in panel.lines if line.get_marker() == "o"]


@pytest.mark.equation("2.4.3")
def test_loaded_dice_have_their_means_and_log_linear_probabilities():
    dice = die.measure()
    np.testing.assert_allclose(dice.probabilities @ die.FACES, dice.means, atol=1e-12)
    slopes = np.diff(np.log(dice.probabilities), axis=1)
    np.testing.assert_allclose(slopes, -dice.betas[:, None] * np.ones(5), rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(die.mean_throw(dice.betas), dice.means, atol=1e-12)
    # Replacing each face E by 7 - E changes the sign of beta.
    np.testing.assert_allclose(dice.betas, -dice.betas[::-1], atol=1e-12)


def test_figure_shows_probabilities_and_multipliers():
    dice, figure = die.measure(), die.draw()
    assert isinstance(figure, Figure)
    faces, betas = figure.axes
    for curve, p in zip(points(faces), dice.probabilities, strict=True):
        np.testing.assert_array_equal(curve, [die.FACES, p])
    np.testing.assert_array_equal(np.concatenate(points(betas), axis=1), [dice.means, dice.betas])
    mean, beta = betas.lines[0].get_data()
    assert np.interp(4.5, mean[::-1], beta[::-1]) == pytest.approx(-0.37105, abs=1e-3)
