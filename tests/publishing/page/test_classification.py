"""Oracles: scikit-learn's confusion matrix, selections made by hand, and the data of the drawn artists."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix as sklearn_confusion_matrix

from curvezoo.losses import expected_calibration_error, reliability_curve
from curvezoo.publishing.page import classification
from curvezoo.publishing.page.classification import confusion_matrix, reliability_diagram, worst_mistakes


def cell_texts(figure):
    return {
        (round(t.get_position()[1]), round(t.get_position()[0])): t.get_text() for t in figure.axes[0].texts
    }


@pytest.mark.parametrize("classes", [2, 10, 100])
def test_counts_equal_those_of_scikit_learn(classes):
    rng = np.random.default_rng(classes)
    labels, predictions = rng.integers(0, classes, (2, 500))
    ours = classification.confusion_counts(labels, predictions, classes)
    theirs = sklearn_confusion_matrix(labels, predictions, labels=np.arange(classes))
    np.testing.assert_array_equal(ours, theirs)


def test_a_class_without_examples_has_a_row_of_zeros():
    np.testing.assert_array_equal(
        classification.confusion_counts([0, 2, 2], [1, 2, 1], 3), [[0, 1, 0], [0, 0, 0], [0, 1, 1]]
    )


def test_the_most_frequent_mistakes_come_first_without_the_diagonal():
    counts = np.array([[50, 1, 0], [3, 40, 2], [0, 3, 0]])
    assert classification.most_confused(counts) == [(1, 0, 3), (2, 1, 3), (1, 2, 2), (0, 1, 1)]
    assert classification.most_confused(counts, count=1) == [(1, 0, 3)]
    assert classification.most_confused(np.diag([3, 4])) == []


def test_the_cells_show_the_counts():
    rng = np.random.default_rng(0)
    labels, predictions = rng.integers(0, 4, (2, 60))
    counts = classification.confusion_counts(labels, predictions, 4)
    texts = cell_texts(confusion_matrix(labels, predictions, list("abcd")))
    assert texts == {cell: str(count) for cell, count in np.ndenumerate(counts) if count}


def test_colors_show_fractions_of_the_true_class():
    figure = confusion_matrix([0, 0, 0, 0, 1], [0, 0, 0, 1, 1], ["a", "b"])
    correct, mistaken = figure.axes[0].images
    np.testing.assert_allclose(correct.get_array().compressed(), [0.75, 1.0])
    np.testing.assert_allclose(mistaken.get_array().compressed(), [0.25])


def test_many_classes_have_color_bars_instead_of_counts():
    labels = np.arange(100)
    figure = confusion_matrix(labels, labels[::-1].copy(), [f"class {k}" for k in labels])
    assert not figure.axes[0].texts
    assert len(figure.axes) == 3


def test_highest_loss_comes_first():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.01, 0.99], [0.5, 0.5]])
    labels = np.array([0, 0, 1, 1, 0])
    # Probabilities of the labels: 0.9, 0.2, 0.4, 0.99, 0.5.
    np.testing.assert_array_equal(classification.highest_loss(labels, probabilities, 3), [1, 2, 4])
    np.testing.assert_array_equal(classification.highest_loss(labels, probabilities, 99), [1, 2, 4, 0, 3])


def test_the_worst_mistake_is_drawn_first_with_its_labels():
    images = np.arange(3)[:, None, None] * np.ones((3, 8, 8)) / 2
    probabilities = np.array([[0.9, 0.1], [0.75, 0.25], [0.6, 0.4]])
    figure = worst_mistakes(images, np.array([0, 1, 0]), probabilities, ["cat", "$dog"], count=3)
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == [
        "$dog → cat\nprobability 25 %",
        "cat → cat\nprobability 60 %",
        "cat → cat\nprobability 90 %",
    ]
    assert [axis.images[0].get_array()[0, 0] for axis in figure.axes] == [0.5, 1.0, 0.0]


def test_a_certain_prediction_has_a_probability_of_a_hundred_percent():
    probabilities = np.array([[0.998, 0.002]])
    for label, shown in ((0, "100 %"), (1, "0.2 %")):
        figure = worst_mistakes(np.zeros((1, 8, 8)), np.array([label]), probabilities, ["a", "b"], count=1)
        assert figure.axes[0].get_title().endswith(f"probability {shown}")


def test_the_reliability_diagram_shows_the_filled_bins():
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.95, 0.05]])
    labels = np.array([0, 1, 0, 0])
    curve = reliability_curve(probabilities, labels, bins=4)
    figure = reliability_diagram(curve, expected_calibration_error(probabilities, labels, bins=4))
    upper, lower = figure.axes
    points = upper.containers[0].lines[0].get_xydata()
    np.testing.assert_allclose(points, [[0.6, 1.0], [(0.9 + 0.8 + 0.95) / 3, 2 / 3]])
    assert [bar.get_height() for bar in lower.patches] == [0, 0, 1, 3]
    assert upper.get_title(loc="left") == "calibration error 26.25 %"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: confusion_matrix([0, 1], [0, 5], ["a", "b"]),
            r"predictions\[1\] must be from 0 to 1, got 5",
        ),
        (lambda: confusion_matrix([0, 3], [0, 1], ["a", "b"]), r"labels\[1\] must be from 0 to 1, got 3"),
        (lambda: confusion_matrix([0, 1], [0], ["a", "b"]), r"predictions must have shape \(2,\)"),
        (
            lambda: classification.highest_loss(np.array([0]), [[1.0, 0.0]], 0),
            "count must be an integer of at least 1, got 0",
        ),
        (
            lambda: worst_mistakes(np.zeros((2, 8, 8)), np.array([0]), [[1.0, 0.0]], ["a", "b"]),
            "must number 1 and 2, got 2 and 2",
        ),
    ],
)
def test_invalid_arguments_are_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
