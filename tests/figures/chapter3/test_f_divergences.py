"""Oracles: closed forms and quadrature."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.integrate import quad
from scipy.stats import norm

from curvezoo.figures.chapter3 import f_divergences


def test_generators_follow_their_formulas():
    u = np.array([0.1, 0.5, 1.0, 2.5])
    expected = {
        "kl": u * np.log(u) - u + 1,
        "reverse_kl": -np.log(u) + u - 1,
        "scaled_jensen_shannon": 2 * (u * np.log(u) - (1 + u) * np.log((1 + u) / 2)),
        "squared_hellinger": 2 * (np.sqrt(u) - 1) ** 2,
        "chi_squared": (u - 1) ** 2 / 2,
        "total_variation": np.abs(u - 1) / 2,
    }
    values = f_divergences.generators(u)
    assert set(values) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(values[name], value, rtol=1e-12, atol=1e-15)


def test_divergences_of_shifted_gaussians_have_their_closed_forms():
    d = np.array([0.03, 0.5, 3.0])

    def jensen_shannon(distance):
        def integrand(x):
            p, q = norm.pdf(x), norm.pdf(x, distance)
            return p * np.log(2 * p / (p + q)) / 2 + q * np.log(2 * q / (p + q)) / 2

        return quad(integrand, -9, 12, epsabs=1e-14, limit=200)[0]

    expected = {
        "kl": d**2 / 2,
        "reverse_kl": d**2 / 2,
        "scaled_jensen_shannon": 4 * np.array([jensen_shannon(x) for x in d]),
        "squared_hellinger": 4 * (1 - np.exp(-(d**2) / 8)),
        "chi_squared": np.expm1(d**2) / 2,
    }
    measured = f_divergences.shifts(d)
    for name, value in expected.items():
        np.testing.assert_allclose(measured[name] * d**2 / 2, value, rtol=1e-7)
        # At small distances all but total variation agree with the Fisher metric.
        assert measured[name][0] == pytest.approx(1.0, abs=1e-3)
    # At the corner of |p - q| a sum over a grid is not exact.
    np.testing.assert_allclose(measured["total_variation"] * d**2 / 2, 2 * norm.cdf(d / 2) - 1, rtol=1e-4)
    assert measured["total_variation"][0] > 20


def test_figure_has_a_line_for_each_divergence():
    figure = f_divergences.draw()
    assert isinstance(figure, Figure)
    left, right = figure.axes
    assert len(left.lines) == len(right.lines) == len(f_divergences.LABELS) + 1
    labels = {text.get_text() for text in figure.legends[0].get_texts()}
    assert labels == {"Fisher metric", *f_divergences.LABELS.values()}
