"""Oracles: the square and cube roots of the condition number, and the closed forms of SGD and momentum."""

import numpy as np
import pytest

from curvezoo.figures.chapter4 import three_stage
from curvezoo.theory.three_stage import effective_condition, root_rate


@pytest.fixture(scope="module")
def best():
    return three_stage.measure(iterations=150)


def test_the_rates_of_the_searched_rules_are_roots_of_the_condition_number(best):
    kappa = best.conditions
    for stages in three_stage.STAGES:
        interval = effective_condition(best.interval[stages])
        np.testing.assert_allclose(interval, kappa ** (1 / min(stages, 2)), rtol=0.01)
        np.testing.assert_allclose(effective_condition(best.pair[stages]), kappa ** (1 / stages), rtol=0.01)


def test_between_two_eigenvalues_momentum_is_flat_and_three_stages_diverge():
    curvature, rates = three_stage.rates_between(100.0, 101)
    np.testing.assert_allclose(rates[2], 9 / 11, rtol=1e-6)
    np.testing.assert_allclose(rates[1], np.abs(1 - curvature * 200 / 101), rtol=1e-9, atol=1e-12)
    assert rates[3][[0, -1]] == pytest.approx(root_rate(100, 3), rel=1e-4)
    assert rates[3].max() > 1.1


def test_figure_shows_the_searched_rules_and_the_rates_between(best):
    left, right = three_stage.plot(best).axes
    squares = [line.get_ydata() for line in left.lines if line.get_marker() == "s"]
    np.testing.assert_allclose(squares[0], np.sqrt([10, 100, 1000]), rtol=0.01)
    diamonds = [line.get_ydata() for line in left.lines if line.get_marker() == "D"]
    np.testing.assert_allclose(diamonds[0], np.sqrt([10, 100, 1000]), rtol=0.02)
    np.testing.assert_allclose(diamonds[1], np.cbrt([10, 100, 1000]), rtol=0.02)
    _, rates = three_stage.rates_between()
    assert any(np.array_equal(line.get_ydata(), rates[3]) for line in right.lines)
