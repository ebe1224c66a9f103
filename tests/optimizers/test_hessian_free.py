"""Hessian-free steps against textbook conjugate gradients and SciPy's optimum."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import optimize
from sklearn.datasets import load_digits

from curvezoo.losses import CategoricalNLL
from curvezoo.optimizers.hessian_free import HessianFree, stored_steps
from curvezoo.optimizers.keras_bridge.compiled_objective import CompiledObjective

pytestmark = pytest.mark.usefixtures("double_precision_rates")


def data(examples=40, classes=3):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(examples, 4))
    return x, np.argmax(x @ rng.normal(size=(4, classes)) + rng.normal(size=(examples, classes)), axis=1)


def network(widths=(), inputs=4, outputs=3, **kwargs):
    keras.utils.set_random_seed(1)
    hidden = [keras.layers.Dense(w, "tanh", **kwargs) for w in widths]
    return keras.Sequential([keras.Input((inputs,)), *hidden, keras.layers.Dense(outputs, **kwargs)])


def flat(arrays):
    return np.concatenate([np.ravel(a) for a in arrays])


def assign(model, theta):
    parts = np.split(theta, np.cumsum([w.size for w in model.get_weights()])[:-1])
    model.set_weights([p.reshape(w.shape) for p, w in zip(parts, model.get_weights(), strict=True)])


def gradient_and_gauss_newton(model, x, y):
    """Gradient and Gauss-Newton matrix of the mean cross-entropy, from the Jacobian of the outputs."""
    with tf.GradientTape() as tape:
        logits = model(x)
    parts = tape.jacobian(logits, model.trainable_variables)
    jac = np.concatenate([p.numpy().reshape(*logits.shape, -1) for p in parts], axis=-1)
    p = np.exp(logits - tf.reduce_logsumexp(logits, axis=1, keepdims=True))
    curve = p[:, :, None] * np.eye(p.shape[1]) - p[:, :, None] * p[:, None, :]
    g = np.einsum("bk,bkp->p", p - np.eye(p.shape[1])[y], jac) / len(x)
    return g, np.einsum("bkp,bkl,blq->pq", jac, curve, jac) / len(x)


def iterates(matrix, b, x, steps):
    """The iterates of textbook conjugate gradients."""
    r = b - matrix @ x
    p, actual = r, []
    for _ in range(steps):
        a = (r @ r) / (p @ matrix @ p)
        x, rest = x + a * p, r - a * matrix @ p
        p, r = rest + (rest @ rest) / (r @ r) * p, rest
        actual.append(x)
    return actual


def test_the_curvature_includes_that_of_regularizers():
    """The Hessian of |W|^2 / 8 is 1/4 for each weight of a kernel and zero for biases."""
    x, y = data()
    model = network((5,), kernel_regularizer=keras.regularizers.L2(0.125))
    model.compile(HessianFree(), CategoricalNLL())
    objective = CompiledObjective(model, x, y)
    values, rng = objective.values, np.random.default_rng(2)
    tangents = [tf.constant(rng.normal(size=value.shape)) for value in values]
    product = model.optimizer.product(objective, values, tangents)
    _, matrix = gradient_and_gauss_newton(model, x, y)
    weights = flat([np.full(value.shape, 0.25 * (len(value.shape) == 2)) for value in values])
    expected = matrix @ flat(tangents) + weights * flat(tangents)
    np.testing.assert_allclose(flat(product), expected, rtol=1e-10, atol=1e-13)


def test_a_convex_quadratic_takes_one_step():
    x, _ = data()
    y = np.random.default_rng(1).normal(size=(len(x), 3))
    optimum = np.linalg.lstsq(np.c_[x, np.ones(len(x))], y)[0]
    errors = []
    for damping in (1e-2, 1e-4, 1e-8):
        model = network()
        model.compile(HessianFree(damping=damping), "mse", run_eagerly=True)
        model.train_on_batch(x, y)
        errors.append(np.abs(np.vstack(model.get_weights()) - optimum).max())
    assert errors[0] > 50 * errors[1] and errors[1] > 1e3 * errors[2]
    assert errors[2] < 1e-6


def test_steps_are_the_best_iterates_of_conjugate_gradients():
    (x, y), model = data(), network((4,))
    steps, damping, taken = 12, 1e-4, []
    model.compile(
        HessianFree(damping=damping, steps=steps, warm_start=0.9, relative_progress=1e-30), CategoricalNLL()
    )
    start, copy, last = flat(model.get_weights()), network((4,)), 0.0
    for _ in range(6):
        assign(copy, start)
        g, matrix = gradient_and_gauss_newton(copy, x, y)
        actual = iterates(matrix + damping * np.eye(len(g)), g, 0.9 * last * np.ones(len(g)), steps)
        losses = []
        for k in stored_steps(steps):
            assign(copy, start - actual[k - 1])
            losses.append(float(CategoricalNLL()(y, copy(x))))
        # At this small damping an earlier iterate is better than the last.
        assert np.argmin(losses) < len(losses) - 1
        best, before = (
            actual[stored_steps(steps)[np.argmin(losses)] - 1],
            float(model.evaluate(x, y, verbose=0)),
        )
        taken.append(min(losses) < before)
        if taken[-1]:
            ratio = (min(losses) - before) / (-g @ best + best @ matrix @ best / 2)
            damping *= 1.5 if ratio < 0.25 else 1 / 1.5 if ratio > 0.75 else 1.0
            start, last = start - best, actual[-1]
        else:
            damping, last = 1.5**4 * damping, 0.0
        model.train_on_batch(x, y)
        np.testing.assert_allclose(flat(model.get_weights()), start, rtol=0, atol=1e-6)
        assert float(model.optimizer.damping) == pytest.approx(damping)
    assert {True, False} == set(taken)


def test_iterates_are_stored_at_growing_distances():
    assert stored_steps(1) == [1]
    assert stored_steps(20) == [1, 2, 3, 4, 5, 7, 9, 11, 15, 19, 20]


def test_regularized_softmax_regression_reaches_the_optimum():
    (x, y), weight = data(), 0.01
    model = network(kernel_regularizer=keras.regularizers.L2(weight))
    model.compile(HessianFree(steps=30), CategoricalNLL())
    model.fit(x, y, batch_size=len(x), epochs=40, verbose=0)

    def objective(theta):
        kernel, bias = theta[:12].reshape(4, 3), theta[12:]
        logits = x @ kernel + bias
        nll = np.log(np.exp(logits).sum(1)) - logits[np.arange(len(x)), y]
        return nll.mean() + weight * np.sum(kernel**2)

    expected = optimize.minimize(objective, np.zeros(15), tol=1e-12).fun
    assert model.evaluate(x, y, verbose=0) == pytest.approx(expected, abs=1e-8)


def test_it_trains_digits_in_fewer_steps_than_sgd():
    x, y = load_digits(return_X_y=True)
    x, scores = x / 16, {}
    for name, make in {"hessian free": HessianFree, "sgd": lambda: keras.optimizers.SGD(0.5)}.items():
        model = network((16,), 64, 10)
        model.compile(make(), CategoricalNLL())
        model.fit(x, y, batch_size=600, epochs=6, verbose=0)
        scores[name] = model.evaluate(x, y, verbose=0)
    assert scores["hessian free"] < 0.1 and scores["hessian free"] < 0.1 * scores["sgd"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"warm_start": -0.1}, r"warm_start must be in \[0, 1\], got -0.1"),
        ({"relative_progress": 0.0}, "relative_progress must be positive, got 0"),
        ({"steps": 1.5}, "steps must be an integer of at least 1, got 1.5"),
    ],
)
def test_invalid_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        HessianFree(**arguments)
