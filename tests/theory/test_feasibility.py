"""Oracle: SciPy's triangulation of the convex hull."""

import numpy as np
import pytest
from scipy.spatial import Delaunay

from curvezoo.theory.feasibility import ON_BOUNDARY, infeasible, supporting_plane

SQUARE = np.array([[0.0, 0.0], [0.0, 2.0], [2.0, 0.0], [2.0, 2.0], [0.5, 1.0]])


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_the_height_is_negative_exactly_inside_the_hull(dimensions):
    rng = np.random.default_rng(dimensions)
    points = rng.normal(size=(40, dimensions))
    targets = rng.uniform(-3, 3, (40, dimensions))
    if dimensions == 1:
        inside = (points.min() < targets[:, 0]) & (targets[:, 0] < points.max())
    else:
        inside = Delaunay(points).find_simplex(targets) >= 0
    assert 5 < inside.sum() < 35
    planes = [supporting_plane(points - target) for target in targets]
    np.testing.assert_array_equal([height < -ON_BOUNDARY for _, height in planes], inside)
    for target, (normal, height), feasible in zip(targets, planes, inside, strict=True):
        if not feasible:
            assert height == pytest.approx(((points - target) @ normal).min(), abs=1e-9)


@pytest.mark.parametrize("target", [[0.0, 1.2], [2.0, 2.0]])
def test_the_height_is_zero_on_the_boundary(target):
    normal, height = supporting_plane(SQUARE - target)
    assert abs(height) <= ON_BOUNDARY
    assert ((SQUARE - target) @ normal).min() == pytest.approx(0, abs=1e-9)


def test_the_first_infeasible_target_is_named_with_its_interval_given_those_before_it():
    triangle = SQUARE[:3]
    assert infeasible(triangle, np.array([3.0, 9.0])) == "targets[0] must be between 0 and 2, got 3"
    expected = "targets[1] must be between 0 and 1.5 given the targets before it, got 1.6"
    assert infeasible(triangle, np.array([0.5, 1.6])) == expected
