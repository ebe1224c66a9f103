"""Oracles: the Cramér-Rao bound, the asymptotics of M-estimators, and the data of the drawn artists."""

import numpy as np
import pytest
from scipy.optimize import brentq

from curvezoo.figures.chapter3 import robust_regression
from curvezoo.figures.chapter3.line_fits import LOSSES, fit_lines
from curvezoo.figures.chapter3.robust_regression import LINE, NO_MEAN, NOISES, SCALE


@pytest.fixture(scope="module")
def result():
    return robust_regression.measure()


@pytest.fixture(scope="module")
def figure(result):
    return robust_regression.plot(result)


def test_the_matching_likelihood_has_the_least_error_by_four_standard_errors(result):
    for noise in NOISES:
        for name in LOSSES:
            cell = result.cells[noise, name]
            if name == noise:
                assert cell.lead == cell.nll_lead == 0.0
                continue
            assert cell.lead > 4.0, (noise, name)
            assert cell.nll_lead > 20.0, (noise, name)
            assert cell.nll > result.cells[noise, noise].nll + 4 * cell.nll_error
            if (noise, name) not in NO_MEAN:
                assert cell.rms > result.cells[noise, noise].rms


def test_the_fits_have_converged(result):
    for (_, name), cell in result.cells.items():
        assert cell.change < (2e-4 if name == "Laplace" else 1e-5)


# First and second derivative of rho.
SCORES = {
    "Gaussian": (lambda z: z, np.ones_like),
    "Cauchy": (lambda z: 2 * z / (1 + z**2), lambda z: 2 * (1 - z**2) / (1 + z**2) ** 2),
    "Huber": (lambda z: np.clip(z, -1.345, 1.345), lambda z: 1.0 * (np.abs(z) < 1.345)),
}


def asymptotic_efficiency(noise, name):
    """Returns the bound over the variance t^2 <rho'^2> / <rho''>^2, at the scale t with <z rho'> = 1."""
    law, information = NOISES[noise]
    e = law.ppf((np.arange(200_000) + 0.5) / 200_000)
    if name == "Laplace":
        return 4 * law.pdf(0.0) ** 2 / information
    first, second = SCORES[name]
    t = brentq(lambda t: np.mean(e / t * first(e / t)) - 1, 0.1, 100.0)
    variance = t**2 * np.mean(first(e / t) ** 2) / np.mean(second(e / t)) ** 2
    return 1 / (information * variance)


def test_efficiencies_are_those_of_the_asymptotic_theory(result):
    for (noise, name), cell in result.cells.items():
        if (noise, name) in NO_MEAN:
            continue
        expected = asymptotic_efficiency(noise, name)
        # Finite N changes the efficiency by order 1 / N, and by 2 / sqrt(N) for a density with a cusp.
        finite = 2 / np.sqrt(result.points) if noise == "Laplace" else 8 / result.points
        assert abs(cell.efficiency - expected) < 4 * cell.efficiency_error + expected * finite, (noise, name)


def test_the_matching_likelihood_reaches_the_bound(result):
    for noise in ("Gaussian", "Cauchy"):
        assert asymptotic_efficiency(noise, noise) == pytest.approx(1.0, abs=1e-4)
    assert result.bounds["Gaussian"] == pytest.approx(SCALE * np.sqrt(2 / result.points))
    assert result.bounds["Cauchy"] == pytest.approx(np.sqrt(2) * result.bounds["Gaussian"])
    cell = result.cells["Gaussian", "Gaussian"]
    # Least squares attains it at every N.
    assert abs(cell.rms - result.bounds["Gaussian"]) < 4 * cell.rms_error


def test_least_squares_gains_nothing_from_more_points_under_cauchy_errors(result):
    x = np.linspace(-1.0, 1.0, 25)
    y = LINE[0] + LINE[1] * x + SCALE * np.random.default_rng(1).standard_cauchy((400, 25))
    for name, gain in (("Gaussian", 1.0), ("Cauchy", 4.0)):
        fit = fit_lines(LOSSES[name](reduction="sum", dtype="float64"), x, y)
        offset = (fit.coefficients - LINE) @ np.stack([np.ones_like(x), x])
        before = np.median(np.sqrt(np.mean(offset**2, axis=-1)))
        after = result.cells["Cauchy", name].median
        # The median of 400 has a relative error of 6 %; small N costs the Cauchy fit another 20 %.
        assert before / after == pytest.approx(gain, rel=0.35), name


def test_the_table_has_a_row_for_each_pair_and_marks_those_without_a_mean(result):
    header, rows = robust_regression.table(result)
    assert [row[:2] for row in rows] == [[noise, name] for noise in NOISES for name in LOSSES]
    assert all(len(row) == len(header) and all(isinstance(cell, str) for cell in row) for row in rows)
    by_pair = {tuple(row[:2]): row for row in rows}
    cell = result.cells["Laplace", "Huber"]
    assert by_pair["Laplace", "Huber"][2] == f"{cell.rms:.4f} ± {cell.rms_error:.4f}"
    for pair in NO_MEAN:
        assert by_pair[pair][2] == f"none (median {result.cells[pair].median:.2g})"
    assert by_pair["Cauchy", "Cauchy"][-1] == "(matching)"


def test_the_panels_show_the_data_and_the_fitted_lines(result, figure):
    for panel, noise in zip(figure.axes[:3], NOISES, strict=True):
        x, y, lines = result.examples[noise]
        points, truth, *fits = panel.lines
        inside = np.isin(y, points.get_ydata())
        low, high = panel.get_ylim()
        np.testing.assert_array_equal(inside, (y > low) & (y < high))
        notes = [text.get_text() for text in panel.texts]
        outside = np.count_nonzero(~inside)
        assert notes == ([f"{outside} of {len(y)} points outside"] if outside else [])
        np.testing.assert_allclose(truth.get_ydata(), 1.0 + 2.0 * x)
        for line, (intercept, slope) in zip(fits, lines.values(), strict=True):
            np.testing.assert_allclose(line.get_ydata(), intercept + slope * x)


def test_the_heat_maps_show_the_measured_numbers(result, figure):
    ratio, excess = figure.axes[4], figure.axes[5]
    pairs = [(noise, name) for noise in NOISES for name in LOSSES]
    for pair, text in zip(pairs, ratio.texts, strict=True):
        value = result.cells[pair].rms / result.bounds[pair[0]]
        assert text.get_text() == ("no mean" if pair in NO_MEAN else f"{value:.2f}")
    for (noise, name), text in zip(pairs, excess.texts, strict=True):
        best = min(result.cells[noise, other].nll for other in LOSSES)
        assert float(text.get_text()) == pytest.approx(result.cells[noise, name].nll - best, abs=6e-4)
    for panel in (ratio, excess):
        frames = [patch.get_xy() for patch in panel.patches]
        assert frames == [(i - 0.5, i - 0.5) for i in range(3)]


def test_the_losses_of_one_residual_are_drawn_relative_to_their_minimum(figure):
    panel = figure.axes[3]
    expected = (lambda z: z**2 / 2, np.abs, lambda z: np.log1p(z**2), huber)
    for line, function in zip(panel.lines, expected, strict=True):
        z = line.get_xdata()
        np.testing.assert_allclose(line.get_ydata(), function(z), atol=1e-12)


def huber(z):
    return np.where(np.abs(z) < 1.345, z**2 / 2, 1.345 * np.abs(z) - 1.345**2 / 2)


def test_too_few_points_or_replicates_are_errors():
    with pytest.raises(ValueError, match="points must be an integer of at least 3, got 2"):
        robust_regression.measure(points=2)
    with pytest.raises(ValueError, match="replicates must be an integer of at least 2, got 1"):
        robust_regression.measure(replicates=1)
