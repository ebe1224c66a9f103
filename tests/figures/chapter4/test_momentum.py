"""Oracle: the roots of the characteristic polynomial."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from curvezoo.figures.chapter4 import momentum


def test_the_map_holds_the_rate_of_each_learning_rate_and_momentum():
    steps, momenta, rates = momentum.measure(41)
    for i, j in ((0, 5), (20, 30), (40, 3)):
        roots = np.roots([1, -(1 + momenta[i] - steps[j]), momenta[i]])
        assert rates[i, j] == pytest.approx(np.abs(roots).max(), abs=1e-7)


def test_figure_shows_the_plateaus_of_momentum():
    figure = momentum.draw()
    assert isinstance(figure, Figure)
    plateaus = [line.get_ydata()[0] for line in figure.axes[0].lines if line.get_marker() == "o"]
    np.testing.assert_allclose(plateaus, np.sqrt(momentum.MOMENTA))
