import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.integrate import quad
from scipy.stats import norm

from curvezoo.figures.chapter2 import divergence_fits, divergences


def test_generators_are_drawn_from_their_formulas():
    u = np.array([0.1, 0.5, 1.0, 2.5])
    expected = {
        "kl": u * np.log(u) - u + 1,
        "reverse_kl": -np.log(u) + u - 1,
        "jensen_shannon": 2 * (u * np.log(u) - (1 + u) * np.log((1 + u) / 2)),
        "squared_hellinger": 2 * (np.sqrt(u) - 1) ** 2,
        "chi_squared": (u - 1) ** 2 / 2,
        "total_variation": np.abs(u - 1) / 2,
    }
    values = divergences.generators(u)
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
        "jensen_shannon": 4 * np.array([jensen_shannon(x) for x in d]),
        "squared_hellinger": 4 * (1 - np.exp(-(d**2) / 8)),
        "chi_squared": np.expm1(d**2) / 2,
    }
    measured = divergences.shifts(d)
    for name, value in expected.items():
        np.testing.assert_allclose(measured[name] * d**2 / 2, value, rtol=1e-7)
        # All but total variation start as the Fisher metric.
        assert measured[name][0] == pytest.approx(1.0, abs=1e-3)
    # The corner of |p - q| costs the sum over a grid its exactness.
    np.testing.assert_allclose(measured["total_variation"] * d**2 / 2, 2 * norm.cdf(d / 2) - 1, rtol=1e-4)
    assert measured["total_variation"][0] > 20


def test_the_family_has_a_line_for_every_divergence():
    figure = divergences.draw_family()
    assert isinstance(figure, Figure)
    left, right = figure.axes
    assert len(left.lines) == len(right.lines) == len(divergences.NAMES) + 1
    labels = {text.get_text() for text in figure.legends[0].get_texts()}
    assert labels == {"Fisher metric", *divergences.NAMES.values()}


def test_fits_are_drawn_where_they_are():
    fits = {
        name: divergence_fits.GaussianFit(mean, scale, 0.5)
        for name, mean, scale in (
            ("forward", 0.5, 2.0),
            ("reverse, left", -1.0, 0.5),
            ("reverse, right", 2.0, 1.0),
        )
    }
    left, forward, reverse = divergences.draw_gaussian_fits(fits).axes
    assert len(left.lines) == 3
    for line, fit in zip(left.lines, fits.values(), strict=True):
        np.testing.assert_allclose(
            line.get_ydata(), norm.pdf(line.get_xdata(), fit.mean, fit.scale), rtol=1e-12
        )
    points = [
        [(line.get_xdata()[0], line.get_ydata()[0]) for line in axis.lines] for axis in (forward, reverse)
    ]
    assert points == [[(0.5, 2.0)], [(-1.0, 0.5), (2.0, 1.0)]]
