"""Oracle: SciPy's entropy."""

import numpy as np
import pytest
from scipy.stats import entropy

from curvezoo.figures.chapter2 import perplexity
from curvezoo.theory.perplexity import gaussian_probabilities


@pytest.fixture(scope="module")
def result():
    return perplexity.measure(perplexity=12, points=50)


@pytest.mark.equation("2.6.4")
def test_sparser_clusters_have_wider_gaussians_at_the_same_perplexity(result):
    p = gaussian_probabilities(result.points, np.sqrt(2) * result.widths)
    np.testing.assert_allclose(np.exp(entropy(p, axis=1)), 12, rtol=1e-5)
    widths = [np.median(result.widths[result.clusters == k]) for k in range(3)]
    # Each cluster is three times as wide as the one before, up to sampling errors.
    np.testing.assert_allclose(np.diff(np.log(widths)), np.log(3), atol=0.25)
    # The curves pass through the marked points, start at one neighbor and end at all of them.
    for i, curve in zip(result.centers, result.curves, strict=True):
        crossing = np.exp(np.interp(np.log(12), np.log(curve), np.log(result.grid)))
        assert crossing == pytest.approx(result.widths[i], rel=0.02)
        assert curve[0] == pytest.approx(1, abs=0.3)
        assert curve[-1] == pytest.approx(149, rel=0.02)


def test_figure_shows_the_widths_as_radii(result):
    cloud, curves = perplexity.plot(result).axes
    circles = cloud.collections[1]
    np.testing.assert_allclose(circles.get_widths() / 2, result.widths[::8])
    np.testing.assert_array_equal(circles.get_offsets(), result.points[::8])
    assert len(curves.get_lines()) == 8
