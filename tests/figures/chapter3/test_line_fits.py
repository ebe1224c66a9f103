"""Oracles: least squares, linear programming, and SciPy's optimizer."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import sparse
from scipy.optimize import linprog, minimize

from curvezoo.figures.chapter3.line_fits import LOSSES, fit_lines
from curvezoo.figures.chapter3.robust_regression import NOISES

POINTS, SETS = 60, 12


@pytest.fixture(scope="module")
def data():
    """Abscissas [N] and the ordinates by law of errors, [12, N] each."""
    x = np.linspace(-1.0, 1.0, POINTS)
    quantiles = np.random.default_rng(5).uniform(size=(SETS, POINTS))
    return x, {noise: 3.0 - x + 0.5 * law.ppf(quantiles) for noise, (law, _) in NOISES.items()}


def fits(name, data, **settings):
    """Fits a likelihood to all data sets at once; returns coefficients [12, 2] and scales [12] by noise."""
    x, ordinates = data
    loss = LOSSES[name](reduction="sum", dtype="float64")
    fit = fit_lines(loss, x, np.concatenate(list(ordinates.values())), **settings)
    rows = {noise: slice(i * SETS, (i + 1) * SETS) for i, noise in enumerate(ordinates)}
    return {noise: (fit.coefficients[own], fit.scale[own]) for noise, own in rows.items()}


def test_the_gaussian_fit_is_least_squares(data):
    x, ordinates = data
    for noise, (coefficients, scale) in fits("Gaussian", data).items():
        y = ordinates[noise]
        slope, intercept = np.polyfit(x, y.T, 1)
        np.testing.assert_allclose(coefficients, np.stack([intercept, slope], axis=-1), atol=1e-11)
        residuals = y - intercept[:, None] - slope[:, None] * x
        np.testing.assert_allclose(scale, np.sqrt(np.mean(residuals**2, axis=-1)), rtol=1e-11)


def test_the_laplace_fit_has_the_least_absolute_error_of_a_linear_program(data):
    x, ordinates = data
    design = np.stack([np.ones_like(x), x], axis=1)
    split = sparse.hstack([design, sparse.eye(POINTS), -sparse.eye(POINTS)]).tocsr()
    cost = np.concatenate([np.zeros(2), np.ones(2 * POINTS)])
    bounds = [(None, None)] * 2 + [(0, None)] * (2 * POINTS)
    for noise, (coefficients, scale) in fits("Laplace", data, tolerance=1e-10, iterations=1000).items():
        y = ordinates[noise]
        least = [linprog(cost, A_eq=split, b_eq=row, bounds=bounds).fun for row in y]
        lines = coefficients[:, :1] + coefficients[:, 1:] * x
        np.testing.assert_allclose(np.abs(y - lines).sum(axis=-1), least, rtol=1e-6)
        np.testing.assert_allclose(scale, np.array(least) / POINTS, rtol=1e-4)


@pytest.mark.parametrize("name", ["Cauchy", "Huber"])
def test_the_other_fits_maximize_their_likelihood_over_line_and_scale(name, data):
    x, ordinates = data
    loss = LOSSES[name](scale=None, reduction="sum", dtype="float64")

    @tf.function(input_signature=[tf.TensorSpec([3], tf.float64), tf.TensorSpec([POINTS], tf.float64)])
    def value_and_gradient(parameters, row):
        with tf.GradientTape() as tape:
            tape.watch(parameters)
            intercept, slope, log_scale = tf.unstack(parameters)
            predictions = tf.stack([intercept + slope * x, tf.fill([POINTS], log_scale)], axis=-1)
            value = loss(row, predictions)
        return value, tape.gradient(value, parameters)

    for noise, (coefficients, scale) in fits(name, data, tolerance=1e-9, iterations=3000).items():
        for row, line, log_scale in list(zip(ordinates[noise], coefficients, np.log(scale), strict=True))[:3]:
            start = np.array([*line, log_scale])

            def objective(parameters, row=row):
                return tuple(part.numpy() for part in value_and_gradient(parameters, row))

            best = minimize(objective, start, jac=True, method="BFGS", options={"gtol": 1e-6})
            np.testing.assert_allclose(start, best.x, atol=2e-4)
