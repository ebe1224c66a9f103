"""Oracles: SciPy's binomial distribution and entropy, and the data of the drawn lines."""

import numpy as np
import pytest
import scipy.stats

from curvezoo.figures.chapter2 import kl_rate


@pytest.mark.equation("2.3.1")
@pytest.mark.parametrize("model", kl_rate.MODELS)
def test_rates_of_a_model_are_exact_and_approach_minus_the_divergence(model):
    tosses, p = np.array([5, 100, 10_000]), 0.2
    rates, limit = kl_rate.measure(p, model, tosses)
    np.testing.assert_allclose(
        rates, scipy.stats.binom.logpmf(tosses // 5, tosses, model) / tosses, rtol=1e-10
    )
    assert limit == pytest.approx(-scipy.stats.entropy([p, 1 - p], [model, 1 - model]), rel=1e-13)
    assert np.all(np.diff(limit - rates) < 0) and 0 < limit - rates[-1] < 6e-4


def test_figure_shows_each_model_with_its_limit_and_the_common_difference():
    rates, gaps = kl_rate.draw().axes
    points, limits = rates.lines[::2], rates.lines[1::2]
    for model, marks, line in zip(kl_rate.MODELS, points, limits, strict=True):
        exact, limit = kl_rate.measure(kl_rate.FREQUENCY, model, marks.get_xdata())
        np.testing.assert_array_equal(marks.get_ydata(), exact)
        np.testing.assert_array_equal(line.get_ydata(), limit)
    *models, correction = (line.get_ydata() for line in gaps.lines)
    for gap in models:
        # The rest of Stirling's formula is below 1 / (12 p N) + 1 / (12 (1 - p) N), per toss.
        rest = (1 / 0.2 + 1 / 0.8) / 12 / gaps.lines[0].get_xdata() ** 2
        assert np.all(np.abs(gap - correction) < rest + 1e-12)
