import numpy as np
import pytest
from matplotlib.figure import Figure

from curvezoo.figures.chapter3 import gradient_estimators as estimators
from curvezoo.figures.chapter3 import sampling
from curvezoo.theory import sampling as theory


@pytest.mark.equation("3.5.3")
def test_the_histogram_is_the_softmax_within_its_errors():
    numbers = sampling.measure_gumbel()
    np.testing.assert_allclose(numbers.probabilities, theory.softmax([1.0, 0.0, 0.6]), rtol=1e-12)
    assert np.all(np.abs(numbers.frequencies - numbers.probabilities) < 5 * numbers.standard_errors)
    assert np.all(numbers.standard_errors < 0.005)


@pytest.mark.equation("3.5.7")
def test_the_points_move_to_the_corners_and_keep_their_argmax():
    points = sampling.measure_gumbel().points
    low, *_, high = points.values()
    assert tuple(points) == sampling.BETAS
    np.testing.assert_array_equal(low.argmax(axis=1), high.argmax(axis=1))
    assert np.mean(low.max(axis=1) > 0.99) < 0.01 < 0.7 < np.mean(high.max(axis=1) > 0.99)


def test_the_gumbel_figure_draws_bars_points_and_both_means():
    figure, numbers = sampling.draw_gumbel(), sampling.measure_gumbel()
    assert isinstance(figure, Figure)
    bars, *triangles = figure.axes
    heights = [bar.get_height() for bar in bars.patches]
    np.testing.assert_allclose(heights, [*numbers.probabilities, *numbers.frequencies])
    for axis, points in zip(triangles, numbers.points.values(), strict=True):
        x, y = axis.collections[0].get_offsets().T
        np.testing.assert_allclose(y, points[:, 2] * np.sqrt(3) / 2, atol=1e-12)
        np.testing.assert_allclose(x, points[:, 1] + points[:, 2] / 2, atol=1e-12)
        marks = {line.get_label(): line.get_xydata()[0, 1] for line in axis.lines}
        assert marks["$p$"] == pytest.approx(numbers.probabilities[2] * np.sqrt(3) / 2)
        assert marks["mean of $f$"] == pytest.approx(points[:, 2].mean() * np.sqrt(3) / 2)


@pytest.fixture(scope="module")
def numbers():
    return sampling.measure_estimators(samples=20_000)


def test_the_estimators_are_measured_against_the_exact_gradient(numbers):
    exact = estimators.exact_gradient(estimators.MIXTURE)
    for results in numbers.measured.values():
        for result in results:
            assert result.bias == pytest.approx(np.linalg.norm(result.mean - exact), rel=1e-12)
    without, with_baseline = numbers.score_function
    assert with_baseline < without
    for name, measured in numbers.gaussian.items():
        # 4,000 samples of a product of Gaussians: the variance is good to about a tenth.
        np.testing.assert_allclose(measured, numbers.gaussian_theory[name], rtol=0.4)


def test_the_estimator_figure_draws_what_was_measured(numbers, monkeypatch):
    monkeypatch.setattr(sampling, "measure_estimators", lambda: numbers)
    figure = sampling.draw_gradient_estimators()
    bias, variance, error, gaussian = figure.axes
    relaxed, straight = numbers.measured.values()
    np.testing.assert_array_equal(bias.lines[0].get_ydata(), [r.bias for r in relaxed])
    np.testing.assert_array_equal(bias.lines[1].get_ydata(), [r.bias for r in straight])
    np.testing.assert_array_equal(variance.lines[1].get_ydata(), [r.variance for r in straight])
    assert [line.get_ydata()[0] for line in variance.lines[2:]] == list(numbers.score_function)
    total = np.sqrt([r.bias**2 + r.variance / 30 for r in relaxed])
    drawn = {line.get_label(): line.get_ydata() for line in error.lines}
    np.testing.assert_allclose(drawn["30 samples"], total, rtol=1e-12)
    np.testing.assert_array_equal(gaussian.lines[2].get_ydata(), numbers.gaussian["score function"])
    np.testing.assert_array_equal(gaussian.lines[3].get_ydata(), numbers.gaussian_theory["score function"])
