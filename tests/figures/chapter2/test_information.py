"""Oracles: integer binomials, SciPy's binomial distribution, and the data held by the drawn lines."""

import math

import numpy as np
import pytest
import scipy.stats
from matplotlib.figure import Figure

from curvezoo.figures.chapter2 import information


@pytest.mark.equation("2.1.8")
@pytest.mark.equation("2.1.9")
def test_rates_of_a_coin_are_exact_and_approach_its_entropy_from_below():
    previous = -np.inf
    for tosses in (16, 64, 512):
        p, rates = information.coin_rates(tosses)
        exact = [math.log(math.comb(tosses, k)) / tosses for k in range(tosses + 1)]
        np.testing.assert_allclose(rates, exact, rtol=1e-12, atol=1e-14)
        entropy = scipy.stats.entropy([p, 1 - p])
        assert np.all(rates <= entropy + 1e-14)
        np.testing.assert_allclose(rates, entropy, atol=np.log(tosses + 1) / tosses)
        assert rates[tosses // 4] > previous
        previous = rates[tosses // 4]


@pytest.mark.equation("2.3.1")
@pytest.mark.parametrize("model", information.MODELS)
def test_rates_of_a_model_are_exact_and_approach_minus_the_divergence(model):
    tosses, p = np.array([5, 100, 10_000]), 0.2
    rates, limit = information.probability_rates(p, model, tosses)
    np.testing.assert_allclose(
        rates, scipy.stats.binom.logpmf(tosses // 5, tosses, model) / tosses, rtol=1e-10
    )
    assert limit == pytest.approx(-scipy.stats.entropy([p, 1 - p], [model, 1 - model]), rel=1e-13)
    assert np.all(np.diff(limit - rates) < 0) and 0 < limit - rates[-1] < 6e-4


def test_the_entropy_figure_draws_the_curve_above_every_point():
    figure = information.draw_entropy()
    assert isinstance(figure, Figure)
    drawn = {line.get_label(): line.get_xydata() for line in figure.axes[0].lines}
    curve = drawn[r"entropy $S_{bit}(p)$"]
    np.testing.assert_allclose(curve[:, 1], scipy.stats.entropy([curve[:, 0], 1 - curve[:, 0]]), atol=1e-14)
    for tosses in information.TOSSES:
        np.testing.assert_array_equal(drawn[f"$N$ = {tosses}"], np.transpose(information.coin_rates(tosses)))


def test_the_rate_figure_draws_each_model_with_its_limit_and_one_gap_for_all():
    rates, gaps = information.draw_kl_rate().axes
    points, limits = rates.lines[::2], rates.lines[1::2]
    for model, marks, line in zip(information.MODELS, points, limits, strict=True):
        exact, limit = information.probability_rates(information.FREQUENCY, model, marks.get_xdata())
        np.testing.assert_array_equal(marks.get_ydata(), exact)
        np.testing.assert_array_equal(line.get_ydata(), limit)
    *models, correction = (line.get_ydata() for line in gaps.lines)
    for gap in models:
        # The rest of Stirling's formula is below 1 / (12 p N) + 1 / (12 (1 - p) N), per toss.
        rest = (1 / 0.2 + 1 / 0.8) / 12 / gaps.lines[0].get_xdata() ** 2
        assert np.all(np.abs(gap - correction) < rest + 1e-12)
