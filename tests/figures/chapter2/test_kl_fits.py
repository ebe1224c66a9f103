"""Oracles: quadrature, the closed-form moments, and fits by sampling."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy.integrate import quad
from scipy.optimize import minimize
from scipy.stats import norm

from curvezoo.figures.chapter2 import kl_fits
from curvezoo.losses import divergences

tfd = tfp.distributions


@pytest.fixture(scope="module")
def fits():
    return kl_fits.measure()


def density(x):
    return kl_fits.WEIGHTS @ norm.pdf(x, kl_fits.MEANS, kl_fits.SCALES)


@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_sums_over_the_grid_equal_the_integrals(direction):
    mean, scale = np.array([0.3, -1.5]), np.array([1.7, 0.4])
    ours = kl_fits.divergence(direction, mean, scale)
    for value, m, s in zip(ours, mean, scale, strict=True):

        def integrand(x, m=m, s=s):
            p, q = density(x), norm.pdf(x, m, s)
            first, second = (p, q) if direction == "forward" else (q, p)
            return first * (np.log(first) - np.log(second))

        exact = quad(integrand, -12, 12, limit=200, points=[m, *kl_fits.MEANS])[0]
        assert float(value) == pytest.approx(exact, rel=1e-8)


def test_the_forward_fit_has_the_moments_of_the_density(fits):
    mean, scale = kl_fits.moments()
    by_quadrature = [quad(lambda x, n=n: x**n * density(x), -10, 10, limit=200)[0] for n in (1, 2)]
    assert mean == pytest.approx(by_quadrature[0], rel=1e-8)
    assert scale**2 == pytest.approx(by_quadrature[1] - by_quadrature[0] ** 2, rel=1e-8)
    assert fits["forward"].mean == pytest.approx(mean, abs=1e-7)
    assert fits["forward"].scale == pytest.approx(scale, abs=1e-7)
    # The cross-entropy with the Gaussian of the same moments is the entropy of that Gaussian.
    entropy = quad(lambda x: -density(x) * np.log(density(x)), -8, 8, limit=200)[0]
    assert fits["forward"].divergence == pytest.approx(norm(mean, scale).entropy() - entropy, abs=1e-9)


@pytest.mark.parametrize(("name", "mode"), [("reverse, left", 0), ("reverse, right", 1)])
def test_each_reverse_fit_covers_one_mode_at_minus_the_log_of_its_weight(fits, name, mode):
    fit = fits[name]
    assert fit.mean == pytest.approx(kl_fits.MEANS[mode], abs=0.05)
    assert fit.scale == pytest.approx(kl_fits.SCALES[mode], rel=0.08)
    # The divergence of the mode itself is at most -log of its weight: p is at least the weighted mode.
    most = -np.log(kl_fits.WEIGHTS[mode])
    assert most - 0.02 < fit.divergence < most


@pytest.mark.parametrize("name", ["reverse, left", "reverse, right"])
def test_the_reverse_fits_are_two_minima(fits, name):
    fit = fits[name]
    around = np.array([[1, 0], [-1, 0], [0, 1], [0, -1], [1, 1], [-1, -1], [1, -1], [-1, 1]]) * 0.02
    mean, scale = fit.mean + around[:, 0], fit.scale * np.exp(around[:, 1])
    values = kl_fits.divergence("reverse", mean, scale)
    assert np.all(values.numpy() > fit.divergence + 1e-5)


def test_the_forward_fit_is_wide_and_the_reverse_fits_are_narrow(fits):
    forward, left, right = fits["forward"], fits["reverse, left"], fits["reverse, right"]
    assert forward.scale > 2 * max(left.scale, right.scale)
    # Each is the worse fit under the other divergence: it fills the gap, or it misses a mode.
    assert float(kl_fits.divergence("reverse", forward.mean, forward.scale)) > left.divergence + 0.1
    for fit in (left, right):
        assert float(kl_fits.divergence("forward", fit.mean, fit.scale)) > 2


@pytest.mark.equation("3.6.1")
@pytest.mark.parametrize(
    ("name", "start"), [("forward", 0.0), ("reverse, left", -2.0), ("reverse, right", 2.5)]
)
def test_fits_by_sampling_find_the_same_minima(fits, name, start):
    p, draws = kl_fits.bimodal(), 4000

    @tf.function(input_signature=[tf.TensorSpec([2], tf.float64)])
    def value_and_slope(parameters):
        with tf.GradientTape() as tape:
            tape.watch(parameters)
            q = tfd.Normal(parameters[0], tf.exp(parameters[1]))
            pair = (p, q) if name == "forward" else (q, p)
            value = divergences.kl_divergence(*pair, samples=draws, seed=0)
        return value, tape.gradient(value, parameters)

    def numpy(parameters):
        value, slope = value_and_slope(tf.constant(parameters))
        return float(value), slope.numpy()

    result = minimize(numpy, [start, 0.0], jac=True, method="BFGS", options={"gtol": 1e-6})
    # The statistical error of the mean is scale / sqrt(draws); that of the log of the scale is smaller.
    tolerance = 5 / np.sqrt(draws)
    assert result.x[0] == pytest.approx(fits[name].mean, abs=tolerance * fits[name].scale)
    assert result.x[1] == pytest.approx(np.log(fits[name].scale), abs=tolerance)


def test_the_landscape_holds_the_divergence_of_each_pair():
    mean, scale = np.array([-1.0, 0.0, 2.0]), np.array([0.5, 1.5])
    values = kl_fits.landscape("reverse", mean, scale)
    assert values.shape == (2, 3)
    one = kl_fits.divergence("reverse", 2.0, 0.5)
    assert values[0, 2] == pytest.approx(float(one), rel=1e-12)


def test_an_invalid_direction_is_an_error():
    with pytest.raises(ValueError, match="direction must be 'forward' or 'reverse', got 'back'"):
        kl_fits.fit("back", 0.0)


def test_figure_shows_the_fits_and_their_minima():
    fits = {
        name: kl_fits.GaussianFit(mean, scale, 0.5)
        for name, mean, scale in (
            ("forward", 0.5, 2.0),
            ("reverse, left", -1.0, 0.5),
            ("reverse, right", 2.0, 1.0),
        )
    }
    left, forward, reverse = kl_fits.plot(fits).axes
    assert len(left.lines) == 3
    for line, fit in zip(left.lines, fits.values(), strict=True):
        np.testing.assert_allclose(
            line.get_ydata(), norm.pdf(line.get_xdata(), fit.mean, fit.scale), rtol=1e-12
        )
    points = [
        [(line.get_xdata()[0], line.get_ydata()[0]) for line in axis.lines] for axis in (forward, reverse)
    ]
    assert points == [[(0.5, 2.0)], [(-1.0, 0.5), (2.0, 1.0)]]
