"""The lines of the plots of language models."""

import numpy as np

from curvezoo.publishing.page.language import loss_by_position


def test_the_curve_is_the_mean_over_windows_and_the_band_two_standard_errors():
    nats = np.random.default_rng(0).random((50, 7))
    [axis] = loss_by_position(nats).axes
    curve, mean = axis.lines
    np.testing.assert_array_equal(curve.get_xdata(), np.arange(1, 8))
    np.testing.assert_allclose(curve.get_ydata(), nats.mean(axis=0))
    np.testing.assert_allclose(mean.get_ydata(), nats.mean())
    corners = axis.collections[0].get_paths()[0].vertices
    error = 2 * nats.std(axis=0, ddof=1) / np.sqrt(50)
    for position, low, high in zip(range(1, 8), nats.mean(0) - error, nats.mean(0) + error, strict=True):
        there = corners[corners[:, 0] == position, 1]
        np.testing.assert_allclose([there.min(), there.max()], [low, high])


def test_a_single_window_has_no_band():
    assert not loss_by_position(np.ones((1, 4))).axes[0].collections
