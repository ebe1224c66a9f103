"""Oracles: loops over the printed sum, SciPy's entropy and root finder, quadrature, and scikit-learn."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.spatial.distance import pdist, squareform
from scipy.stats import entropy
from sklearn.datasets import load_digits
from sklearn.manifold import _t_sne

from curvezoo.theory import perplexity as neighbors


def cloud(points, features=3, seed=0):
    """Returns points with widely different densities."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((points, features)) * np.exp(rng.uniform(-2, 2, (points, 1)))


def printed_probabilities(x, sigma):
    """Returns Eq. 2.6.1 term by term; p_{i|i} is zero because no point is its own neighbor."""
    p = np.zeros((len(x), len(x)))
    for i in range(len(x)):
        terms = {k: np.exp(-np.sum((x[k] - x[i]) ** 2) / sigma[i] ** 2) for k in range(len(x)) if k != i}
        for j, term in terms.items():
            p[j, i] = term / sum(terms.values())
    return p.T


@pytest.mark.equation("2.6.1")
def test_probabilities_match_the_printed_formula_and_vanish_on_the_diagonal():
    x, sigma = cloud(12), np.random.default_rng(1).uniform(0.5, 3.0, 12)
    p = neighbors.gaussian_probabilities(x, sigma)
    np.testing.assert_allclose(p, printed_probabilities(x, sigma), rtol=1e-12, atol=1e-300)
    assert np.all(np.diagonal(p) == 0)


@pytest.mark.equation("2.6.1")
def test_the_variance_of_the_printed_gaussian_is_half_of_sigma_squared():
    sigma = 1.7
    norm, _ = quad(lambda t: np.exp(-(t**2) / sigma**2), -np.inf, np.inf)
    second, _ = quad(lambda t: t**2 * np.exp(-(t**2) / sigma**2), -np.inf, np.inf)
    assert second / norm == pytest.approx(sigma**2 / 2, rel=1e-9)
    # Hence exp(-d^2 / (2 s^2)) of the papers with s = sigma / sqrt(2) is the same distribution.
    x = cloud(9)
    papers = np.exp(-squareform(pdist(x, "sqeuclidean")) / (2 * (sigma / np.sqrt(2)) ** 2))
    np.fill_diagonal(papers, 0.0)
    papers /= papers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(neighbors.gaussian_probabilities(x, sigma), papers, rtol=1e-12)


@pytest.mark.equation("2.6.2")
def test_the_embedding_has_unit_sigma_and_a_variance_of_one_half():
    y = cloud(12, features=2)
    q = neighbors.gaussian_probabilities(y)
    np.testing.assert_allclose(q, printed_probabilities(y, np.ones(12)), rtol=1e-12, atol=1e-300)
    # 2 sigma^2 of the papers is one at sigma^2 = 1/2.
    np.testing.assert_allclose(
        q, neighbors.gaussian_probabilities(y * np.sqrt(2), np.full(12, np.sqrt(2))), rtol=1e-12
    )


@pytest.mark.equation("2.6.4")
@pytest.mark.parametrize("perplexity", [1.01, 5, 30, 398.5])
def test_every_point_has_the_perplexity_in_the_base_of_its_entropy(perplexity):
    p, _ = neighbors.conditional_probabilities(cloud(400), perplexity)
    np.testing.assert_allclose(2 ** entropy(p, base=2, axis=1), perplexity, rtol=1e-5)
    np.testing.assert_allclose(np.exp(entropy(p, axis=1)), perplexity, rtol=1e-5)
    # Two to the power of an entropy in nats is another number: both must have the same base.
    assert np.all(2 ** entropy(p, axis=1) < perplexity ** np.log(2) * (1 + 1e-5))


@pytest.mark.equation("2.6.4")
def test_bandwidths_match_scipys_root_finder_and_scale_with_the_distances():
    x = cloud(60)
    p, bandwidths = neighbors.conditional_probabilities(x, 10)
    np.testing.assert_allclose(p, neighbors.gaussian_probabilities(x, bandwidths), rtol=1e-9, atol=1e-300)
    distances = squareform(pdist(x))
    for i in (0, 7, 59):
        squares = np.delete(distances[i], i) ** 2

        def excess(sigma, squares=squares):
            weights = np.exp((squares.min() - squares) / sigma**2)
            return entropy(weights) - np.log(10)

        sigma = brentq(excess, 1e-2 * np.sqrt(squares.max()), 1e2 * np.sqrt(squares.max()), rtol=1e-13)
        # The slope of the entropy in log(sigma) converts the tolerance of the perplexity into one of sigma.
        slope = (excess(sigma * 1.001) - excess(sigma / 1.001)) / (2 * np.log(1.001))
        assert bandwidths[i] == pytest.approx(sigma, rel=2e-5 / slope)
    # In a cluster a tenth as wide, the bandwidths are a tenth as large.
    clusters = np.concatenate([x[:30] / 10, x[:30] + 1000])
    _, bandwidths = neighbors.conditional_probabilities(clusters, 5)
    np.testing.assert_allclose(bandwidths[:30] * 10, bandwidths[30:], rtol=1e-3)


def test_joint_probabilities_match_scikit_learn():
    x = load_digits().data[:500]
    joint = neighbors.joint_probabilities(neighbors.conditional_probabilities(x, 30)[0])
    theirs = squareform(_t_sne._joint_probabilities(squareform(pdist(x, "sqeuclidean")), 30, 0))
    # scikit-learn uses single-precision distances and stops at an entropy within 1e-5.
    np.testing.assert_allclose(joint, theirs, atol=3e-5 * joint.max())
    assert joint.sum() == pytest.approx(1, abs=1e-12)
    assert np.all(joint.sum(axis=1) >= (1 - 1e-12) / (2 * len(x)))


@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_the_units_do_not_matter_even_if_squares_overflow(scale):
    x = cloud(30)
    p, bandwidths = neighbors.conditional_probabilities(x, 7)
    scaled, scaled_bandwidths = neighbors.conditional_probabilities(x * scale, 7)
    np.testing.assert_allclose(scaled, p, atol=1e-9)
    np.testing.assert_allclose(scaled_bandwidths / scale, bandwidths, rtol=1e-9)


@pytest.mark.equation("2.6.1")
@pytest.mark.parametrize("exponent", [-1000, -700, 700, 1000])
def test_probabilities_at_given_widths_do_not_depend_on_the_units(exponent):
    x, sigma = cloud(30), np.random.default_rng(1).uniform(0.5, 3.0, 30)
    far = neighbors.gaussian_probabilities(np.ldexp(x, exponent), np.ldexp(sigma, exponent))
    np.testing.assert_array_equal(far, neighbors.gaussian_probabilities(x, sigma))


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_extreme_widths_pick_the_nearest_neighbor_or_all_points_equally(scale):
    x = scale * cloud(30)
    distances = squareform(pdist(x / scale))
    np.fill_diagonal(distances, np.inf)
    nearest = np.eye(30)[distances.argmin(axis=1)]
    np.testing.assert_array_equal(neighbors.gaussian_probabilities(x, 1e-300), nearest)
    uniform = (1 - np.eye(30)) / 29
    np.testing.assert_allclose(neighbors.gaussian_probabilities(x, 1e300), uniform, rtol=1e-15)


def test_outliers_and_distant_clusters_have_the_perplexity():
    x = cloud(40)
    x[20:] += 1e9
    x[0] = -1e10
    p, _ = neighbors.conditional_probabilities(x, 6)
    np.testing.assert_allclose(np.exp(entropy(p, axis=1)), 6, rtol=1e-5)


def test_duplicates_are_equally_probable_and_too_many_are_named():
    x = cloud(30)
    x[10:14] = 100.0
    p, bandwidths = neighbors.conditional_probabilities(x, 3.5)
    np.testing.assert_allclose(np.exp(entropy(p, axis=1)), 3.5, rtol=1e-5)
    np.testing.assert_array_equal(p[10, [11, 12, 13]], p[10, 11])
    assert np.all(np.isfinite(bandwidths))


def test_points_with_too_many_duplicates_pick_each_with_equal_probability():
    x = cloud(30)
    x[10:14] = 100.0
    _, widths = neighbors.conditional_probabilities(x, 3.5)
    with pytest.warns(RuntimeWarning, match=r"perplexity 2.5 .* 4 of 30 points.* x\[10\] among 3"):
        p, bandwidths = neighbors.conditional_probabilities(x, 2.5)
    duplicates = np.arange(10, 14)
    np.testing.assert_array_equal(p[np.ix_(duplicates, duplicates)], (1 - np.eye(4)) / 3)
    others = np.delete(p, duplicates, axis=0)
    np.testing.assert_allclose(np.exp(entropy(others, axis=1)), 2.5, rtol=1e-5)
    np.testing.assert_allclose(neighbors.gaussian_probabilities(x, bandwidths), p, rtol=1e-10, atol=1e-300)
    assert np.all(bandwidths < widths)
    with pytest.warns(RuntimeWarning, match=r"10 of 10 points.* x\[0\] among 9"):
        p, bandwidths = neighbors.conditional_probabilities(np.ones((10, 2)), 4)
    np.testing.assert_allclose(p, (1 - np.eye(10)) / 9, rtol=1e-14)
    assert np.all(np.isfinite(bandwidths))


def test_neighbors_equally_near_up_to_rounding_are_ties():
    angles = np.arange(9) * 2 * np.pi / 9
    ring = 0.1 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    with pytest.warns(RuntimeWarning, match=r"9 of 9 points.* x\[0\] among 2"):
        neighbors.conditional_probabilities(ring, 1.5)
    p, _ = neighbors.conditional_probabilities(ring, 2.5)
    np.testing.assert_allclose(np.exp(entropy(p, axis=1)), 2.5, rtol=1e-5)


def test_invalid_arguments_are_named():
    x = cloud(20)
    broken = x.copy()
    broken[4, 1] = np.nan
    for function in (neighbors.gaussian_probabilities, lambda x: neighbors.conditional_probabilities(x, 5)):
        with pytest.raises(ValueError, match=r"x\[4, 1\] must be finite, got nan"):
            function(broken)
        with pytest.raises(ValueError, match="at least 3 points"):
            function(x[:2])
        with pytest.raises(ValueError, match=r"20001 points.*openTSNE"):
            function(np.zeros((20_001, 1)))
    for perplexity in (0.5, 1, 19, 30):
        with pytest.raises(
            ValueError, match=rf"perplexity must be above 1 and below.*19.*got {perplexity:g}"
        ):
            neighbors.conditional_probabilities(x, perplexity)
    with pytest.raises(ValueError, match=r"perplexity must be finite, got nan"):
        neighbors.conditional_probabilities(x, np.nan)
    with pytest.raises(ValueError, match=r"bandwidths\[3\] must be positive, got 0"):
        neighbors.gaussian_probabilities(x, np.array([1.0, 1.0, 1.0, 0.0]))
    with pytest.raises(ValueError, match=r"bandwidths must be a number or have shape \(20,\), got \(4,\)"):
        neighbors.gaussian_probabilities(x, np.ones(4))
    with pytest.raises(ValueError, match=r"p must be a square matrix, got shape \(1, 3\)"):
        neighbors.joint_probabilities([[0.5, 0.25, 0.25]])
    with pytest.raises(ValueError, match=r"p\[1, 1\] must be 0, got 0.5"):
        neighbors.joint_probabilities([[0, 0.5, 0.5], [0.25, 0.5, 0.25], [0.5, 0.5, 0]])
