"""Bounds of a small VAE against quadrature over its latent, and groups of draws against loops."""

import math

import keras
import numpy as np
import pytest
from scipy.integrate import trapezoid
from scipy.special import logsumexp
from scipy.stats import norm

from curvezoo.figures.chapter7 import importance_bound as bound
from curvezoo.zoo.generative import VAE

Z = np.linspace(-9, 9, 4001)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    model = VAE((2, 2, 1), latents=1, units=(3,))
    # Smaller weights give importance weights without heavy tails.
    model.set_weights([0.6 * array for array in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def images():
    return np.float32([[1, 0, 1, 1], [0, 0, 0, 1], [1, 1, 1, 1]]).reshape(3, 2, 2, 1)


@pytest.fixture(scope="module")
def weights(model, images):
    return bound.log_weights(model, images, draws=4000)


def log_likelihoods(model, images):
    """Returns log p(x|z) on the grid, [N, 4001]."""
    logits = np.float64(model.decoder(Z[:, None].astype("float32")))
    pixels = images.reshape(len(images), -1).astype("float64")
    return pixels @ logits.T - np.logaddexp(0, logits).sum(axis=1)


def test_the_mean_weight_is_the_likelihood_by_quadrature(model, images, weights):
    exact = trapezoid(np.exp(log_likelihoods(model, images)) * norm.pdf(Z), Z, axis=1)
    relative = np.exp(weights) / exact[:, None]
    errors = relative.std(axis=1, ddof=1) / math.sqrt(4000)
    assert errors.max() < 0.02
    assert np.all(np.abs(relative.mean(axis=1) - 1) < 4 * errors)


@pytest.mark.equation("7.3.8")
def test_one_draw_gives_the_elbo_by_quadrature(model, images, weights):
    mean, log_variance = (np.float64(each) for each in model.encoder(images))
    q = norm(mean, np.exp(log_variance / 2))
    inner = log_likelihoods(model, images) + norm.logpdf(Z) - q.logpdf(Z)
    elbo = trapezoid(q.pdf(Z) * inner, Z, axis=1)
    found = bound.bounds(weights, (1, 50))
    assert np.all(np.abs(found.mean[0] - elbo) < 4 * found.error[0])
    # The draws can tell the ELBO from the likelihood.
    assert np.all(found.total - elbo > 8 * found.error[0])


def test_more_draws_in_nested_groups_never_lower_the_bound(weights):
    found = bound.bounds(weights, (1, 2, 4, 20, 100, 500))
    assert np.all(np.diff(found.mean, axis=0) > 0)
    assert np.all(found.total > found.mean[-1])


def test_estimates_are_means_over_disjoint_groups():
    weights = np.random.default_rng(0).normal(size=(2, 12))
    found = bound.bounds(weights, (3,))
    for row in range(2):
        groups = [math.log(sum(map(math.exp, weights[row, i : i + 3])) / 3) for i in (0, 3, 6, 9)]
        assert found.mean[0, row] == pytest.approx(np.mean(groups), rel=1e-12)
        assert found.spread[0, row] == pytest.approx(np.std(groups, ddof=1), rel=1e-12)
        assert found.error[0, row] == pytest.approx(np.std(groups, ddof=1) / 2, rel=1e-12)
        assert found.total[row] == pytest.approx(logsumexp(weights[row]) - math.log(12), rel=1e-12)


def test_the_figure_shows_the_gap_and_the_spread_of_each_image(images, weights):
    found = bound.bounds(weights, (1, 10))
    figure = bound.plot(images, found)
    *panels, left, right = figure.axes
    assert len(panels) == 3
    for index, panel in enumerate(panels):
        np.testing.assert_array_equal(panel.images[0].get_array(), images[index, ..., 0])
        gaps = left.containers[index].lines[0].get_ydata()
        np.testing.assert_allclose(gaps, found.mean[:, index] - found.total[index])
        np.testing.assert_array_equal(right.lines[index].get_ydata(), found.spread[:, index])
