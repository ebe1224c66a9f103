"""Oracles: the bounds of the contraction, and the data of the drawn artists."""

import numpy as np
import pytest

from curvezoo.figures.chapter8 import contraction


@pytest.fixture(scope="module")
def panels():
    return [
        contraction.measure("lake", contraction.frozen_lake(), sweeps=40),
        contraction.measure("random", contraction.random_process(states=12), sweeps=40),
    ]


@pytest.mark.equation("8.3.4")
def test_errors_stay_below_both_bounds_and_the_random_process_attains_the_rate(panels):
    for panel in panels:
        guarantee = panel.values[0] * contraction.DISCOUNT ** np.arange(41)
        assert np.all(panel.values <= guarantee * (1 + 1e-9))
        assert np.all(panel.values[1:] <= panel.bounds * (1 + 1e-9))
    assert panels[1].values[-1] > 0.2 * guarantee[-1]
    assert panels[0].values[-1] < 0.2 * panels[0].values[0] * contraction.DISCOUNT**40


def test_policy_iteration_is_done_after_a_few_steps_and_value_iteration_is_not(panels):
    for panel in panels:
        assert len(panel.policies) <= 8
        assert panel.policies[-1] < 1e-12
        assert panel.values[-1] > 1e-4
        assert 0 < panel.optimal < 40


def test_figure_shows_the_errors(panels):
    figure = contraction.plot(panels)
    for axis, panel in zip(figure.axes, panels, strict=True):
        drawn = [line.get_ydata() for line in axis.lines]
        assert any(np.array_equal(each, panel.values) for each in drawn)
        assert any(np.array_equal(each, panel.bounds) for each in drawn)
