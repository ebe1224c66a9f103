"""Classifiers trained from the rewards of the labels that they choose: accuracy, and resumed runs."""

import numpy as np
import pytest
import tensorflow as tf

from curvezoo import zoo
from curvezoo.training import Resources

SMALL = {"widths": "16", "subset": 128, "batch_size": 32, "epochs": 3}


class After:
    """Collects losses, and stops after a number of epochs."""

    def __init__(self, epochs=None):
        self.losses, self.epochs = [], epochs

    def step(self, done, steps, logs):
        pass

    def __call__(self, logs):
        self.losses.append(logs["loss"])
        return len(self.losses) == self.epochs


def trained(recipe, start=0, state=None, epochs=None):
    """A learner that was restored from a state and trained, and its losses."""
    learner = recipe.learner(Resources(tf.distribute.get_strategy()))
    if state:
        learner.restore(state)
    after = After(epochs)
    learner.train(start, after)
    return learner.state(), after.losses


@pytest.mark.parametrize("name", ["mlp_digits_policy_gradient", "mlp_digits_q"])
def test_a_resumed_run_draws_the_actions_of_an_uninterrupted_one(name):
    recipe = zoo.recipe(name).override(SMALL)
    whole, losses = trained(recipe)
    stopped, begun = trained(recipe, epochs=2)
    resumed, ended = trained(recipe, start=2, state=stopped)
    assert begun + ended == losses
    assert whole.keys() == resumed.keys() and "loss/seed_generator_state" in whole
    for key, value in whole.items():
        np.testing.assert_array_equal(value, resumed[key], err_msg=key)


@pytest.mark.parametrize("name", ["mlp_digits_policy_gradient", "mlp_digits_q"])
def test_digits_are_learned_from_rewards_alone(name):
    recipe = zoo.recipe(name).override({"widths": "64", "epochs": 12})
    learner = recipe.learner(Resources(tf.distribute.get_strategy()))
    learner.train(0, After())
    evaluation = learner.evaluate()
    # Chance is 10 %.
    assert evaluation.scores["accuracy"] > 0.7
    assert evaluation.measure == "classification"
