"""Memorization of a smaller set, and the data of the drawn artists."""

import numpy as np
import pytest

from curvezoo.figures.chapter6 import random_labels
from curvezoo.figures.chapter6.training_curves import Curves


@pytest.mark.parametrize("seed", [0, 1])
def test_random_labels_are_memorized_without_generalization(seed):
    curves = random_labels.measure(1.0, examples=200, steps=600, points=12, seed=seed)
    assert random_labels.memorized(curves) is not None
    assert curves.train_accuracy[-1] == 1.0
    # Chance is 10 %, and the standard deviation over 360 images 1.6 %; the labels of a class may agree more.
    assert curves.test_accuracy[-1] < 0.3
    correct = random_labels.measure(0.0, examples=200, steps=600, points=12, seed=seed)
    assert correct.test_accuracy[-1] > 0.8
    assert random_labels.memorized(correct) < random_labels.memorized(curves)


def test_figure_and_table_show_the_accuracies():
    steps = np.array([1, 10, 100])
    made = {
        fraction: Curves(
            steps, steps, steps, np.array([0.1, 0.5 + fraction / 2, 1.0 - fraction / 4]), steps / 500
        )
        for fraction in random_labels.FRACTIONS
    }
    left, right = random_labels.plot(made).axes
    for axis, kind in ((left, "train_accuracy"), (right, "test_accuracy")):
        for line, each in zip(axis.lines, made.values(), strict=False):
            np.testing.assert_array_equal(line.get_ydata(), getattr(each, kind))
    _, rows = random_labels.table(made)
    assert rows[0] == ("0 %", "100.0 %", "20.0 %", "100")
    assert rows[1][3] == "not reached"
    assert rows[2] == ("100 %", "75.0 %", "20.0 %", "10")
