"""Oracles: closed forms of the largest of Gaussians, exact biases, and returns of mean zero."""

import numpy as np
import pytest

from curvezoo.figures.chapter8 import overestimation


@pytest.fixture(scope="module")
def learned():
    return {double: overestimation.measure(double, steps=2000) for double in (False, True)}


def test_the_largest_of_two_and_three_gaussians_have_the_known_means():
    assert abs(overestimation.largest(1)) < 1e-9
    assert np.isclose(overestimation.largest(2), 1 / np.sqrt(np.pi), rtol=1e-8)
    assert np.isclose(overestimation.largest(3), 1.5 / np.sqrt(np.pi), rtol=1e-8)


@pytest.mark.parametrize("spread", [0.0, 0.5, 2.0])
def test_simulated_biases_are_the_exact_ones(spread):
    for count in (1, 2, 9):
        means, errors = overestimation.simulate(count, spread, seed=count)
        assert np.all(np.abs(means - overestimation.exact(count, spread)) < 4.5 * errors)


def test_values_of_dqn_exceed_its_returns_and_those_of_double_dqn_do_so_less(learned):
    gaps = {double: (each.values - each.returns)[-3:].mean() for double, each in learned.items()}
    assert gaps[False] > 1.0
    assert gaps[True] < gaps[False] / 1.5
    # All expected returns are zero; the standard deviation of the mean is 0.18.
    assert all(np.abs(each.returns).max() < 1 for each in learned.values())


def test_the_figure_shows_the_differences(learned):
    _, axis = overestimation.plot(learned).axes
    lines = [line.get_ydata() for line in axis.lines]
    for each in learned.values():
        assert any(np.array_equal(each.values - each.returns, line) for line in lines)
