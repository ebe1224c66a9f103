"""Recipes with full-batch optimizers: epochs of iterations on all examples, resumed exactly."""

import numpy as np
import pytest

from curvezoo import zoo
from curvezoo.training import checkpoints

SETTINGS = {"optimizer": "lbfgs", "max_iterations": 4, "subset": 250}


def weights(folder):
    return checkpoints.read(checkpoints.latest(folder / "checkpoints"))[0]


def test_l_bfgs_minimizes_and_an_extended_run_equals_one_long_run(tmp_path):
    whole = zoo.train("softmax_digits", tmp_path / "whole", progress=False, epochs=2, **SETTINGS)
    losses = [row["loss"] for row in whole.history]
    # Every iteration lowers the loss of all examples, which begins at log 10.
    assert np.log(10) > losses[0] > losses[1]
    assert whole.history[0]["evaluations"] >= 4
    short = zoo.train("softmax_digits", tmp_path / "run", progress=False, epochs=1, **SETTINGS)
    zoo.train("softmax_digits", short.folder, progress=False, resume=True, epochs=2)
    before, after = weights(whole.folder), weights(short.folder)
    assert before.keys() == after.keys()
    for name, value in before.items():
        np.testing.assert_array_equal(value, after[name], err_msg=name)


def test_settings_that_bfgs_lacks_are_rejected(tmp_path):
    with pytest.raises(ValueError, match="softmax_digits has no setting 'learning_rate'"):
        zoo.train("softmax_digits", tmp_path / "run", optimizer="bfgs", learning_rate=0.1)
    assert not (tmp_path / "run").exists()
