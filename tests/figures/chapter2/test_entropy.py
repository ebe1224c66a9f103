"""Oracles: integer binomial coefficients, SciPy's entropy, and the data of the drawn lines."""

import math

import numpy as np
import pytest
import scipy.stats
from matplotlib.figure import Figure

from curvezoo.figures.chapter2 import entropy


@pytest.mark.equation("2.1.8")
@pytest.mark.equation("2.1.9")
def test_rates_of_a_coin_are_exact_and_approach_its_entropy_from_below():
    previous = -np.inf
    for tosses in (16, 64, 512):
        p, rates = entropy.measure(tosses)
        exact = [math.log(math.comb(tosses, k)) / tosses for k in range(tosses + 1)]
        np.testing.assert_allclose(rates, exact, rtol=1e-12, atol=1e-14)
        limit = scipy.stats.entropy([p, 1 - p])
        assert np.all(rates <= limit + 1e-14)
        np.testing.assert_allclose(rates, limit, atol=np.log(tosses + 1) / tosses)
        assert rates[tosses // 4] > previous
        previous = rates[tosses // 4]


def test_figure_shows_the_entropy_and_the_rate_of_each_number_of_tosses():
    figure = entropy.draw()
    assert isinstance(figure, Figure)
    lines = {line.get_label(): line.get_xydata() for line in figure.axes[0].lines}
    curve = lines[r"entropy $S_{bit}(p)$"]
    np.testing.assert_allclose(curve[:, 1], scipy.stats.entropy([curve[:, 0], 1 - curve[:, 0]]), atol=1e-14)
    for tosses in entropy.TOSSES:
        np.testing.assert_array_equal(lines[f"$N$ = {tosses}"], np.transpose(entropy.measure(tosses)))
