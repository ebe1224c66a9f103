"""Oracles: scikit-learn's neighbors and labels, and the distances between digits."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform
from sklearn.datasets import load_digits
from sklearn.neighbors import NearestNeighbors

from curvezoo.figures.chapter2 import sne


@pytest.fixture(scope="module")
def maps():
    return sne.measure(points=300, perplexity=20, iterations=400, sne_iterations=150)


def test_agreement_is_that_of_scikit_learns_neighbors():
    x, labels = (array[:200] for array in load_digits(return_X_y=True))
    # Pixels are integers: noise decides between neighbors at the same distance.
    x = x + 1e-3 * np.random.default_rng(0).standard_normal(x.shape)
    nearest = NearestNeighbors(n_neighbors=7).fit(x).kneighbors(return_distance=False)
    expected = np.mean(labels[nearest] == labels[:, None])
    assert sne.neighbor_agreement(x, labels, neighbors=7) == pytest.approx(expected, abs=1e-12)


def test_both_maps_group_the_digits_and_tsne_separates_them_more(maps):
    np.testing.assert_array_equal(maps.labels, load_digits().target[:300])
    # One in ten neighbors would agree by chance.
    assert maps.agreement["tsne"] > 0.85
    assert maps.agreement["sne"] > 0.75

    def separation(points):
        distances = squareform(pdist(points))
        same = maps.labels[:, None] == maps.labels
        np.fill_diagonal(same, False)
        return np.median(distances[maps.labels[:, None] != maps.labels]) / np.median(distances[same])

    # Ratio of the distances between digits and within a digit: SNE crowds the digits.
    ratios = {method: separation(embedding.points) for method, embedding in maps.embeddings.items()}
    assert ratios["tsne"] > 1.5 * ratios["sne"]


def test_figure_shows_the_embeddings_with_each_numeral_on_its_digit(maps):
    figure = sne.plot(maps)
    for axis, embedding in zip(figure.axes, maps.embeddings.values(), strict=True):
        np.testing.assert_array_equal(axis.collections[0].get_offsets(), embedding.points)
        assert sorted(text.get_text() for text in axis.texts) == list("0123456789")
        for text in axis.texts:
            at = np.all(embedding.points == text.get_position(), axis=1)
            assert maps.labels[at].tolist() == [int(text.get_text())]
    assert f"{100 * maps.agreement['tsne']:.1f} %" in figure.axes[1].get_xlabel()
