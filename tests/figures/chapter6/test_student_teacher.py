"""Oracles: the exact errors of gradient descent, and the data of the drawn artists."""

import numpy as np
import pytest

from curvezoo.figures.chapter6 import student_teacher
from curvezoo.theory.generalization import LinearStudent


@pytest.mark.equation("6.0.14")
def test_points_and_lines_agree_within_sampling_errors():
    curve = student_teacher.measure(4.0, parameters=60, last=200, points=5)
    limit = LinearStudent.limit(4.0, noise=0.5).descent(0.05, np.round(curve.times / 0.05))
    for kind in ("test", "train"):
        points, errors = getattr(curve.simulated, kind), getattr(curve.deviations, kind)
        assert np.all(np.abs(points - getattr(limit, kind)) < 4 * errors + 0.02 * points)
        assert np.all(errors < 0.1 * points)


def test_figure_shows_points_lines_and_the_best_times():
    curves = [student_teacher.measure(r, parameters=10, repeats=3, last=40, points=4) for r in (0.8, 4.0)]
    left, right = student_teacher.plot(curves).axes
    for axis, kind in ((left, "test"), (right, "train")):
        drawn = [line.get_xydata() for line in axis.lines]
        for curve in curves:
            points = np.stack([curve.times, getattr(curve.simulated, kind)], axis=1)
            assert any(np.array_equal(points, line) for line in drawn)
            line = np.stack([curve.line[0], getattr(curve.line[1], kind)], axis=1)
            assert any(np.array_equal(line, each) for each in drawn)
    stars = [line.get_xydata()[0] for line in left.lines if line.get_marker() == "*"]
    expected = [(curve.stopping.time, curve.stopping.errors.test) for curve in curves]
    np.testing.assert_allclose(stars, expected)
