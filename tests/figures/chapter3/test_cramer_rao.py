"""Oracles: the Cramér-Rao bound, the score equation, and the data of the drawn artists."""

import numpy as np
import pytest

from curvezoo.figures.chapter3 import cramer_rao


@pytest.mark.parametrize(("law", "other"), [("Gaussian", "mean"), ("Laplace", "mean"), ("Cauchy", "mle")])
def test_simulated_locations_respect_the_bound(law, other):
    curves = cramer_rao.measure(law, sizes=(7, 101), repeats=4000)
    assert set(curves) == {"median", other}
    bound = 2.0 if law == "Cauchy" else 1.0
    for curve in curves.values():
        n = np.array(curve.sizes)
        errors = n * curve.values("variance_error")
        assert np.all(n * curve.values("variance") > bound - 5 * errors)
        assert np.all(np.abs(curve.values("bias")) < 5 * curve.values("mean_error"))
    if law == "Cauchy":
        # At N = 101, maximum likelihood is nearly efficient; the median has an efficiency of 8 / pi^2 = 0.81.
        large = {name: 101 * curve.values("variance")[1] for name, curve in curves.items()}
        assert large["mle"] < 2.2 < 2.3 < large["median"]


def test_the_cauchy_location_solves_the_score_equation():
    x = np.random.default_rng(0).standard_cauchy((200, 31))
    converged = cramer_rao.cauchy_location(x, steps=200)
    r = x - converged[:, None]
    np.testing.assert_allclose(np.sum(r / (1 + r**2), axis=1), 0, atol=1e-9)
    assert np.mean((cramer_rao.cauchy_location(x) - converged) ** 2) < 1e-6


def test_figure_shows_each_law_with_its_bound():
    curves = {law: cramer_rao.measure(law, (7, 11), repeats=50) for law in ("Gaussian", "Cauchy")}
    figure = cramer_rao.plot(curves)
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["Gaussian data", "Cauchy data"]
    for axis, (law, by_estimator) in zip(figure.axes, curves.items(), strict=True):
        bound = next(line for line in axis.lines if line.get_label() == "Cramér-Rao bound")
        assert bound.get_ydata()[0] == pytest.approx(2 if law == "Cauchy" else 1, rel=1e-12)
        drawn = [container.lines[0].get_ydata() for container in axis.containers]
        expected = [np.array(curve.sizes) * curve.values("variance") for curve in by_estimator.values()]
        np.testing.assert_array_equal(drawn, expected)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert sorted(labels) == ["Cramér-Rao bound", "maximum likelihood", "mean", "median"]


def test_an_unknown_law_is_an_error():
    with pytest.raises(
        ValueError, match=r"law must be one of \('Gaussian', 'Laplace', 'Cauchy'\), got 'cauchy'"
    ):
        cramer_rao.measure("cauchy")
