import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from curvezoo.figures.chapter3 import transport


@pytest.fixture(scope="module")
def numbers():
    return transport.measure(points=20)


def test_the_exact_plan_is_the_best_assignment(numbers):
    cost = cdist(numbers.x, numbers.y) ** 2
    rows, columns = linear_sum_assignment(cost)
    assert numbers.exact.cost == pytest.approx(cost[rows, columns].mean(), rel=1e-10)


def test_sinkhorns_cost_is_above_the_exact_one_and_falls_to_it(numbers):
    assert np.all(np.diff(numbers.entropic) > 0)
    assert np.all(numbers.entropic > numbers.exact.cost * (1 - 1e-5))
    assert numbers.entropic[0] == pytest.approx(numbers.exact.cost, rel=0.05)
    # At large regularization everything goes everywhere.
    assert numbers.entropic[-1] == pytest.approx(np.mean(cdist(numbers.x, numbers.y) ** 2), rel=0.05)
    assert list(numbers.plans) == list(transport.PLANS)
    assert np.all(np.diff([plan.cost for plan in numbers.plans.values()]) > 0)


def test_the_divergence_falls_to_half_the_energy_distance(numbers):
    x, y = numbers.x, numbers.y
    energy = np.mean(cdist(x, y) ** 2) - np.mean(cdist(x, x) ** 2) / 2 - np.mean(cdist(y, y) ** 2) / 2
    # For squared distances that is the square of the distance of the means.
    assert energy == pytest.approx(np.sum((x.mean(axis=0) - y.mean(axis=0)) ** 2), rel=1e-9)
    assert np.all(np.diff(numbers.divergence) < 0)
    assert numbers.divergence[0] == pytest.approx(numbers.exact.cost, rel=0.05)
    assert energy < numbers.divergence[-1] < 0.3 * numbers.exact.cost


def test_the_figure_draws_the_plans_as_lines_and_the_costs_as_curves(numbers, monkeypatch):
    monkeypatch.setattr(transport, "measure", lambda: numbers)
    figure = transport.draw()
    assert isinstance(figure, Figure)
    exact, *others, costs = figure.axes
    assert len(exact.collections[0].get_segments()) == 20  # One line a point.
    assert all(len(axis.collections[0].get_segments()) > 20 for axis in others)
    drawn = {line.get_label(): np.asarray(line.get_ydata()) for line in costs.lines}
    np.testing.assert_array_equal(drawn["exact"], numbers.exact.cost)
    np.testing.assert_array_equal(drawn["debiased divergence"], numbers.divergence)
    np.testing.assert_array_equal(drawn[r"Sinkhorn's $\langle P, C\rangle$"], numbers.entropic)
