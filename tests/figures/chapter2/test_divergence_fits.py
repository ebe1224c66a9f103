import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy.integrate import quad
from scipy.optimize import minimize
from scipy.stats import norm

from curvezoo.figures.chapter2 import divergence_fits as experiment
from curvezoo.losses import divergences

tfd = tfp.distributions


@pytest.fixture(scope="module")
def fits():
    return experiment.fits()


def density(x):
    return experiment.WEIGHTS @ norm.pdf(x, experiment.MEANS, experiment.SCALES)


@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_sums_over_the_grid_are_the_integrals(direction):
    mean, scale = np.array([0.3, -1.5]), np.array([1.7, 0.4])
    ours = experiment.divergence(direction, mean, scale)
    for value, m, s in zip(ours, mean, scale, strict=True):

        def integrand(x, m=m, s=s):
            p, q = density(x), norm.pdf(x, m, s)
            first, second = (p, q) if direction == "forward" else (q, p)
            return first * (np.log(first) - np.log(second))

        exact = quad(integrand, -12, 12, limit=200, points=[m, *experiment.MEANS])[0]
        assert float(value) == pytest.approx(exact, rel=1e-8)


def test_the_forward_fit_has_the_moments_of_the_density(fits):
    mean, scale = experiment.moments()
    by_quadrature = [quad(lambda x, n=n: x**n * density(x), -10, 10, limit=200)[0] for n in (1, 2)]
    assert mean == pytest.approx(by_quadrature[0], rel=1e-8)
    assert scale**2 == pytest.approx(by_quadrature[1] - by_quadrature[0] ** 2, rel=1e-8)
    assert fits["forward"].mean == pytest.approx(mean, abs=1e-7)
    assert fits["forward"].scale == pytest.approx(scale, abs=1e-7)
    # The cross-entropy with the matched Gaussian is that Gaussian's entropy.
    entropy = quad(lambda x: -density(x) * np.log(density(x)), -8, 8, limit=200)[0]
    assert fits["forward"].divergence == pytest.approx(norm(mean, scale).entropy() - entropy, abs=1e-9)


@pytest.mark.parametrize(("name", "bump"), [("reverse, left", 0), ("reverse, right", 1)])
def test_each_reverse_fit_sits_on_one_bump_and_pays_for_its_weight(fits, name, bump):
    fit = fits[name]
    assert fit.mean == pytest.approx(experiment.MEANS[bump], abs=0.05)
    assert fit.scale == pytest.approx(experiment.SCALES[bump], rel=0.08)
    # The bump itself costs at most -log of its weight, because p is at least the weighted bump.
    most = -np.log(experiment.WEIGHTS[bump])
    assert most - 0.02 < fit.divergence < most


@pytest.mark.parametrize("name", ["reverse, left", "reverse, right"])
def test_the_reverse_fits_are_two_minima(fits, name):
    fit = fits[name]
    around = np.array([[1, 0], [-1, 0], [0, 1], [0, -1], [1, 1], [-1, -1], [1, -1], [-1, 1]]) * 0.02
    mean, scale = fit.mean + around[:, 0], fit.scale * np.exp(around[:, 1])
    values = experiment.divergence("reverse", mean, scale)
    assert np.all(values.numpy() > fit.divergence + 1e-5)


def test_covering_and_seeking_differ_in_width(fits):
    forward, left, right = fits["forward"], fits["reverse, left"], fits["reverse, right"]
    assert forward.scale > 2 * max(left.scale, right.scale)
    # By the other divergence each is the worse fit: one fills the gap, the other leaves out a bump.
    assert float(experiment.divergence("reverse", forward.mean, forward.scale)) > left.divergence + 0.1
    for fit in (left, right):
        assert float(experiment.divergence("forward", fit.mean, fit.scale)) > 2


@pytest.mark.equation("3.6.1")
@pytest.mark.parametrize(
    ("name", "start"), [("forward", 0.0), ("reverse, left", -2.0), ("reverse, right", 2.5)]
)
def test_fits_by_sampling_find_the_same_minima(fits, name, start):
    p, draws = experiment.bumps(), 4000

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

    found = minimize(numpy, [start, 0.0], jac=True, method="BFGS", options={"gtol": 1e-6})
    # The mean of the draws scatters by scale / sqrt(draws); the log of the scale less.
    tolerance = 5 / np.sqrt(draws)
    assert found.x[0] == pytest.approx(fits[name].mean, abs=tolerance * fits[name].scale)
    assert found.x[1] == pytest.approx(np.log(fits[name].scale), abs=tolerance)


def test_the_landscape_is_the_divergence_at_every_pair():
    mean, scale = np.array([-1.0, 0.0, 2.0]), np.array([0.5, 1.5])
    values = experiment.landscape("reverse", mean, scale)
    assert values.shape == (2, 3)
    one = experiment.divergence("reverse", 2.0, 0.5)
    assert values[0, 2] == pytest.approx(float(one), rel=1e-12)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="direction must be 'forward' or 'reverse', got 'back'"):
        experiment.fit("back", 0.0)
