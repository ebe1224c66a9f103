"""The claims of the figure on a shorter training, and the data of the drawn artists."""

import numpy as np
import pytest

from curvezoo.figures.chapter6 import regularization
from curvezoo.figures.chapter6.training_curves import Curves


@pytest.fixture(scope="module")
def curves():
    return {name: regularization.measure(m, 600, 14) for name, m in regularization.METHODS.items()}


def test_without_regularization_the_test_loss_rises_while_the_training_loss_falls(curves):
    free = curves["none"]
    assert 0 < free.best < len(free.steps) - 1
    assert free.test_loss[-1] > 1.25 * free.test_loss[free.best]
    assert free.train_loss[-1] < 0.2 * free.train_loss[free.best]


@pytest.mark.parametrize("name", ["l1", "l2", "dropout"])
def test_each_method_ends_below_the_test_loss_of_none(curves, name):
    assert curves[name].test_loss[-1] < 0.95 * curves["none"].test_loss[-1]
    # The price is a larger training loss.
    assert curves[name].train_loss[-1] > 3 * curves["none"].train_loss[-1]


def test_figure_and_table_show_the_curves_and_early_stopping():
    steps = np.array([1, 10, 100])
    made = {
        name: Curves(
            steps, k + np.array([2.0, 1.0, 0.1]), k + np.array([2.0, 1.0, 1.5]), steps / 100, steps / 200
        )
        for k, name in enumerate(regularization.METHODS)
    }
    left, right = regularization.plot(made).axes
    assert [list(line.get_ydata()) for line in left.lines] == [[2.0, 1.0, 0.1], [2.0, 1.0, 1.5], [1.0]]
    assert [list(line.get_ydata()) for line in right.lines[:4]] == [list(c.test_loss) for c in made.values()]
    assert right.lines[4].get_xydata().tolist() == [[10, 1.0]]
    header, rows = regularization.table(made)
    assert rows[0] == ("no regularization", "1.50", "50.0 %", "100.0 %")
    assert rows[1] == ("early stopping, 10 steps", "1.00", "5.0 %", "10.0 %")
    assert len(rows) == 5 and {len(row) for row in rows} == {len(header)}
