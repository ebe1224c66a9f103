"""Oracles: the linear assignment of SciPy, and the energy distance."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from curvezoo.figures.chapter3 import transport


@pytest.fixture(scope="module")
def plans():
    return transport.measure(points=20)


def test_the_exact_plan_is_the_best_assignment(plans):
    cost = cdist(plans.x, plans.y) ** 2
    rows, columns = linear_sum_assignment(cost)
    assert plans.exact.cost == pytest.approx(cost[rows, columns].mean(), rel=1e-10)


def test_sinkhorns_cost_lies_above_the_exact_cost_and_approaches_it(plans):
    assert np.all(np.diff(plans.entropic) > 0)
    assert np.all(plans.entropic > plans.exact.cost * (1 - 1e-5))
    assert plans.entropic[0] == pytest.approx(plans.exact.cost, rel=0.05)
    # At large regularization the mass of each point is spread evenly.
    assert plans.entropic[-1] == pytest.approx(np.mean(cdist(plans.x, plans.y) ** 2), rel=0.05)
    assert list(plans.sinkhorn) == list(transport.PLANS)
    assert np.all(np.diff([plan.cost for plan in plans.sinkhorn.values()]) > 0)


def test_the_divergence_falls_to_half_the_energy_distance(plans):
    x, y = plans.x, plans.y
    energy = np.mean(cdist(x, y) ** 2) - np.mean(cdist(x, x) ** 2) / 2 - np.mean(cdist(y, y) ** 2) / 2
    # For squared distances, this is the squared distance of the means.
    assert energy == pytest.approx(np.sum((x.mean(axis=0) - y.mean(axis=0)) ** 2), rel=1e-9)
    assert np.all(np.diff(plans.divergence) < 0)
    assert plans.divergence[0] == pytest.approx(plans.exact.cost, rel=0.05)
    assert energy < plans.divergence[-1] < 0.3 * plans.exact.cost


def test_figure_shows_the_plans_as_lines_and_the_costs_as_curves(plans):
    figure = transport.plot(plans)
    assert isinstance(figure, Figure)
    exact, *others, costs = figure.axes
    assert len(exact.collections[0].get_segments()) == len(plans.x)
    assert all(len(axis.collections[0].get_segments()) > len(plans.x) for axis in others)
    lines = {line.get_label(): np.asarray(line.get_ydata()) for line in costs.lines}
    np.testing.assert_array_equal(lines["exact"], plans.exact.cost)
    np.testing.assert_array_equal(lines["debiased divergence"], plans.divergence)
    np.testing.assert_array_equal(lines[r"Sinkhorn's $\langle P, C\rangle$"], plans.entropic)
