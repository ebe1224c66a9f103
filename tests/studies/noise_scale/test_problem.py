"""Problems restart exactly, draw with replacement, and detect batch normalization."""

import numpy as np
import pytest

from curvezoo.studies.noise_scale.problem import Problem, examples
from curvezoo.zoo import catalogue


def weights(problem):
    return np.concatenate([np.ravel(v) for v in problem.model.get_weights()])


@pytest.mark.parametrize("optimizer", ["sgd", "recipe"])
def test_a_training_is_a_function_of_its_seed(optimizer):
    problem = Problem(catalogue.recipe("mlp_digits").override({"widths": "16"}), optimizer=optimizer)
    trained = []
    for seed, blocks in ((0, (6,)), (1, (6,)), (0, (1, 2, 3))):
        problem.restart(seed, 0.01)
        for steps in blocks:
            problem.advance(steps, 16)
        trained.append(weights(problem))
    np.testing.assert_allclose(trained[0], trained[2], atol=1e-6)
    assert np.abs(trained[0] - trained[1]).max() > 0.1


def test_one_step_of_sgd_follows_the_negative_gradient():
    recipe = catalogue.recipe("softmax_digits").override({"subset": 1, "l2": 0.5})
    problem = Problem(recipe)
    problem.model.get_layer("logits").kernel.assign(np.full((64, 10), 0.1))
    before = weights(problem)
    gradient = problem.gradients(1, 1).numpy()[0]
    problem.optimizer.learning_rate = 0.25
    # With a single example, every batch is the whole data set.
    problem.advance(1, 3)
    np.testing.assert_allclose(weights(problem), before - 0.25 * gradient, rtol=1e-5, atol=1e-6)
    images, labels, spec = examples(recipe)
    x = (images.reshape(-1) - spec.mean[0]) / spec.std[0]
    expected = np.outer(x, 0.1 - np.eye(10)[labels[0]]) + 2 * 0.5 * 0.1
    np.testing.assert_allclose(gradient[:640].reshape(64, 10), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "coupled"), [("mlp_digits", False), ("cnn_digits", True)])
def test_batch_normalization_couples_the_examples(name, coupled):
    assert Problem(catalogue.recipe(name)).coupled == coupled


def test_denoisers_can_be_trained_as_well():
    problem = Problem(catalogue.recipe("denoiser_digits"))
    first = problem.loss()
    problem.restart(0, 0.003)
    problem.advance(10, 16)
    assert problem.loss() < first


def test_large_data_and_unknown_optimizers_are_errors():
    with pytest.raises(ValueError, match="data must fit in memory, got 'imagenet2012'"):
        Problem(catalogue.recipe("resnet50_imagenet"))
    with pytest.raises(ValueError, match="optimizer must be one of sgd, recipe, got 'adam'"):
        Problem(catalogue.recipe("softmax_digits"), optimizer="adam")
