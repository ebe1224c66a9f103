import numpy as np
import pytest
from matplotlib.figure import Figure

from curvezoo.figures.chapter2 import geometry
from curvezoo.theory import families


@pytest.mark.equation("2.3.10")
def test_geodesics_are_shorter_than_lines_but_where_both_coincide():
    for connection, (start, end) in zip(geometry.geodesics(points=11), geometry.PAIRS, strict=True):
        assert connection.distance == pytest.approx(families.gaussian_distance(start, end), rel=1e-14)
        halves = [families.gaussian_distance(connection.geodesic[5], p) for p in (start, end)]
        np.testing.assert_allclose(halves, connection.distance / 2, rtol=1e-10)
        if start[0] == end[0]:
            assert connection.line_length == pytest.approx(connection.distance, rel=1e-9)
        else:
            assert connection.line_length > 1.01 * connection.distance


def test_circles_are_at_one_distance_and_near_the_ellipse_when_small():
    center = (0.7, 1.3)
    for radius in (0.5, 3.0):
        curve, _ = geometry.circle(center, radius)
        np.testing.assert_allclose([families.gaussian_distance(center, p) for p in curve], radius, rtol=1e-12)
    curve, ellipse = geometry.circle(center, 1e-3)
    np.testing.assert_allclose(curve, ellipse, atol=1e-6)
    squares = np.einsum("ni,ij,nj->n", ellipse - center, families.gaussian(center), ellipse - center)
    np.testing.assert_allclose(squares, 1e-6, rtol=1e-9)


@pytest.mark.equation("2.3.9")
def test_sums_of_divergences_vanish_and_sums_of_roots_do_not():
    steps = geometry.small_steps(numbers=[1, 256, 1024])
    assert steps.sums[0] == pytest.approx(families.gaussian_kl(*geometry.PATH), rel=1e-12)
    assert steps.sums[1] / steps.sums[2] == pytest.approx(4, rel=0.02)
    assert steps.roots[2] == pytest.approx(steps.length, rel=0.005)
    middle = np.argmin(np.abs(steps.ratios - 1.05))
    np.testing.assert_allclose(
        [steps.forward[middle], steps.backward[middle]], steps.half_squares[middle], rtol=0.1
    )


def test_figures_draw_the_numbers():
    figure = geometry.draw_kl_and_length()
    steps = geometry.small_steps()
    assert isinstance(figure, Figure)
    drawn = {line.get_marker(): line.get_ydata() for line in figure.axes[0].lines}
    np.testing.assert_array_equal(drawn["o"], steps.sums)
    np.testing.assert_array_equal(drawn["s"], steps.roots)
    plane = geometry.draw_geodesics().axes[0]
    curves = [line.get_xydata() for line in plane.lines]
    for connection in geometry.geodesics():
        assert any(np.array_equal(connection.geodesic, curve) for curve in curves)
        assert any(np.array_equal(connection.line, curve) for curve in curves)
