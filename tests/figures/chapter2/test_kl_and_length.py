import numpy as np
import pytest
from matplotlib.figure import Figure

from curvezoo.figures.chapter2 import kl_and_length
from curvezoo.theory import families


@pytest.mark.equation("2.3.9")
def test_sums_of_divergences_vanish_and_sums_of_roots_approach_the_length():
    steps = kl_and_length.measure(numbers=[1, 256, 1024])
    assert steps.sums[0] == pytest.approx(families.gaussian_kl(*kl_and_length.PATH), rel=1e-12)
    assert steps.sums[1] / steps.sums[2] == pytest.approx(4, rel=0.02)
    assert steps.roots[2] == pytest.approx(steps.length, rel=0.005)
    middle = np.argmin(np.abs(steps.ratios - 1.05))
    np.testing.assert_allclose(
        [steps.forward[middle], steps.backward[middle]], steps.half_squares[middle], rtol=0.1
    )


def test_figure_shows_the_sums():
    figure, steps = kl_and_length.draw(), kl_and_length.measure()
    assert isinstance(figure, Figure)
    lines = {line.get_marker(): line.get_ydata() for line in figure.axes[0].lines}
    np.testing.assert_array_equal(lines["o"], steps.sums)
    np.testing.assert_array_equal(lines["s"], steps.roots)
