"""Lines and traversals of a small VAE against its decoder."""

import itertools

import keras
import numpy as np
import pytest

from curvezoo.figures.chapter7 import latent_space
from curvezoo.zoo.generative import VAE

IDLE = 1


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    model = VAE((2, 2, 1), latents=3, units=(4,))
    model.set_weights([3 * array for array in model.get_weights()])
    means = model.encoder.get_layer("mean")
    kernel, bias = means.get_weights()
    kernel[:, IDLE] = 0
    means.set_weights([kernel, bias])
    return model


@pytest.fixture(scope="module")
def real():
    return np.float32([[1, 0, 1, 1], [0, 0, 0, 1], [1, 1, 0, 0]]).reshape(3, 2, 2, 1)


@pytest.fixture(scope="module")
def space(model, real):
    return latent_space.measure("small", model, real, latents=2)


def decoded(model, latents):
    logits = np.float64(model.decoder(np.float32([latents])))
    return (1 / (1 + np.exp(-logits))).reshape(2, 2, 1)


def test_a_traversal_changes_one_latent_of_the_first_image_only(model, real, space):
    start = model.encode(real)[0]
    for latent, row in zip(space.latents, space.traversals, strict=True):
        for value, image in zip(latent_space.VALUES, row, strict=True):
            changed = start.copy()
            changed[latent] = value
            np.testing.assert_allclose(image, decoded(model, changed), atol=1e-5)


def test_lines_join_the_codes_of_all_pairs_of_images(model, real, space):
    codes = model.encode(real)
    pairs = list(itertools.combinations(range(3), 2))
    for (first, second), row in zip(pairs, space.interpolations, strict=True):
        half = (codes[first] + codes[second]) / 2
        for code, place in ((codes[first], 0), (half, 4), (codes[second], 8)):
            np.testing.assert_allclose(row[place], decoded(model, code), atol=1e-5)


def test_a_latent_that_the_encoder_ignores_is_not_active_and_not_traversed(space):
    assert space.activity[IDLE] == 0
    assert set(space.latents) == {0, 2}
    assert space.activity[space.latents[0]] >= space.activity[space.latents[1]] > 0.01


def test_the_figure_labels_rows_with_the_variance_and_counts_active_latents(space):
    figure = latent_space.plot([space])
    left, middle, right = figure.axes
    assert left.images[0].get_array().shape == (8, 26)
    labels = [label.get_text() for label in middle.get_yticklabels()]
    assert labels == [f"{space.activity[latent]:.2f}" for latent in space.latents]
    assert right.get_title(loc="left") == "2 of 3 latents are active"
    assert [bar.get_height() for bar in right.patches] == sorted(space.activity, reverse=True)
