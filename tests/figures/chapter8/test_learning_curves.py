import numpy as np
import pytest
import scipy.stats

from curvezoo.figures.chapter8 import learning_curves as figure
from curvezoo.publishing.page import learning_curves


def test_the_band_is_students_interval_of_the_mean_over_agents():
    steps = np.linspace(0, 10, 11)
    curves = [np.stack([steps, steps * slope], axis=1) for slope in (1.0, 2.0, 4.0)]
    grid, mean, width = learning_curves.band(curves, points=5)
    np.testing.assert_allclose(mean, grid * 7 / 3)
    error = scipy.stats.sem([1, 2, 4]) * scipy.stats.t.ppf(0.975, 2)
    np.testing.assert_allclose(width, grid * error)


def test_a_single_agent_has_no_band_and_undefined_returns_are_left_out():
    curve = np.array([[1.0, np.nan], [2.0, 5.0], [4.0, 9.0]])
    grid, mean, width = learning_curves.band([curve], points=3)
    np.testing.assert_allclose(grid, [2, 3, 4])
    np.testing.assert_allclose(mean, [5, 7, 9])
    assert not width.any()


def test_the_figure_draws_what_the_agents_logged():
    settings = {"hidden": (8,), "rollout": 32, "minibatch": 64, "epochs": 1}
    curves = figure.measure(512, seeds=2, copies=4, agents={"PPO": ("PPO", settings)})
    assert [curve[:, 0].tolist() for curve in curves["PPO"]] == [[128, 256, 384, 512]] * 2
    axes = figure.plot(curves).axes[0]
    _, mean, _ = learning_curves.band(curves["PPO"])
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), mean)
    assert 8 < curves["PPO"][0][-1, 1] < 200


@pytest.mark.parametrize("label", figure.AGENTS)
def test_the_settings_of_the_figure_are_valid(label):
    from curvezoo.agents.settings import ALGORITHMS

    name, settings = figure.AGENTS[label]
    assert ALGORITHMS[name](**settings).algorithm == name
