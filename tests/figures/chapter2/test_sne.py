"""Oracles: scikit-learn's neighbors and labels, the distances between digits, and SciPy's entropy."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform
from scipy.stats import entropy
from sklearn.datasets import load_digits
from sklearn.neighbors import NearestNeighbors

from curvezoo.figures.chapter2 import sne
from curvezoo.theory.perplexity import gaussian_probabilities


@pytest.fixture(scope="module")
def maps():
    return sne.compute(points=300, perplexity=20, iterations=400, sne_iterations=150)


def test_agreement_is_that_of_scikit_learns_neighbors():
    x, labels = (array[:200] for array in load_digits(return_X_y=True))
    # Pixels are integers: noise decides between neighbors at the same distance.
    x = x + 1e-3 * np.random.default_rng(0).standard_normal(x.shape)
    nearest = NearestNeighbors(n_neighbors=7).fit(x).kneighbors(return_distance=False)
    expected = np.mean(labels[nearest] == labels[:, None])
    assert sne.neighbor_agreement(x, labels, neighbors=7) == pytest.approx(expected, abs=1e-12)


def test_both_maps_keep_the_digits_together_and_the_heavy_tail_keeps_them_apart(maps):
    np.testing.assert_array_equal(maps.labels, load_digits().target[:300])
    # One in ten would agree by chance.
    assert maps.agreement["tsne"] > 0.85
    assert maps.agreement["sne"] > 0.75

    def separation(points):
        distances = squareform(pdist(points))
        same = maps.labels[:, None] == maps.labels
        np.fill_diagonal(same, False)
        return np.median(distances[maps.labels[:, None] != maps.labels]) / np.median(distances[same])

    # Distances between digits over those within: SNE crowds them.
    ratios = {method: separation(found.points) for method, found in maps.embeddings.items()}
    assert ratios["tsne"] > 1.5 * ratios["sne"]


def test_the_drawn_points_are_the_embeddings_and_each_numeral_stands_on_its_own_digit(maps):
    figure = sne.draw_maps(maps)
    for axis, found in zip(figure.axes, maps.embeddings.values(), strict=True):
        np.testing.assert_array_equal(axis.collections[0].get_offsets(), found.points)
        assert sorted(text.get_text() for text in axis.texts) == list("0123456789")
        for text in axis.texts:
            at = np.all(found.points == text.get_position(), axis=1)
            assert maps.labels[at].tolist() == [int(text.get_text())]
    assert f"{100 * maps.agreement['tsne']:.1f} %" in figure.axes[1].get_xlabel()


@pytest.mark.equation("2.6.4")
def test_sparser_clusters_have_wider_gaussians_at_one_perplexity():
    found = sne.compute_bandwidths(perplexity=12, points=50)
    p = gaussian_probabilities(found.points, np.sqrt(2) * found.widths)
    np.testing.assert_allclose(np.exp(entropy(p, axis=1)), 12, rtol=1e-5)
    widths = [np.median(found.widths[found.clusters == k]) for k in range(3)]
    # Each cluster is three times as wide as the one before, but for its sampling.
    np.testing.assert_allclose(np.diff(np.log(widths)), np.log(3), atol=0.25)
    # The curves pass through the chosen points, and end at one neighbor and at all of them.
    for i, curve in zip(found.chosen, found.curves, strict=True):
        crossing = np.exp(np.interp(np.log(12), np.log(curve), np.log(found.grid)))
        assert crossing == pytest.approx(found.widths[i], rel=0.02)
        assert curve[0] == pytest.approx(1, abs=0.3)
        assert curve[-1] == pytest.approx(149, rel=0.02)


def test_the_drawn_circles_have_the_widths_as_radii():
    found = sne.compute_bandwidths(perplexity=12, points=50)
    cloud, curves = sne.draw_bandwidths(found).axes
    circles = cloud.collections[1]
    np.testing.assert_allclose(circles.get_widths() / 2, found.widths[::8])
    np.testing.assert_array_equal(circles.get_offsets(), found.points[::8])
    assert len(curves.get_lines()) == 8
