"""Oracles: the moments of generated gradients, and of softmax regression in closed form."""

import keras
import numpy as np
import pytest
from scipy.special import softmax

from curvezoo.losses import CategoricalNLL
from curvezoo.optimizers.noise_scale import estimators as noise_estimators
from curvezoo.studies.noise_scale import measurement as noise_scale
from curvezoo.studies.noise_scale.problem import Problem, examples
from curvezoo.theory.noise_scale import gradient_moments, sample_noise_scale, two_batch_estimates
from curvezoo.zoo import catalogue


def made_gradients(rng, repeats, batches, batch_size):
    """Returns batch means of Gaussian gradients with |G|^2 = 3 and tr Sigma = 6, [repeats, batches, P]."""
    deviations = np.sqrt([3.0, 2.0, 1.0])
    noise = rng.normal(size=(repeats, batches, 3)) * deviations / np.sqrt(batch_size)
    return np.ones(3) + noise


@pytest.mark.equation("4.5.9")
@pytest.mark.equation("4.5.8")
@pytest.mark.parametrize("curved", [False, True])
def test_batches_of_one_example_give_the_noise_scale_of_the_sample(curved):
    rng = np.random.default_rng(0)
    gradients = 0.5 + rng.normal(size=(200, 4))
    root = rng.normal(size=(4, 4))
    hessian = root @ root.T if curved else None
    products = gradients @ (gradients @ hessian if curved else gradients).T
    estimate = noise_scale.estimate(products, 1)
    expected, error = sample_noise_scale(gradients, hessian)
    assert estimate.noise_scale == pytest.approx(expected, rel=1e-10)
    # Both are jackknife errors, one of the ratio itself and one of its linearization.
    assert estimate.standard_error == pytest.approx(error, rel=0.1)


@pytest.mark.equation("4.5.2")
def test_signal_and_noise_are_unbiased_with_correct_errors():
    rng = np.random.default_rng(1)
    size, repeats = 5, 2000
    estimates = [noise_scale.estimate(g @ g.T, size) for g in made_gradients(rng, repeats, 16, size)]
    for name, truth in (("signal", 3.0), ("noise", 6.0)):
        values = np.array([getattr(each, name) for each in estimates])
        error = values.std(ddof=1) / np.sqrt(repeats)
        assert abs(values.mean() - truth) < 4 * error
        variances = np.array([getattr(each, f"{name}_variance") for each in estimates])
        # A jackknife over 16 batches of Gaussian gradients is accurate to a few percent.
        assert variances.mean() == pytest.approx(values.var(), rel=0.15)


def test_averages_are_taken_before_the_ratio():
    rng = np.random.default_rng(2)
    # With three batches of one example, many single estimates of |G|^2 are negative.
    estimates = [noise_scale.estimate(g @ g.T, 1) for g in made_gradients(rng, 4000, 3, 1)]
    assert any(each.signal < 0 for each in estimates)
    whole = noise_scale.combine(estimates)
    assert abs(whole.noise_scale - 2.0) < 4 * whole.standard_error
    assert whole.standard_error < 0.2


def softmax_moments(problem, data):
    """Returns the gradients of all examples and the Hessian in closed form, at the current weights."""
    images, labels, spec = data
    x = (images.reshape(len(images), -1) - spec.mean[0]) / spec.std[0]
    kernel, bias = (np.array(v.numpy(), "float64") for v in problem.model.trainable_variables)
    x = np.concatenate([x, np.ones((len(x), 1))], axis=1)  # The bias is one more row.
    weights = np.concatenate([kernel, bias[None]])
    p = softmax(x @ weights, axis=1)
    errors = p - np.eye(10)[labels]
    gradients = (x[:, :, None] * errors[:, None, :]).reshape(len(x), -1)
    output = p[:, :, None] * np.eye(10) - p[:, :, None] * p[:, None, :]
    hessian = np.einsum("ni,nj,nab->iajb", x, x, output, optimize=True) / len(x)
    return gradients, hessian.reshape(gradients.shape[1], -1)


@pytest.fixture(scope="module")
def regression():
    recipe = catalogue.recipe("softmax_digits").override({"l2": 0})
    problem = Problem(recipe)
    problem.restart(0, 0.02)
    problem.advance(60, 32)
    return problem, softmax_moments(problem, examples(recipe))


@pytest.mark.equation("4.5.3")
def test_gradients_have_the_moments_of_the_data(regression):
    problem, (per_example, _) = regression
    mean, covariance = gradient_moments(per_example)
    size = 8
    gradients = problem.gradients(1024, size).numpy().astype("float64")
    drift = (gradients.mean(axis=0) - mean) / np.sqrt(np.diag(covariance) / (1024 * size) + 1e-12)
    assert np.abs(drift).max() < 5
    measured = noise_scale.estimate(gradients @ gradients.T, size)
    assert abs(measured.signal - mean @ mean) < 4 * np.sqrt(measured.signal_variance)
    assert abs(measured.noise - np.trace(covariance)) < 4 * np.sqrt(measured.noise_variance)


def test_hessian_products_agree_with_the_closed_form(regression):
    problem, (_, hessian) = regression
    vectors = np.random.default_rng(3).normal(size=(2, 650)).astype("float32")
    products = problem.hessian_products(vectors, 200_000).numpy()
    # Drawing with replacement causes an error of at most 1 / sqrt(200,000 / 650) in any direction.
    expected = vectors @ hessian
    assert np.linalg.norm(products - expected) < 0.03 * np.linalg.norm(expected)


@pytest.mark.equation("4.5.8")
def test_a_point_has_both_noise_scales(regression):
    problem, (per_example, hessian) = regression
    mean, covariance = gradient_moments(per_example)
    point = noise_scale.measure_point(problem, examples=8192, hessian=True, hessian_batch=4096)
    simple = np.trace(covariance) / (mean @ mean)
    assert abs(point.simple.noise_scale - simple) < 4 * point.simple.standard_error
    assert point.simple.standard_error < 0.2 * simple
    curved = np.sum(hessian * covariance) / (mean @ hessian @ mean)
    assert abs(point.curved.noise_scale - curved) < 4 * point.curved.standard_error
    assert point.curved.standard_error < 0.5 * curved


def test_the_callback_gives_the_same_estimate_from_the_same_examples(regression):
    problem, (per_example, _) = regression
    images, labels, _ = examples(problem.recipe)
    model = keras.models.clone_model(problem.model)
    model.set_weights(problem.model.get_weights())
    model.compile(loss=CategoricalNLL())
    squares = noise_estimators.squares("per_example", model, (images, labels), 1)
    expected = noise_scale.estimate(per_example @ per_example.T, 1)
    np.testing.assert_allclose(
        two_batch_estimates(*np.float64(squares)), [expected.signal, expected.noise], rtol=1e-4
    )


def test_a_run_has_a_start_and_an_average():
    def made(step, scale):
        return noise_scale.Point(step, 1.0, noise_scale.Estimate(2.0, 2.0 * scale, 0.02, 0.02 * scale**2, 0))

    points = [made(step, 10.0 if step < 4 else 90.0) for step in range(81)]
    run = noise_scale.NoisyRun(8, 0.1, 0, tuple(points))
    assert run.start().noise_scale == pytest.approx((4 * 10 + 90) / 5)
    average, error = run.average(parts=81)
    assert average == pytest.approx((4 * 10 + 77 * 90) / 81)
    # The relative variances of signal and noise are 0.02 / 4 each, 0.01 together.
    assert error == pytest.approx(np.sqrt(4 * (0.1 * 10) ** 2 + 77 * (0.1 * 90) ** 2) / 81)
    assert run.average_curved() is None


def test_a_run_measures_from_the_first_step_to_the_last(regression):
    problem, _ = regression
    run = noise_scale.measure_run(problem, 32, 0.02, 30, seed=1, points=4, curved=2, examples=512)
    assert [point.step for point in run.points] == [0, 10, 20, 30]
    assert [point.curved is not None for point in run.points] == [True, False, False, True]
    assert run.points[0].loss == pytest.approx(np.log(10), rel=1e-5)
    assert run.points[-1].loss < 0.8 * run.points[0].loss
    with pytest.raises(ArithmeticError, match="not finite"):
        noise_scale.measure_run(problem, 32, 1e38, 30, points=4, examples=512)


@pytest.mark.parametrize("shape", [(2, 2), (4, 3)])
def test_products_of_an_invalid_shape_are_an_error(shape):
    with pytest.raises(ValueError, match=r"products must have shape \[R, R\] with R >= 3"):
        noise_scale.estimate(np.ones(shape), 1)
