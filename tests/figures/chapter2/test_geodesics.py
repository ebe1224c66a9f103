import numpy as np
import pytest

from curvezoo.figures.chapter2 import geodesics
from curvezoo.theory import families


@pytest.mark.equation("2.3.10")
def test_geodesics_are_shorter_than_lines_unless_both_coincide():
    for connection, (start, end) in zip(geodesics.measure(points=11), geodesics.PAIRS, strict=True):
        assert connection.distance == pytest.approx(families.gaussian_distance(start, end), rel=1e-14)
        halves = [families.gaussian_distance(connection.geodesic[5], p) for p in (start, end)]
        np.testing.assert_allclose(halves, connection.distance / 2, rtol=1e-10)
        if start[0] == end[0]:
            assert connection.line_length == pytest.approx(connection.distance, rel=1e-9)
        else:
            assert connection.line_length > 1.01 * connection.distance


def test_circles_have_their_radius_and_approach_the_ellipse_when_small():
    center = (0.7, 1.3)
    for radius in (0.5, 3.0):
        curve, _ = geodesics.circle(center, radius)
        np.testing.assert_allclose([families.gaussian_distance(center, p) for p in curve], radius, rtol=1e-12)
    curve, ellipse = geodesics.circle(center, 1e-3)
    np.testing.assert_allclose(curve, ellipse, atol=1e-6)
    squares = np.einsum("ni,ij,nj->n", ellipse - center, families.gaussian(center), ellipse - center)
    np.testing.assert_allclose(squares, 1e-6, rtol=1e-9)


def test_figure_shows_the_geodesics_and_the_lines():
    plane = geodesics.draw().axes[0]
    curves = [line.get_xydata() for line in plane.lines]
    for connection in geodesics.measure():
        assert any(np.array_equal(connection.geodesic, curve) for curve in curves)
        assert any(np.array_equal(connection.line, curve) for curve in curves)
