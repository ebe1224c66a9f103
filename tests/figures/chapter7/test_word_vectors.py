"""Oracles: `WordVectors.analogy` one question at a time, and vectors with known offsets."""

import itertools

import numpy as np
import pytest

from curvezoo.figures.chapter7 import word_vectors as figure
from curvezoo.zoo.embedding import WordVectors


@pytest.fixture(scope="module")
def measurement():
    return figure.measure()


def related(offset, noise=0.3, pairs=12, seed=0):
    """Returns random vectors of pairs of words with a common offset, and the pairs."""
    rng = np.random.default_rng(seed)
    first = rng.standard_normal((pairs, 8))
    second = first + offset * np.eye(8)[0] + noise * rng.standard_normal((pairs, 8))
    names = [(f"a{n}", f"b{n}") for n in range(pairs)]
    return WordVectors([name for both in zip(*names, strict=True) for name in both], [*first, *second]), names


def test_accuracy_of_offsets_is_that_of_one_analogy_after_another():
    vectors, pairs = related(2.0, noise=0.8)
    ranks = []
    for (a, b), (c, answer) in itertools.permutations(pairs, 2):
        ranks.append([word for word, _ in vectors.analogy(a, b, c, n=100)].index(answer))
    accuracy = figure.offset_accuracy(vectors, pairs)
    assert accuracy.first == pytest.approx(np.mean(np.array(ranks) == 0), abs=1e-12)
    assert accuracy.in_five == pytest.approx(np.mean(np.array(ranks) < 5), abs=1e-12)
    assert 0 < accuracy.first < accuracy.in_five < 1


@pytest.mark.parametrize("seed", range(8))
def test_accuracies_of_mean_offset_and_nearest_word_equal_a_loop_over_pairs(seed):
    vectors, pairs = related(2.0, noise=0.8, pairs=4, seed=seed)
    unit = dict(zip(vectors.words, vectors.unit, strict=True))
    for accuracy, with_offset in (
        (figure.mean_offset_accuracy(vectors, pairs), True),
        (figure.nearest_accuracy(vectors, pairs), False),
    ):
        ranks = []
        for one, answer in pairs:
            offset = np.mean([unit[b] - unit[a] for a, b in pairs if a != one], axis=0) if with_offset else 0
            found = vectors.nearest_to(unit[one] + offset, 100, exclude=[one])
            ranks.append([word for word, _ in found].index(answer))
        assert accuracy.first == pytest.approx(np.mean(np.array(ranks) == 0), abs=1e-12)
        assert accuracy.in_five == pytest.approx(np.mean(np.array(ranks) < 5), abs=1e-12)


def test_plane_shows_the_offsets_of_held_out_pairs_only_if_there_is_a_relation():
    vectors, pairs = related(3.0)
    drawn, others = figure.split_pairs(pairs)
    points = figure.relation_plane(vectors, drawn, others)
    assert points.shape == (3, 2, 2)
    assert np.all(points[:, 1, 1] - points[:, 0, 1] > 0.4)
    unrelated, pairs = related(0.0, noise=3.0, pairs=200)
    points = figure.relation_plane(unrelated, *figure.split_pairs(pairs))
    assert abs(np.mean(points[:, 1, 1] - points[:, 0, 1])) < 0.15


def test_pairs_of_the_plane_do_not_determine_its_direction():
    _, pairs = related(1.0)
    drawn, others = figure.split_pairs(pairs)
    assert not set(drawn) & set(others)
    assert set(drawn) | set(others) == set(pairs)


def test_offsets_of_the_embedded_text_answer_far_more_than_random_vectors(measurement):
    for relation, pairs in measurement.relations.items():
        assert len(pairs) >= 20
        accuracy = measurement.accuracy[relation]
        assert accuracy["random"].in_five < 0.02
        assert accuracy["offset"].in_five > 0.15
        assert accuracy["mean offset"].in_five > accuracy["nearest"].in_five + 0.1
    assert measurement.accuracy["noun → plural"]["mean offset"].first > 0.3


def test_held_out_plurals_of_the_embedded_text_lie_in_the_direction_of_the_others(measurement):
    drawn, others = figure.split_pairs(measurement.relations["noun → plural"])
    points = figure.relation_plane(measurement.vectors, drawn, others)
    assert np.mean(points[:, 1, 1] > points[:, 0, 1]) > 0.8


def test_figure_shows_each_pair_with_labels_that_do_not_overlap(measurement):
    drawn = figure.plot(measurement)
    for axis, relation in zip(drawn.axes, ("noun → plural", "verb → participle"), strict=False):
        pairs, others = figure.split_pairs(measurement.relations[relation])
        points = figure.relation_plane(measurement.vectors, pairs, others)
        shown = {text.get_text(): text for text in axis.texts if text.get_text()}
        assert set(shown) == {word for pair in pairs for word in pair}
        for pair, ends in zip(pairs, points, strict=True):
            for word, place in zip(pair, ends, strict=True):
                np.testing.assert_array_equal(shown[word].xy, place)
        for group in zip(*pairs, strict=True):
            boxes = [shown[word].get_window_extent() for word in group]
            assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
    bars = drawn.axes[2].containers
    accuracies = [by_method["mean offset"] for by_method in measurement.accuracy.values()]
    in_five, first = ([bar.get_width() / 100 for bar in container] for container in bars[:2])
    np.testing.assert_allclose(in_five, [each.in_five for each in accuracies])
    np.testing.assert_allclose(first, [each.first for each in accuracies])


def test_table_lists_the_nearest_words_by_both_kinds_of_vectors(measurement):
    header, rows = figure.table(measurement)
    assert len(header) == 3
    words = {word: (topical, near) for word, topical, near in rows}
    assert words["list"][1].split(", ") == [word for word, _ in measurement.vectors.nearest("list", 5)]
    assert "decimal" in words["float"][0]
    assert "complex" in words["float"][1]
