"""Oracles: SciPy's quadrature and distribution functions."""

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

from curvezoo.theory import quadrature


@pytest.mark.parametrize("degree", [0, 1, 6, 15])
@pytest.mark.parametrize("wave", [0.0, -2.0, 0.01, 40.0])
def test_the_integral_and_transform_of_a_polynomial_are_exact(degree, wave):
    low, high = 0.5, 3.0

    def polynomial(x):
        return (x - 1.5) ** degree

    fitted = quadrature.fit("the integral", polynomial, np.array([low, high]))
    exact = quad(polynomial, low, high, epsabs=1e-13)[0]
    assert fitted.integrals().sum() == pytest.approx(exact, rel=1e-12, abs=1e-12)
    # Degree 15 fills the last coefficients, so that the panel is halved.
    assert (len(fitted.halves) == 1) == (degree < 12)
    cosine, sine = (quad(polynomial, low, high, weight=w, wvar=wave, epsabs=1e-13)[0] for w in ("cos", "sin"))
    assert fitted.transform(wave) == pytest.approx(cosine - 1j * sine, rel=1e-11, abs=1e-11)


@pytest.mark.parametrize("jump", [0.3, 0.499, 0.4999, 0.5, 0.5001, 0.501, 1.0001])
def test_a_jump_on_either_side_of_an_edge_and_beyond_the_last_node_is_resolved(jump):
    fitted = quadrature.fit(
        "the integral", lambda x: np.where(x < jump, 0.0, 1.0), np.array([0.0, 0.5, 1.0, 2.0])
    )
    assert fitted.integrals().sum() == pytest.approx(2 - jump, abs=1e-11)


@pytest.mark.parametrize("law", [stats.norm(3, 0.01), stats.cauchy(), stats.expon(), stats.gamma(0.5)])
def test_panels_are_sorted_and_contain_the_right_mass(law):
    fitted = quadrature.normalized(law.pdf, (-np.inf, np.inf))
    edges = fitted.edges()
    assert np.all(np.diff(fitted.middles) >= 0)
    np.testing.assert_allclose(edges[1:], fitted.middles + fitted.halves, rtol=1e-12)
    np.testing.assert_allclose(fitted.integrals(), np.diff(law.cdf(edges)), atol=1e-11)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: 1 / x, "the integral does not converge"),
        (lambda x: np.where(x > 0.5, np.nan, 1.0), r"the integral does not converge: got nan at 0\.5"),
        (lambda x: np.sin(1e7 * x), "100000 panels are too few"),
    ],
)
def test_functions_that_no_panels_resolve_are_refused(function, message):
    with pytest.raises(ValueError, match=message):
        quadrature.fit("the integral", function, np.array([0.0, 1.0]))


def test_infinite_tails_are_refused():
    edges = np.append(-(2.0 ** np.arange(100, -1, -1)), 2.0 ** np.arange(101))
    with pytest.raises(ValueError, match=r"does not converge within 1\.3e\+30 of zero"):
        quadrature.fit("the integral", lambda x: 1 / (1 + np.abs(x)), edges)
