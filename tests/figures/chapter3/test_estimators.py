"""Oracles: the closed forms of `theory.estimators`, the score equation, and the data of the drawn artists."""

import numpy as np
import pytest

from curvezoo.figures.chapter3 import estimators
from curvezoo.theory import estimators as theory


@pytest.mark.equation("3.3.7")
@pytest.mark.equation("3.3.8")
@pytest.mark.equation("3.3.14")
def test_simulated_variances_have_the_bias_and_spread_of_the_closed_forms():
    curves = estimators.measure_variances(sizes=(2, 5, 40), repeats=5000)
    for name, ddof in (("naive", 0), ("unbiased", 1)):
        curve, n = curves[name], np.array([2, 5, 40])
        bias = np.abs(curve.values("bias") - theory.variance_bias(1.0, n, ddof))
        variance = np.abs(curve.values("variance") - theory.variance_of_variance(1.0, n, ddof=ddof))
        np.testing.assert_array_less(bias, 5 * curve.values("mean_error"))
        np.testing.assert_array_less(variance, 5 * curve.values("variance_error"))


@pytest.mark.parametrize(("law", "names"), [("Gaussian", "mean"), ("Laplace", "mean"), ("Cauchy", "mle")])
def test_simulated_locations_keep_to_the_bound(law, names):
    curves = estimators.measure_locations(law, sizes=(7, 101), repeats=4000)
    assert set(curves) == {"median", names}
    bound = 2.0 if law == "Cauchy" else 1.0
    for curve in curves.values():
        n = np.array(curve.sizes)
        errors = n * curve.values("variance_error")
        assert np.all(n * curve.values("variance") > bound - 5 * errors)
        assert np.all(np.abs(curve.values("bias")) < 5 * curve.values("mean_error"))
    if law == "Cauchy":
        # Maximum likelihood is nearly efficient at 101, the median at 8 / pi^2 = 0.81 of the bound.
        large = {name: 101 * curve.values("variance")[1] for name, curve in curves.items()}
        assert large["mle"] < 2.2 < 2.3 < large["median"]


def test_the_cauchy_location_solves_the_score_equation():
    x = np.random.default_rng(0).standard_cauchy((200, 31))
    r = x - estimators.cauchy_location(x, steps=200)[:, None]
    np.testing.assert_allclose(np.sum(r / (1 + r**2), axis=1), 0, atol=1e-9)
    few = estimators.cauchy_location(x)
    assert np.mean((few - estimators.cauchy_location(x, steps=200)) ** 2) < 1e-6


def test_the_bessel_figure_draws_points_beside_closed_forms():
    curves = estimators.measure_variances(sizes=(2, 9), repeats=50)
    figure = estimators.draw_bessel(curves)
    left, right = figure.axes
    bars = [container.lines[0].get_ydata() for container in left.containers]
    np.testing.assert_array_equal(bars, [curves["naive"].values("bias"), curves["unbiased"].values("bias")])
    lines = {line.get_label(): line.get_ydata() for line in left.lines}
    n = np.arange(2, 10)
    np.testing.assert_allclose(lines["divided by N"], -1 / n, rtol=1e-12)
    np.testing.assert_allclose(lines["divided by N − 1"], 0, atol=1e-12)
    spread = {line.get_label(): line.get_ydata() for line in right.lines}
    np.testing.assert_allclose(spread["divided by N − 1"], np.sqrt(2 / (n - 1)), rtol=1e-12)


def test_the_cramer_rao_figure_draws_each_law_with_its_bound():
    curves = {law: estimators.measure_locations(law, (7, 11), repeats=50) for law in ("Gaussian", "Cauchy")}
    figure = estimators.draw_cramer_rao(curves)
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["Gaussian data", "Cauchy data"]
    for axis, (law, found) in zip(figure.axes, curves.items(), strict=True):
        bound = next(line for line in axis.lines if line.get_label() == "Cramér-Rao bound")
        assert bound.get_ydata()[0] == pytest.approx(2 if law == "Cauchy" else 1, rel=1e-12)
        drawn = [container.lines[0].get_ydata() for container in axis.containers]
        expected = [np.array(curve.sizes) * curve.values("variance") for curve in found.values()]
        np.testing.assert_array_equal(drawn, expected)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert sorted(labels) == ["Cramér-Rao bound", "maximum likelihood", "mean", "median"]


def test_an_unknown_law_is_named():
    with pytest.raises(
        ValueError, match=r"law must be one of \('Gaussian', 'Laplace', 'Cauchy'\), got 'cauchy'"
    ):
        estimators.measure_locations("cauchy")
