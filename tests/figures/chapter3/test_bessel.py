"""Oracles: the closed forms of `theory.estimators` and the data of the drawn artists."""

import numpy as np
import pytest

from curvezoo.figures.chapter3 import bessel
from curvezoo.theory import estimators


@pytest.mark.equation("3.3.7")
@pytest.mark.equation("3.3.8")
@pytest.mark.equation("3.3.14")
def test_simulated_variances_have_the_bias_and_spread_of_the_closed_forms():
    curves = bessel.measure(sizes=(2, 5, 40), repeats=5000)
    for name, ddof in (("naive", 0), ("unbiased", 1)):
        curve, n = curves[name], np.array([2, 5, 40])
        bias = np.abs(curve.values("bias") - estimators.variance_bias(1.0, n, ddof))
        variance = np.abs(curve.values("variance") - estimators.variance_of_variance(1.0, n, ddof=ddof))
        np.testing.assert_array_less(bias, 5 * curve.values("mean_error"))
        np.testing.assert_array_less(variance, 5 * curve.values("variance_error"))


def test_figure_shows_simulations_and_closed_forms():
    curves = bessel.measure(sizes=(2, 9), repeats=50)
    left, right = bessel.plot(curves).axes
    bars = [container.lines[0].get_ydata() for container in left.containers]
    np.testing.assert_array_equal(bars, [curves["naive"].values("bias"), curves["unbiased"].values("bias")])
    lines = {line.get_label(): line.get_ydata() for line in left.lines}
    n = np.arange(2, 10)
    np.testing.assert_allclose(lines["divided by N"], -1 / n, rtol=1e-12)
    np.testing.assert_allclose(lines["divided by N − 1"], 0, atol=1e-12)
    spread = {line.get_label(): line.get_ydata() for line in right.lines}
    np.testing.assert_allclose(spread["divided by N − 1"], np.sqrt(2 / (n - 1)), rtol=1e-12)
