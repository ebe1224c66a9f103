import numpy as np
import pytest
from matplotlib.figure import Figure

from curvezoo.figures.chapter3 import gumbel
from curvezoo.theory import sampling


@pytest.mark.equation("3.5.3")
def test_frequencies_agree_with_the_softmax_within_their_errors():
    samples = gumbel.measure()
    np.testing.assert_allclose(samples.probabilities, sampling.softmax([1.0, 0.0, 0.6]), rtol=1e-12)
    assert np.all(np.abs(samples.frequencies - samples.probabilities) < 5 * samples.standard_errors)
    assert np.all(samples.standard_errors < 0.005)


@pytest.mark.equation("3.5.7")
def test_softened_samples_move_to_the_corners_and_keep_their_argmax():
    points = gumbel.measure().points
    low, *_, high = points.values()
    assert tuple(points) == gumbel.BETAS
    np.testing.assert_array_equal(low.argmax(axis=1), high.argmax(axis=1))
    assert np.mean(low.max(axis=1) > 0.99) < 0.01 < 0.7 < np.mean(high.max(axis=1) > 0.99)


def test_figure_shows_frequencies_samples_and_both_means():
    figure, samples = gumbel.draw(), gumbel.measure()
    assert isinstance(figure, Figure)
    bars, *triangles = figure.axes
    heights = [bar.get_height() for bar in bars.patches]
    np.testing.assert_allclose(heights, [*samples.probabilities, *samples.frequencies])
    for axis, points in zip(triangles, samples.points.values(), strict=True):
        x, y = axis.collections[0].get_offsets().T
        np.testing.assert_allclose(y, points[:, 2] * np.sqrt(3) / 2, atol=1e-12)
        np.testing.assert_allclose(x, points[:, 1] + points[:, 2] / 2, atol=1e-12)
        marks = {line.get_label(): line.get_xydata()[0, 1] for line in axis.lines}
        assert marks["$p$"] == pytest.approx(samples.probabilities[2] * np.sqrt(3) / 2)
        assert marks["mean of $f$"] == pytest.approx(points[:, 2].mean() * np.sqrt(3) / 2)
