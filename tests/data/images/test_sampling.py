import numpy as np
import pytest
import scipy.stats

from curvezoo.data.images import sampling


def test_subsets_are_nested_and_the_whole_split_keeps_its_order():
    small, large = sampling.subset_rows(1000, 10), sampling.subset_rows(1000, 400)
    assert list(large[:10]) == list(small)
    assert len(set(large)) == 400
    assert list(sampling.subset_rows(5, None)) == [0, 1, 2, 3, 4]


def test_the_subset_is_the_one_used_for_the_published_results():
    assert list(sampling.subset_rows(1257, 5)) == [90, 338, 235, 1220, 494]


def test_exactly_the_given_fraction_of_labels_is_drawn_uniformly():
    drawn = sampling.replacement_labels(50000, 10, 0.3, seed=4)
    assert np.sum(drawn >= 0) == 15000
    counts = np.bincount(drawn[drawn >= 0], minlength=10)
    assert scipy.stats.chisquare(counts).pvalue > 1e-3
    # The draw must not depend on the position, either.
    thirds = [np.sum(part >= 0) for part in np.split(drawn[:49998], 3)]
    assert scipy.stats.chisquare(thirds, np.mean(thirds) * np.ones(3)).pvalue > 1e-3


@pytest.mark.parametrize("fraction", [0.0, 1.0])
def test_fractions_zero_and_one_replace_no_label_and_every_label(fraction):
    drawn = sampling.replacement_labels(100, 3, fraction, seed=0)
    assert np.all((drawn >= 0) == bool(fraction))


def test_replacement_labels_depend_on_the_seed():
    first, again, other = (sampling.replacement_labels(500, 10, 0.5, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
