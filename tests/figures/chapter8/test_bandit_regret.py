"""Oracles: the closed form of the lower bound, and the data of the drawn artists."""

import numpy as np
import pytest

from curvezoo.figures.chapter8 import bandit_regret


@pytest.fixture(scope="module")
def panels():
    return bandit_regret.measure(steps=300, runs=20)


def test_all_strategies_play_both_kinds_of_rewards_and_learn(panels):
    for panel in panels:
        assert len(panel.curves) == 5
        for regrets in panel.curves.values():
            assert regrets.shape == (20, 300)
            # A random arm loses 0.2 per step.
            assert 0 < regrets[:, -1].mean() < 0.8 * 0.2 * 300
            assert np.all(np.diff(regrets, axis=1) >= 0)


def test_the_slope_of_normal_arms_is_the_sum_of_two_variances_over_gaps(panels):
    assert panels[1].slope == pytest.approx(sum(2 * 0.25 / gap for gap in (0.1, 0.2, 0.3, 0.4)), rel=1e-12)


def test_figure_shows_the_means_and_the_slope(panels):
    figure = bandit_regret.plot(panels)
    for axis, panel in zip(figure.axes, panels, strict=True):
        *means, bound = [line.get_ydata() for line in axis.lines]
        for drawn, regrets in zip(means, panel.curves.values(), strict=True):
            np.testing.assert_array_equal(drawn, regrets.mean(axis=0))
        assert bound[-1] == pytest.approx(panel.slope * np.log(300))
