"""Problems restart exactly, draw with replacement, and detect batch normalization."""

import numpy as np
import pytest

from curvezoo.data.text import topics
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


def test_windows_of_a_text_are_the_examples_of_a_language_model():
    recipe = catalogue.recipe("transformer_text").override({"context": 6, "windows": 40, "batch_size": 40})
    inputs, targets, spec = examples(recipe)
    assert inputs.shape == targets.shape == (40, 6)
    assert spec.train == 40
    np.testing.assert_array_equal(inputs[:, 1:], targets[:, :-1])
    text = spec.tokenizer.decode(np.append(inputs[0], targets[0, -1]))
    assert text in topics.text()


@pytest.mark.parametrize(
    ("name", "settings"),
    [("transformer_text", {"num_layers": 1, "width": 8, "heads": 2}), ("lstm_text", {"width": 4})],
    ids=["transformer", "lstm"],
)
def test_gradient_and_curvature_of_language_models_are_those_of_the_loss(name, settings):
    recipe = catalogue.recipe(name).override({"context": 6, "windows": 1, "batch_size": 1, **settings})
    # With a single window, every batch is the whole data set.
    problem = Problem(recipe)
    weights = problem.model.trainable_variables
    start = [v.numpy() for v in weights]
    random = np.random.default_rng(0)
    along = [random.normal(size=v.shape).astype("float32") for v in weights]
    direction = np.concatenate([np.ravel(v) for v in along])

    def shifted(distance):
        for variable, value, step in zip(weights, start, along, strict=True):
            variable.assign(value + distance * step)
        return problem.loss(), problem.gradients(1, 2).numpy()[0]

    # The initial weights are small, and so must be the step.
    (above, gradient_above), (below, gradient_below) = shifted(3e-4), shifted(-3e-4)
    _, gradient = shifted(0)
    np.testing.assert_allclose(gradient @ direction, (above - below) / 6e-4, rtol=1e-2)
    product = problem.hessian_products(direction[None], 3).numpy()[0]
    difference = (gradient_above - gradient_below) / 6e-4
    assert np.linalg.norm(product - difference) < 0.02 * np.linalg.norm(product)


def test_pairs_of_texts_are_refused_before_anything_is_loaded():
    with pytest.raises(ValueError, match="of images or of text for a noise-scale study, got 'seq2seq_dates'"):
        Problem(catalogue.recipe("seq2seq_dates"))
