"""Distances of samples from data, against closed forms and brute force."""

import itertools
import tracemalloc

import numpy as np
import pytest
from scipy import linalg

from curvezoo.theory import sample_quality


@pytest.fixture(scope="module")
def features():
    rng = np.random.default_rng(0)
    return rng.normal(size=(40, 3)), 1.0 + rng.normal(size=(30, 3))


def test_the_frechet_distance_is_that_of_the_fitted_gaussians(features):
    real, drawn = features
    a, b = np.cov(real.T), np.cov(drawn.T)
    root = linalg.sqrtm(a @ b).real
    expected = np.sum((real.mean(0) - drawn.mean(0)) ** 2) + np.trace(a + b - 2 * root)
    assert sample_quality.frechet_distance(real, drawn) == pytest.approx(expected, rel=1e-10)


def test_shifted_features_have_the_squared_shift_as_frechet_distance(features):
    real, _ = features
    assert sample_quality.frechet_distance(real, real + np.array([0, 3, 4])) == pytest.approx(25, rel=1e-10)


def test_the_kernel_distance_is_the_unbiased_sum_over_pairs(features):
    real, drawn = (part[:5] for part in features)

    def k(x, y):
        return (x @ y / 3 + 1) ** 3

    same = sum(k(x[i], x[j]) for x in (real, drawn) for i, j in itertools.permutations(range(5), 2)) / 20
    other = sum(k(x, y) for x in real for y in drawn) / 25
    estimate, error = sample_quality.kernel_distance(real, drawn)
    assert estimate == pytest.approx(same - 2 * other, rel=1e-12)
    assert np.isnan(error)


def test_the_kernel_distance_of_blocks_is_the_mean_of_theirs_with_its_standard_error(features):
    real, drawn = features
    values = [sample_quality.kernel_distance(real[i : i + 10], drawn[i : i + 10])[0] for i in (0, 10, 20)]
    estimate, error = sample_quality.kernel_distance(real, drawn, block=10)
    assert estimate == pytest.approx(np.mean(values), rel=1e-12)
    assert error == pytest.approx(np.std(values, ddof=1) / np.sqrt(3), rel=1e-12)


def test_the_kernel_distance_of_one_distribution_is_zero_on_average():
    real, drawn = np.random.default_rng(1).normal(size=(2, 20_000, 2))
    estimate, error = sample_quality.kernel_distance(real, drawn, block=100)
    assert abs(estimate) < 5 * error


def test_precision_and_recall_equal_a_search_over_all_pairs(features):
    real, drawn = features

    def covered(points, centers, k):
        radii = [sorted(np.linalg.norm(centers - c, axis=1))[k] for c in centers]
        pairs = [any(np.linalg.norm(p - c) <= r for c, r in zip(centers, radii, strict=True)) for p in points]
        return np.mean(pairs)

    for k in (1, 2):
        expected = covered(drawn, real, k), covered(real, drawn, k)
        assert sample_quality.precision_and_recall(real, drawn, k) == pytest.approx(expected)
        assert min(expected) > 0
        assert max(expected) < 1


def test_precision_and_recall_do_not_depend_on_the_origin_of_the_features(features):
    # Integers, of which no digits are lost far from zero.
    real, drawn = (np.round(1000 * part) for part in features)
    near = sample_quality.precision_and_recall(real, drawn)
    assert sample_quality.precision_and_recall(real + 1e12, drawn + 1e12) == near
    assert 0 < near[0] < 1


def test_copies_of_data_have_full_precision_even_where_the_radius_is_zero(features):
    real = np.repeat(features[0], 2, axis=0) + 1 / 3
    assert sample_quality.precision_and_recall(real, real[::-1].copy(), neighbors=1) == (1.0, 1.0)


def test_precision_and_recall_of_many_samples_need_little_memory():
    real, drawn = np.random.default_rng(3).normal(size=(2, 4000, 2))
    tracemalloc.start()
    sample_quality.precision_and_recall(real, drawn)
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()


def test_a_collapsed_sample_has_full_precision_and_little_recall(features):
    real, _ = features
    drawn = real[:1] + 1e-3 * np.random.default_rng(2).normal(size=(20, 3))
    precision, recall = sample_quality.precision_and_recall(real, drawn)
    assert precision == 1.0
    assert recall <= 1 / 40


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        ("frechet_distance", ([[1.0, np.nan]], [[1.0, 2.0]]), r"real\[0, 1\] must be finite, got nan"),
        ("kernel_distance", (np.ones((3, 2)), np.ones((3, 4))), r"got shapes \(3, 2\) and \(3, 4\)"),
        ("kernel_distance", (np.ones((3, 2)), np.ones((3, 2)), 1), "block must be an integer of at least 2"),
        ("precision_and_recall", (np.ones((3, 2)), np.ones((3, 2)), 3), "neighbors must be an integer"),
        ("kernel_distance", (np.ones((3, 0)), np.ones((3, 0))), r"got shapes \(3, 0\) and \(3, 0\)"),
    ],
)
def test_an_error_names_the_wrong_argument(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        getattr(sample_quality, function)(*arguments)
