import numpy as np
import pytest
from matplotlib.figure import Figure

from curvezoo.figures.chapter4 import descent
from curvezoo.theory import three_stage


def test_the_map_has_the_rate_of_each_learning_rate_and_momentum():
    steps, momenta, rates = descent.rates_map(41)
    for i, j in ((0, 5), (20, 30), (40, 3)):
        roots = np.roots([1, -(1 + momenta[i] - steps[j]), momenta[i]])
        assert rates[i, j] == pytest.approx(np.abs(roots).max(), abs=1e-7)


def test_searched_rates_lie_on_the_laws():
    best = descent.best_rates((20.0,))
    for stages in descent.STAGES:
        interval = three_stage.effective_condition(best.interval[stages][0])
        assert interval == pytest.approx(20 ** (1 / min(stages, 2)), rel=0.01)
        assert three_stage.effective_condition(best.pair[stages][0]) == pytest.approx(
            20 ** (1 / stages), rel=0.01
        )


def test_between_two_eigenvalues_momentum_is_flat_and_the_cube_root_rule_diverges():
    curvature, rates = descent.rates_between(100.0, 101)
    np.testing.assert_allclose(rates[2], 9 / 11, rtol=1e-6)
    np.testing.assert_allclose(rates[1], np.abs(1 - curvature * 200 / 101), rtol=1e-9, atol=1e-12)
    assert rates[3][[0, -1]] == pytest.approx(three_stage.root_rate(100, 3), rel=1e-4)
    assert rates[3].max() > 1.1


def test_bowls_of_all_curvatures_are_one_for_rmsprop_and_straight_for_the_modulus():
    paths = descent.bowls(curvatures=(1.0, 8.0), start=60.5, steps=90)
    np.testing.assert_allclose(paths["SGD"][3], 60.5 * np.array([7 / 8, 0]) ** 3, rtol=1e-12)
    np.testing.assert_allclose(paths["RMSProp"][:, 0], paths["RMSProp"][:, 1], rtol=1e-9)
    np.testing.assert_allclose(np.abs(paths["SGD on |theta|"][:61, 0]), np.abs(60.5 - np.arange(61)))
    np.testing.assert_allclose(np.abs(paths["SGD on |theta|"][61:, 0]), 0.5)


def test_figures_draw_the_numbers():
    figure = descent.draw_momentum()
    assert isinstance(figure, Figure)
    plateaus = [line.get_ydata()[0] for line in figure.axes[0].lines if line.get_marker() == "o"]
    np.testing.assert_allclose(plateaus, np.sqrt(descent.MOMENTA))
    paths = descent.bowls()
    drawn = [line.get_ydata() for line in descent.draw_rmsprop().axes[0].lines]
    for expected in (paths["RMSProp"][:, 0], paths["SGD"][:, 1], paths["SGD on |theta|"][:, 0]):
        assert any(np.array_equal(np.ravel(y), np.abs(expected)) for y in drawn)


def test_the_figure_of_stages_draws_the_searched_rules_beside_the_laws():
    left, right = descent.draw_three_stage().axes
    squares = [line.get_ydata() for line in left.lines if line.get_marker() == "s"]
    np.testing.assert_allclose(squares[0], np.sqrt([10, 100, 1000]), rtol=0.01)
    diamonds = [line.get_ydata() for line in left.lines if line.get_marker() == "D"]
    np.testing.assert_allclose(diamonds[0], np.sqrt([10, 100, 1000]), rtol=0.02)
    np.testing.assert_allclose(diamonds[1], np.cbrt([10, 100, 1000]), rtol=0.02)
    _, rates = descent.rates_between()
    assert any(np.array_equal(line.get_ydata(), rates[3]) for line in right.lines)
