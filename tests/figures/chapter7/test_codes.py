"""Grids of codes against the generator's decoder."""

import keras
import numpy as np
import pytest

from curvezoo.figures.chapter7 import codes
from curvezoo.zoo.generative import InfoGANGenerator


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    model = InfoGANGenerator((4, 4, 1), noise=2, categories=3, continuous=2, filters=(2,))
    model.set_weights([20 * array for array in model.get_weights()])
    return model


def test_rows_are_categories_and_columns_share_their_noise(model):
    grid = codes.by_category(model, columns=4, seed=5)
    noise = np.asarray(model.latents(4, np.int32([5, 0])))[:, :2]
    for category, row in enumerate(grid):
        latents = np.hstack([noise, np.tile(np.eye(3)[category], (4, 1)), np.zeros((4, 2))])
        np.testing.assert_allclose(row, np.asarray(model.decoded(np.float32(latents))), atol=1e-5)
    assert np.ptp(grid, axis=0).max() > 0.01
    assert np.ptp(grid, axis=1).max() > 0.01


def test_the_figure_has_a_panel_for_each_grid_and_a_label_for_each_category():
    grids = {"noise": np.zeros((3, 2, 4, 4, 1)), "code": np.ones((3, 5, 4, 4, 1))}
    figure = codes.plot(grids, "small: 1.0% code error")
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["noise", "code"]
    for axis, columns in zip(figure.axes, (2, 5), strict=True):
        assert axis.images[0].get_array().shape == (14, 5 * columns - 1)
        assert [label.get_text() for label in axis.get_yticklabels()] == ["1", "2", "3"]
