"""Oracles: SciPy's gamma and normal distributions."""

import numpy as np
import pytest
from scipy import stats

from curvezoo.figures.chapter3 import central_limit
from curvezoo.figures.chapter3.normalized_sums import laws, normalized_sum


@pytest.mark.equation("3.2.10")
@pytest.mark.equation("3.2.14")
def test_normalized_sums_of_exponentials_are_gamma_and_approach_the_gaussian():
    distances = []
    for count in central_limit.COUNTS:
        y, density = normalized_sum(laws()["exponential"], count)
        root = np.sqrt(count)
        np.testing.assert_allclose(density, root * stats.gamma(count).pdf(count + root * y), atol=5e-3)
        width = y[1] - y[0]
        assert density.sum() * width == pytest.approx(1, abs=1e-9)
        distances.append(0.5 * width * np.sum(np.abs(density - stats.norm.pdf(y))))
    # The total variation falls as 1 / sqrt(N), like the third cumulant: by a factor of 2 from 4 to 16 copies.
    assert distances == sorted(distances, reverse=True)
    assert distances[2] / distances[3] == pytest.approx(2, rel=0.1)


def test_figure_shows_the_densities_with_the_gaussian():
    figure = central_limit.draw()
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["exponential", "bimodal", "uniform"]
    for axis in figure.axes:
        *sums, gaussian = axis.lines
        assert len(sums) == len(central_limit.COUNTS)
        y = gaussian.get_xdata()
        np.testing.assert_array_equal(gaussian.get_ydata(), stats.norm.pdf(y))
        gaps = [np.max(np.abs(np.interp(y, *line.get_data()) - stats.norm.pdf(y))) for line in sums]
        assert gaps[-1] == min(gaps) < 0.1
