"""Oracles: the powers of SGD's factors, and the path of SGD on |theta|."""

import numpy as np

from curvezoo.figures.chapter4 import rmsprop


def test_rmsprop_paths_do_not_depend_on_curvature_and_sgd_on_the_modulus_is_linear():
    paths = rmsprop.measure(curvatures=(1.0, 8.0), start=60.5, steps=90)
    np.testing.assert_allclose(paths["SGD"][3], 60.5 * np.array([7 / 8, 0]) ** 3, rtol=1e-12)
    np.testing.assert_allclose(paths["RMSProp"][:, 0], paths["RMSProp"][:, 1], rtol=1e-9)
    np.testing.assert_allclose(np.abs(paths["SGD on |theta|"][:61, 0]), np.abs(60.5 - np.arange(61)))
    np.testing.assert_allclose(np.abs(paths["SGD on |theta|"][61:, 0]), 0.5)


def test_figure_shows_the_paths():
    paths = rmsprop.measure()
    drawn = [line.get_ydata() for line in rmsprop.draw().axes[0].lines]
    for expected in (paths["RMSProp"][:, 0], paths["SGD"][:, 1], paths["SGD on |theta|"][:, 0]):
        assert any(np.array_equal(np.ravel(y), np.abs(expected)) for y in drawn)
