"""Oracles: all permutations, and partitions whose error is known."""

import itertools

import numpy as np
import pytest

from curvezoo.theory.clustering import matching


def test_renamed_classes_have_no_error_and_their_names_are_found():
    classes = np.repeat(np.arange(10), 7)
    names = np.random.default_rng(0).permutation(10)
    found, error = matching(names[classes], classes)
    assert error == 0
    np.testing.assert_array_equal(found[names], np.arange(10))


def test_the_matching_is_the_best_of_all_permutations():
    rng = np.random.default_rng(1)
    for _ in range(5):
        clusters, classes = rng.integers(0, 4, (2, 30))
        errors = [np.mean(np.array(order)[clusters] != classes) for order in itertools.permutations(range(4))]
        found, error = matching(clusters, classes)
        assert error == pytest.approx(min(errors), abs=1e-15)
        assert np.mean(found[clusters] != classes) == pytest.approx(error, abs=1e-15)


def test_matching_one_to_one_counts_a_class_that_two_clusters_share():
    # Two clusters hold class 0, and classes 1 and 2 share one: each cluster in excess is an error.
    clusters, classes = [0, 0, 1, 1, 2, 2, 2], [0, 0, 0, 0, 1, 1, 2]
    assert matching(clusters, classes)[1] == pytest.approx(3 / 7)
    # The majority of each cluster would be right for all but one.


def test_a_single_cluster_is_right_for_the_largest_class_only():
    assert matching(np.zeros(100, int), np.arange(100) % 10)[1] == pytest.approx(0.9)
    assert matching(np.zeros(6, int), [0, 0, 0, 1, 2, 2])[1] == pytest.approx(0.5)
    # There may be more clusters than classes.
    assert matching(np.arange(6), np.zeros(6, int))[1] == pytest.approx(5 / 6)


@pytest.mark.parametrize(
    ("clusters", "classes", "message"),
    [
        ([], [], "clusters must be a sequence of at least one integer"),
        ([0, 1], [0, 1, 2], "classes"),
        ([0, -1], [0, 1], r"clusters\[1\] must be an integer of at least 0"),
        ([0, 1], [0, 0.5], r"classes\[1\] must be an integer of at least 0"),
        ([[0, 1]], [[0, 1]], "clusters must be a sequence"),
    ],
)
def test_settings_that_are_not_valid_are_rejected(clusters, classes, message):
    with pytest.raises(ValueError, match=message):
        matching(clusters, classes)
