import numpy as np
import pytest
import scipy.stats

from curvezoo.data.images import sampling


def test_subsets_are_nested_and_the_whole_is_untouched():
    small, large = sampling.kept(1000, 10), sampling.kept(1000, 400)
    assert list(large[:10]) == list(small)
    assert len(set(large)) == 400
    assert list(sampling.kept(5, None)) == [0, 1, 2, 3, 4]


def test_the_subset_is_the_one_that_published_numbers_used():
    assert list(sampling.kept(1257, 5)) == [90, 338, 235, 1220, 494]


def test_exactly_the_fraction_is_drawn_uniformly():
    drawn = sampling.replacement_labels(50000, 10, 0.3, seed=4)
    assert np.sum(drawn >= 0) == 15000
    counts = np.bincount(drawn[drawn >= 0], minlength=10)
    assert scipy.stats.chisquare(counts).pvalue > 1e-3
    # Which examples are drawn must not depend on their position either.
    thirds = [np.sum(part >= 0) for part in np.split(drawn[:49998], 3)]
    assert scipy.stats.chisquare(thirds, np.mean(thirds) * np.ones(3)).pvalue > 1e-3


@pytest.mark.parametrize("fraction", [0.0, 1.0])
def test_none_and_all(fraction):
    drawn = sampling.replacement_labels(100, 3, fraction, seed=0)
    assert np.all((drawn >= 0) == bool(fraction))


def test_the_seed_decides():
    first, again, other = (sampling.replacement_labels(500, 10, 0.5, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
